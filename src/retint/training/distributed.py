"""What the processes of one training have to settle with each other.

A launcher (`torchrun`, `accelerate launch`) starts one for each GPU. They take the same steps with
their shares of each batch; the first of them alone writes the run folder.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import torch
from accelerate import Accelerator, DistributedDataParallelKwargs, InitProcessGroupKwargs
from accelerate.state import AcceleratorState
from accelerate.utils import gather_object, parse_flag_from_env
from timm.layers.norm_act import convert_sync_batchnorm
from torch import Tensor, distributed, nn

from retint.errors import RetintError
from retint.training.recipe import Recipe

# The others wait while one decodes a million photographs. Launchers notice a dead process anyhow.
_PATIENCE = timedelta(hours=24)


def launched() -> int:
    """How many processes a launcher started, on all machines; 1 without a launcher."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def start(recipe: Recipe) -> Accelerator:
    """Join the other processes of the training.

    Raises:
        RetintError: if there are more of them than devices.
    """
    here = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    gpus = 0 if parse_flag_from_env("ACCELERATE_USE_CPU") else torch.cuda.device_count()
    if 0 < gpus < here:
        raise RetintError(f"{here} processes want a GPU each and there are {gpus}: start {gpus}")
    # Accelerate does not know its successor yet.
    warnings.filterwarnings("ignore", message="`broadcast_buffers` is deprecated")
    AcceleratorState._reset_state()  # else it refuses another precision in the same process
    # Whose palette is not asked for in a stage has weights without gradients there.
    partly = bool(recipe.generator.options.get("palette")) and not all(
        stage.palette for stage in recipe.stages
    )
    accelerator = Accelerator(
        cpu=launched() > 1 and not torch.accelerator.is_available(),
        mixed_precision="bf16" if recipe.precision == "bf16" and _has_bf16() else "no",
        kwargs_handlers=[
            # D runs twice before its backward; broadcasting its norms in between would fail.
            DistributedDataParallelKwargs(broadcast_buffers=False, find_unused_parameters=partly),
            InitProcessGroupKwargs(timeout=_PATIENCE),
        ],
    )
    if accelerator.num_processes != launched():
        raise RetintError(
            f"{launched()} processes cannot share the device {accelerator.device}: start one, or "
            "set ACCELERATE_USE_CPU=1 to train on the CPU"
        )
    return accelerator


def precision_of(accelerator: Accelerator) -> str:
    """What networks compute in: "bf16" or "fp32"."""
    return "bf16" if accelerator.mixed_precision == "bf16" else "fp32"


def _has_bf16() -> bool:
    """Whether the device computes in bf16 itself; where it is imitated, it is slower than fp32."""
    if parse_flag_from_env("ACCELERATE_USE_CPU") or not torch.accelerator.is_available():
        # Older versions cannot tell.
        features: Mapping[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
        return any(features.get(name) for name in ("avx512_bf16", "amx_bf16", "bf16"))
    if torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return True  # of other makes: Accelerate refuses what lacks it


@contextmanager
def together(accelerator: Accelerator) -> Iterator[None]:
    """Wait for all processes at the end; a `RetintError` of one ends all, and one line says it."""
    error: RetintError | None = None
    try:
        yield
    except RetintError as caught:
        error = caught
    failed = [text for text in gather_object([str(error) if error else None]) if text]
    if not failed:
        return
    if accelerator.is_main_process:
        raise error or RetintError(failed[0])
    raise SystemExit(1)


def require_same(accelerator: Accelerator, value: object, complaint: str) -> None:
    """Check that all processes have the same value.

    Raises:
        RetintError: with `complaint`, in the first process; the others end.
    """
    with together(accelerator):
        values = gather_object([value])
        for number, other in enumerate(values):
            if other != values[0]:
                raise RetintError(f"process {number} of {len(values)} {complaint}")


def share_statistics(network: nn.Module, accelerator: Accelerator) -> Any:
    """Let batch norms see the batch of all processes, as one process with all of it would."""
    if accelerator.num_processes == 1:
        return network
    if accelerator.device.type == "cpu":
        _convert(network)
        return network
    return convert_sync_batchnorm(network)  # type: ignore[no-untyped-call]


def _convert(network: nn.Module) -> None:
    for name, child in network.named_children():
        if isinstance(child, nn.BatchNorm2d):
            setattr(network, name, _SharedBatchNorm(child))
        else:
            _convert(child)


class _SharedBatchNorm(nn.BatchNorm2d):
    """A batch norm over the batches of all processes, for the CPU; torch's wants a GPU.

    It takes the weights of `norm` over, and drop and activation of timm's norms that have them.
    """

    def __init__(self, norm: nn.BatchNorm2d) -> None:
        super().__init__(norm.num_features, norm.eps, norm.momentum)
        for name in (*norm._parameters, *norm._buffers):
            setattr(self, name, getattr(norm, name))
        self.drop = getattr(norm, "drop", nn.Identity())
        self.act = getattr(norm, "act", nn.Identity())
        self.train(norm.training)

    def forward(self, inputs: Tensor) -> Tensor:
        """Normalise (N, C, H, W); N is the same in all processes."""
        normed = self._normalize(inputs) if self.training else super().forward(inputs)
        activated: Tensor = self.act(self.drop(normed))
        return activated

    def _normalize(self, inputs: Tensor) -> Tensor:
        wide, axes = inputs.float(), (0, 2, 3)
        processes = distributed.get_world_size()
        mean = _Sum.apply(wide.mean(axes, keepdim=True)) / processes
        centred = wide - mean
        variance = _Sum.apply(centred.square().mean(axes, keepdim=True)) / processes
        with torch.no_grad():
            count = processes * inputs.numel() / self.num_features
            momentum = self.momentum or 0.0
            for running, value in (
                (self.running_mean, mean),
                (self.running_var, variance * count / (count - 1)),
            ):
                if running is not None:
                    running.lerp_(value.flatten(), momentum)
        shape = (1, -1, 1, 1)
        scale = self.weight.view(shape) * (variance + self.eps).rsqrt()
        normed: Tensor = centred * scale + self.bias.view(shape)
        return normed.to(inputs.dtype)


class _Sum(torch.autograd.Function):
    """The sum of a tensor over all processes, with its gradient."""

    @staticmethod
    def forward(_: Any, tensor: Tensor) -> Tensor:
        total = tensor.clone()
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(_: Any, gradient: Tensor) -> Tensor:
        return _Sum.forward(_, gradient)
