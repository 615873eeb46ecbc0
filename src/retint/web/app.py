"""The addresses of the service; OpenAPI describes them at /openapi.json."""

from __future__ import annotations

import asyncio
import base64
import errno
import os
import shutil
import tempfile
import zipfile
from asyncio import FIRST_COMPLETED
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Annotated, Any, BinaryIO

from fastapi import Depends, FastAPI, HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse, StreamingResponse
from fastapi.sse import EventSourceResponse, ServerSentEvent
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Gauge, generate_latest
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.requests import ClientDisconnect

from retint import __version__
from retint.colorizer import Colorizer
from retint.errors import RetintError, first_line
from retint.web.darkroom import Darkroom
from retint.web.guard import Guard
from retint.web.jobs import DONE, File, Job, JobStore, JobWorker, StorageError
from retint.web.names import result_name
from retint.web.pictures import add_pictures
from retint.web.service import RETRY_AFTER, BusyError, Result, Service, Wish, model_facts
from retint.web.settings import Settings
from retint.web.wishes import only_wish_of

_ANY_PICTURE = {
    "requestBody": {
        "required": True,
        "content": {
            "image/*": {"schema": {"type": "string", "format": "binary"}},
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["photo"],
                    "properties": {"photo": {"type": "string", "format": "binary"}},
                }
            },
        },
    }
}
_MANY_PICTURES = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["photo"],
                    "properties": {
                        "photo": {
                            "type": "array",
                            "items": {"type": "string", "format": "binary"},
                        }
                    },
                }
            }
        },
    }
}
_ERROR = {"content": {"application/json": {"example": {"error": "what, where, and the mend"}}}}
_ERRORS: dict[int | str, dict[str, Any]] = {
    400: {**_ERROR, "description": "The request is not what it says"},
    401: {**_ERROR, "description": "The token is missing or wrong"},
    408: {**_ERROR, "description": "The upload took too long"},
    413: {**_ERROR, "description": "Too many bytes"},
    422: {**_ERROR, "description": "The photograph or an option cannot be used"},
    503: {**_ERROR, "description": "Too much waits; see Retry-After"},
    507: {**_ERROR, "description": "The service has no room"},
}
_NO_JOB: dict[int | str, dict[str, Any]] = {
    404: {**_ERROR, "description": "There is no such job, or it has expired"},
    507: {**_ERROR, "description": "The service has no room"},
}
_PICTURE: dict[int | str, dict[str, Any]] = {
    200: {"content": {"image/*": {}}, "description": "The coloured photograph"}
}
_EVENTS_EVERY = 0.5  # seconds
_PIECE = 2**20  # bytes of an archive that are sent at a time


