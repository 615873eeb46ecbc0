"""Who may come in where the service has a token: clients by a header, people by a cookie.

A person opens the page as /?token=TOKEN, or writes the token into the form that is shown there,
once for each browser.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from urllib.parse import unquote, unquote_plus

from starlette.requests import cookie_parser
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.types import Scope

_PAGE = "/"


class Entry:
    """The door of the service.

    Args:
        token: that opens it; None leaves it open.
    """

    def __init__(self, token: str | None) -> None:
        self._token = token
        # The token itself stays out of what browsers store.
        self._ticket = hashlib.sha256(f"retint page {token}".encode()).hexdigest()
        # Cookies are a host's, not a port's: another service there has one of its own.
        self._cookie = f"retint-{self._ticket[:8]}"

    def admits(self, headers: Mapping[str, bytes]) -> bool:
        """Whether a request shows the token, or the cookie."""
        if self._token is None:
            return True
        shown = headers.get("authorization", b"")
        if hmac.compare_digest(shown, f"Bearer {self._token}".encode()):
            return True
        return hmac.compare_digest(self._shown(headers).encode(), self._ticket.encode())

    def answer(self, scope: Scope, headers: Mapping[str, bytes]) -> Response | None:
        """What a person gets at the page's address, before the page; None for the page itself."""
        if self._token is None or scope["path"] != _PAGE or scope["method"] != "GET":
            return None
        given = _given(scope["query_string"].decode("latin-1"))
        wanted = self._token.encode()
        if any(hmac.compare_digest(token.encode(), wanted) for token in given):
            inside = RedirectResponse("./", 303)
            secure = scope["scheme"] == "https"
            inside.set_cookie(
                self._cookie, self._ticket, secure=secure, httponly=True, samesite="lax"
            )
            return inside
        if self.admits(headers):
            return None
        return HTMLResponse(_FORM.replace("WRONG", _WRONG if given else ""), 401)

    def _shown(self, headers: Mapping[str, bytes]) -> str:
        cookies = cookie_parser(headers.get("cookie", b"").decode("latin-1"))
        return cookies.get(self._cookie, "")


def _given(query: str) -> tuple[str, ...]:
    """What a query's token may be: forms write + for a space, people mean the +."""
    for part in query.split("&"):
        name, _, value = part.partition("=")
        if name == "token" and value:
            return unquote_plus(value), unquote(value)
    return ()


_WRONG = '<p role="alert">That is not the token of this service.</p>'
_FORM = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>retint</title>
<style>
  :root { color-scheme: light dark; font: 16px system-ui, sans-serif; }
  form { max-width: 24em; margin: 20vh auto; padding: 0 1em; display: grid; gap: 1em; }
  input, button { font: inherit; padding: .5em; width: 100%; box-sizing: border-box; }
</style>
<form action="./">
  <h1>retint</h1>
  WRONG
  <label>Token of this service
    <input name="token" type="password" required autofocus autocomplete="current-password">
  </label>
  <button>Open the page</button>
</form>
</html>
"""
