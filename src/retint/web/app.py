"""The addresses of the service; OpenAPI describes them at /openapi.json."""

from __future__ import annotations

import asyncio
import base64
import os
import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Gauge, generate_latest
from starlette.exceptions import HTTPException as StarletteHTTPException

from retint import __version__
from retint.colorizer import Colorizer
from retint.errors import NO_ROOM, RetintError, first_line
from retint.web.darkroom import Darkroom
from retint.web.guard import Guard
from retint.web.job_addresses import add_jobs
from retint.web.job_worker import JobWorker
from retint.web.jobs import JobStore, StorageError
from retint.web.openapi import ERRORS, ONE_PICTURE, PICTURE
from retint.web.pictures import add_pictures
from retint.web.service import RETRY_AFTER, BusyError, Result, Service, Wish, model_facts
from retint.web.settings import Settings
from retint.web.uploads import one_photograph
from retint.web.wanted import while_wanted
from retint.web.wishes import only_wish_of


def create_app(colorizers: Sequence[Colorizer], settings: Settings) -> FastAPI:
    """The service as an ASGI application.

    Args:
        colorizers: the opened models, each of a name of its own, the first for those who ask for
            none.
        settings: limits and places.

    Raises:
        RetintError: if the folder of the jobs cannot be used.
    """
    service = Service(colorizers, settings)
    store = JobStore(settings.data, settings.keep_seconds, settings.open_jobs)
    worker = JobWorker(store, service)
    uploads = _prepare_gradio(settings.data)

    @asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        worker.start()
        yield
        await asyncio.to_thread(worker.stop)
        await asyncio.to_thread(service.close)
        shutil.rmtree(uploads, ignore_errors=True)
        store.close()  # last: by now another service may have the folder

    app = FastAPI(
        title="retint",
        version=__version__,
        summary="Turns black-and-white photographs into colour.",
        lifespan=life,
        docs_url=None,  # it would fetch its scripts from elsewhere
        redoc_url=None,
    )
    registry = CollectorRegistry()
    waiting = Gauge("retint_waiting", "Requests that wait for a worker", registry=registry)
    waiting.set_function(lambda: service.waiting)
    open_jobs = Gauge("retint_open_jobs", "Jobs that are not finished", registry=registry)
    open_jobs.set_function(store.count_open)
    _add_errors(app)
    _add_watching(app, registry)
    _add_colorize(app, service, settings)
    add_jobs(app, store, worker, settings)
    darkroom = Darkroom(service)
    add_pictures(app, darkroom)
    from retint.web.page import add_page  # Gradio reads its environment when it is imported

    add_page(app, darkroom, service, (store, worker), settings)
    end_page = app.state.end_streams

    def end_streams() -> None:
        end_page()
        worker.end()

    app.state.end_streams = end_streams
    app.add_middleware(Guard, settings=settings, registry=registry)
    return app


def _prepare_gradio(data: Path) -> Path:
    """Keep Gradio from the network, and what is dropped on the page in a folder of this service.

    What a killed service left there goes: the folder of the jobs has one service at a time.
    """
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ["HF_HUB_OFFLINE"] = "1"
    # Never a folder that is named there already: it is another's, and this one is removed.
    folder = data.resolve() / "retint-page"
    shutil.rmtree(folder, ignore_errors=True)
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise RetintError(
            f"{folder} cannot hold what is dropped on the page ({first_line(error)}): choose "
            "another --data"
        ) from error
    os.environ["GRADIO_TEMP_DIR"] = str(folder)
    return folder


def _add_errors(app: FastAPI) -> None:
    @app.exception_handler(RetintError)
    def unusable(_: Request, error: RetintError) -> Response:
        return JSONResponse({"error": str(error)}, 422)

    @app.exception_handler(RequestValidationError)
    def invalid(_: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"][1:])
        return JSONResponse({"error": f"{place}: {first['msg'].lower()}"}, 422)

    @app.exception_handler(BusyError)
    def busy(_: Request, __: BusyError) -> Response:
        headers = {"Retry-After": str(RETRY_AFTER)}
        return JSONResponse({"error": "too many requests wait: come back later"}, 503, headers)

    @app.exception_handler(StorageError)
    def full(_: Request, error: StorageError) -> Response:
        return JSONResponse({"error": str(error)}, 507)

    @app.exception_handler(OSError)
    def unwritable(_: Request, error: OSError) -> Response:
        if error.errno not in NO_ROOM:
            raise error
        line = "the service has no room for files: its operator has to make some"
        return JSONResponse({"error": line}, 507)

    @app.exception_handler(StarletteHTTPException)
    def other(request: Request, error: StarletteHTTPException) -> Response:
        line = str(error.detail)
        if line in ("Not Found", "Method Not Allowed"):  # the framework's own
            line = f"there is no {request.method} {request.url.path} here: see /openapi.json"
        return JSONResponse({"error": line}, error.status_code, error.headers)


def _add_watching(app: FastAPI, registry: CollectorRegistry) -> None:
    @app.get("/healthz", tags=["watching"])
    def alive() -> dict[str, str]:
        """Whether the process answers."""
        return {"status": "alive"}

    @app.get("/readyz", tags=["watching"])
    def ready() -> dict[str, str]:
        """Whether the model is open; the service does not listen before."""
        return {"status": "ready"}

    @app.get("/metrics", tags=["watching"], response_class=Response)
    def metrics() -> Response:
        """Counters, in Prometheus' text format."""
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)


def _add_colorize(app: FastAPI, service: Service, settings: Settings) -> None:
    @app.get("/v1/models", tags=["colouring"])
    def models() -> list[dict[str, Any]]:
        """The models of this service; the first is that of those who ask for none."""
        return [model_facts(colorizer) for colorizer in service.colorizers.values()]

    @app.post(
        "/v1/colorize",
        tags=["colouring"],
        openapi_extra=ONE_PICTURE,
        responses={**PICTURE, **ERRORS},
        response_class=Response,
    )
    async def colorize(request: Request, wish: Annotated[Wish, Depends(only_wish_of)]) -> Response:
        """Colour a photograph; answers with the picture, or with JSON if that alone is accepted."""
        service.admit()
        data = await one_photograph(request)
        result = await while_wanted(request, service.colorize(data, wish), settings.seconds)
        if _wants_json(request.headers.get("accept", "")):
            return JSONResponse(_as_json(result))
        return Response(result.data, media_type=result.media_type)


def _wants_json(accept: str) -> bool:
    """Whether JSON is asked for, and not only taken, too, as programs say that take anything."""
    return "application/json" in accept and "*/*" not in accept and "image/" not in accept


def _as_json(result: Result) -> dict[str, Any]:
    return {
        "picture": base64.b64encode(result.data).decode(),
        "media_type": result.media_type,
        "width": result.width,
        "height": result.height,
        "provenance": result.provenance,
    }