def create_app(colorizers: Sequence[Colorizer], settings: Settings) -> FastAPI:
    """The service as an ASGI application.

    Args:
        colorizers: the opened models, the first for those who ask for none.
        settings: limits and places.

    Raises:
        RetintError: if the folder of the jobs cannot be used, or two models have one name.
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
    _add_jobs(app, store, worker, settings)
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
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
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
        openapi_extra=_ANY_PICTURE,
        responses={**_PICTURE, **_ERRORS},
        response_class=Response,
    )
    async def colorize(request: Request, wish: Annotated[Wish, Depends(only_wish_of)]) -> Response:
        """Colour a photograph; answers with the picture, or with JSON if that is accepted."""
        data = await _one_photograph(request)
        doing = asyncio.ensure_future(service.colorize(data, wish))
        gone = asyncio.ensure_future(_gone(request))
        try:
            await asyncio.wait((doing, gone), timeout=settings.seconds, return_when=FIRST_COMPLETED)
            if not doing.done():
                if gone.done():
                    raise ClientDisconnect
                line = "this photograph takes too long: make it a job"
                raise HTTPException(503, line, {"Retry-After": "60"})
            result = doing.result()
        finally:
            doing.cancel()  # nobody waits for it any more
            gone.cancel()
        if "application/json" in request.headers.get("accept", ""):
            return JSONResponse(_as_json(result))
        return Response(result.data, media_type=result.media_type)


def _add_jobs(app: FastAPI, store: JobStore, worker: JobWorker, settings: Settings) -> None:
    def found(id_: str) -> Job:
        job = store.get(id_)
        if job is None:
            raise _no_job(id_)
        return job

    @app.post(
        "/v1/jobs", status_code=202, tags=["jobs"], openapi_extra=_MANY_PICTURES, responses=_ERRORS
    )
    async def make(
        request: Request, response: Response, wish: Annotated[Wish, Depends(only_wish_of)]
    ) -> dict[str, Any]:
        """Hand in many or large photographs, to be fetched later."""
        if wish.options.get("hints"):
            raise HTTPException(422, "hints belong to one photograph: use /v1/colorize")
        try:
            await asyncio.to_thread(store.admit)
            async with _photographs(request, settings.most_files) as photographs:
                id_ = await asyncio.to_thread(store.add, photographs, wish)
        except BusyError:
            raise HTTPException(503, "too many jobs are open", {"Retry-After": "60"}) from None
        worker.wake()
        response.headers["Location"] = f"/v1/jobs/{id_}"
        return _job_as_json(found(id_))

    @app.get("/v1/jobs/{id_}", tags=["jobs"], responses=_NO_JOB)
    def look(id_: str) -> dict[str, Any]:
        """How far a job is."""
        return _job_as_json(found(id_))

    @app.get(
        "/v1/jobs/{id_}/events",
        tags=["jobs"],
        response_class=EventSourceResponse,
        responses=_NO_JOB,
        dependencies=[Depends(found)],  # before the answer begins
    )
    async def follow(id_: str) -> AsyncIterator[ServerSentEvent]:
        """How far a job is, told whenever that changes, until it or the service ends."""
        told = None
        while not worker.stopping:
            job = await asyncio.to_thread(store.get, id_)
            if job is None:
                return
            state = _job_as_json(job)
            if state != told:
                yield ServerSentEvent(data=state, event="progress")
                told = state
            if job.finished is not None:
                return
            await asyncio.sleep(_EVENTS_EVERY)

    @app.get("/v1/jobs/{id_}/files/{number}", tags=["jobs"], responses={**_PICTURE, **_NO_JOB})
    def fetch(id_: str, number: int) -> FileResponse:
        """A coloured photograph of a job."""
        job = found(id_)
        file = next((file for file in job.files if file.number == number), None)
        if file is None or file.state != DONE:
            raise HTTPException(404, "there is no such result (yet)")
        path = store.result(job, number)
        with _removed_meanwhile(id_):
            return FileResponse(path, media_type=file.media_type, stat_result=path.stat())

    @app.get("/v1/jobs/{id_}/archive", tags=["jobs"], response_class=Response, responses=_NO_JOB)
    def archive(id_: str) -> Response:
        """All coloured photographs of a job so far, as a ZIP file."""
        job = found(id_)
        with ExitStack() as stack:
            # Beside the jobs: folders for temporary files may be small.
            file = stack.enter_context(tempfile.TemporaryFile(dir=settings.data))
            with _removed_meanwhile(id_), zipfile.ZipFile(file, "w") as whole:
                for done in job.files:
                    if done.state == DONE:
                        # Stored as they are: pictures are compressed already.
                        whole.write(store.result(job, done.number), _result_name(done))
            stack.pop_all()  # it is closed when it was sent
        headers = {
            "Content-Disposition": f'attachment; filename="retint-{id_[:8]}.zip"',
            "Content-Length": str(file.tell()),
        }
        return StreamingResponse(_pieces(file), 200, headers, "application/zip")

    @app.delete("/v1/jobs/{id_}", status_code=204, tags=["jobs"], responses=_NO_JOB)
    def forget(id_: str) -> None:
        """Remove a job with its files."""
        store.remove(found(id_).id)


def _no_job(id_: str) -> HTTPException:
    return HTTPException(404, f"there is no job {id_}: it may have expired")


@contextmanager
def _removed_meanwhile(id_: str) -> Iterator[None]:
    """Say so where files of a job are missing that were there when it was looked up."""
    try:
        yield
    except FileNotFoundError:
        raise _no_job(id_) from None


def _pieces(file: BinaryIO) -> Iterator[bytes]:
    """All of a file, which is closed in the end."""
    with file:
        file.seek(0)
        while piece := file.read(_PIECE):
            yield piece


async def _one_photograph(request: Request) -> bytes:
    if not _is_form(request):
        return await request.body()
    async with _photographs(request, 1) as photographs:
        return await asyncio.to_thread(photographs[0][1].read)


@asynccontextmanager
async def _photographs(request: Request, most: int) -> AsyncIterator[list[tuple[str, BinaryIO]]]:
    """Names and files of a form; they may be larger than memory."""
    if not _is_form(request):
        raise HTTPException(400, "send photographs as multipart/form-data, in fields 'photo'")
    async with request.form(max_files=most, max_fields=10) as form:
        files = [value for value in form.getlist("photo") if isinstance(value, UploadFile)]
        if not files:
            raise HTTPException(400, "the form has no file in a field 'photo'")
        yield [(file.filename or "photo", file.file) for file in files]


async def _gone(request: Request) -> None:
    """Wait until the client of a request, whose body was read, is gone."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _is_form(request: Request) -> bool:
    return request.headers.get("content-type", "").startswith("multipart/form-data")


def _as_json(result: Result) -> dict[str, Any]:
    return {
        "picture": base64.b64encode(result.data).decode(),
        "media_type": result.media_type,
        "width": result.width,
        "height": result.height,
        "provenance": result.provenance,
    }


def _job_as_json(job: Job) -> dict[str, Any]:
    states = [file.state for file in job.files]
    return {
        "id": job.id,
        "finished": job.finished is not None,
        "total": len(states),
        "counts": {state: states.count(state) for state in sorted(set(states))},
        "files": [
            {
                "name": file.name,
                "state": file.state,
                "error": file.error,
                "result": f"/v1/jobs/{job.id}/files/{file.number}" if file.state == DONE else None,
            }
            for file in job.files
        ],
    }


def _result_name(file: File) -> str:
    """Name of a result in the archive; numbered, so that no two are the same."""
    return f"{file.number + 1:03d}-{result_name(file.name, str(file.suffix))}"
