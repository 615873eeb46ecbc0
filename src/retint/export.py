"""A trained run to one ONNX file that colourises without PyTorch."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import numpy_helper
from torch import Tensor, nn

from retint import __version__
from retint.errors import RetintError, last_line, written
from retint.model import CONTRACT, check_seal, read_model, seal
from retint.models import Generator, Readout, create_untrained, generator_options
from retint.palette import ab_palette
from retint.training.recipe import Recipe, Stage
from retint.training.run import (
    best_epoch,
    kept_epochs,
    load_weights,
    read_facts,
    read_metrics,
    read_recipe,
)
from retint.whole import exists, whole_file, write_text

_TOLERANCE = 1e-3  # largest difference between PyTorch and ONNX Runtime, as a share
_OPSET = 18
_PREFIX = "generator."  # of the weights' names in the file


def export_run(
    run: Path,
    out: Path | None = None,
    which: Literal["best", "last"] = "best",
    *,
    overwrite: bool = False,
) -> Path:
    """Write the generator of a run as an ONNX file and check that it computes the same.

    Args:
        run: a run folder.
        out: file to write; `generator.onnx` in the run folder by default.
        which: the best weights by validation score, or the last.
        overwrite: replace `out`; the run's own `generator.onnx` is replaced without.

    Raises:
        RetintError: if `out` exists, `run` has no weights yet, or the exported file computes
            something else.
    """
    own = run / "generator.onnx"
    out = out or own
    if out != own and exists(out) and not overwrite:
        raise RetintError(f"{out} exists: add --overwrite, or give another -o")
    recipe = read_recipe(run)
    saved = run / ("best.safetensors" if which == "best" else "generator.safetensors")
    if not saved.exists():
        raise RetintError(f"{run} has no {saved.name} yet: let it train for an epoch")
    weights = load_weights(saved)
    readout = recipe.readout.build()
    card = model_card(recipe, read_facts(run))
    export_generator(build_generator(recipe, weights), readout, out, card)
    return out


def read_onnx_weights(path: Path) -> dict[str, Tensor]:
    """Weights of the generator in a file that `export_run` made, by their names in PyTorch.

    Raises:
        RetintError: if it is no ONNX file, or damaged.
    """
    data = read_model(path)
    check_seal(data, str(path))
    try:
        tensors = onnx.load_from_string(data).graph.initializer
    except Exception as error:  # protobuf raises types of its own
        raise RetintError(f"{path} is not a usable ONNX model: it may be damaged") from error
    return {
        tensor.name.removeprefix(_PREFIX): torch.from_numpy(numpy_helper.to_array(tensor).copy())
        for tensor in tensors
        if tensor.name.startswith(_PREFIX)
    }


def build_generator(recipe: Recipe, weights: dict[str, Tensor]) -> Generator:
    """The recipe's generator with these weights, on the CPU, in float32."""
    generator = create_untrained(recipe.generator.name, **recipe.generator.options)
    try:
        generator.load_state_dict({name: tensor.float() for name, tensor in weights.items()})
    except RuntimeError as error:
        raise RetintError(
            f"the weights do not fit recipe '{recipe.name}': {last_line(error)}"
        ) from error
    return generator


def model_card(recipe: Recipe, facts: dict[str, Any]) -> dict[str, Any]:
    """What a model file says of itself; see `retint info MODEL`. `facts` are a run's."""
    known = {"licence": recipe.licence, "base": facts.get("base")}
    return {
        "contract": CONTRACT,
        "name": recipe.name,
        "version": __version__,
        "description": recipe.description,
        **{name: value for name, value in known.items() if value is not None},
        "size": recipe.data.size,
        "mean_ab": facts.get("mean_ab"),
    }


