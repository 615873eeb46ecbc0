"""Files at URLs that fsspec knows: listed once, fetched, and put there whole or not at all."""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path, PurePath, PurePosixPath
from typing import Any
from uuid import uuid4

from retint.photo import LOOKED_AT
from retint.places import Places, State
from retint.remote import named_errors, steadily
from retint.whole import partial_path, remove_partial_files

# Object stores show an object when all of it has arrived; elsewhere a rename makes it so.
_WHOLE_AT_ONCE = {"abfs", "abfss", "adl", "az", "gcs", "gs", "oci", "oss", "r2", "s3", "s3a"}
_CHANGES_WITH_CONTENT = ("ETag", "etag", "md5Hash", "LastModified", "last_modified", "mtime")
_LINES_AT_ONCE = 1000  # of the journal: each time is an object of its own


class Urls(Places):
    """Files at URLs, as they were when the run began, and those of this machine.

    A store is asked for whole listings, a thousand files an answer, instead of for each file.

    Args:
        paths: folders and photographs that are to be coloured.
        out: where the results go.
    """

    def __init__(self, paths: Sequence[Path], out: Path | None) -> None:
        self._listed: dict[tuple[str, str], dict[str, State]] = {}
        for path in (*paths, *filter(None, [out])):
            if is_url(path):
                self._list(path)
        if out is not None and is_url(out):
            self.at_once = _LINES_AT_ONCE

    def is_folder(self, path: Path) -> bool:
        """Whether there is a folder of this name; at a URL, one with anything in it."""
        return bool(self._listed.get(_place(path))) if is_url(path) else super().is_folder(path)

    def exists(self, path: Path) -> bool:
        """Whether there is anything of this name."""
        if not is_url(path):
            return super().exists(path)
        return self.is_folder(path) or self.state(path) is not None

    def state(self, path: Path) -> State | None:
        """What changes when the file does; None if there is none."""
        if not is_url(path):
            return super().state(path)
        protocol, name = _place(path)
        for (of, folder), files in self._listed.items():
            if of == protocol and name.startswith(f"{folder}/"):
                return files.get(name)
        with named_errors(path, "read"):
            info = steadily(lambda: _info(path))
        return _state(info) if info else None

    def is_same(self, one: Path, other: Path) -> bool:
        """Whether both are names of one file."""
        if not is_url(one) and not is_url(other):
            return super().is_same(one, other)
        return _place(one) == _place(other)

    def inside(self, path: Path, folder: Path) -> PurePath:
        """A path below a folder, as seen from there; for URLs ten times as fast as by UPath."""
        if not is_url(path):
            return super().inside(path, folder)
        return PurePosixPath(_place(path)[1][len(_place(folder)[1]) :].lstrip("/"))

    def photographs(self, folder: Path, out: Path | None, problems: list[str]) -> list[Path]:
        """Photographs below a folder, sorted, but for those in `out`."""
        if not is_url(folder):
            return super().photographs(folder, out, problems)
        protocol, name = _place(folder)
        results = _place(out) if out is not None else ("", "")
        # What a folder at or above this one holds is not all ours.
        inside = protocol == results[0] and results[1].startswith(f"{name}/")
        found = []
        for file in sorted(self._listed[protocol, name]):
            ours = inside and file.startswith(f"{results[1]}/")
            known = os.path.splitext(file)[1].lower() in LOOKED_AT  # noqa: PTH122
            if known and not ours and not file.rpartition("/")[2].startswith("."):
                found.append(folder / file[len(name) :].lstrip("/"))
        return found

    def remove_partial_files(self, paths: Iterable[Path]) -> None:
        """Remove what killed runs left half written; object stores have no such files."""
        remove_partials(paths)

    def remove(self, path: Path) -> None:
        """Remove a file, if there is one."""
        if is_url(path):
            remove(path)
        else:
            super().remove(path)

    @contextmanager
    def held(self, path: Path) -> Iterator[None]:
        """Keep other runs off a journal; at a URL nothing can be held."""
        with nullcontext() if is_url(path) else super().held(path):
            yield

    def read(self, path: Path) -> bytes:
        """All that was appended; at a URL, a folder holds the parts."""
        if not is_url(path):
            return super().read(path)
        parts = self._parts(path)
        if not parts:
            return b""
        with named_errors(path, "read"):
            contents: Mapping[str, bytes] = steadily(lambda: _fs(path).cat(parts))
        return b"".join(contents[name] for name in parts)

    def append(self, path: Path, lines: bytes) -> None:
        """Add lines; at a URL, where nothing can be appended to, as a file of their own."""
        if not is_url(path):
            super().append(path, lines)
            return
        last = self._parts(path)[-1:]
        number = 1 + int(last[0].rpartition("/")[2].partition("-")[0]) if last else 1
        part = (
            path.with_suffix("") / f"{number:06d}-{uuid4().hex[:8]}.jsonl"
        )  # two runs may have one number
        put(lines, part)
        self._listed[_place(part.parent)][_place(part)[1]] = (len(lines), 0)

    def cut(self, path: Path, size: int) -> None:
        """Take off what was left unfinished; at a URL, parts are there whole or not at all."""
        if not is_url(path):
            super().cut(path, size)

    def _parts(self, path: Path) -> list[str]:
        """Names of the parts of a journal, in the order of their writing."""
        folder = path.with_suffix("")
        if _place(folder) not in self._listed:
            self._list(folder)
        return sorted(self._listed[_place(folder)])

    def _list(self, folder: Path) -> None:
        protocol, name = _place(folder)
        with named_errors(folder, "listed"):
            try:
                found = steadily(lambda: _fs(folder).find(name, detail=True))
            except FileNotFoundError:
                found = {}
        if name not in found:  # else it is one file
            self._listed[protocol, name] = {file: _state(info) for file, info in found.items()}


