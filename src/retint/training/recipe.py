"""Recipes: everything that decides a training run, as short typed YAML files."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from retint import models
from retint.errors import RetintError
from retint.models.initialization import Scheme


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


_Decay = Annotated[float, Field(ge=0, lt=1)]


class Data(_Section):
    """Which pixels the networks see."""

    size: int = Field(256, ge=32, description="pixels on a side of a training picture")
    fit: Literal["squash", "crop"] = Field(
        "squash", description="`squash` whole pictures into a square, or `crop` square windows"
    )
    window: tuple[float, float] = Field(
        (0.6, 1.0), description="fit crop: side of a window, as a share of the short side"
    )
    batch_size: int = Field(16, ge=1, description="pictures per step and process")
    limit: int | None = Field(
        None, ge=2, description="use so many photographs, spread over all; null: all"
    )
    validation: float | int = Field(
        0.2,
        gt=0,
        allow_inf_nan=False,
        description="share of the pictures (below 1) or their number, kept for validation",
    )
    split: Literal["random", "name"] = Field(
        "random", description="validation pictures: drawn at `random`, or the last by `name`"
    )
    flip: bool = Field(True, description="mirror half of the training pictures")
    rotate: float = Field(0.0, ge=0, le=45, description="largest random rotation, degrees")
    stream: int | None = Field(
        None,
        ge=1,
        description="decoded photographs in memory to draw the next from, where there is no disk "
        "for all; null: all are decoded once into a cache",
    )
    degrade: float = Field(
        0.0, ge=0, le=1, description="share of the training inputs aged like old photographs"
    )

    @field_validator("window")
    @classmethod
    def _fits(cls, window: tuple[float, float]) -> tuple[float, float]:
        if not 0 < window[0] <= window[1] <= 1:
            raise ValueError("give a smaller and a larger share of the short side, above 0 to 1")
        return window


class Network(_Section):
    """A network of the registry and the options of its class."""

    name: str = Field(description="`unet` or `encoder-unet`")
    options: dict[str, Any] = Field(
        default_factory=dict, description="of the generator, in the table below"
    )
    init: Scheme | None = Field(
        "normal",
        description="weights not pretrained: `normal`, `xavier`, `kaiming`; null: the network's",
    )


class Stage(_Section):
    """A part of the run with losses and optimisers of its own."""

    name: str = Field(description="for messages; any")
    epochs: int = Field(ge=1, description="times that each training photograph is seen")
    l1: float = Field(0.0, ge=0, description="weight of the L1 distance of ab/110")
    l2: float = Field(0.0, ge=0, description="weight of the squared distance of ab/110")
    palette: float = Field(0.0, ge=0, description="weight of the cross entropy over the palette")
    perceptual: float = Field(0.0, ge=0, description="weight of the distance of features")
    colorfulness: float = Field(
        0.0, ge=0, description="weight of what colours lack of a colourfulness of 100, a share"
    )
    gan: float = Field(0.0, ge=0, description="weight of the adversarial loss; 0 trains no D")
    gan_loss: Literal["vanilla", "lsgan", "hinge"] = Field(
        "vanilla", description="kind of the adversarial loss: `vanilla`, `lsgan` or `hinge`"
    )
    read_out: bool = Field(
        False,
        description="features, colourfulness and the discriminator judge the colours that are read "
        "out, instead of the generator's ab",
    )
    lr_g: float = Field(2e-4, gt=0, description="learning rate of the generator")
    lr_d: float = Field(2e-4, gt=0, description="learning rate of the discriminator")
    betas: tuple[_Decay, _Decay] = Field((0.5, 0.999), description="of Adam, for both networks")
    weight_decay: float = Field(0.0, ge=0, description="decoupled, as of AdamW")
    schedule: Literal["constant", "cosine"] = Field(
        "constant",
        description="learning rates over the stage: `constant`, or `cosine` down to a hundredth",
    )

    @model_validator(mode="after")
    def _learns(self) -> Self:
        if not any((self.l1, self.l2, self.palette, self.perceptual, self.gan)):
            raise ValueError("it has no loss: give l1, l2, palette, perceptual or gan a weight")
        return self


class Readout(_Section):
    """How the generator's answers become colours, in validation and in the model file."""

    gain: float = Field(1.0, ge=0, description="on ab; L1 alone learns pale ones")
    palette: float = Field(0.0, ge=0, le=1, description="share of the palette's mean")
    sharpness: float = Field(1.0, gt=0, description="exponent of the palette's probabilities")
    vividness: float = Field(1.0, ge=0, description="gain on the palest colours")
    vivid_chroma: float = Field(50.0, gt=0, description="chroma that stays as it is, ab units")

    def build(self) -> models.Readout:
        """The module with these values."""
        return models.Readout(**self.model_dump())


