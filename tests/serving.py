"""Service and survey on a port of their own, and the browser that is installed."""

import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import httpx
import pytest
import uvicorn

from commands import COMMAND
from retint import Colorizer
from retint.web.app import create_app
from retint.web.settings import Settings

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)


@contextmanager
def chromium() -> Iterator[Any]:
    """A browser, or what uses it is skipped."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("no chromium is installed here")
    with playwright.sync_playwright() as started:
        flags = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        browser = started.chromium.launch(executable_path=CHROMIUM, args=flags, timeout=120_000)
        yield browser
        browser.close()


def connect(address: str) -> httpx.Client:
    """A client that is patient: machines are busy at times."""
    return httpx.Client(base_url=address, timeout=60)


def talk(client: httpx.Client, request: bytes, pause: float = 0.0) -> bytes:
    """The beginning of the answer to these very bytes."""
    with socket.create_connection((client.base_url.host, client.base_url.port)) as connection:
        connection.settimeout(60)
        connection.sendall(request)
        time.sleep(pause)
        return connection.recv(4096)


def finished(client: httpx.Client, job: str) -> dict[str, Any]:
    """The state of a job at its end, waited for."""
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        state = client.get(f"/v1/jobs/{job}").json()
        if state["finished"]:
            return state
        time.sleep(0.1)
    raise AssertionError(f"not finished in time: {state}")


def measured(client: httpx.Client, line: str) -> None:
    """Wait until /metrics has a line."""
    deadline = time.monotonic() + 60
    while line not in client.get("/metrics").text:
        assert time.monotonic() < deadline
        time.sleep(0.02)


@contextmanager
def running(app: Any) -> Iterator[str]:
    """An app on a port of its own, in this process; its address."""
    server = uvicorn.Server(uvicorn.Config(app, log_level="error"))
    listener = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.02)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


@contextmanager
def served(
    folder: Path, models: Sequence[str | Path] = ("default",), **limits: Any
) -> Iterator[httpx.Client]:
    """The service, in this process."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("GRADIO_ANALYTICS_ENABLED", "GRADIO_TEMP_DIR", "HF_HUB_OFFLINE"):
            patch.setenv(name, "")  # the service sets them, and in the end they are as before
        app = create_app([Colorizer(model) for model in models], Settings(data=folder, **limits))
        with running(app) as address, connect(address) as client:
            yield client


class Drained(threading.Thread):
    """What comes through a pipe, read as it comes: who writes never waits for it."""

    def __init__(self, pipe: IO[str]) -> None:
        super().__init__(daemon=True)
        self._pipe = pipe
        self._lines: list[str] = []
        self.start()

    def run(self) -> None:
        self._lines.extend(self._pipe)

    def read(self) -> str:
        """All of it, once the pipe is at its end."""
        self.join()
        return "".join(self._lines)

    def close(self) -> None:
        self._pipe.close()


def address_of(process: subprocess.Popen[str]) -> str:
    """Where it listens, as it says; what it says from then on is drained."""
    said = []
    for line in process.stderr:
        said.append(line)
        if "listening at" in line:
            process.stderr = Drained(process.stderr)
            return line.split()[-1]
    raise AssertionError(f"it does not listen: {''.join(said)}")


@contextmanager
def command(*arguments: object) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """What a command serves, `serve` or `survey`; process and address."""
    process = subprocess.Popen(
        [*COMMAND, *map(str, arguments), "--port", "0"], stderr=subprocess.PIPE, text=True
    )
    try:
        yield process, address_of(process)
    finally:
        process.kill()
        process.communicate()
