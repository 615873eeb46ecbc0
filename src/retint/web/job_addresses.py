"""The addresses of jobs."""

from __future__ import annotations

import asyncio
import tempfile
import zipfile
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, contextmanager
from typing import Annotated, Any, BinaryIO

from fastapi import Depends, FastAPI, HTTPException, Request, Response
from fastapi.responses import FileResponse, StreamingResponse
from fastapi.sse import EventSourceResponse, ServerSentEvent

from retint.web.job_worker import JobWorker, progress_of
from retint.web.jobs import DONE, File, Job, JobStore
from retint.web.names import result_name
from retint.web.openapi import ERRORS, MANY_PICTURES, NO_JOB, PICTURE
from retint.web.service import BusyError, Wish
from retint.web.settings import Settings
from retint.web.uploads import photographs_of
from retint.web.wishes import only_wish_of

_PIECE = 2**20  # bytes of an archive that are sent at a time


def add_jobs(app: FastAPI, store: JobStore, worker: JobWorker, settings: Settings) -> None:
    """Answer at these addresses."""

    def found(id_: str) -> Job:
        job = store.get(id_)
        if job is None:
            raise _no_job(id_)
        return job

    @app.post(
        "/v1/jobs", status_code=202, tags=["jobs"], openapi_extra=MANY_PICTURES, responses=ERRORS
    )
    async def make(
        request: Request, response: Response, wish: Annotated[Wish, Depends(only_wish_of)]
    ) -> dict[str, Any]:
        """Hand in many or large photographs, to be fetched later."""
        if wish.options.get("hints"):
            raise HTTPException(422, "hints belong to one photograph: use /v1/colorize")
        try:
            await asyncio.to_thread(store.admit)
            async with photographs_of(request, settings.most_files) as photographs:
                id_ = await asyncio.to_thread(store.add, photographs, wish)
        except BusyError:
            raise HTTPException(503, "too many jobs are open", {"Retry-After": "60"}) from None
        worker.wake()
        response.headers["Location"] = f"/v1/jobs/{id_}"
        return _as_json(found(id_))

    @app.get("/v1/jobs/{id_}", tags=["jobs"], responses=NO_JOB)
    def look(id_: str) -> dict[str, Any]:
        """How far a job is."""
        return _as_json(found(id_))

    @app.get(
        "/v1/jobs/{id_}/events",
        tags=["jobs"],
        response_class=EventSourceResponse,
        responses=NO_JOB,
        dependencies=[Depends(found)],  # before the answer begins
    )
    async def follow(id_: str) -> AsyncIterator[ServerSentEvent]:
        """How far a job is, told whenever that changes, until it or the service ends."""
        async for job in progress_of(store, worker, id_):
            yield ServerSentEvent(data=_as_json(job), event="progress")

    @app.get("/v1/jobs/{id_}/files/{number}", tags=["jobs"], responses={**PICTURE, **NO_JOB})
    def fetch(id_: str, number: int) -> FileResponse:
        """A coloured photograph of a job."""
        job = found(id_)
        file = next((file for file in job.files if file.number == number), None)
        if file is None or file.state != DONE:
            raise HTTPException(404, "there is no such result (yet)")
        path = store.result(job, number)
        with _removed_meanwhile(id_):
            return FileResponse(path, media_type=file.media_type, stat_result=path.stat())

    @app.get("/v1/jobs/{id_}/archive", tags=["jobs"], response_class=Response, responses=NO_JOB)
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

    @app.delete("/v1/jobs/{id_}", status_code=204, tags=["jobs"], responses=NO_JOB)
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


def _as_json(job: Job) -> dict[str, Any]:
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
