"""The survey over HTTP: a page, and the few addresses that it talks to.

Which picture is real is decided and kept here. The page knows random names, and gets pictures of
the same kind and length; of practice trials it is told after the answer.
"""

from __future__ import annotations

import hmac
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.responses import HTMLResponse
from prometheus_client import CollectorRegistry
from pydantic import BaseModel, Field

from retint.pages import render
from retint.survey.build import TRUTH, WRONG, Survey
from retint.survey.store import Session, Store
from retint.survey.trials import Side, Trial, TrialKind
from retint.web.guard import Guard
from retint.web.settings import Settings

CONSENT = (
    "Taking part is voluntary; you can stop at any time. Stored are your answers, how long each "
    "took, and today's date: no name, no address, nothing else about you. A cookie with a random "
    "number keeps your place, and lets you take part once."
)
_MOST_BYTES = 10_000  # of a request: they carry an answer
_COOKIE_DAYS = 365
_HEADERS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
        "img-src blob: data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    ),
}


class Answer(BaseModel):
    """What a rater says.

    Attributes:
        side: of the picture that is taken for the computer's.
        milliseconds: since both pictures were gone.
    """

    side: Side
    milliseconds: Annotated[int, Field(ge=0, le=10**9)]


def create_app(
    survey: Survey, store: Store, *, token: str | None = None, consent: str = CONSENT
) -> FastAPI:
    """The survey as an ASGI application, which closes `store` at its end.

    Args:
        survey: what is shown.
        store: where answers go.
        token: what a page has to send to begin a session; None lets everybody in.
        consent: the line above the button that begins.
    """

    @asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        yield
        store.close()

    app = FastAPI(title="retint survey", lifespan=life, openapi_url=None)
    page = render("survey/page.html.j2", protocol=survey.protocol, consent=consent)

    @app.get("/")
    def show() -> HTMLResponse:
        return HTMLResponse(page)

    _add_session(app, survey, store, token)
    limits = Settings(data=survey.folder, most_bytes=_MOST_BYTES)
    app.add_middleware(Guard, settings=limits, registry=CollectorRegistry())

    @app.middleware("http")
    async def private(request: Request, call_next: Any) -> Response:
        response: Response = await call_next(request)
        response.headers.update(_HEADERS)
        return response

    return app


def _add_session(app: FastAPI, survey: Survey, store: Store, token: str | None) -> None:
    cookie = f"retint-survey-{survey.id}"

    def rater(request: Request) -> tuple[str, Session]:
        id_ = request.cookies.get(cookie, "")
        session = store.session(id_)
        if session is None:
            raise HTTPException(401, "there is no such session: open the page and begin one")
        return id_, session

    @app.post("/session")
    def begin(request: Request, response: Response) -> dict[str, Any]:
        """Begin a session, or go on with that of the cookie: there is one for each rater."""
        id_ = request.cookies.get(cookie, "")
        session = store.session(id_)
        if session is None:
            _check(token, request.headers.get("authorization", ""))
            id_, session = store.begin()
        response.set_cookie(
            cookie,
            id_,
            max_age=_COOKIE_DAYS * 24 * 3600,
            httponly=True,
            samesite="strict",
            secure=request.url.scheme == "https",
        )
        return _state(session, survey)

    @app.get("/session")
    def look(request: Request) -> dict[str, Any] | None:
        """The trial that the rater has to answer now; null for who has not begun."""
        session = store.session(request.cookies.get(cookie, ""))
        return None if session is None else _state(session, survey)

    @app.get("/pictures/{name}")
    def picture(name: str, request: Request) -> Response:
        """A picture of that trial."""
        id_, session = rater(request)
        trial = session.current
        if trial is None or name not in (trial.left, trial.right):
            raise HTTPException(404, "this is no picture of the trial in hand")
        side = "left" if name == trial.left else "right"
        if side == trial.first:
            store.count_view(id_, trial.number)
        column = TRUTH if side == trial.real else _fake(trial, session)
        return Response(survey.picture(trial.picture, column), media_type="image/png")

    @app.post("/trials/{number}")
    def answer(number: int, said: Answer, request: Request) -> dict[str, Any]:
        """Answer the trial in hand; sent twice, an answer counts once."""
        id_, session = rater(request)
        trial = session.current
        if not 1 <= number <= (trial.number if trial else len(session.trials)):
            raise HTTPException(409, "this trial is not the one in hand: load the page anew")
        session = store.answer(id_, number, said.side, said.milliseconds)
        answered = session.trials[number - 1]
        feedback = None
        if answered.kind is TrialKind.PRACTICE:
            feedback = {"right": not answered.fooled, "real": answered.real}
        return {"feedback": feedback, **_state(session, survey)}


def _check(token: str | None, authorization: str) -> None:
    wanted = f"Bearer {token}".encode()
    shown = authorization.encode("latin-1")  # the bytes that came
    if token is not None and not hmac.compare_digest(shown, wanted):
        raise HTTPException(401, "this address lacks the secret at its end: ask for it")


def _fake(trial: Trial, session: Session) -> str:
    return WRONG if trial.kind is TrialKind.CHECK else session.model


def _state(session: Session, survey: Survey) -> dict[str, Any]:
    """What the page may know: attention checks look like trials that count."""
    trial = session.current
    if trial is None:
        return {"trial": None}
    practice = survey.protocol.practice
    shown = {
        "number": trial.number,
        "practice": trial.kind is TrialKind.PRACTICE,
        "first": trial.first,
        "pictures": {"left": f"pictures/{trial.left}", "right": f"pictures/{trial.right}"},
    }
    return {"trial": shown, "of": survey.protocol.length, "practice": practice}
