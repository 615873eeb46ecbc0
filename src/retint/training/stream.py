"""Photographs that are too many for a cache: read as they lie, drawn from a buffer, epoch by epoch.

Archives come in random order, each from its beginning to its end; of what was read, the next
photograph of a batch is drawn at random. The order depends on the seed alone, so that a run that
goes on inside an epoch reads no more than what is still to come.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from retint.pictures import Finding, Picture, decode, decode_data, none_usable, read_in_order
from retint.training.data import resize, side_of
from retint.training.recipe import Data

_AHEAD = 64  # decoded beyond those that are drawn from, so that nobody waits for the next

_Decoded = NDArray[np.uint8] | str


class Stream:
    """Photographs that are decoded whenever they are wanted; `expect` has them read ahead.

    In place of one that turns out to be unusable, another of its batch is taken.

    Args:
        pictures: what to read, of one order in all processes.
        data: the recipe's part that says how they are kept; `data.stream` of them in memory.

    Attributes:
        names: of the pictures.
        left_out: names of those that turned out to be unusable, and why.
    """

    def __init__(self, pictures: Sequence[Picture], data: Data) -> None:
        self.names = [picture.name for picture in pictures]
        self.left_out: list[str] = []
        self._pictures = pictures
        self._data = data
        self._buffer = data.stream or 1
        self._places: dict[int, int] = {}
        self._pool = ThreadPoolExecutor()
        self._coming: dict[int, Future[_Decoded]] = {}
        self._expected: set[int] = set()
        self._room = threading.Semaphore(0)
        self._failure: Exception | None = None
        self._changed = threading.Condition()
        self._spare: NDArray[np.uint8] | None = None

    def shuffled(self, indices: Tensor, seed: int) -> Tensor:
        """An order of `indices` for an epoch: drawn from a buffer that is filled as they lie."""
        random = np.random.default_rng(seed)
        lying = self._as_they_lie(indices.tolist(), random)
        self._places = {number: place for place, number in enumerate(lying)}
        buffer = lying[: self._buffer]
        order = []
        for number in lying[self._buffer :]:
            drawn = int(random.integers(len(buffer)))
            order.append(buffer[drawn])
            buffer[drawn] = number
        return torch.tensor([*order, *random.permutation(buffer).tolist()])

    def sample(self, indices: Tensor, count: int, seed: int) -> Tensor:
        """The first `count` of `indices` as `shuffled` orders them, which are quickly read."""
        return self.shuffled(indices, seed)[:count]

    def expect(self, order: Tensor) -> None:
        """Read ahead: these of the last `shuffled` or `sample` will be taken, in this order."""
        wanted = order.flatten().tolist()
        self._expected = set(wanted)
        self._coming = {}
        # The next to be taken lies less than a buffer behind those that are read and not taken:
        # with room for more than these, the reader always comes to it.
        self._room = threading.Semaphore(self._buffer + _AHEAD)
        reading = sorted(wanted, key=self._places.__getitem__)
        threading.Thread(target=self._read, args=(reading, self._room), daemon=True).start()

    def take(self, indices: Tensor) -> tuple[Tensor, Tensor]:
        """Images (N, S, S, 3) uint8, each valid in its top left part, and sizes (N, 2) of that.

        Raises:
            RetintError: if none of them is usable, or the network fails.
        """
        wanted = indices.tolist()
        found = [future.result() for future in [self._future(number) for number in wanted]]
        usable = [image for image in found if not isinstance(image, str)]
        for number, image in zip(wanted, found, strict=True):
            line = f"{self.names[number]}: {image}"
            if isinstance(image, str) and line not in self.left_out:
                self.left_out.append(line)
        if usable:
            self._spare = usable[0]
        elif self._spare is None:
            raise none_usable(
                [
                    Finding(self._pictures[number], image)
                    for number, image in zip(wanted, found, strict=True)
                    if isinstance(image, str)
                ]
            )
        side = side_of(self._data)
        images = np.zeros((len(found), side, side, 3), np.uint8)
        sizes = np.zeros((len(found), 2), np.int64)
        for place, image in enumerate(found):
            pixels = self._spare if isinstance(image, str) else image
            height, width = sizes[place] = pixels.shape[:2]
            images[place, :height, :width] = pixels
        return torch.from_numpy(images), torch.from_numpy(sizes)

    def _as_they_lie(self, numbers: Sequence[int], random: np.random.Generator) -> list[int]:
        """Archives at random; what is in one, from its beginning to its end."""
        archives: dict[object, list[int]] = {}
        for number in numbers:
            picture = self._pictures[number]
            archives.setdefault(picture.file, []).append(number)
        groups = list(archives.values())
        for group in groups:
            group.sort(key=lambda number: _position(self._pictures[number]))
        return [number for place in random.permutation(len(groups)) for number in groups[place]]

    def _read(self, reading: Sequence[int], room: threading.Semaphore) -> None:
        coming = read_in_order(self._pictures[number] for number in reading)
        try:
            for number, data in zip(reading, coming, strict=True):
                room.acquire()
                future = self._pool.submit(self._decoded, data)
                with self._changed:
                    self._coming[number] = future
                    self._changed.notify_all()
        except Exception as error:  # a bug, too: who waits would wait for ever
            with self._changed:
                self._failure = error
                self._changed.notify_all()

    def _decoded(self, data: bytes | str) -> _Decoded:
        return data if isinstance(data, str) else decode_data(data, self._resized)

    def _resized(self, image: Image.Image) -> Image.Image:
        return resize(image, self._data)

    def _future(self, number: int) -> Future[_Decoded]:
        """The photograph, on its way; if nobody expected it, it is read now."""
        if number not in self._expected:
            return self._pool.submit(decode, self._pictures[number], self._resized)
        with self._changed:
            self._changed.wait_for(lambda: number in self._coming or self._failure)
            if self._failure:
                raise self._failure
            self._expected.remove(number)
            self._room.release()
            return self._coming.pop(number)


def _position(picture: Picture) -> tuple[int, ...]:
    return picture.row or (picture.offset,)
