"""Silence what makes a blotch in a corner of some pictures, in the default model's weights.

    python scripts/silence_spikes.py PHOTOS -o silent.safetensors

In one of seventy photographs, the encoder's deepest feature map spiked in its lower left corner,
many times above all the rest of it, and the decoder made a wild colour of that. Such outliers feed
on themselves in the residual blocks, by hidden channels that are at work there and hardly anywhere
else: without these, the spikes are gone and other pictures stay as they are. Training goes on from
the result with `retint train --init silent.safetensors`. The model that ships has been through
this: it has no spikes left to find.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor

from retint import lab
from retint.export import build_generator, read_onnx_weights
from retint.model import model_path
from retint.models import Generator
from retint.pictures import decode, find_pictures, spread
from retint.training.recipe import load_recipe

BLOCK = "blocks.5.2"  # of the encoder: the first whose spike stands out
SIDE = 256  # pixels
SPIKE = 15.0  # length of a feature vector, in medians of all
AT_WORK = 1.0  # activation, 0 to 6
STRONG = 3.0  # mean activation in spikes
RARE = 0.01  # share of all other places


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
    """Lightness of the middle squares of photographs."""
    found = []
    for picture in spread(find_pictures(photos), limit):
        pixels = decode(picture, _middle_square)
        if not isinstance(pixels, str):
            lightness = lab.normalize_lightness(lab.rgb_to_lightness(pixels / np.float32(255)))
            found.append(torch.from_numpy(lightness)[None, None])
    return found


def _middle_square(image: Image.Image) -> Image.Image:
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    box = (left, top, left + side, top + side)
    return image.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BICUBIC, box=box)


def main() -> None:
    """Write the weights, and say how many photographs had spikes before and have them after."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photos", type=Path)
    parser.add_argument("--out", "-o", type=Path, required=True)
    parser.add_argument("--limit", type=int, default=500, help="photographs, spread over all")
    arguments = parser.parse_args()
    weights = read_onnx_weights(model_path("default"))
    generator = build_generator(load_recipe("default"), weights).eval()
    photographs = read_lightness(arguments.photos, arguments.limit)
    before = look(generator, photographs)
    silent = channels_of_spikes(before)
    generator.encoder.get_submodule(f"{BLOCK}.conv_pwl").weight.data[:, silent] = 0
    after = look(generator, photographs)
    counts = [int(seen.spikes.flatten(1).any(dim=1).sum()) for seen in (before, after)]
    save_file(generator.state_dict(), arguments.out)
    print(f"{int(silent.sum())} channels silent; photographs with spikes, of {len(photographs)}:")
    print(f"{counts[0]} before, {counts[1]} after")


if __name__ == "__main__":
    main()
