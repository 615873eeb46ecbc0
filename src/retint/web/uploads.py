"""Photographs that come with a request: as its body, or in a form."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import BinaryIO

from fastapi import HTTPException, Request
from starlette.datastructures import UploadFile


async def one_photograph(request: Request) -> bytes:
    """The photograph that a request brings.

    Raises:
        HTTPException: if its form has none, or more.
    """
    if not _is_form(request):
        return await request.body()
    async with photographs_of(request, 1) as photographs:
        return await asyncio.to_thread(photographs[0][1].read)


@asynccontextmanager
async def photographs_of(request: Request, most: int) -> AsyncIterator[list[tuple[str, BinaryIO]]]:
    """Names and files of a form; they may be larger than memory.

    Raises:
        HTTPException: if there is no form, or it has none or too many.
    """
    if not _is_form(request):
        raise HTTPException(400, "send photographs as multipart/form-data, in fields 'photo'")
    async with request.form(max_files=most, max_fields=10) as form:
        files = [value for value in form.getlist("photo") if isinstance(value, UploadFile)]
        if not files:
            raise HTTPException(400, "the form has no file in a field 'photo'")
        yield [(file.filename or "photo", file.file) for file in files]


def _is_form(request: Request) -> bool:
    return request.headers.get("content-type", "").startswith("multipart/form-data")
