"""Reads pictures in a process of its own, which may crash, hang, or run out of memory.

As a program: takes pictures on its standard input, says in a line what became of each. As a module:
`Decoder` starts that program and asks it.
"""

from __future__ import annotations

import faulthandler
import json
import resource
import select
import struct
import subprocess
import sys
import traceback
from dataclasses import replace

_MEMORY = 4 << 30  # bytes of address space
_PATIENCE = 120.0  # seconds that a picture may take on a busy machine
READ, REFUSED, UNWRITTEN = "read", "refused", "read but not written"


class Decoder:
    """The program, started again when it ends."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Decoder:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def take(self, data: bytes) -> tuple[str, str]:
        """Have a picture read, to colour and to learn from, marked and written in several formats.

        Returns:
            `READ`, `REFUSED`, or `UNWRITTEN` if its own format cannot hold it, and the message; or
            what went wrong.
        """
        if self._process is None:
            command = [sys.executable, __file__]
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
            )
        process = self._process
        assert process.stdin
        assert process.stdout
        try:
            process.stdin.write(struct.pack(">Q", len(data)) + data)
            process.stdin.flush()
        except BrokenPipeError:
            return self._crashed()
        if not select.select([process.stdout], [], [], _PATIENCE)[0]:
            self._end()
            return "hung", f"no answer in {_PATIENCE:g} s"
        line = process.stdout.readline()
        if not line:
            return self._crashed()
        kind, detail = json.loads(line)
        return kind, detail

    def _crashed(self) -> tuple[str, str]:
        status = self._end()
        return "crashed", f"the process ended with {status}"

    def _end(self) -> int:
        process, self._process = self._process, None
        if process is None:
            return 0
        try:
            process.wait(1)
        except subprocess.TimeoutExpired:
            process.kill()
        process.communicate()
        return process.returncode


def main() -> None:
    """Answer until the input ends."""
    faulthandler.enable()
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    while header := sys.stdin.buffer.read(8):
        data = sys.stdin.buffer.read(*struct.unpack(">Q", header))
        sys.stdout.write(json.dumps(judge(data)) + "\n")
        sys.stdout.flush()


def judge(data: bytes) -> tuple[str, str]:
    """What becomes of a picture: of everything but a `RetintError`, the traceback."""
    from retint.errors import RetintError
    from retint.photo import encode_photo, read_photo
    from retint.photo.files import _MOST_PIXELS
    from retint.photo.provenance import Provenance, read_provenance, stamped
    from retint.pictures import decode_data

    how = Provenance(*("x" for _ in Provenance.__dataclass_fields__))
    try:
        learnt = decode_data(data, lambda image: image.resize((64, 64)))
        if not isinstance(learnt, str) and learnt.shape != (64, 64, 3):
            return "of wrong shape to learn from", str(learnt.shape)
        try:
            photo = read_photo(data)
        except RetintError as error:
            return REFUSED, str(error)
        for page in (photo, *photo.pages):
            height, width = page.pixels.shape[:2]
            if not 0 < height * width <= _MOST_PIXELS:
                return "of wrong size", f"{width} x {height}"
        xmp = stamped(photo.xmp, how)
        if read_provenance(xmp)["tool"] != "x":
            return "lost", "the stamp cannot be read back"
        for format_name in (photo.format, *({"JPEG", "PNG", "TIFF"} - {photo.format})):
            try:
                encode_photo(replace(photo, xmp=xmp), format_name)
            except (RetintError, OSError) as error:
                return UNWRITTEN if format_name == photo.format else REFUSED, str(error)
    except MemoryError:
        return REFUSED, "memory"
    except Exception:
        return "raised", traceback.format_exc(limit=-5)
    return READ, ""


if __name__ == "__main__":
    main()