def write_card(run: Path) -> None:
    """Write the run's model card, README.md: what it was trained on, how, how well, its limits."""
    recipe, facts = read_recipe(run), read_facts(run)
    validations = kept_epochs(read_metrics(run, "validation"))
    best = best_epoch(validations)
    precision = facts.get("precision", recipe.precision)  # of older runs, what was asked for
    stages = "; ".join(_describe_stage(stage) for stage in recipe.stages)
    text = f"""# {recipe.name}

{recipe.description}

- Generator: {recipe.generator.name} {json.dumps(recipe.generator.options)}.
- Started from: {_start(recipe, facts.get("base"))}.
- Licence: {recipe.licence or "not stated"}.
- Photographs: {facts["photographs"]}, {facts["training"]} to train on, {facts["validation"]} to
  validate, {len(facts["left_out"])} left out (run.json lists them).
- Training: {recipe.data.size} x {recipe.data.size} px, batch {recipe.data.batch_size} on
  {facts["processes"]} process(es) on {facts["device"]}, {precision}; {stages}.
- Made with retint {facts["retint"]} ({facts["git"]}) and torch {facts["torch"]}.

Best of {len(validations)} epochs by ab error + |ln colourfulness|, on the validation pictures:

| epoch | PSNR, dB | ab error / grey's | colourfulness / truth's |
| ---: | ---: | ---: | ---: |
| {best["epoch"]} | {best["psnr"]:.2f} | {best["ab_error"]:.3f} | {best["colorfulness"]:.2f} |

`retint evaluate {run} OTHER_PHOTOS` measures it on photographs it never saw;
`retint colorize photo.jpg --model {run / "generator.onnx"}` uses it.

Its colours are guesses from lightness, as good as its photographs are like yours. Their licences,
and that of the model it started from, decide what you may do with the weights.
"""
    write_text(run / "README.md", text)


def _start(recipe: Recipe, base: Mapping[str, str] | None) -> str:
    """What a run began from."""
    if base:
        return f"{base['name']}, SHA-256 {base['sha256']}"
    network = recipe.generator
    may_be_pretrained = "pretrained" in generator_options(network.name)
    if may_be_pretrained and network.options.get("pretrained", True):
        return "no trained model but an encoder pretrained on ImageNet"
    return "no trained model"


def _describe_stage(stage: Stage) -> str:
    parts = {
        "L1": stage.l1,
        "L2": stage.l2,
        "palette": stage.palette,
        "perceptual": stage.perceptual,
        "colourfulness": stage.colorfulness,
        f"{stage.gan_loss} GAN": stage.gan,
    }
    losses = " + ".join(f"{weight:g} {name}" for name, weight in parts.items() if weight)
    judged = ", all but L1, L2 and palette on colours read out" if stage.read_out else ""
    return f"{stage.epochs} epochs of {losses}{judged}, learning rate {stage.lr_g:g}"


def export_generator(
    generator: Generator, readout: Readout, out: Path, card: dict[str, Any]
) -> None:
    """Write a generator as ONNX, whole or not at all, after comparing it with PyTorch.

    Inputs and outputs, all float32, H and W dynamic multiples of the stride: `lightness`
    (N, 1, H, W) as `L/50 - 1`; where it takes them `hints` (N, 3, H, W), a/110, b/110 and mask;
    `noise_0` and on, uniform in [0, 1), one for each dropout; `ab` (N, 2, H/k, W/k) as `ab/110`,
    read out, and where it has a palette its `palette` logits (N, Q, H/k, W/k).

    Raises:
        RetintError: if ONNX Runtime computes outputs that differ by more than 1e-3, of 110 in ab,
            of the largest logit in palette.
    """
    wrapped = _Exportable(generator, readout).eval()
    outputs = ["ab", "palette"] if generator.palette_size else ["ab"]
    with written(out), whole_file(out, sole=True) as beside:
        _write_onnx(wrapped, outputs, beside)
        _add_card(beside, card | wrapped.facts())
        _compare(wrapped, outputs, beside)


class _NoisyDropout(nn.Module):
    """Dropout whose noise is an input instead of drawn inside."""

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p
        self.noise: Tensor | None = None
        self.shape: tuple[int, ...] = ()

    def forward(self, features: Tensor) -> Tensor:
        self.shape = tuple(features.shape)
        if self.noise is None:
            return features
        return features * (self.noise >= self.p) / (1 - self.p)


