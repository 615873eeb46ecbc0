"""Before any route: who may come in, how much a request may send, how long it may take; its log."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import re
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from uuid import uuid4

from prometheus_client import CollectorRegistry, Counter, Histogram
from starlette.requests import ClientDisconnect

from retint.web.entry import Entry
from retint.web.settings import Settings

log = logging.getLogger("retint.web")

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

OPEN_PATHS = ("/healthz", "/readyz")  # for those who watch over the service, not for clients
JOBS_PATH = "/v1/jobs"
UPLOAD_PATH = "/gradio_api/upload"  # of the page: many photographs may come at once
_LINGER = 5.0  # seconds that the rest of a refused upload is read and thrown away
_LEFT = 499  # status, in log and counters, of requests whose client did not wait: as in nginx
# The counters' names of methods; of any other there would be a row for each that a client makes up.
_METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
_CHANGING = {"POST", "PUT", "PATCH", "DELETE"}
_REQUEST_ID = re.compile(r"[\w.-]{1,64}")
# Of every answer that has none of its own. Browsers then fetch nothing from elsewhere, show the
# page in no other's frame, and take no photograph for a script. Gradio writes scripts into it.
_POLICY = (
    b"default-src 'self' data: blob:; script-src 'self' 'unsafe-inline' 'unsafe-eval'; "
    b"style-src 'self' 'unsafe-inline'; frame-ancestors 'none'; form-action 'self'; "
    b"base-uri 'self'; object-src 'none'"
)
_HEADERS = ((b"content-security-policy", _POLICY), (b"x-content-type-options", b"nosniff"))


class _RefusedError(Exception):
    """The request ends here, with this answer."""

    def __init__(self, status: int, error: str) -> None:
        super().__init__(error)
        self.status = status
        self.error = error


class Guard:
    """ASGI middleware around the whole service.

    Args:
        app: what it guards.
        settings: the limits.
        registry: where its counters go.
    """

    def __init__(self, app: App, settings: Settings, registry: CollectorRegistry) -> None:
        self._app = app
        self._settings = settings
        self._entry = Entry(settings.token)
        self._requests = Counter(
            "retint_requests", "Requests answered", ("method", "status"), registry=registry
        )
        self._seconds = Histogram(
            "retint_request_seconds", "Time to the end of the answer", registry=registry
        )

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = {name.decode("latin-1"): value for name, value in scope["headers"]}
        given = headers.get("x-request-id", b"").decode("latin-1")
        request = _Request(given if _REQUEST_ID.fullmatch(given) else uuid4().hex, send)
        start = time.perf_counter()
        try:
            app = self._entry.answer(scope, headers) or self._app
            if app is self._app and scope["path"] not in OPEN_PATHS:
                self._admit(scope["method"], headers)
            most = self._admit_length(scope, headers)
            deadline = asyncio.get_running_loop().time() + self._settings.seconds
            counted = _counted(receive, most, deadline) if _has_body(headers) else receive
            await app(scope, counted, request.send)
        except _RefusedError as refused:
            await request.refuse(refused.status, refused.error, receive)
        except ClientDisconnect:
            request.status = _LEFT
        except Exception:
            log.exception("request %s failed", request.id)
            await request.refuse(500, f"the service failed; its log has request {request.id}")
        finally:
            seconds = time.perf_counter() - start
            method = scope["method"] if scope["method"] in _METHODS else "other"
            self._requests.labels(method, request.status).inc()
            self._seconds.observe(seconds)
            line = {
                "request": request.id,
                "method": scope["method"],
                # Of an upload of the page, the path ends with the photograph's name.
                "path": "".join(scope["path"].partition("file=")[:2]),
                "status": request.status,
                "seconds": round(seconds, 3),
            }
            log.info(json.dumps(line))

    def _admit(self, method: str, headers: MutableMapping[str, bytes]) -> None:
        if not self._entry.admits(headers):
            raise _RefusedError(401, "send the service's token as Authorization: Bearer TOKEN")
        # Browsers let any page send a form to any address, and say here that they do. Where there
        # is a token, such a form lacks it: cookies that are lax stay behind. Origin would tell
        # older browsers, too, but not behind a proxy that passes its own Host.
        foreign = headers.get("sec-fetch-site") == b"cross-site"
        if self._settings.token is None and method in _CHANGING and foreign:
            raise _RefusedError(403, "a page of another site may not send this")

    def _admit_length(
        self, scope: MutableMapping[str, Any], headers: MutableMapping[str, bytes]
    ) -> int:
        """Bytes that the request may have; it may promise no more."""
        many = scope["path"] in (JOBS_PATH, UPLOAD_PATH)
        most = self._settings.most_job_bytes if many else self._settings.most_bytes
        try:
            promised = int(headers.get("content-length", b"0") or 0)
        except ValueError:
            raise _RefusedError(400, "the header Content-Length is no number") from None
        if promised > most:
            raise _too_large(most)
        return most


class _Request:
    """One request on its way out: its id in every answer, and the status for the log."""

    def __init__(self, id_: str, send: Send) -> None:
        self.id = id_
        self.status = 0
        self._send = send

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = [*message.get("headers", []), (b"x-request-id", self.id.encode())]
            said = {name.lower() for name, _ in headers}
            message["headers"] = headers + [one for one in _HEADERS if one[0] not in said]
        await self._send(message)

    async def refuse(self, status: int, error: str, receive: Receive | None = None) -> None:
        """Answer with an error; `receive` gives the rest of the upload, if that may be large."""
        if self.status:  # the answer is on its way already: all that can be done is to end it
            return
        body = json.dumps({"error": error}).encode()
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
            (b"connection", b"close"),
        ]
        if status == 401:
            headers.append((b"www-authenticate", b"Bearer"))
        await self.send({"type": "http.response.start", "status": status, "headers": headers})
        await self.send({"type": "http.response.body", "body": body, "more_body": True})
        if receive is not None:
            await _throw_away(receive)
        await self.send({"type": "http.response.body", "body": b""})


async def _throw_away(receive: Receive) -> None:
    """Read the rest of an upload, for a while.

    Closing a connection on which bytes are still coming resets it, and a reset takes the answer
    from a client that has not read it yet (RFC 9112, section 9.6).
    """
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_LINGER):
            while (await receive()).get("more_body", False):
                pass


def _has_body(headers: MutableMapping[str, bytes]) -> bool:
    """Whether anything is uploaded; where nothing is, no deadline may end a long answer."""
    return "transfer-encoding" in headers or headers.get("content-length", b"0") != b"0"


def _counted(receive: Receive, most: int, deadline: float) -> Receive:
    """Receives a body of at most so many bytes until so late, whatever its header promised."""
    received = 0
    whole = False

    async def receive_some() -> Message:
        nonlocal received, whole
        if whole:  # what comes now is only the news that the client left
            return await receive()
        left = deadline - asyncio.get_running_loop().time()
        try:
            message = await asyncio.wait_for(receive(), max(0.0, left))
        except TimeoutError:
            raise _RefusedError(408, "the upload took too long") from None
        received += len(message.get("body", b""))
        whole = not message.get("more_body", False)
        if received > most:
            raise _too_large(most)
        return message

    return receive_some


def _too_large(most: int) -> _RefusedError:
    return _RefusedError(413, f"the request has more than the {most} bytes that are taken")
