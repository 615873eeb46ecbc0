"""What the readout of the default model is worth: other ways to colours from the same answers.

    python benchmarks/readout.py PHOTOS [--limit N]

PHOTOS should not be those that the table in docs/models.md is measured on.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from measuring import measure
from retint import lab
from retint.evaluation.systems import JudgedPicture
from retint.export import build_generator, read_onnx_weights
from retint.merge import fit_coloring, lightness_of, merge
from retint.model import model_path
from retint.models import Generator, Readout
from retint.training.recipe import load_recipe

READOUTS = {
    "ab as they are": Readout(),
    "ab x 2": Readout(gain=2),
    "ab x 3": Readout(gain=3),
    "annealed mean, T 0.38": Readout(palette=1, sharpness=1 / 0.38),
    "mixture": Readout(gain=2.5, palette=0.6, sharpness=5),
    "mixture x 1.4": Readout(palette=0.6, sharpness=5, gain=2.5, vividness=1.4, vivid_chroma=1e9),
    "mixture, pale x 1.75": Readout(palette=0.6, sharpness=5, gain=2.5, vividness=1.75),
    "as shipped": load_recipe("default").readout.build(),
}


class ReadOut:
    """The default network with a readout of its own."""

    def __init__(self, name: str, generator: Generator, readout: Readout) -> None:
        self.name = name
        self._generator, self._readout = generator, readout

    @torch.no_grad()
    def color(self, picture: JudgedPicture) -> NDArray[np.uint8]:
        """See `retint.evaluation.systems.System`."""
        lightness = lightness_of(picture.grey)
        inputs = torch.from_numpy(lab.normalize_lightness(lightness))[None, None]
        answer = self._generator(self._generator.without_hints(inputs), with_palette=True)
        ab = lab.denormalize_ab(self._readout(*answer)[0].permute(1, 2, 0)).contiguous().numpy()
        return merge(picture.grey, fit_coloring(lightness, ab))


def main() -> None:
    """Print the table as markdown, then the protocol."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photos", type=Path)
    parser.add_argument("--limit", type=int, default=100, help="photographs, spread over all")
    arguments = parser.parse_args()
    generator = build_generator(load_recipe("default"), read_onnx_weights(model_path("default")))
    generator.eval()
    systems = [ReadOut(name, generator, readout) for name, readout in READOUTS.items()]
    measure(arguments.photos, arguments.limit, systems)


if __name__ == "__main__":
    main()
