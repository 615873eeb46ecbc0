"""Whether the Frechet distance says the same over the features of two networks.

    python benchmarks/frechet.py PHOTOS MODEL... [--limit N]

`retint evaluate` takes it over EfficientNet-lite0, a relative of the network whose features the
default model learnt from. AlexNet, as it comes with ST-LPIPS, is no relative.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from retint.evaluation import metrics
from retint.evaluation.perceptual import LiteFeatures, ShiftTolerantLpips, signed
from retint.evaluation.protocol import COMPONENTS, load_picture
from retint.evaluation.systems import Grey, Pixels, open_systems
from retint.pictures import find_pictures, spread
from retint.tables import Table

SIDE = 256  # pixels
TRUTH = "truth"

Features = Callable[[Pixels], NDArray[np.float32]]


class AlexNetFeatures:
    """The last convolution's activations, mean over places."""

    def __init__(self) -> None:
        self._network = ShiftTolerantLpips().network

    @torch.no_grad()
    def __call__(self, picture: Pixels) -> NDArray[np.float32]:
        """Features (256,) of a picture at its own size."""
        maps = self._network.net(self._network.scaling_layer(signed(picture)))
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
    seen: dict[str, dict[str, list[NDArray[np.float32]]]] = {
        network: defaultdict(list) for network in networks
    }
    for test in track(tests, "measuring", len(pictures)):
        if isinstance(test, str):  # why it is of no use
            continue
        results = {system.name: system.color(test) for system in systems} | {TRUTH: test.truth}
        for network, features in networks.items():
            for name, result in results.items():
                seen[network][name].append(features(result))
    columns = [
        distances({name: np.stack(rows) for name, rows in sets.items()}) for sets in seen.values()
    ]
    rows = [[s.name, *(f"{column[s.name]:.2f}" for column in columns)] for s in systems]
    console = Console(soft_wrap=True)
    console.print(Table(("", *networks), rows).markdown(), markup=False)
    console.print(
        f"{len(seen['AlexNet'][TRUTH])} photographs, {COMPONENTS} main components", markup=False
    )


if __name__ == "__main__":
    main()
