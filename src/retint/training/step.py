"""One training step: a batch of colour pictures in, both networks a little better."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import Adam

from retint import lab
from retint.models import Generator
from retint.palette import ab_palette
from retint.training.degrade import aged_lightness
from retint.training.hints import random_hints
from retint.training.losses import (
    PerceptualLoss,
    discriminator_loss,
    generator_gan_loss,
    missing_colorfulness,
    palette_cross_entropy,
)
from retint.training.recipe import Recipe, Stage

LOSSES = ("loss_d_fake", "loss_d_real", "loss_d", "loss_g_gan", "loss_g_l1", "loss_g", "d_accuracy")
"""What a step reports, in this order; what a stage does not use is 0."""


class Step:
    """The networks, optimisers and losses of one stage; networks come prepared by Accelerate.

    Calling it with sRGB (N, 3, H, W) in [0, 1] takes one step of the discriminator, then one of
    the generator, with one forward pass of the generator, and gives the `LOSSES` as a tensor on
    the device. It never waits for the device, so that steps queue up or are captured as a graph.
    """

    def __init__(
        self,
        recipe: Recipe,
        stage: Stage,
        generator: nn.Module,
        discriminator: nn.Module,
        ema: nn.Module | None,
        accelerator: Accelerator,
        palette_weights: Tensor,
    ) -> None:
        bare: Generator = accelerator.unwrap_model(generator)
        device = accelerator.device
        self._stage = stage
        self._degrade = recipe.data.degrade
        self._out_stride = bare.out_stride
        self._takes_hints = bare.takes_hints
        self._accelerator = accelerator
        self._bare_generator = bare
        self._ema, self._ema_decay = ema, recipe.ema or 0.0
        # Tensors, like the learning rates, so that a captured graph sees when they change.
        self._kept, self._taken = torch.zeros((), device=device), torch.ones((), device=device)
        self._generator, self._discriminator = generator, discriminator
        # Not prepared by Accelerate, which would keep those of every stage; nothing is scaled.
        self._optimizer_g = _adam(generator, stage.lr_g, stage, device)
        self._optimizer_d = _adam(discriminator, stage.lr_d, stage, device)
        self._palette = torch.from_numpy(ab_palette()).to(device)
        self._palette_weights = palette_weights
        self._readout = recipe.readout.build().to(device)
        self._perceptual = PerceptualLoss().to(device) if stage.perceptual else None

    def __call__(self, rgb: Tensor) -> Tensor:
        """Learn from one batch; see the class."""
        inputs, lightness, true_ab = self._prepare(rgb)
        answer = self._generate(inputs)
        colors = self._readout(*answer) if self._stage.read_out else answer[0]
        real, fake = torch.cat((lightness, true_ab), 1), torch.cat((lightness, colors), 1)
        if self._stage.gan:
            d_fake, d_real, accuracy = self._learn_discriminator(real, fake.detach())
        else:
            d_fake = d_real = accuracy = fake.new_zeros(())
        g_gan, g_l1, g = self._learn_generator(rgb, true_ab, answer, fake)
        self._average()
        losses = (d_fake, d_real, (d_fake + d_real) / 2, g_gan, g_l1, g, accuracy)
        return torch.stack([loss.detach().float() for loss in losses])

    def set_progress(self, done: float, steps: int) -> None:
        """Set what changes on the way.

        Learning rates follow the part of the stage that is done, in [0, 1]. The average begins with
        the last few weights and grows longer with the steps of the run: with a constant decay, a
        short run would mostly be its initial weights.
        """
        factor = 1.0
        if self._stage.schedule == "cosine":
            factor = 0.01 + 0.99 * (1 + math.cos(math.pi * done)) / 2
        rates = ((self._optimizer_g, self._stage.lr_g), (self._optimizer_d, self._stage.lr_d))
        for optimizer, rate in rates:
            optimizer.param_groups[0]["lr"].fill_(rate * factor)
        decay = min(self._ema_decay, (1 + steps) / (10 + steps))
        self._kept.fill_(decay)
        self._taken.copy_(1 - self._kept)  # of what it was rounded to: together they are 1

    def state_dict(self) -> dict[str, object]:
        """State of both optimisers."""
        return {"g": self._optimizer_g.state_dict(), "d": self._optimizer_d.state_dict()}

    def load_state_dict(self, state: dict[str, dict[str, object]]) -> None:
        """Go on from what `state_dict` gave."""
        for optimizer, saved in ((self._optimizer_g, state["g"]), (self._optimizer_d, state["d"])):
            rate = optimizer.param_groups[0]["lr"]
            optimizer.load_state_dict(saved)
            optimizer.param_groups[0]["lr"] = rate  # loading put a copy in its place

    def _prepare(self, rgb: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Generator inputs; clean lightness and true ab at the size of the generator's output."""
        with torch.no_grad():
            true_lab = lab.rgb_to_lab(rgb, axis=1)
            clean = true_lab[:, :1]
            seen = clean
            if self._degrade:
                aged = torch.rand(len(rgb), 1, 1, 1, device=rgb.device) < self._degrade
                seen = torch.where(aged, aged_lightness(rgb), clean)
            inputs = lab.normalize_lightness(seen)
            if self._takes_hints:
                hints = random_hints(lab.normalize_ab(true_lab[:, 1:]))
                inputs = torch.cat((inputs, hints), dim=1)
            small = functional.avg_pool2d(true_lab, self._out_stride)
            target = lab.normalize_ab(small[:, 1:])
            # The discriminator judges colours, so it always sees the clean lightness.
            lightness = lab.normalize_lightness(small[:, :1])
            return inputs.contiguous(memory_format=torch.channels_last), lightness, target

    def _generate(self, inputs: Tensor) -> tuple[Tensor, Tensor | None]:
        read_out = self._stage.read_out and self._readout.share
        if not (self._stage.palette or read_out):
            return self._generator(inputs), None
        fake_ab, logits = self._generator(inputs, with_palette=True)
        return fake_ab, logits

    def _learn_discriminator(self, real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        kind = self._stage.gan_loss
        self._discriminator.requires_grad_(True)
        fake_logits, real_logits = self._discriminator(fake), self._discriminator(real)
        loss_fake = discriminator_loss(fake_logits, real=False, kind=kind)
        loss_real = discriminator_loss(real_logits, real=True, kind=kind)
        self._optimizer_d.zero_grad()
        self._accelerator.backward((loss_fake + loss_real) / 2)
        self._optimizer_d.step()
        middle = 0.5 if kind == "lsgan" else 0.0
        right = (fake_logits < middle).float().mean() + (real_logits > middle).float().mean()
        return loss_fake, loss_real, right / 2

    def _learn_generator(
        self, rgb: Tensor, true_ab: Tensor, answer: tuple[Tensor, Tensor | None], fake: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        stage = self._stage
        fake_ab, logits = answer
        total = gan = fake_ab.new_zeros(())
        if stage.gan:
            self._discriminator.requires_grad_(False)
            gan = stage.gan * generator_gan_loss(self._discriminator(fake), kind=stage.gan_loss)
            total = total + gan
        l1 = stage.l1 * functional.l1_loss(fake_ab, true_ab)
        total = total + l1
        if stage.l2:
            total = total + stage.l2 * functional.mse_loss(fake_ab, true_ab)
        if stage.palette and logits is not None:
            # A quarter of the pixels tells as much: neighbours have nearly the same colours.
            ab = lab.denormalize_ab(true_ab[:, :, ::2, ::2])
            entropy = palette_cross_entropy(
                logits[:, :, ::2, ::2], ab, self._palette, self._palette_weights
            )
            total = total + stage.palette * entropy
        if self._perceptual is not None:
            distance = self._feature_distance(self._perceptual, rgb, true_ab, fake[:, 1:])
            total = total + stage.perceptual * distance
        if stage.colorfulness:
            colored = lab.normalized_lab_to_rgb(fake[:, :1], fake[:, 1:], axis=1).clamp(0, 1)
            total = total + stage.colorfulness * missing_colorfulness(colored)
        self._optimizer_g.zero_grad()
        self._accelerator.backward(total)
        self._optimizer_g.step()
        return gan, l1, total

    def _feature_distance(
        self, perceptual: PerceptualLoss, rgb: Tensor, true_ab: Tensor, ab: Tensor
    ) -> Tensor:
        """Of colours at the size of the generator's output, on the lightness of the picture."""
        lightness = lab.normalize_lightness(lab.rgb_to_lightness(rgb, axis=1)).unsqueeze(1)
        size = lightness.shape[-2:]
        large = functional.interpolate(ab, size, mode="bilinear")
        expected = functional.interpolate(true_ab, size, mode="bilinear")
        with self._accelerator.autocast():
            distance: Tensor = perceptual(lightness, large, expected)
        return distance

    @torch.no_grad()
    def _average(self) -> None:
        if self._ema is None:
            return
        averaged: list[Tensor] = list(self._ema.parameters())
        current: list[Tensor] = list(self._bare_generator.parameters())
        torch._foreach_mul_(averaged, self._kept)
        torch._foreach_add_(averaged, torch._foreach_mul(current, self._taken))
        for mean, value in zip(self._ema.buffers(), self._bare_generator.buffers(), strict=True):
            mean.copy_(value)


class GraphedStep:
    """A step captured as one CUDA graph, which spares the launches of its thousand kernels.

    Args:
        step: takes picture indices, (N,) on the device; always the same N.
        device: a CUDA device.
    """

    _WARM_UP = 3  # steps before the capture, so that optimisers and cuDNN have their memory

    def __init__(self, step: Callable[[Tensor], Tensor], device: torch.device) -> None:
        self._step = step
        self._stream = torch.cuda.Stream(device)
        self._graph: torch.cuda.CUDAGraph | None = None
        self._calls = 0

    def __call__(self, indices: Tensor) -> Tensor:
        """Run the step; the result is overwritten by the next call."""
        self._calls += 1
        if self._calls <= self._WARM_UP:
            self._stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(self._stream):
                losses = self._step(indices)
            torch.cuda.current_stream().wait_stream(self._stream)
            return losses
        if self._graph is None:
            self._indices = indices.clone()
            self._graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(self._graph):
                self._losses = self._step(self._indices)
        self._indices.copy_(indices)
        self._graph.replay()
        return self._losses


def _adam(network: nn.Module, rate: float, stage: Stage, device: torch.device) -> Adam:
    on_gpu = device.type == "cuda"
    return Adam(
        network.parameters(),
        # A tensor, so that a captured graph sees when it changes.
        lr=torch.tensor(rate, device=device),
        betas=stage.betas,
        weight_decay=stage.weight_decay,
        decoupled_weight_decay=True,
        fused=True,
        capturable=on_gpu,
    )
