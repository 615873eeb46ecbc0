"""A trained generator in ONNX Runtime: lightness in, ab out, without PyTorch."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnxruntime
from numpy.typing import NDArray

from retint import lab
from retint.errors import RetintError

_CONTRACT = 1
_LONGEST = 4  # times the card's size: no side that the network sees is longer
_POINTS = 4  # colours drawn for one of several colourings
_POINT_RADIUS = 6  # pixels of the network's input
_LIKELY = 0.8  # colours are drawn from the likeliest that sum up to this probability

Float = NDArray[np.float32]


class Model:
    """An opened model file.

    Attributes:
        card: what the file says of itself: `name`, `version`, `description`, `licence`, `size`
            (short side it was trained for, pixels), `stride`, `strength` and more.
    """

    def __init__(self, path: Path, providers: Sequence[str] | None = None) -> None:
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        # Waiting threads that spin take the cores from decoding and encoding.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        names = [_provider(name) for name in providers or ("CPU",)]
        try:
            self._session = onnxruntime.InferenceSession(path, options, providers=names)
        except Exception as error:  # ONNX Runtime raises a dozen types of its own
            raise RetintError(f"{path} is not a usable ONNX model: it may be damaged") from error
        card = self._session.get_modelmeta().custom_metadata_map.get("retint")
        if card is None:
            raise RetintError(f"{path} is not a retint model: make one with 'retint export RUN'")
        self.card: dict[str, Any] = json.loads(card)
        if self.card["contract"] != _CONTRACT:
            raise RetintError(f"{path} was made by another version of retint: export it anew")
        self._inputs = {node.name for node in self._session.get_inputs()}

    def input_size(self, height: int, width: int) -> tuple[int, int]:
        """Height and width at which the network should see a photograph of this size."""
        size = self.card["size"]
        scale = min(size / min(height, width), _LONGEST * size / max(height, width))
        step = self.card["out_stride"]
        rows, columns = (max(1, round(side * scale / step)) * step for side in (height, width))
        return rows, columns

    @property
    def takes_hints(self) -> bool:
        """Whether `predict` can be given hints."""
        return "hints" in self._inputs

    def predict(
        self, lightness: Float, seed: int | None = None, hints: Float | None = None
    ) -> Float:
        """Predict the colours of a photograph.

        Args:
            lightness: (h, w) CIE L in [0, 100], of the size that `input_size` says.
            seed: which of the possible colourings; None for the most likely one.
            hints: (h, w, 3) of a model that `takes_hints`: a, b, and 1 where they are wanted.

        Returns:
            a and b, (h / k, w / k, 2), k being the card's `out_stride`.
        """
        height, width = lightness.shape
        feed = self._feed(lightness, seed or 0)
        if hints is not None:
            wanted = hints.transpose(2, 0, 1).copy()
            # The network answers with colours that `strength` is still to be applied to.
            wanted[:2] = lab.normalize_ab(wanted[:2] / np.float32(self.card["strength"]))
            feed["hints"][0, :, :height, :width] = wanted * wanted[2]
        if seed is not None and "palette" in self.card and self.takes_hints:
            self._draw_hints(feed, (height, width), np.random.default_rng(seed))
        (ab,) = self._session.run(["ab"], feed)
        step = self.card["out_stride"]
        ab = ab[0, :, : height // step, : width // step].transpose(1, 2, 0)
        colours: Float = lab.denormalize_ab(np.ascontiguousarray(ab)) * np.float32(
            self.card["strength"]
        )
        return colours

    def _feed(self, lightness: Float, seed: int) -> dict[str, Float]:
        """Inputs by name: padded lightness, no hints, noise from the seed."""
        stride = self.card["stride"]
        height, width = lightness.shape
        padded = cv2.copyMakeBorder(
            lab.normalize_lightness(lightness),
            *(0, -height % stride, 0, -width % stride),
            cv2.BORDER_REFLECT_101,
        )
        rows, columns = padded.shape
        feed: dict[str, Float] = {"lightness": padded[None, None].astype(np.float32)}
        if self.takes_hints:
            feed["hints"] = np.zeros((1, 3, rows, columns), np.float32)
        random = np.random.default_rng(seed)
        for number, (channels, factor) in enumerate(self.card["noise"]):
            shape = (1, channels, rows // factor, columns // factor)
            feed[f"noise_{number}"] = random.random(shape, np.float32)
        return feed

    def _draw_hints(
        self, feed: dict[str, Float], size: tuple[int, int], random: np.random.Generator
    ) -> None:
        """Put hints into `feed` that the model itself holds possible, one after the other.

        Each colour is drawn from what the model expects there, given the colours before: so the
        whole stays plausible, and what depends on each other changes together.
        """
        palette = np.array(self.card["palette"], np.float32)
        step = self.card["out_stride"]
        hints = feed["hints"][0]
        for _ in range(_POINTS):
            y, x = (int(random.integers(side)) for side in size)
            (logits,) = self._session.run(["palette"], feed)
            around = logits[0, :, max(0, y // step - 1) :, max(0, x // step - 1) :][:, :3, :3]
            scores = around.reshape(len(palette), -1).mean(axis=1).astype(np.float64)
            chances = np.exp(scores - scores.max())
            colour = palette[_draw_likely(chances / chances.sum(), random)]
            near = (
                slice(max(0, y - _POINT_RADIUS), y + _POINT_RADIUS + 1),
                slice(max(0, x - _POINT_RADIUS), x + _POINT_RADIUS + 1),
            )
            if not hints[2, near[0], near[1]].any():  # what a person asked for stays
                hints[:2, near[0], near[1]] = lab.normalize_ab(colour)[:, None, None]
                hints[2, near[0], near[1]] = 1


def open_model(name_or_path: str | Path, providers: Sequence[str] | None = None) -> Model:
    """Open a model that ships, by name, or a model file.

    Args:
        name_or_path: one of `list_models()`, or the path of an .onnx file.
        providers: what computes, such as `["CUDA", "CPU"]`, first choice first; the CPU if None.

    Raises:
        RetintError: if there is no such model or provider, or the file is no model.
    """
    if str(name_or_path) in list_models():
        return Model(model_path(str(name_or_path)), providers)
    path = Path(name_or_path)
    if not path.is_file():
        known = ", ".join(list_models()) or "none"
        raise RetintError(f"no model '{name_or_path}': give an .onnx file, or one of: {known}")
    return Model(path, providers)


def model_path(name: str) -> Path:
    """File of a model that comes with retint."""
    return _shipped() / f"{name}.onnx"


def list_models() -> list[str]:
    """Names of the models that come with retint."""
    return sorted(path.stem for path in _shipped().glob("*.onnx"))


def _shipped() -> Path:
    return Path(os.fspath(resources.files("retint") / "weights"))  # type: ignore[call-overload]


def _provider(name: str) -> str:
    """Full name of an ONNX Runtime provider: `cuda` is CUDAExecutionProvider."""
    available = onnxruntime.get_available_providers()
    for provider in available:
        if name.lower() in (provider.lower(), provider.lower().removesuffix("executionprovider")):
            return str(provider)
    known = ", ".join(provider.removesuffix("ExecutionProvider") for provider in available)
    raise RetintError(f"ONNX Runtime here has no provider '{name}': choose one of {known}")


def _draw_likely(chances: NDArray[np.float64], random: np.random.Generator) -> int:
    """Index of one of the likeliest entries, by their chances."""
    order = np.argsort(-chances)
    kept = order[: np.searchsorted(np.cumsum(chances[order]), _LIKELY) + 1]
    return int(random.choice(kept, p=chances[kept] / chances[kept].sum()))
