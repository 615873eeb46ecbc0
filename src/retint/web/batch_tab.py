"""Many photographs on the page: a job, its progress file by file, and one archive in the end."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from retint.colorizer import Options
from retint.errors import RetintError
from retint.web.controls import drop_area, model_choice, strength_slider, tell
from retint.web.job_worker import JobWorker, progress_of
from retint.web.jobs import DONE, FAILED, WAITING, File, Job, JobStore
from retint.web.names import result_name
from retint.web.service import BusyError, Wish
from retint.web.settings import Settings

_STATES = {WAITING: "waits", DONE: "coloured", FAILED: "not coloured"}


def add_batch_tab(
    jobs: tuple[JobStore, JobWorker], models: list[str], settings: Settings
) -> gr.File:
    """Add the components, to the tab that is open, and what they do; where photographs go."""
    strength = strength_slider("Strength of all")
    model = model_choice(models)
    recolor = gr.Checkbox(label="Replace colours that photographs have already")
    drop = drop_area("Drop many photographs", "drop-many")
    handed_in = gr.State([])  # of the paths that `drop` lists
    progress = gr.HTML(elem_classes="plain")

    async def work(
        paths: list[str] | None,
        handed_in: list[str],
        earlier: str | None,
        strength: float,
        model: str,
        recolor: bool,
    ) -> AsyncIterator[tuple[Any, list[str]]]:
        """Make a job of what was added to the list, and show it above the earlier ones."""
        paths = paths or []
        added = (Counter(paths) - Counter(handed_in)).elements()
        files = [Path(path) for path in added]
        if not files:
            yield gr.skip(), paths
            return
        wish = Wish(Options(strength=strength), recolor=recolor, model=model)
        try:
            async for table in _color_many(files, wish, *jobs, settings):
                yield table + (earlier or ""), paths
        except (RetintError, BusyError) as error:
            tell(error)

    drop.change(
        work,
        [drop, handed_in, progress, strength, model, recolor],
        [progress, handed_in],
        show_progress="hidden",
        api_visibility="private",
    )
    return drop


async def _color_many(
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
    async for job in progress_of(store, worker, id_):
        yield _table(job)


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
