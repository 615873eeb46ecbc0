"""Make the model that ships: two trainings, and what is done to their weights.

    python scripts/make_default.py PHOTOS -o FOLDER

Recipe `default` trains in FOLDER/first, `default-gan` from its weights in FOLDER/second; then
FOLDER/default.onnx is written. A stopped call goes on where it was.

The weights of both are averaged: between the two lie weights better than either, as Wortsman et
al. 2022 found (Robust fine-tuning of zero-shot models).

Then what makes a blotch in a corner of some pictures is silenced. After training, the encoder's
deepest feature map spikes in the lower left corner of some seven in a thousand photographs, many
times above all the rest of it, and the decoder makes a wild colour of that. Such outliers feed on
themselves in the residual blocks, by hidden channels that are at work there and hardly anywhere
else: without these, the spikes are gone and other pictures stay as they are.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from retint import lab
from retint.evaluation.protocol import load_picture
from retint.export import build_generator, export_generator, model_card, read_onnx_weights
from retint.merge import lightness_of
from retint.model import open_model
from retint.models import Generator
from retint.pictures import find_pictures, spread
from retint.training.loop import train
from retint.training.recipe import Recipe, load_recipe
from retint.training.run import load_weights

ABOUT = {
    "description": "The model that ships: a light pretrained encoder, with hints and several "
    "colourings by seed.",
    "licence": "Apache-2.0",
}
BLOCK = "blocks.5.2"  # of the encoder: the first whose spike stands out
SIDE = 256  # pixels
SPIKE = 15.0  # length of a feature vector, in medians of all
AT_WORK = 1.0  # activation, 0 to 6
STRONG = 3.0  # mean activation in spikes
RARE = 0.02  # share of all other places


@dataclass(frozen=True)
class Seen:
    """What the encoder made of the photographs.

    Attributes:
        lengths: of the deepest feature map's vectors, (N, h, w).
        hidden: activations of the block's hidden channels there, (N, C, h, w).
    """

    lengths: Tensor
    hidden: Tensor

    @property
    def spikes(self) -> Tensor:
        """Where they are, (N, h, w)."""
        return self.lengths > SPIKE * self.lengths.median()


@torch.no_grad()
def look(generator: Generator, photographs: list[Tensor]) -> Seen:
    """Run the encoder; lightness comes as `L/50 - 1`, (1, 1, SIDE, SIDE)."""
    hidden: list[Tensor] = []
    activation = generator.encoder.get_submodule(f"{BLOCK}.bn2")
    handle = activation.register_forward_hook(lambda *call: hidden.append(call[2]))
    deepest = [generator.encoder(generator.without_hints(seen))[-1] for seen in photographs]
    handle.remove()
    return Seen(torch.cat(deepest).norm(dim=1), torch.cat(hidden))


def channels_of_spikes(seen: Seen) -> Tensor:
    """Which hidden channels are strong in spikes and rarely at work elsewhere, (C,)."""
    hidden, spikes = seen.hidden.movedim(1, -1), seen.spikes
    elsewhere = ~spikes.flatten(1).any(dim=1)  # pictures without any
    at_work = (hidden[elsewhere] > AT_WORK).float().mean(dim=(0, 1, 2))
    return (hidden[spikes].mean(dim=0) > STRONG) & (at_work < RARE)


def read_lightness(photos: Path, limit: int) -> list[Tensor]:
    """Lightness of photographs, cut as `retint evaluate` cuts them."""
    tests = (load_picture(picture, SIDE) for picture in spread(find_pictures(photos), limit))
    lightness = [lightness_of(test.grey) for test in tests if not isinstance(test, str)]
    return [torch.from_numpy(lab.normalize_lightness(L))[None, None] for L in lightness]


def mean_of(weights: dict[str, Tensor], others: dict[str, Tensor]) -> dict[str, Tensor]:
    """Half of each; what `others` lack, counters of batch norms, is that of `weights`."""
    return {name: (value + others.get(name, value)) / 2 for name, value in weights.items()}


def finish(second: Path, first: Path, recipe: Recipe, photos: Path, out: Path, limit: int) -> None:
    """Write the model, and say how many photographs had spikes before and have them after."""
    weights = load_weights(second / "generator.safetensors")
    mean = mean_of(weights, read_onnx_weights(first))
    generator = build_generator(recipe, mean).eval()
    photographs = read_lightness(photos, limit)
    before = look(generator, photographs)
    silent = channels_of_spikes(before)
    generator.encoder.get_submodule(f"{BLOCK}.conv_pwl").weight.data[:, silent] = 0
    after = look(generator, photographs)
    counts = [int(seen.spikes.flatten(1).any(dim=1).sum()) for seen in (before, after)]
    card = model_card(recipe, {"mean_ab": open_model(first).card["mean_ab"]})
    export_generator(generator, recipe.readout.build(), out, card)
    print(f"{int(silent.sum())} channels silent; photographs with spikes, of {len(photographs)}:")
    print(f"{counts[0]} before, {counts[1]} after")


def main() -> None:
    """Train both stages and write the model."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photos", type=Path)
    parser.add_argument("--out", "-o", type=Path, required=True)
    parser.add_argument("--limit", type=int, default=1200, help="photographs to see spikes in")
    parser.add_argument("--set", dest="changes", action="append", default=[], help="of both stages")
    arguments = parser.parse_args()
    first, second = arguments.out / "first", arguments.out / "second"
    recipe = load_recipe("default", arguments.changes)
    train(arguments.photos, recipe, first, resume=True)
    start = first / "generator.onnx"
    gan = load_recipe("default-gan", arguments.changes)
    train(arguments.photos, gan, second, resume=True, init=str(start))
    made = recipe.model_copy(update=ABOUT)
    finish(second, start, made, arguments.photos, arguments.out / "default.onnx", arguments.limit)


if __name__ == "__main__":
    main()
