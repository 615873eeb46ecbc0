"""What /openapi.json says of bodies and answers that the framework does not see."""

from __future__ import annotations

from typing import Any

Answers = dict[int | str, dict[str, Any]]

_FILE = {"type": "string", "format": "binary"}


def _form(photo: dict[str, Any]) -> dict[str, Any]:
    fields = {"type": "object", "required": ["photo"], "properties": {"photo": photo}}
    return {"multipart/form-data": {"schema": fields}}


def _body(content: dict[str, Any]) -> dict[str, Any]:
    return {"requestBody": {"required": True, "content": content}}


ONE_PICTURE = _body({"image/*": {"schema": _FILE}, **_form(_FILE)})
MANY_PICTURES = _body(_form({"type": "array", "items": _FILE}))

_ERROR = {"content": {"application/json": {"example": {"error": "what, where, and the mend"}}}}
ERRORS: Answers = {
    400: {**_ERROR, "description": "The request is not what it says"},
    401: {**_ERROR, "description": "The token is missing or wrong"},
    408: {**_ERROR, "description": "The upload took too long"},
    413: {**_ERROR, "description": "Too many bytes"},
    422: {**_ERROR, "description": "The photograph or an option cannot be used"},
    503: {**_ERROR, "description": "Too much waits; see Retry-After"},
    507: {**_ERROR, "description": "The service has no room"},
}
NO_JOB: Answers = {
    404: {**_ERROR, "description": "There is no such job, or it has expired"},
    507: ERRORS[507],
}
PICTURE: Answers = {200: {"content": {"image/*": {}}, "description": "The coloured photograph"}}
