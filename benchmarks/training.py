"""Training speed of each recipe against a plain loop written as the report describes it.

    python benchmarks/training.py PHOTOS [--recipe NAME ...] [--set KEY=VALUE ...]

The plain loop opens, resizes and converts every picture with PIL and scikit-image in the loader
and trains the same networks in fp32, without a cache, waiting for its losses after every step.
Both run on the same machine, alternating; the figure to trust is the ratio. On a GPU the table
also gives the share of the matrix rate that the machine reaches in a large product.
"""

from __future__ import annotations

import argparse
import io
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from PIL import Image
from rich.console import Console
from skimage.color import rgb2lab
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torch.utils.flop_counter import FlopCounterMode

from retint.models import Generator, PatchGAN, create_untrained, initialize
from retint.pictures import Picture, find_pictures, spread
from retint.tables import Table
from retint.training.data import load_photographs
from retint.training.distributed import start
from retint.training.recipe import Recipe, load_recipe
from retint.training.step import GraphedStep, Step
from retint.training.windows import Windows

Run = Callable[[float], float]
"""Trains for about the given seconds and gives images a second."""


class PlainDataset(Dataset[tuple[Tensor, Tensor]]):
    """Section 5.1 of the report: one picture at a time, converted by scikit-image."""

    def __init__(self, pictures: list[Picture], size: int) -> None:
        self._pictures = pictures
        self._size = size

    def __len__(self) -> int:
        return len(self._pictures)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        image = Image.open(io.BytesIO(self._pictures[index].read())).convert("RGB")
        image = image.resize((self._size, self._size), Image.Resampling.BICUBIC)
        if np.random.rand() < 0.5:  # noqa: NPY002 - what a plain loop does
            image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        lab = torch.from_numpy(rgb2lab(np.array(image)).astype("float32")).permute(2, 0, 1)
        return lab[:1] / 50 - 1, lab[1:] / 110


def plain_loop(pictures: list[Picture], recipe: Recipe, device: torch.device, workers: int) -> Run:
    """The loop of the report's sections 5.1 to 5.5, with the recipe's networks and batch size."""
    loader = DataLoader(
        PlainDataset(pictures, recipe.data.size),
        recipe.data.batch_size,
        shuffle=True,
        num_workers=workers,
        drop_last=True,
    )
    stage = recipe.stages[-1]
    generator = untrained_generator(recipe).to(device)
    discriminator = PatchGAN(width=recipe.discriminator_width).to(device)
    optimizer_g = torch.optim.Adam(generator.parameters(), stage.lr_g, stage.betas)
    optimizer_d = torch.optim.Adam(discriminator.parameters(), stage.lr_d, stage.betas)
    gan, l1 = nn.BCEWithLogitsLoss(), nn.L1Loss()

    def step(lightness: Tensor, ab: Tensor) -> list[float]:
        small = nn.functional.avg_pool2d(torch.cat((lightness, ab), 1), generator.out_stride)
        fake = torch.cat((small[:, :1], generator(generator.without_hints(lightness))), 1)
        discriminator.requires_grad_(True)
        optimizer_d.zero_grad()
        verdicts = discriminator(fake.detach()), discriminator(small)
        loss_fake = gan(verdicts[0], torch.zeros_like(verdicts[0]))
        loss_real = gan(verdicts[1], torch.ones_like(verdicts[1]))
        ((loss_fake + loss_real) / 2).backward()
        optimizer_d.step()
        discriminator.requires_grad_(False)
        optimizer_g.zero_grad()
        verdict = discriminator(fake)
        loss_gan = gan(verdict, torch.ones_like(verdict))
        loss_l1 = l1(fake[:, 1:], small[:, 1:]) * 100
        (loss_gan + loss_l1).backward()
        optimizer_g.step()
        return [loss.item() for loss in (loss_fake, loss_real, loss_gan, loss_l1)]

    def batches() -> Any:
        while True:
            yield from loader

    endless = batches()

    def run(seconds: float) -> float:
        images, start = 0, time.perf_counter()
        while time.perf_counter() - start < seconds:
            lightness, ab = next(endless)
            step(lightness.to(device), ab.to(device))
            images += len(lightness)
        return images / (time.perf_counter() - start)

    return run


