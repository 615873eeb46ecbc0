"""Listen for HTTP until told to stop."""

from __future__ import annotations

import logging
import signal
import socket
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager

import uvicorn
from fastapi import FastAPI

from retint.colorizer import Colorizer
from retint.errors import RetintError
from retint.web.app import create_app
from retint.web.settings import Settings

_GRACE = 30  # seconds that requests in work have to finish when the service stops


def serve(
    models: Sequence[str], provider: str | None, settings: Settings, host: str, port: int
) -> None:
    """Open the models and answer until SIGTERM or SIGINT; what is in work then is finished.

    Raises:
        RetintError: if a model cannot be opened, two have one name, or the address not be had.
    """
    with bound(host, port) as listener:  # first: models take a while to open
        app = create_app(_opened(models, [provider] if provider else None), settings)
        answer(app, listener, app.state.end_streams)


def _opened(models: Sequence[str], providers: list[str] | None) -> list[Colorizer]:
    """The models; clients ask for them by the names that their recipes gave them."""
    opened: dict[str, Colorizer] = {}
    for model in models:
        colorizer = Colorizer(model, providers)
        name = colorizer.model.card["name"]
        if name in opened:
            raise RetintError(
                f"--model {model} has the same name as another, '{name}', from its recipe: leave "
                "one out, or train with --set name=OTHER"
            )
        opened[name] = colorizer
    return list(opened.values())


def bound(host: str, port: int) -> socket.socket:
    """A socket that has an address, and takes no connections yet: the work before may be long.

    Args:
        host: address to listen at.
        port: of the address; 0 for one that is free.

    Raises:
        RetintError: if it cannot be had.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    with ExitStack() as opened, _address_wanted(host, port):
        opened.enter_context(listener).bind((host, port))
        opened.pop_all()
    return listener


def answer(
    app: FastAPI, listener: socket.socket, end_streams: Callable[[], None] = lambda: None
) -> None:
    """Answer at a bound address until SIGTERM or SIGINT, and say which it is.

    Args:
        app: what answers.
        listener: has the address.
        end_streams: called at the stop, before connections are awaited.

    Raises:
        RetintError: if it cannot be had.
    """
    address, chosen = listener.getsockname()[:2]
    with _address_wanted(address, chosen):
        listener.listen()
    if not logging.getLogger("retint").handlers:
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(message)s"))
        logging.getLogger("retint").addHandler(handler)
    logging.getLogger("retint.web").setLevel(logging.INFO)
    shown = f"[{address}]" if ":" in address else address
    logging.getLogger("retint.web").info("listening at http://%s:%d", shown, chosen)
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=_GRACE,
    )
    # In the end uvicorn raises the signal again: a stop that was asked for is no failure.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: sys.exit(0))
    _Server(config, end_streams).run([listener])


class _Server(uvicorn.Server):
    """Ends streams before it waits for connections to close: they have no end."""

    def __init__(self, config: uvicorn.Config, end_streams: Callable[[], None]) -> None:
        super().__init__(config)
        self._end_streams = end_streams

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Finish what is in work, and stop."""
        self._end_streams()
        await super().shutdown(sockets)


@contextmanager
def _address_wanted(host: str, port: int) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise RetintError(
            f"cannot listen at {host}, port {port} ({error.strerror}): choose another --port"
        ) from error
