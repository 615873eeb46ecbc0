"""The page of the service: Gradio, mounted at /, of which only what the page needs can be reached.

Nothing is fetched from elsewhere. Gradio's own addresses take uploads, and send what the page shows
and what a person does there; pictures and files have addresses of their own (`pictures.py`).
"""

from __future__ import annotations

from pathlib import Path

import gradio as gr
from fastapi import FastAPI
from gradio.blocks import Block
from starlette.routing import Match, Mount
from starlette.types import Scope

from retint.web.about_tab import about
from retint.web.batch_tab import add_batch_tab
from retint.web.darkroom import Darkroom
from retint.web.job_worker import JobWorker
from retint.web.jobs import JobStore
from retint.web.photograph_tab import Many, add_photograph_tab
from retint.web.service import Service
from retint.web.settings import Settings
from retint.web.statics import static_text

_PATHS = {"/", "/config", "/theme.css", "/favicon.ico", "/manifest.json", "/robots.txt"}
_PREFIXES = (
    "/assets/",
    "/static/",
    "/gradio_api/cancel",
    "/gradio_api/file=/",  # a path that was uploaded; it would fetch addresses, too
    "/gradio_api/heartbeat/",
    "/gradio_api/queue/",
    "/gradio_api/reset",
    "/gradio_api/startup-events",
    "/gradio_api/upload",
)
_CLEAN_EVERY = 600  # seconds between two looks for uploads that are too old
_FONT = ("system-ui", "sans-serif")  # of the reader's machine
_MONO = ("ui-monospace", "monospace")


class _PageMount(Mount):
    """Gradio's application, as far as the page needs it: it has more, which runs and fetches."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        path = scope.get("path", "")
        if scope["type"] != "http" or not (path in _PATHS or path.startswith(_PREFIXES)):
            return Match.NONE, {}
        return super().matches(scope)


def add_page(
    app: FastAPI,
    darkroom: Darkroom,
    service: Service,
    jobs: tuple[JobStore, JobWorker],
    settings: Settings,
) -> None:
    """Answer with the page at /; to be called when the other addresses are there."""
    gr.mount_gradio_app(
        app,
        _layout(darkroom, service, jobs, settings),
        path="/",
        footer_links=[],
        run_history=False,
        show_error=False,
        max_file_size=settings.most_bytes,
        ssr_mode=False,
        enable_monitoring=False,
        pwa=False,
        mcp_server=False,
        theme=_theme(),
        css=static_text("page.css"),
    )
    gradio_app = app.router.routes.pop().app  # type: ignore[attr-defined]
    app.router.routes.append(_PageMount("", app=gradio_app))
    app.state.end_streams = gradio_app.stop_event.set


def _theme() -> gr.themes.Base:
    """Gradio's, with fonts that are there, and greys that are easy to read."""
    theme = gr.themes.Default(primary_hue="teal", font=_FONT, font_mono=_MONO)
    dark, light = "*neutral_600", "*neutral_300"
    return theme.set(
        block_info_text_color=dark,
        block_info_text_color_dark=light,
        block_label_text_color=dark,
        block_label_text_color_dark=light,
        block_title_text_color="*neutral_800",
        block_title_text_color_dark=light,
        body_text_color_subdued=dark,
        body_text_color_subdued_dark=light,
        input_placeholder_color=dark,
        input_placeholder_color_dark=light,
    )


def _layout(
    darkroom: Darkroom, service: Service, jobs: tuple[JobStore, JobWorker], settings: Settings
) -> gr.Blocks:
    blocks = gr.Blocks(
        title="retint",
        analytics_enabled=False,
        fill_width=True,
        delete_cache=(_CLEAN_EVERY, max(1, int(settings.keep_seconds))),
    )
    models = list(service.colorizers)
    with blocks:
        gr.Markdown(
            "# retint\nDrop a black-and-white photograph: it is coloured at once",
            elem_classes="title",
        )
        with gr.Tabs(overflow_behavior="wrap") as tabs:
            with gr.Tab("Photograph", id="one") as one:
                pass
            with gr.Tab("Many", id="many"):
                many = Many(tabs, add_batch_tab(jobs, models, settings))
            with gr.Tab("What is this?", id="about"):
                gr.HTML(about(service.colorizers.values()), elem_classes="plain")
        with one:
            add_photograph_tab(darkroom, models, many)
    for block in blocks.blocks.values():
        _take_no_addresses(block)
    # What is asked for waits in the service's queue, not in Gradio's.
    blocks.queue(default_concurrency_limit=None, api_open=False)
    blocks.has_launched = True  # or else Gradio takes any path of the server for an upload
    return blocks


def _take_no_addresses(block: Block) -> None:
    """Keep a component from fetching what a client names by an address instead of uploading it."""
    take = block.async_move_resource_to_block_cache

    async def take_file(place: str | Path | None) -> str | None:
        if str(place).startswith(("http://", "https://")):
            raise gr.Error("photographs are uploaded, not fetched", print_exception=False)
        return await take(place)

    setattr(block, take.__name__, take_file)