def retint_loop(pictures: list[Picture], recipe: Recipe, *, graphed: bool) -> Run:
    """The last stage of a recipe as `retint train` runs it."""
    accelerator = start(recipe)
    device = accelerator.device
    photographs = load_photographs(pictures, recipe.data)
    windows = Windows(photographs, recipe.data, device)
    generator = untrained_generator(recipe)
    discriminator = PatchGAN(width=recipe.discriminator_width)
    for network in (generator, discriminator):
        initialize(network)
        network.to(device).to(memory_format=torch.channels_last)
    networks = [torch.compile(n) if recipe.compile else n for n in (generator, discriminator)]
    networks = accelerator.prepare(*networks)
    palette = torch.ones(generator.palette_size or 1, device=device)
    step = Step(recipe, recipe.stages[-1], networks[0], networks[1], None, accelerator, palette)

    def learn(indices: Tensor) -> Tensor:
        return step(windows.batch(indices, train=True))

    one_step = GraphedStep(learn, device) if graphed else learn
    count, batch = len(photographs.names), recipe.data.batch_size  # grey ones are left out

    def run(seconds: float) -> float:
        images, start = 0, time.perf_counter()
        while time.perf_counter() - start < seconds:
            for _ in range(10 if graphed else 1):  # queue several before looking at the clock
                one_step(torch.randint(count, (batch,), device=device))
                images += batch
            if device.type == "cuda":
                torch.cuda.synchronize()
        return images / (time.perf_counter() - start)

    return run


def untrained_generator(recipe: Recipe) -> Generator:
    """The recipe's generator; what its weights are makes no difference to its speed."""
    return create_untrained(recipe.generator.name, **recipe.generator.options)


def flops_per_image(recipe: Recipe) -> float:
    """Floating-point operations of one training step of both networks, for one image."""
    size = recipe.data.size
    generator = untrained_generator(recipe)
    discriminator = PatchGAN(width=recipe.discriminator_width)
    out = size // generator.out_stride
    with FlopCounterMode(display=False) as counter, torch.device("cpu"):
        generator(torch.zeros(2, generator.in_channels, size, size))
        g_forward = counter.get_total_flops() / 2
        discriminator(torch.zeros(2, 3, out, out))
        d_forward = counter.get_total_flops() / 2 - g_forward
    # A backward pass costs two forward ones. D: two pictures forward and backward, then one
    # forward and, for the gradient of its input alone, one more.
    flops: float = 3 * g_forward + (2 * 3 + 2) * d_forward
    return flops


def matrix_rate(device: torch.device) -> float:
    """FLOP/s of a large bf16 matrix product."""
    size = 8192 if device.type == "cuda" else 1024
    left, right = (torch.randn(size, size, device=device, dtype=torch.bfloat16) for _ in range(2))
    times = []
    for _ in range(8):
        start = time.perf_counter()
        left @ right
        if device.type == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    return 2 * size**3 / median(times)


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photos", type=Path)
    parser.add_argument("--recipe", action="append")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--seconds", type=float, default=20, help="of every measurement")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=0, help="of the plain loop's loader")
    arguments = parser.parse_args()

    found = find_pictures(arguments.photos)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    rate = matrix_rate(device)
    console = Console()
    rows = []
    for name in arguments.recipe or ("unet-gan", "resnet18-gan"):
        recipe = load_recipe(name, arguments.set)
        pictures = spread(found, recipe.data.limit)
        loops = {"plain": plain_loop(pictures, recipe, device, arguments.workers)}
        loops["retint"] = retint_loop(pictures, recipe, graphed=False)
        if device.type == "cuda":
            loops["retint, graph"] = retint_loop(pictures, recipe, graphed=True)
            compiled = load_recipe(name, [*arguments.set, "compile=true"])
            loops["retint, graph, compiled"] = retint_loop(pictures, compiled, graphed=True)
        for run in loops.values():
            run(arguments.seconds / 4)  # warm up
        speeds: dict[str, list[float]] = {loop: [] for loop in loops}
        for _ in range(arguments.rounds):
            for loop, run in loops.items():
                speeds[loop].append(run(arguments.seconds))
        flops = flops_per_image(recipe)
        plain = median(speeds["plain"])
        for loop, values in speeds.items():
            speed = median(values)
            work = speed * flops
            row = [name, loop, f"{speed:.1f}", f"{speed / plain:.2f}"]
            rows.append([*row, f"{work / 1e12:.2f}", f"{work / rate:.1%}"])
        console.print(f"{name}: {flops / 1e9:.1f} GFLOP an image for one training step")
    console.print(f"training on {device}, matrix rate {rate / 1e12:.2f} TFLOP/s (bf16)")
    header = ("recipe", "loop", "images/s", "ratio to plain", "TFLOP/s", "share of rate")
    console.print(Table(header, rows).rich())


if __name__ == "__main__":
    main()
