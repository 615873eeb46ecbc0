"""The addresses of the page's pictures and files; an address holds all that a picture depends on.

They belong to the page and may change with it: clients of the service have /v1.
"""

from __future__ import annotations

from typing import Annotated
from urllib.parse import quote, urlencode

from fastapi import Depends, FastAPI, HTTPException, Query, Request, Response

from retint.web.darkroom import SIDE, Darkroom, Photograph
from retint.web.service import Wish
from retint.web.statics import static_bytes
from retint.web.wanted import while_wanted
from retint.web.wishes import wish_of

_ROOT = "/page"
_KEEP = {"Cache-Control": "private, max-age=3600"}  # the same address, the same picture
_STATIC = {"failures.jpg": "image/jpeg"}


def before_address(photograph: Photograph) -> str:
    """Where the photograph is shown as it is."""
    return f"{_ROOT}/{photograph.id}/before?"


def after_address(photograph: Photograph, options: dict[str, object]) -> str:
    """Where the photograph is shown coloured, with options as those of /v1/colorize."""
    return f"{_ROOT}/{photograph.id}/after?{_query(options)}"


def file_address(photograph: Photograph, options: dict[str, object]) -> str:
    """Where the coloured photograph itself is."""
    return f"{_ROOT}/{photograph.id}/file?{_query(options)}"


def add_pictures(app: FastAPI, darkroom: Darkroom) -> None:
    """Answer at these addresses."""

    def found(id_: str) -> Photograph:
        photograph = darkroom.find(id_)
        if photograph is None:
            raise HTTPException(404, "the photograph was removed meanwhile: drop it again")
        return photograph

    @app.get(f"{_ROOT}/static/{{name}}", include_in_schema=False)
    def static(name: str) -> Response:
        if name not in _STATIC:
            raise HTTPException(404, f"there is no {name}")
        return Response(static_bytes(name), media_type=_STATIC[name])

    @app.get(f"{_ROOT}/{{id_}}/before", include_in_schema=False)
    async def before(request: Request, id_: str, whole: bool = False) -> Response:
        data = await while_wanted(request, darkroom.before(found(id_), whole=whole))
        return Response(data, media_type="image/jpeg", headers=_KEEP)

    @app.get(f"{_ROOT}/{{id_}}/after", include_in_schema=False)
    async def after(
        request: Request,
        id_: str,
        wish: Annotated[Wish, Depends(wish_of)],
        whole: bool = False,
        side: Annotated[int, Query(ge=16, le=SIDE)] = SIDE,
    ) -> Response:
        photograph = found(id_)
        shown = (
            darkroom.whole(photograph, wish) if whole else darkroom.after(photograph, wish, side)
        )
        data = await while_wanted(request, shown)
        return Response(data, media_type="image/jpeg", headers=_KEEP)

    @app.get(f"{_ROOT}/{{id_}}/file", include_in_schema=False)
    async def file(request: Request, id_: str, wish: Annotated[Wish, Depends(wish_of)]) -> Response:
        result, name = await while_wanted(request, darkroom.file(found(id_), wish))
        headers = {"Content-Disposition": f"attachment; filename*=UTF-8''{quote(name)}"}
        return Response(result.data, media_type=result.media_type, headers=headers)


def _query(options: dict[str, object]) -> str:
    given = {name: value for name, value in options.items() if value not in (None, [])}
    return urlencode(given, doseq=True)
