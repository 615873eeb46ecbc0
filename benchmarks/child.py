"""Run a command in a process of its own, and say what it cost."""

import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# Modules are compiled once, as on a user's machine, whatever this shell says.
_ENVIRONMENT = {**os.environ, "PYTHONDONTWRITEBYTECODE": ""}
RETINT = Path(sys.executable).with_name("retint")


@dataclass(frozen=True)
class Cost:
    """Wall time in seconds and peak memory in MiB."""

    seconds: float
    memory: float


def run_child(command: Sequence[str | Path]) -> Cost:
    """Run a command to its end; a failure ends the benchmark with the command's last words.

    Linux counts the parent's memory at the start as the child's, so the caller has to stay small:
    work on pictures belongs into a process of its own, by `call_apart`.
    """
    with tempfile.TemporaryFile("w+") as output:
        start = time.perf_counter()
        process = subprocess.Popen(command, stdout=output, stderr=output, env=_ENVIRONMENT)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            output.seek(0)
            words = output.read().strip().splitlines() or ["it said nothing"]
            sys.exit(f"{Path(command[0]).name} failed ({process.returncode}): {words[-1]}")
    unit = 2**20 if sys.platform == "darwin" else 2**10  # bytes there, KiB on Linux
    return Cost(seconds, usage.ru_maxrss / unit)


def call_apart(work: Callable[..., None], *arguments: Any) -> None:
    """Call a function in a process of its own, so that this one stays small; see `run_child`."""
    process = multiprocessing.get_context("spawn").Process(target=work, args=arguments)
    process.start()
    process.join()
