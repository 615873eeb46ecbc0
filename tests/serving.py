"""The service on a port of its own, and the browser that is installed."""

import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

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
        browser = started.chromium.launch(executable_path=CHROMIUM, args=flags)
        yield browser
        browser.close()


@contextmanager
def served(
    folder: Path, models: Sequence[str | Path] = ("default",), **limits: Any
) -> Iterator[httpx.Client]:
    """In this process."""
    app = create_app([Colorizer(model) for model in models], Settings(data=folder, **limits))
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error"))
    listener = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    address = f"http://127.0.0.1:{listener.getsockname()[1]}"
    try:
        with httpx.Client(base_url=address, timeout=60) as client:
            while not server.started:
                time.sleep(0.02)
            yield client
    finally:
        server.should_exit = True
        thread.join()


@contextmanager
def command(folder: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The service as the command starts it."""
    code = "from retint.cli import main; main()"
    process = subprocess.Popen(
        [sys.executable, "-c", code, "serve", "--port", "0", "--data", str(folder)],
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        address = process.stderr.readline().split()[-1]
        yield process, address
    finally:
        process.kill()
        process.communicate()
