"""Many photographs on the page: a job, its progress file by file, and one archive in the end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from html import escape
from pathlib import Path

from retint.errors import RetintError
from retint.web.jobs import DONE, FAILED, WAITING, File, Job, JobStore, JobWorker
from retint.web.names import result_name
from retint.web.service import Wish
from retint.web.settings import Settings

_LOOK_EVERY = 0.5  # seconds
_STATES = {WAITING: "waits", DONE: "coloured", FAILED: "not coloured"}


async def color_many(
    paths: Sequence[Path],
    wish: Wish,
    store: JobStore,
    worker: JobWorker,
    settings: Settings,
) -> AsyncIterator[str]:
    """Make a job of photographs; tell how far it is, as HTML, until it or the service ends.

    Raises:
        BusyError: if too many jobs are open.
        RetintError: if there are too many photographs, or they are too large together.
    """
    if len(paths) > settings.most_files:
        raise RetintError(f"that are {len(paths)} files: give {settings.most_files} at a time")
    if sum(path.stat().st_size for path in paths) > settings.most_job_bytes:
        raise RetintError("the files are too large together: give fewer at a time")
    id_ = await asyncio.to_thread(store.add, [(path.name, path) for path in paths], wish)
    worker.wake()
    told = None
    while job := await asyncio.to_thread(store.get, id_):
        if job != told:
            yield _table(job)
            told = job
        if job.finished is not None or worker.stopping:
            return
        await asyncio.sleep(_LOOK_EVERY)


def _table(job: Job) -> str:
    over = sum(file.state != WAITING for file in job.files)
    done = sum(file.state == DONE for file in job.files)
    status = f"{over} of {len(job.files)} photographs done"
    link = ""
    if job.finished is not None:
        status = f"{done} of {len(job.files)} photographs coloured"
        if done:
            link = (
                f'<p class="links"><a class="main" download href="/v1/jobs/{job.id}/archive">'
                "Download all as one archive</a></p>"
            )
    rows = "".join(_row(job, file) for file in job.files)
    return (
        f'<div class="batch"><p role="status">{status}</p>'
        f'<progress aria-label="Progress" max="{len(job.files)}" value="{over}"></progress>{link}'
        f"<table><thead><tr><th>Photograph</th><th>State</th></tr></thead>"
        f"<tbody>{rows}</tbody></table></div>"
    )


def _row(job: Job, file: File) -> str:
    state = _STATES[file.state]
    if file.state == DONE:
        name = escape(result_name(file.name, str(file.suffix)))
        address = f"/v1/jobs/{job.id}/files/{file.number}"
        state = f'{state}: <a download="{name}" href="{address}">{name}</a>'
    elif file.error:
        state = f"{state}: {escape(file.error)}"
    return f"<tr><td>{escape(file.name)}</td><td>{state}</td></tr>"