class Recipe(_Section):
    """A whole training run."""

    name: str = Field(description="of the recipe, in model file and cards")
    description: str = Field(description="one sentence, in model file and cards")
    licence: str | None = Field(
        None, description="of the weights, for their model file to say; null: it is not stated"
    )
    data: Data = Data()
    generator: Network
    discriminator_width: int = Field(
        64, ge=8, description="channels of the discriminator's first convolution"
    )
    stages: tuple[Stage, ...] = Field(min_length=1)
    precision: Literal["fp32", "bf16"] = Field(
        "fp32",
        description="what networks compute in: `fp32`, or `bf16`, which is faster where the device "
        "has it, and fp32 elsewhere",
    )
    readout: Readout = Readout()
    ema: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="decay of the averaged generator, which is the one that is kept; null: none",
    )
    compile: bool = Field(False, description="torch.compile the networks: slower start, then fast")
    seed: int = Field(
        0, ge=0, lt=2**32, description="of initial weights, split, order, augmentation and dropout"
    )
    checkpoint_every: int = Field(1, ge=1, description="epochs between checkpoints")
    checkpoint_steps: int | None = Field(
        None, ge=1, description="steps between checkpoints inside an epoch; null: none there"
    )

    def to_yaml(self) -> str:
        """The recipe as a file that `load_recipe` reads back."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False)


def list_recipes() -> list[str]:
    """Names of the recipes that come with the package."""
    return sorted(Path(file.name).stem for file in _shipped().iterdir())


def load_recipe(name_or_file: str, changes: Sequence[str] = ()) -> Recipe:
    """Read a recipe that comes with the package, or a YAML file, and change parts of it.

    Args:
        name_or_file: a name of `list_recipes`, or a path that ends in .yaml.
        changes: `key=value` each, the key dotted (`data.size=128`, `stages.0.epochs=5`) and the
            value in YAML.

    Raises:
        RetintError: if there is no such recipe, a key is unknown, or a value does not fit.
    """
    source = Path(name_or_file) if name_or_file.endswith((".yaml", ".yml")) else None
    if source is None and name_or_file not in list_recipes():
        known = ", ".join(list_recipes())
        raise RetintError(f"no recipe is called '{name_or_file}': choose {known}, or a .yaml file")
    try:
        text = (source or _shipped() / f"{name_or_file}.yaml").read_text(encoding="utf-8")
        values = yaml.safe_load(text)
        aliases = any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text))
    except OSError as error:
        raise RetintError(f"recipe {name_or_file} cannot be read: {error.strerror}") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise RetintError(f"recipe {name_or_file} is not YAML: {_on_one_line(error)}") from error
    if aliases or not isinstance(values, dict):
        # A few lines of aliases can stand for more values than fit into memory.
        wanted = "write it without aliases" if aliases else "docs/training.md lists its keys"
        raise RetintError(f"recipe {name_or_file} is no recipe: {wanted}")
    for change in changes:
        _apply(values, change)
    try:
        return Recipe.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        unknown = first["type"] == "extra_forbidden"
        cause = (
            "there is no such key: docs/training.md lists them"
            if unknown
            else first["msg"].removeprefix("Value error, ").lower()
        )
        raise RetintError(f"recipe {name_or_file}: {key}: {cause}") from error


def _shipped() -> Any:
    return resources.files("retint.training") / "recipes"


def _apply(values: dict[str, Any], change: str) -> None:
    key, equals, text = change.partition("=")
    if not equals:
        raise RetintError(f"--set {change}: write it as key=value, such as data.size=128")
    *parents, last = key.split(".")
    section: Any = values
    try:
        for part in parents:
            if isinstance(section, list):
                section = section[int(part)]
            else:
                section = section.setdefault(part, {})
        section[int(last) if isinstance(section, list) else last] = yaml.safe_load(text)
    except (ValueError, IndexError, TypeError, AttributeError) as error:
        raise RetintError(f"--set {change}: the recipe has no place '{key}'") from error
    except yaml.YAMLError as error:
        raise RetintError(f"--set {change}: '{text}' is not a YAML value") from error


def _on_one_line(error: Exception) -> str:
    return " ".join(str(error).split())
