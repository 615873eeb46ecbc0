"""A trained generator in ONNX Runtime: lightness in, ab out, without PyTorch."""

from __future__ import annotations

import hashlib
import json
import logging
import math
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
from retint.errors import RetintError, lacks_memory
from retint.hints import keep_hints
from retint.variety import vary
from retint.whole import exists

log = logging.getLogger(__name__)

CONTRACT = 2
"""Version of the names and shapes of the inputs and outputs that model files have."""

_PROVIDER = "ExecutionProvider"  # the end of all providers' names
_ALIASES = {"directml": "dml"}
_ANEW = "export it anew"
_MOST_PIXELS = 4_000_000  # that the network sees: it takes 400 bytes for each
# Of a hint that the network is shown: the whole colours all of the photograph, not its object
# alone. What is missing then is added at its place.
_HINT_SHARE = np.float32(0.35)
# The end of model files: metadata "sha256", of all that is before it, as protobuf writes that.
_SEAL = b"rJ\n\x06sha256\x12@"
_DIGITS = 64
# What a card has to say, and how.
_CARD: dict[str, type] = {
    **dict.fromkeys(("name", "version"), str),
    **dict.fromkeys(("size", "stride", "out_stride"), int),
    "noise": list,
}
_LONGEST = 16  # times the short side: of longer panoramas, the network sees the short side smaller

Float = NDArray[np.float32]


