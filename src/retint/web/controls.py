"""What more than one tab of the page has."""

from __future__ import annotations

import gradio as gr

from retint.errors import RetintError
from retint.photo import SUFFIXES
from retint.web.service import BusyError

WIDTH = 280
"""Of a control, pixels: what has less goes below."""


def drop_area(label: str, name: str) -> gr.File:
    """Where photographs are dropped."""
    return gr.File(
        label=label,
        file_count="multiple",
        file_types=sorted(SUFFIXES),
        height=150,
        elem_id=name,
    )


def model_choice(models: list[str]) -> gr.Dropdown:
    """Which model is asked; the first at first."""
    return gr.Dropdown(
        models,
        value=models[0],
        label="Model",
        info="that guesses the colours",
        interactive=len(models) > 1,
        min_width=WIDTH,
    )


def strength_slider(label: str) -> gr.Slider:
    """How strong the colours are."""
    usual = 1.0
    slider = gr.Slider(
        0, 2, usual, step=0.05, label=label, info="0 is grey, 1 usual", min_width=WIDTH
    )
    take = slider.preprocess

    def nearest(number: float | None) -> float:
        """What is written beside the slider: nothing for a while, or what is out of its range."""
        return take(usual if number is None else min(max(number, slider.minimum), slider.maximum))

    # Not in a class of its own: Gradio writes a .pyi file beside the module of each.
    setattr(slider, take.__name__, nearest)
    return slider


def tell(error: RetintError | BusyError) -> None:
    """Say on the page what went wrong."""
    busy = isinstance(error, BusyError)
    line = "Too many photographs wait: try again in a moment." if busy else str(error)
    gr.Warning(line, title="That did not work", duration=None)
