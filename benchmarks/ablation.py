"""What each part of the default model is worth: the same short training with and without it.

    python benchmarks/ablation.py PHOTOS TEST_PHOTOS -o FOLDER [--set KEY=VALUE ...]

Every row of `VARIANTS` is trained anew from recipe `default`, small enough for two CPU cores, and
all are measured at once as `retint evaluate` does. A stopped call goes on where it was. `--set`
changes all rows, but not what a row is there to show; so `scripts/remake.sh` makes them larger.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from measuring import measure
from retint.evaluation.report import write_report
from retint.evaluation.systems import open_systems
from retint.training.loop import train
from retint.training.recipe import load_recipe

_STAGE = (
    "{name: all, epochs: %(epochs)d, %(losses)s, lr_g: 1.0e-3, betas: [0.9, 0.99], "
    "weight_decay: 0.01, schedule: cosine}"
)
_ALL = "l1: 100, palette: 1, perceptual: 5"
VARIANTS = {
    "l1": ("l1: 100", ("readout={gain: 2}",)),
    "l1+palette": ("l1: 100, palette: 1", ()),
    "l1+features": ("l1: 100, perceptual: 5", ("readout={gain: 2}",)),
    "all": (_ALL, ()),
    "all-without-ageing": (_ALL, ("data.degrade=0",)),
    "all+gan": (f"{_ALL}, gan: 1, gan_loss: hinge", ()),
    "all+lsgan": (f"{_ALL}, gan: 1, gan_loss: lsgan", ()),
    "all+colorfulness": (f"{_ALL}, colorfulness: 5", ()),
    "all-without-ema": (_ALL, ("ema=null",)),
    "all-lite2": (_ALL, ("generator.options.backbone=tf_efficientnet_lite2",)),
}
"""Losses of the only stage; other changes of the recipe, whose readout needs a trained palette."""

SMALL = (
    "data.size=128",
    "data.batch_size=16",
    "generator.options.backbone=tf_efficientnet_lite0",
    "generator.options.decoder_channels=[128,64,48]",
    "discriminator_width=32",
    "ema=0.99",
)


def main() -> None:
    """Train what is not trained yet, measure all, print the table as markdown."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photos", type=Path)
    parser.add_argument("test", type=Path)
    parser.add_argument("--out", "-o", type=Path, default=Path("runs/ablation"))
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=list(VARIANTS))
    parser.add_argument("--limit", type=int, default=200, help="test photographs")
    parser.add_argument("--set", dest="changes", action="append", default=[])
    arguments = parser.parse_args()

    for name in arguments.variants:
        losses, changes = VARIANTS[name]
        stage = _STAGE % {"epochs": arguments.epochs, "losses": losses}
        every = (f"name={name}", f"stages=[{stage}]", *SMALL, *arguments.changes, *changes)
        recipe = load_recipe("default", every)
        train(arguments.photos, recipe, arguments.out / name, resume=True)
    systems = open_systems([str(arguments.out / name) for name in arguments.variants])
    evaluation = measure(arguments.test, arguments.limit, systems)
    write_report(evaluation, arguments.out / "evaluation", overwrite=True)


if __name__ == "__main__":
    main()
