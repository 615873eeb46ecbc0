"""The options of a request, as its query says them."""

from __future__ import annotations

import inspect
from typing import Annotated

from fastapi import Depends, HTTPException, Query, Request

from retint.colorizer import Options
from retint.hints import parse_hint
from retint.photo import QUALITY, format_of_name
from retint.web.service import Wish


def wish_of(
    seed: Annotated[int | None, Query(ge=0, le=2**63 - 1, examples=[3])] = None,
    strength: Annotated[float, Query(ge=0, le=10, examples=[0.8])] = 1.0,
    hint: Annotated[
        list[str] | None, Query(description="x,y,#rrggbb", examples=[["120,80,#7090c0"]])
    ] = None,
    keep_tone: bool = False,
    detail: Annotated[int | None, Query(ge=64, le=1024)] = None,
    recolor: bool = False,
    format: Annotated[str | None, Query(examples=["png"])] = None,  # noqa: A002 - as --format
    quality: Annotated[int, Query(ge=1, le=100)] = QUALITY,
    model: Annotated[str | None, Query(description="one of /v1/models")] = None,
) -> Wish:
    """The query options, which are those of `retint colorize`."""
    options = Options(seed=seed, strength=strength, keep_tone=keep_tone, detail=detail)
    if hint:
        options["hints"] = [parse_hint(text) for text in hint]
    format_name = format_of_name(format).name if format else None
    return Wish(options, format_name, quality, recolor, model)


_KNOWN = tuple(inspect.signature(wish_of).parameters)


def only_wish_of(request: Request, wish: Annotated[Wish, Depends(wish_of)]) -> Wish:
    """The same, of a query that has nothing else."""
    for name in request.query_params:
        if name not in _KNOWN:
            raise HTTPException(422, f"there is no option '{name}': use {', '.join(_KNOWN)}")
    return wish
