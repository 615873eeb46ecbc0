"""Generators by name, so that a recipe can say which one it trains."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from typing import Any, Self, TypeVar

from torch import Tensor, nn
from torch.nn import functional

from retint.errors import RetintError


class Generator(nn.Module):
    """What training and export need to know of a generator.

    `forward` takes (N, 1, H, W) float, lightness as `L/50 - 1`; a generator that `takes_hints`
    takes (N, 4, H, W), with hint a/110, b/110 and the hint mask (0 or 1) after lightness. H and W
    are multiples of `stride`. It gives ab/110 in [-1, 1] as (N, 2, H/k, W/k), `k = out_stride`;
    with `palette_size` Q above 0 also, on demand (`with_palette=True`), logits over the palette of
    `ab_palette` as (N, Q, H/k, W/k).
    """

    stride: int
    out_stride: int = 1
    takes_hints: bool = False
    palette_size: int = 0

    @property
    def in_channels(self) -> int:
        """Channels of its inputs: lightness, and hints and their mask where it takes them."""
        return 4 if self.takes_hints else 1

    def without_hints(self, lightness: Tensor) -> Tensor:
        """Inputs from lightness (N, 1, H, W) alone: where it takes hints, none are given."""
        inputs: Tensor = functional.pad(lightness, (0, 0, 0, 0, 0, self.in_channels - 1))
        return inputs

    def from_scratch(self) -> Iterable[nn.Module]:
        """The parts that begin with no learnt weights: what a recipe's `init` draws."""
        return (self,)

    def noisy_eval(self) -> Self:
        """Set evaluation mode but keep dropout on: the noise z of pix2pix, section 3.2."""
        self.eval()
        for module in self.modules():
            if isinstance(module, nn.Dropout):
                module.train()
        return self


_generators: dict[str, type[Generator]] = {}
_G = TypeVar("_G", bound=type[Generator])


def register_generator(name: str) -> Callable[[_G], _G]:
    """Class decorator: make a generator known to `create_generator` under `name`."""

    def register(cls: _G) -> _G:
        _generators[name] = cls
        return cls

    return register


def list_generators() -> list[str]:
    """Names that `create_generator` knows."""
    return sorted(_generators)


def create_generator(name: str, **options: Any) -> Generator:
    """Build the generator called `name` with the options of its class.

    Raises:
        RetintError: if the name or an option is unknown.
    """
    generator = _named(name)
    known = generator_options(name)
    if unknown := options.keys() - known:
        line = f"generator '{name}' has no option '{min(unknown)}'"
        raise RetintError(f"{line}: choose among {', '.join(sorted(known))}")
    try:
        return generator(**options)
    except (TypeError, ValueError, RuntimeError) as error:
        raise RetintError(f"generator '{name}' cannot be built: {error}") from error


def create_untrained(name: str, **options: Any) -> Generator:
    """As `create_generator`, without pretrained weights: for one that all weights are put into.

    Raises:
        RetintError: if the name or an option is unknown.
    """
    if "pretrained" in generator_options(name):
        options["pretrained"] = False
    return create_generator(name, **options)


def generator_options(name: str) -> set[str]:
    """Names of the options of the generator called `name`.

    Raises:
        RetintError: if the name is unknown.
    """
    return set(inspect.signature(_named(name)).parameters)


def _named(name: str) -> type[Generator]:
    if name not in _generators:
        known = ", ".join(list_generators())
        raise RetintError(f"no generator is called '{name}': choose one of {known}")
    return _generators[name]
