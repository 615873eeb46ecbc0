"""The service on a port of its own, in this process."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import uvicorn

from retint import Colorizer
from retint.web.app import create_app
from retint.web.settings import Settings


@contextmanager
def served(folder: Path, **limits: Any) -> Iterator[httpx.Client]:
    app = create_app(Colorizer(), Settings(data=folder, **limits))
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