def is_url(path: Path) -> bool:
    """Whether it stands for a file at a URL."""
    return not isinstance(path, Path)


def fetch(url: Path, local: Path) -> None:
    """Copy a file from a URL."""
    with named_errors(url, "read"):
        steadily(lambda: _fs(url).get_file(_place(url)[1], str(local)))


def fetch_if_there(url: Path, local: Path) -> None:
    """Copy a file from a URL, if there is one."""
    with named_errors(url, "read"), suppress(FileNotFoundError):
        steadily(lambda: _fs(url).get_file(_place(url)[1], str(local)))


def put(content: Path | bytes, url: Path) -> None:
    """Write a file, or bytes, to a URL, whole or not at all."""
    with named_errors(url, "written"):
        steadily(lambda: _put(content, url))


def remove(url: Path) -> None:
    """Remove a file, if there is one."""
    with named_errors(url, "written"):
        if steadily(lambda: _info(url)):
            steadily(lambda: _fs(url).rm_file(_place(url)[1]))


def there(url: Path) -> bool:
    """Whether there is a file now."""
    with named_errors(url, "read"):
        return steadily(lambda: _info(url)) is not None


def remove_partials(paths: Iterable[Path]) -> None:
    """Remove what was left half written of files, where anything can be."""
    remove_partial_files(path for path in paths if not _is_whole_at_once(path))


def _put(content: Path | bytes, url: Path) -> None:
    fs, name = _fs(url), _place(url)[1]
    if _is_whole_at_once(url):
        _write(fs, content, name)
        return
    fs.makedirs(_place(url.parent)[1], exist_ok=True)
    beside = _place(partial_path(url))[1]
    try:
        _write(fs, content, beside)
        fs.mv(beside, name)
    except BaseException:
        with suppress(Exception):
            fs.rm_file(beside)
        raise


def _write(fs: Any, content: Path | bytes, name: str) -> None:
    if isinstance(content, bytes):
        fs.pipe_file(name, content)
    else:
        fs.put_file(str(content), name)


def _info(url: Path) -> Mapping[str, Any] | None:
    """What the driver says of a file; None if there is none."""
    try:  # not exists(): some drivers take every trouble for an absence
        info: Mapping[str, Any] = _fs(url).info(_place(url)[1])
    except FileNotFoundError:
        return None
    return info if info["type"] == "file" else None


def _is_whole_at_once(path: Path) -> bool:
    return is_url(path) and _place(path)[0] in _WHOLE_AT_ONCE


def _fs(url: Any) -> Any:
    """The driver."""
    return url.fs


def _place(path: Any) -> tuple[str, str]:
    """Protocol and name as the driver has it; files of this machine have one place, as URLs too."""
    if isinstance(path, Path):
        return "file", path.absolute().as_posix()
    protocol = "file" if path.protocol in ("file", "local") else str(path.protocol)
    return protocol, str(path.path).rstrip("/")


def _state(info: Mapping[str, Any]) -> State:
    """Size, and a number that is another when the driver says that the content changed."""
    said = next((info[key] for key in _CHANGES_WITH_CONTENT if info.get(key)), "")
    return int(info.get("size") or 0), zlib.crc32(str(said).encode())
