"""`retint serve` under load: 64 clients with photographs of 0.1 to 12 megapixels.

    python benchmarks/serve.py [--seconds 60] [--clients 64] [--requests 2000]

The megapixels a second that it answers are compared with those of `retint colorize` on a folder of
the same photographs, before and after. A client that is sent away (503) comes again when it was
told to. Then the service answers so many requests more, of small photographs, and its memory is
compared with that after the tenth part of them. Linux alone.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import numpy as np
from rich.console import Console

from child import RETINT, call_apart, run_child
from colorize import make_photograph
from retint.tables import Table

MEGAPIXELS = (0.1, 0.5, 1, 2, 4, 12)
COPIES = 6  # of each, in the folder


@dataclass
class Answers:
    """What clients were answered."""

    statuses: Counter[int] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    megapixels: float = 0.0
    last: float = 0.0  # of the monotonic clock; clients that were sent away may still wait then
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, status: int, seconds: float, megapixels: float) -> None:
        """Count an answer."""
        with self.lock:
            self.statuses[status] += 1
            if status == 200:
                self.seconds.append(seconds)
                self.megapixels += megapixels
                self.last = time.monotonic()


def make_photographs(folder: Path) -> None:
    """Write photographs of all sizes, named by megapixels."""
    for size in MEGAPIXELS:
        make_photograph(folder / f"{size}.jpg", size)


def batch_rate(photographs: dict[float, bytes]) -> float:
    """Megapixels a second of `retint colorize` on a folder, its start taken off."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "in"
        folder.mkdir()
        for size, data in photographs.items():
            for copy in range(COPIES):
                (folder / f"{size}-{copy}.jpg").write_bytes(data)
        start = run_child([RETINT, "colorize", folder, "-o", folder.parent / "no", "--dry-run"])
        whole = run_child([RETINT, "colorize", folder, "-o", folder.parent / "out"])
    return COPIES * sum(photographs) / (whole.seconds - start.seconds)


def load(
    address: str, photographs: dict[float, bytes], clients: int, end: float, most: int | None = None
) -> Answers:
    """Let clients ask, one request after the other, until `end` or so many are answered."""
    answers = Answers()
    sizes = list(photographs)

    def ask(number: int) -> None:
        random = np.random.default_rng(number)
        with httpx.Client(base_url=address, timeout=300) as client:
            while time.monotonic() < end and (most is None or len(answers.seconds) < most):
                size = sizes[int(random.integers(len(sizes)))]
                began = time.monotonic()
                answer = client.post("/v1/colorize", content=photographs[size])
                answers.add(answer.status_code, time.monotonic() - began, size)
                if answer.status_code == 503:
                    time.sleep(float(answer.headers["Retry-After"]))

    with ThreadPoolExecutor(clients) as pool:
        list(pool.map(ask, range(clients)))
    return answers


def memory(pid: int, key: str = "VmRSS") -> float:
    """MiB that a process has in memory; with key VmHWM, that it had at most."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    (line,) = (line for line in lines if line.startswith(key))
    return int(line.split()[1]) / 2**10


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--requests", type=int, default=2000)
    arguments = parser.parse_args()

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        call_apart(make_photographs, folder)
        photographs = {size: (folder / f"{size}.jpg").read_bytes() for size in MEGAPIXELS}
        before = batch_rate(photographs)
        command: list[str | Path] = [RETINT, "serve", "--port", "0", "--data", folder / "jobs"]
        with (folder / "log").open("w") as log:
            service = subprocess.Popen(command, stderr=log)
        try:
            while not (words := (folder / "log").read_text().split()):
                time.sleep(0.1)
            address = words[words.index("at") + 1]
            start = time.monotonic()
            answers = load(address, photographs, arguments.clients, start + arguments.seconds)
            rate = answers.megapixels / (answers.last - start)
            peak = memory(service.pid, "VmHWM")
            small = {size: photographs[size] for size in MEGAPIXELS[:2]}
            never = float("inf")
            load(address, small, 4, never, arguments.requests // 10)
            early = memory(service.pid)
            load(address, small, 4, never, arguments.requests - arguments.requests // 10)
            late = memory(service.pid)
        finally:
            service.terminate()
            service.wait()
        after = batch_rate(photographs)

    batch = (before + after) / 2
    statuses = ", ".join(f"{count} of {status}" for status, count in answers.statuses.items())
    p50, p99 = np.quantile(answers.seconds, (0.5, 0.99))
    rows = [
        ["answers", statuses],
        ["megapixels a second", f"{rate:.1f}"],
        ["of retint colorize, before and after", f"{before:.1f}, {after:.1f}"],
        ["ratio to it", f"{rate / batch:.2f}"],
        ["median and p99 of an answer, s", f"{p50:.2f}, {p99:.2f}"],
        ["peak memory, MiB", f"{peak:.0f}"],
        [f"memory after {arguments.requests // 10} requests, MiB", f"{early:.0f}"],
        [f"after {arguments.requests}", f"{late:.0f} ({late / early - 1:+.0%})"],
    ]
    title = f"{arguments.clients} clients, {arguments.seconds:g} s"
    Console(width=100).print(Table([title, ""], rows).rich())


if __name__ == "__main__":
    main()
