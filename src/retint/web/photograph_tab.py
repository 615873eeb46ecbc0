"""The tab of one photograph: drop it, compare, change the colours, save it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import gradio as gr

from retint.errors import RetintError
from retint.hints import lines_of_hints
from retint.web.controls import WIDTH, drop_area, model_choice, strength_slider, tell
from retint.web.darkroom import Darkroom
from retint.web.service import BusyError
from retint.web.sitting import MOST_HINTS, Sitting
from retint.web.statics import static_text

_QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
_LARGEST_HINTS = 64 * MOST_HINTS  # bytes of a file of hints


@dataclass(frozen=True)
class Many:
    """Where photographs go if somebody drops more than one."""

    tabs: gr.Tabs
    drop: gr.File


def add_photograph_tab(darkroom: Darkroom, models: list[str], many: Many) -> None:
    """Add the components, to the tab that is open, and what they do."""
    state = gr.State(Sitting())
    drop = drop_area("Drop one or many photographs", "drop")
    about = gr.HTML(elem_classes="plain")
    viewer = gr.HTML(
        None,
        html_template=static_text("viewer.html"),
        js_on_load=static_text("viewer.js"),
        apply_default_css=False,
        elem_classes="plain",
    )
    with gr.Column(visible=False) as tools:
        links = gr.HTML(elem_classes="plain")
        strength, seed, model = _controls(models)
        undo, clear, load, saved = _hint_controls()
        compare = gr.Button("Show variants side by side", size="md")
        variants = gr.HTML(
            js_on_load=static_text("variants.js"), apply_default_css=False, elem_classes="plain"
        )
    shown = [state, viewer, links, saved, variants]

    async def take(
        paths: list[str] | None, strength: float, seed: str, model: str
    ) -> tuple[Any, ...]:
        same = [gr.skip()] * len(shown)
        if not paths:  # dropped while another was taken, whose end has emptied the drop area
            return *same, *[gr.skip()] * 5
        if len(paths) > 1:
            return *same, gr.skip(), gr.skip(), None, paths, gr.Tabs(selected="many")
        try:
            sitting = Sitting(strength=strength, model=model).seeded(seed)
            sitting = replace(sitting, photograph=await darkroom.take(Path(paths[0])))
        except (RetintError, BusyError) as error:
            tell(error)
            return *same, gr.skip(), gr.skip(), None, None, gr.skip()
        return *_shown(sitting), sitting.about(), gr.Column(visible=True), None, None, gr.skip()

    drop.upload(
        take,
        [drop, strength, seed, model],
        [*shown, about, tools, drop, many.drop, many.tabs],
        api_visibility="private",
        trigger_mode="always_last",  # what is dropped as another is done is not passed over
    )
    latest = {**_QUIET, "trigger_mode": "always_last"}
    # Not `input`: a number that is reset, or corrected when its box is left, is none.
    strength.change(_change(Sitting.strengthened), [state, strength], shown, **latest)
    seed.change(_change(Sitting.seeded), [state, seed], shown, **latest)
    model.input(_change(Sitting.asking), [state, model], shown, **latest)
    viewer.select(_hint, state, shown, **{**_QUIET, "trigger_mode": "multiple"})
    variants.select(_choose, None, seed, **_QUIET)
    undo.click(_change(Sitting.undone), state, shown, **_QUIET)
    clear.click(_change(Sitting.with_hints), state, shown, **_QUIET)
    load.upload(_change(_load), [state, load], shown, **_QUIET)
    compare.click(_change(Sitting.compared), state, shown, **_QUIET)


def _controls(models: list[str]) -> tuple[gr.Slider, gr.Textbox, gr.Dropdown]:
    with gr.Row(equal_height=True):
        strength = strength_slider("Strength")
        seed = gr.Textbox(
            "",
            label="Seed",
            info="a whole number, for another colouring",
            placeholder="none: the most likely colours",
            max_lines=1,
            min_width=WIDTH,
        )
        return strength, seed, model_choice(models)


def _hint_controls() -> tuple[gr.Button, gr.Button, gr.UploadButton, gr.HTML]:
    """Buttons to undo, clear and load hints, and where the way to save them is."""
    size: dict[str, Any] = {"size": "md", "min_width": 110}
    with gr.Row(elem_classes="hints"):
        undo = gr.Button("Undo hint", **size)
        clear = gr.Button("Clear hints", **size)
        load = gr.UploadButton("Load hints", file_types=[".txt"], **size)
        return undo, clear, load, gr.HTML(elem_classes="plain", min_width=110)


def _hint(sitting: Sitting, event: gr.EventData) -> tuple[Any, ...]:
    return _change(Sitting.hinted)(sitting, f"{event.x},{event.y},{event.color}")


def _choose(event: gr.EventData) -> str:
    return str(event.seed)


def _change(alter: Callable[..., Sitting]) -> Callable[..., tuple[Any, ...]]:
    """Show what a sitting becomes."""

    def change(sitting: Sitting, *given: Any) -> tuple[Any, ...]:
        try:
            return _shown(alter(sitting, *given))
        except RetintError as error:
            tell(error)
            return (gr.skip(),) * len(_shown(sitting))

    return change


def _shown(sitting: Sitting) -> tuple[Any, ...]:
    return (
        sitting,
        sitting.view(),
        sitting.links(),
        sitting.saved_hints(),
        sitting.variants(),
    )


def _load(sitting: Sitting, path: str) -> Sitting:
    file = Path(path)
    if file.stat().st_size > _LARGEST_HINTS:
        raise RetintError(f"the file of hints is too large: at most {MOST_HINTS} are taken")
    text = file.read_text(encoding="utf-8-sig", errors="replace")
    return sitting.with_hints(lines_of_hints(text, file.name))
