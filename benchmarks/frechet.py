"""Whether the Frechet distance says the same over the features of two networks.

    python benchmarks/frechet.py PHOTOS MODEL... [--limit N]

`retint evaluate` takes it over EfficientNet-lite0, a relative of the network whose features the
default model learnt from. AlexNet, as it comes with ST-LPIPS, is no relative.
"""

from __future__ import annotations

import argparse
import contextlib
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from stlpips_pytorch import stlpips

from retint.evaluation import metrics
from retint.evaluation.perceptual import LiteFeatures
from retint.evaluation.protocol import load_picture
from retint.evaluation.systems import Grey, Pixels, open_systems
from retint.pictures import find_pictures, spread
from retint.tables import Table

SIDE = 256  # pixels
COMPONENTS = 64  # as `retint evaluate`
TRUTH = "truth"

Features = Callable[[Pixels], NDArray[np.float32]]


class AlexNetFeatures:
    """The last convolution's activations, mean over places."""

    def __init__(self) -> None:
        with contextlib.redirect_stdout(io.StringIO()):
            self._network = stlpips.LPIPS(net="alex", variant="shift_tolerant", verbose=False)

    @torch.no_grad()
    def __call__(self, picture: Pixels) -> NDArray[np.float32]:
        """Features (256,) of a picture at its own size."""
        signed = torch.tensor(picture).permute(2, 0, 1)[None].float() / 127.5 - 1
        maps = self._network.net(self._network.scaling_layer(signed))
        features: NDArray[np.float32] = maps[-1].mean(dim=(2, 3))[0].numpy()
        return features


def distances(features: dict[str, NDArray[np.float32]]) -> dict[str, float]:
    """Of each set (N, D) from the truth's, in which they have a variance of 1 on average."""
    truth = features[TRUTH]
    axes = metrics.principal_components(truth, COMPONENTS) / truth.std(axis=0).mean()
    return {
        name: metrics.feature_distance(values @ axes, truth @ axes)
        for name, values in features.items()
        if name != TRUTH
    }


def main() -> None:
    """Print the table as markdown."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photos", type=Path)
    parser.add_argument("models", nargs="+")
    parser.add_argument("--limit", type=int, help="photographs, spread over all")
    arguments = parser.parse_args()
    networks: dict[str, Features] = {
        "EfficientNet-lite0": LiteFeatures(),
        "AlexNet": AlexNetFeatures(),
    }
    systems = [Grey(), *open_systems(arguments.models)]
    pictures = spread(find_pictures(arguments.photos), arguments.limit)
    tests = (load_picture(picture, SIDE) for picture in pictures)
    judged = []
    for test in track(tests, "measuring", len(pictures)):
        if isinstance(test, str):  # why it is of no use
            continue
        results = {system.name: system.color(test) for system in systems} | {TRUTH: test.truth}
        judged.append(
            {
                (network, name): features(result)
                for network, features in networks.items()
                for name, result in results.items()
            }
        )
    columns = {
        network: distances(
            {
                name: np.stack([rows[network, name] for rows in judged])
                for name in (TRUTH, *(system.name for system in systems))
            }
        )
        for network in networks
    }
    rows = [[s.name, *(f"{column[s.name]:.2f}" for column in columns.values())] for s in systems]
    console = Console(soft_wrap=True)
    console.print(Table(("", *networks), rows).markdown(), markup=False)
    console.print(f"{len(judged)} photographs, {COMPONENTS} main components", markup=False)


if __name__ == "__main__":
    main()
