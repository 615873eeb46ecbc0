"""The networks of a run: its generator, the average of that over time, and its discriminators."""

from __future__ import annotations

import copy
import hashlib
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from retint.errors import RetintError, last_line
from retint.export import read_onnx_weights
from retint.model import list_models, model_path
from retint.models import (
    Generator,
    PatchGAN,
    create_generator,
    create_untrained,
    initialize,
)
from retint.training.distributed import share_statistics
from retint.training.recipe import Recipe
from retint.training.run import load_weights
from retint.training.step import Step


class Networks:
    """What learns.

    Args:
        recipe: says which.
        accelerator: prepares them; all its processes begin with the same weights.
        init: weights to start from; see `retint.training.loop.train`.
        resumed: a checkpoint will bring all weights.

    Attributes:
        bare: the generator.
        ema: its average over time, or None.
        judged: which of them is validated, shown and exported.
        readout: turns answers of the generator into colours.
        base: name and SHA-256 of the weights that the generator started from, or None.

    Raises:
        RetintError: if the recipe's sizes do not fit each other, or `init` does not fit them.
    """

    def __init__(
        self,
        recipe: Recipe,
        accelerator: Accelerator,
        init: str | None,
        *,
        resumed: bool = False,
    ) -> None:
        self._recipe = recipe
        self._accelerator = accelerator
        torch.manual_seed(recipe.seed)
        network = recipe.generator
        # Pretrained weights may be out of reach by now, and nothing of them would be left.
        bare = fitting_generator(recipe, pretrained=init is None and not resumed)
        if network.init is not None:
            for part in bare.from_scratch():
                initialize(part, network.init)
        self.base = _load_initial(bare, init) if init is not None else None
        self.bare: Generator = self._placed(bare)
        self.ema = copy.deepcopy(self.bare).requires_grad_(False).eval() if recipe.ema else None
        self.judged: Generator = self.ema if self.ema is not None else self.bare
        self.readout = recipe.readout.build().to(accelerator.device)
        self._generator: Any = None  # the same, shared by the processes, once all need it

    def make_step(self, number: int, palette_weights: Tensor) -> tuple[Step, PatchGAN]:
        """The step of a stage, by its number, and the new discriminator in it.

        All processes have to come here.
        """
        if self._generator is None:
            self._generator = self._prepared(self.bare)
        torch.manual_seed(self._recipe.seed + number)
        discriminator = PatchGAN(width=self._recipe.discriminator_width)
        initialize(discriminator, self._recipe.generator.init or "normal")
        discriminator = self._placed(discriminator)
        step = Step(
            self._recipe,
            self._recipe.stages[number],
            self._generator,
            self._prepared(discriminator),
            self.ema,
            self._accelerator,
            palette_weights,
        )
        return step, discriminator

    def state(self) -> dict[str, Any]:
        """For a checkpoint."""
        ema = self.ema.state_dict() if self.ema is not None else None
        return {"generator": self.bare.state_dict(), "ema": ema}

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from what `state` gave."""
        self.bare.load_state_dict(state["generator"])
        if self.ema is not None:
            self.ema.load_state_dict(state["ema"])

    def _placed(self, network: nn.Module) -> Any:
        shared = share_statistics(network, self._accelerator)
        return shared.to(self._accelerator.device).to(memory_format=torch.channels_last)

    def _prepared(self, network: nn.Module) -> Any:
        compiled = torch.compile(network) if self._recipe.compile else network
        return self._accelerator.prepare(compiled)


def require_start(recipe: Recipe) -> None:
    """See that a run that is given no weights has others to begin with than torch's own.

    Raises:
        RetintError: if it has not: its recipe counts on `--init`.
    """
    network = recipe.generator
    if network.init is None and network.options.get("pretrained") is False:
        raise RetintError(
            f"recipe '{recipe.name}' begins without weights: give it those of a model with --init "
            "('finetune' takes default), or random ones with --set generator.init=normal"
        )


def fitting_generator(recipe: Recipe, *, pretrained: bool = True) -> Generator:
    """The recipe's generator as it begins; not `pretrained`, without what it would begin from.

    Raises:
        RetintError: if it cannot be built, or does not fit the recipe's sizes and stages.
    """
    network = recipe.generator
    create = create_generator if pretrained else create_untrained
    generator = create(network.name, **network.options)
    _check_sizes(recipe, generator)
    return generator


def _check_sizes(recipe: Recipe, generator: Generator) -> None:
    size = recipe.data.size
    if size % generator.stride:
        depth = (size & -size).bit_length() - 1
        deep_enough = recipe.generator.name == "unet" and depth > 4
        raise RetintError(
            f"pictures of {size} px do not fit generator '{recipe.generator.name}': make data.size "
            f"a multiple of {generator.stride}"
            + (f", or generator.options.depth {depth}" if deep_enough else "")
        )
    judged, needed = size // generator.out_stride, PatchGAN.smallest
    if judged < needed and any(stage.gan for stage in recipe.stages):
        raise RetintError(
            f"the discriminator would see {judged} px and needs {needed}: make data.size "
            f"{needed * generator.out_stride} or more"
        )
    wanted = recipe.readout.palette or any(stage.palette for stage in recipe.stages)
    if wanted and not generator.palette_size:
        raise RetintError(
            f"recipe '{recipe.name}' wants a palette that its generator lacks: set "
            "generator.options.palette=true, or readout.palette and that of all stages to 0"
        )


def _load_initial(generator: Generator, init: str) -> dict[str, str]:
    """Give name and checksum of what the generator starts from."""
    path = model_path(init) if init in list_models() else Path(init)
    if path.is_dir():
        path = path / "best.safetensors"  # of a run, as its generator.onnx
    if not path.is_file():
        names = ", ".join(list_models())
        raise RetintError(
            f"there is no {path}: give --init a run folder, a weights file, or a model ({names})"
        )
    try:
        weights = read_onnx_weights(path) if path.suffix == ".onnx" else load_weights(path)
        found = generator.load_state_dict(weights, strict=False)
    except RuntimeError as error:
        raise RetintError(
            f"{path} does not fit the recipe's generator: {last_line(error)}"
        ) from error
    # ONNX files lack the counters of batch norms, which nothing depends on.
    missing = [key for key in found.missing_keys if not key.endswith("num_batches_tracked")]
    odd = [*missing, *found.unexpected_keys]
    if odd:
        raise RetintError(
            f"{path} does not fit the recipe's generator: {odd[0]} is in one of them alone; use "
            "the recipe it was trained with, or 'finetune' with --init default"
        )
    name = init if init in list_models() else path.name
    return {"name": name, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