class _Exportable(nn.Module):
    """A generator, read out, with separate inputs for lightness, hints and noise."""

    def __init__(self, generator: Generator, readout: Readout) -> None:
        super().__init__()
        self.readout = readout
        self.generator = generator.eval()
        self.dropouts: list[_NoisyDropout] = []
        for module in list(generator.modules()):
            for name, child in module.named_children():
                if isinstance(child, nn.Dropout):
                    self.dropouts.append(_NoisyDropout(child.p))
                    setattr(module, name, self.dropouts[-1])
        size = 2 * generator.stride
        with torch.no_grad():
            generator(torch.zeros(1, generator.in_channels, size, size))
        self.noise_shapes = [(d.shape[1], size // d.shape[2]) for d in self.dropouts]

    def forward(self, lightness: Tensor, *others: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        hints = others[: self.generator.takes_hints]
        for dropout, uniform in zip(self.dropouts, others[len(hints) :], strict=True):
            dropout.noise = uniform
        inputs = torch.cat((lightness, *hints), dim=1)
        if not self.generator.palette_size:
            result: Tensor = self.readout(self.generator(inputs))
            return result
        ab, palette = self.generator(inputs, with_palette=True)
        return self.readout(ab, palette), palette

    def example(self, height: int, width: int) -> dict[str, Tensor]:
        """Random inputs by name, in the order of `forward`."""
        inputs = {"lightness": torch.rand(2, 1, height, width) * 2 - 1}
        if self.generator.takes_hints:
            mask = (torch.rand(2, 1, height, width) < 0.01).float()
            inputs["hints"] = torch.cat(((torch.rand(2, 2, height, width) - 0.5) * mask, mask), 1)
        for number, (channels, factor) in enumerate(self.noise_shapes):
            inputs[f"noise_{number}"] = torch.rand(2, channels, height // factor, width // factor)
        return inputs

    def facts(self) -> dict[str, Any]:
        """The part of the card that follows from the network."""
        facts: dict[str, Any] = {
            "stride": self.generator.stride,
            "out_stride": self.generator.out_stride,
            "noise": [list(shape) for shape in self.noise_shapes],
            "parameters": sum(p.numel() for p in self.generator.parameters()),
        }
        if self.generator.palette_size:
            facts["palette"] = ab_palette().tolist()
        return facts


def _write_onnx(wrapped: _Exportable, outputs: list[str], path: Path) -> None:
    inputs = wrapped.example(2 * wrapped.generator.stride, 3 * wrapped.generator.stride)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # the exporter warns of its own internals
        # The TorchScript exporter: torch.export spends ten minutes on proving things about the
        # dynamic sizes of an encoder U-Net, this one less than a second.
        torch.onnx.export(
            wrapped,
            tuple(inputs.values()),
            path,
            input_names=list(inputs),
            output_names=outputs,
            # A name for each size: ONNX Runtime takes equal names for equal sizes.
            dynamic_axes={
                name: {0: "N", 2: f"{name}_height", 3: f"{name}_width"}
                for name in (*inputs, *outputs)
            },
            dynamo=False,
            # Norms stay apart from their convolutions, so that training can start from the file;
            # ONNX Runtime joins them when it opens it.
            training=torch.onnx.TrainingMode.PRESERVE,
            do_constant_folding=False,
            opset_version=_OPSET,
        )


def _add_card(path: Path, card: dict[str, Any]) -> None:
    model = onnx.load(path)
    for node in model.graph.node:  # where the exporter found each node; paths of this machine
        del node.metadata_props[:]
        node.doc_string = ""
    onnx.helper.set_model_props(model, {"retint": json.dumps(card)})
    onnx.checker.check_model(model)
    data = model.SerializeToString()
    path.write_bytes(data + seal(data))


def _compare(wrapped: _Exportable, outputs: list[str], path: Path) -> None:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    stride = wrapped.generator.stride
    inputs = wrapped.example(3 * stride, stride)  # another size than the export's
    with torch.no_grad():
        result = wrapped(*inputs.values())
    expected = (result,) if isinstance(result, Tensor) else result
    feed = {name: tensor.numpy() for name, tensor in inputs.items()}
    for name, wanted, found in zip(outputs, expected, session.run(outputs, feed), strict=True):
        whole = max(1.0, float(wanted.abs().max())) if name == "palette" else 1.0
        difference = float(np.abs(found - wanted.numpy()).max()) / whole
        if not difference <= _TOLERANCE:
            raise RetintError(
                f"the exported model differs from the trained one by {difference:.2g} in {name}: "
                "report this with your versions of torch, onnx and onnxruntime"
            )