class Model:
    """An opened model file.

    Args:
        file: its path, or its bytes.
        providers: what computes; see `open_model`.
        threads: that a CPU computes with; as many as it has cores if None.

    Attributes:
        card: what the file says of itself: `name`, `version`, `description`, `licence`, `size`
            (short side it was trained for, pixels), `stride` and more.
        sha256: of the file, in hexadecimal.
    """

    def __init__(
        self,
        file: Path | bytes,
        providers: Sequence[str] | None = None,
        threads: int | None = None,
    ) -> None:
        name = "the model" if isinstance(file, bytes) else str(file)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or 0  # 0: one for each core
        options.log_severity_level = 4
        # Waiting threads that spin take the cores from decoding and encoding.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        wished = [_provider(wish) for wish in providers or ("CPU",)]
        self.sha256 = check_seal(file if isinstance(file, bytes) else read_model(file), name)
        try:
            # A path is read a second time: of bytes, ONNX Runtime keeps a copy, and is slower.
            self._session = onnxruntime.InferenceSession(file, options, providers=wished)
        except Exception as error:  # ONNX Runtime raises a dozen types of its own
            if lacks_memory(error):
                raise MemoryError from error
            raise RetintError(
                f"{name} is not a usable ONNX model: name one of 'retint models', a run folder or "
                "its generator.onnx; if it is that, it is damaged"
            ) from error
        if wished[0] not in self._session.get_providers():  # its libraries could not be loaded
            _say_fallback(wished[0])
        card = self._session.get_modelmeta().custom_metadata_map.get("retint")
        if card is None:
            raise RetintError(f"{name} is not a retint model: make one with 'retint export RUN'")
        self._file, self._name = file, name
        self._inputs = {node.name for node in self._session.get_inputs()}
        outputs = {node.name for node in self._session.get_outputs()}
        self.card = _read_card(card, name)
        noise = {f"noise_{number}" for number in range(len(self.card["noise"]))}
        wanted = {"ab", "palette"} if "palette" in self.card else {"ab"}
        if self._inputs - {"hints"} != {"lightness", *noise} or not wanted <= outputs:
            raise RetintError(f"{name} has other inputs or outputs than its card says: {_ANEW}")

    def input_size(self, height: int, width: int, detail: int | None = None) -> tuple[int, int]:
        """Height and width at which the network should see a photograph of this size.

        The aspect ratio is kept. Networks here are convolutional, so that a panorama is seen whole,
        at the same scale as other photographs, and has no seams.

        Args:
            height: of the photograph, pixels.
            width: of the photograph, pixels.
            detail: pixels of the short side; the card's `size`, which it learnt from, if None.
        """
        size = detail or self.card["size"]
        scale = min(
            size / min(height, width),
            _LONGEST * size / max(height, width),
            math.sqrt(_MOST_PIXELS / (height * width)),
        )
        step = self.card["out_stride"]
        rows, columns = (max(1, round(side * scale / step)) * step for side in (height, width))
        return rows, columns

    def read(self) -> bytes:
        """Bytes of the model file."""
        return self._file if isinstance(self._file, bytes) else read_model(self._file)

    @property
    def takes_hints(self) -> bool:
        """Whether `predict` can be given hints."""
        return "hints" in self._inputs

    @property
    def varies(self) -> bool:
        """Whether seeds of `predict` give different colourings."""
        return "palette" in self.card or bool(self.card["noise"])

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
        feed = self._feed(lightness, seed or 0)
        if hints is not None:
            height, width = lightness.shape
            asked = lab.normalize_ab(_HINT_SHARE * hints[:, :, :2])
            shown = hints[:, :, 2:]
            feed["hints"][0, :, :height, :width] = np.dstack((asked * shown, shown)).transpose(
                2, 0, 1
            )
        if seed is None or "palette" not in self.card:
            (ab,) = self._run(["ab"], feed, lightness.shape)
            colours: Float = lab.denormalize_ab(ab)
        else:
            ab, palette_logits = self._run(["ab", "palette"], feed, lightness.shape)
            palette = np.array(self.card["palette"], np.float32)
            small = cv2.resize(lightness, ab.shape[1::-1], interpolation=cv2.INTER_AREA)
            colours = vary(lab.denormalize_ab(ab), palette_logits, palette, small, seed)
        return colours if hints is None else keep_hints(colours, hints, lightness)

    def _run(self, names: list[str], feed: dict[str, Float], size: tuple[int, ...]) -> list[Float]:
        """Outputs (h / k, w / k, C) by name, without the padding."""
        rows, columns = (side // self.card["out_stride"] for side in size)
        try:
            outputs = self._session.run(names, feed)
        except Exception as error:  # ONNX Runtime raises a dozen types of its own
            if lacks_memory(error):
                raise MemoryError from error
            raise RetintError(f"{self._name} cannot compute: {_ANEW}") from error
        if not all(np.isfinite(output).all() for output in outputs):
            raise RetintError(f"{self._name} gives colours that are no numbers: {_ANEW}")
        return [
            np.ascontiguousarray(output[0, :, :rows, :columns].transpose(1, 2, 0))
            for output in outputs
        ]

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
        if not self.card["noise"]:
            return feed  # before NumPy loads what it makes random numbers with
        random = np.random.default_rng(seed)
        for number, (channels, factor) in enumerate(self.card["noise"]):
            shape = (1, channels, rows // factor, columns // factor)
            feed[f"noise_{number}"] = random.random(shape, np.float32)
        return feed


def open_model(name_or_path: str | Path, providers: Sequence[str] | None = None) -> Model:
    """Open a model that ships, by name, or a model file.

    Args:
        name_or_path: one of `list_models()`, an .onnx file, or a run folder with one.
        providers: what computes, such as `["CUDA", "CPU"]`, first choice first; the CPU if None.

    Raises:
        RetintError: if there is no such model or provider, or the file is no model.
    """
    if str(name_or_path) in list_models():
        return Model(model_path(str(name_or_path)), providers)
    path = Path(name_or_path)
    # What cannot be looked at, as its name is too long, is not there; of it, Path would raise.
    if os.path.isdir(path):  # noqa: PTH112
        path = path / "generator.onnx"
        if not exists(path):
            raise RetintError(
                f"{path.parent} is no run with a {path.name}: 'retint export' makes one of a run"
            )
    if not os.path.isfile(path):  # noqa: PTH113
        known = ", ".join(list_models()) or "none"
        raise RetintError(
            f"no model '{name_or_path}': there is no such file or run folder, and by name there "
            f"are: {known}"
        )
    return Model(path, providers)


def seal(data: bytes) -> bytes:
    """What to add to the bytes of a model file, so that damage to it is noticed."""
    return _SEAL + hashlib.sha256(data).hexdigest().encode()


def read_model(path: Path) -> bytes:
    """Bytes of a model file.

    Raises:
        RetintError: if it cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise RetintError(f"{path} cannot be read: {error.strerror}") from error


def check_seal(data: bytes, name: str) -> str:
    """See that a model file is as it was exported; files of other programs have no seal.

    Returns:
        SHA-256 of the whole file, in hexadecimal.

    Raises:
        RetintError: if something in it has changed.
    """
    end = len(data) - len(_SEAL) - _DIGITS
    digest = hashlib.sha256(memoryview(data)[: max(0, end)])
    if data[max(0, end) :].startswith(_SEAL) and data[-_DIGITS:] != digest.hexdigest().encode():
        raise RetintError(f"{name} is damaged: copy it again from where it came from")
    digest.update(memoryview(data)[max(0, end) :])
    return digest.hexdigest()


def _read_card(text: str, name: str) -> dict[str, Any]:
    try:
        card: dict[str, Any] = json.loads(text)
        contract = card["contract"]
    except (ValueError, KeyError, TypeError) as error:
        raise RetintError(f"{name} has a damaged card: {_ANEW}") from error
    if contract != CONTRACT:
        raise RetintError(f"{name} was made by another version of retint: {_ANEW}")
    for key, kind in _CARD.items():
        value = card.get(key)
        if not isinstance(value, kind) or (isinstance(value, int) and value < 1):
            raise RetintError(f"{name} has a card without a usable '{key}': {_ANEW}")
    return card


def model_path(name: str) -> Path:
    """File of a model that comes with retint."""
    return _shipped() / f"{name}.onnx"


def list_models() -> list[str]:
    """Names of the models that come with retint."""
    return sorted(path.stem for path in _shipped().glob("*.onnx"))


def _shipped() -> Path:
    return Path(os.fspath(resources.files("retint") / "weights"))  # type: ignore[call-overload]


def _provider(name: str) -> str:
    """Full name of an ONNX Runtime provider: `cuda` is CUDAExecutionProvider.

    The CPU's, and a line that says so, where the provider exists but not on this machine.
    """
    by_name = {_short(provider): provider for provider in onnxruntime.get_all_providers()}
    provider = by_name.get(_ALIASES.get(name.lower(), _short(name)))
    available = onnxruntime.get_available_providers()
    if provider is None:
        known = ", ".join(item.removesuffix(_PROVIDER) for item in available)
        raise RetintError(f"ONNX Runtime has no provider '{name}': here you can choose {known}")
    if provider not in available:
        _say_fallback(provider)
        return f"CPU{_PROVIDER}"
    return str(provider)


def _short(provider: str) -> str:
    return provider.lower().removesuffix(_PROVIDER.lower())


def _say_fallback(provider: str) -> None:
    log.warning(
        "ONNX Runtime cannot compute with %s here: computing on the CPU "
        "(for NVIDIA's GPUs, install onnxruntime-gpu in place of onnxruntime)",
        provider.removesuffix(_PROVIDER),
    )
