"""How many pictures at a time a GPU has room for."""

from __future__ import annotations

import torch

_MOST = 0.9  # of the GPU's memory: validation takes some, too, and gaps stay between tensors


def fitting_batch(size: int, before: int, peak: int, total: int) -> int:
    """Pictures of the largest batch that fits: `size`, doubled as often as there is room.

    >>> gigabyte = 2**30
    >>> fitting_batch(16, before=2 * gigabyte, peak=6 * gigabyte, total=80 * gigabyte)
    256

    Args:
        size: pictures of the batch that was trained with.
        before: bytes of the GPU that were taken without it.
        peak: bytes that were taken at most with it.
        total: bytes of the GPU.
    """
    room = (_MOST * total - before) / max(1, peak - before)
    doublings = max(0, int(room).bit_length() - 1)
    return size << doublings


class Room:
    """Watches the memory of a GPU while a stage trains; other devices tell nothing.

    Args:
        device: what trains.
        size: pictures of a batch in this process.
    """

    def __init__(self, device: torch.device, size: int) -> None:
        self._device = device if device.type == "cuda" else None
        self._size = size
        if self._device is not None:
            torch.cuda.reset_peak_memory_stats(self._device)
            self._before = torch.cuda.memory_allocated(self._device)

    def line(self) -> str | None:
        """That larger batches would fit, if they would, once a batch was trained with."""
        if self._device is None:
            return None
        peak = torch.cuda.max_memory_allocated(self._device)
        total = torch.cuda.get_device_properties(self._device).total_memory
        fitting = fitting_batch(self._size, self._before, peak, total)
        if fitting == self._size:
            return None
        return (
            f"batches of {self._size} leave room on the GPU: --set data.batch_size={fitting} would "
            "fit, in a run that learns otherwise"
        )
