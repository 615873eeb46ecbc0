"""Work that goes on only as long as somebody waits for it."""

from __future__ import annotations

import asyncio
from asyncio import FIRST_COMPLETED
from collections.abc import Coroutine
from typing import Any, TypeVar

from fastapi import HTTPException, Request
from starlette.requests import ClientDisconnect

Answer = TypeVar("Answer")


async def while_wanted(
    request: Request, work: Coroutine[Any, Any, Answer], seconds: float | None = None
) -> Answer:
    """The outcome of work, which is cancelled when nobody waits for it any more.

    Args:
        request: whose client waits; its body was read.
        work: to be done.
        seconds: that the client may wait; None for as long as it likes.

    Raises:
        ClientDisconnect: if the client is gone.
        HTTPException: if it takes too long.
    """
    doing = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(_gone(request))
    try:
        await asyncio.wait((doing, gone), timeout=seconds, return_when=FIRST_COMPLETED)
        if not doing.done():
            if gone.done():
                raise ClientDisconnect
            line = "this photograph takes too long: make it a job"
            raise HTTPException(503, line, {"Retry-After": "60"})
        return doing.result()
    finally:
        doing.cancel()
        gone.cancel()


async def _gone(request: Request) -> None:
    """Wait until the client of a request is gone."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
