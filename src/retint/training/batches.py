"""The photographs of a run: which of them train and which validate, and in what order they come."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import torch
from accelerate import Accelerator
from torch import Tensor

from retint import lab
from retint.errors import RetintError
from retint.palette import ab_palette
from retint.pictures import find_pictures, spread
from retint.progress import Progress
from retint.training.data import Photographs, load_photographs, split
from retint.training.distributed import require_same, together
from retint.training.losses import class_weights, nearest_histogram
from retint.training.recipe import Recipe
from retint.training.stream import Stream
from retint.training.windows import Windows

_COLOR_SAMPLE = 2000  # photographs that give the colour statistics


class Batches:
    """Batches of training pictures, the same in all processes but for whose share they are.

    Args:
        photos: where the photographs are.
        recipe: says how they are read and split.
        accelerator: of the run; its processes settle here what they see.
        progress: shows the decoding.
        cache: folder for decoded photographs; the user's cache folder by default.

    Attributes:
        training: numbers of the photographs that train, (N,) on the CPU.
        validation: of those that validate, on the device.
        windows: cuts pictures from photographs.
        size: pictures of a batch, in all processes.
        steps: batches of an epoch.
        names_sha256: of the photographs' names in their order, which decides the split; what the
            folder itself is called does not count.
        mean_ab: of the training photographs, ab units.
        palette_weights: what the palette's colours count in a loss, on the device.

    Raises:
        RetintError: if the photographs cannot be read, are too few, or differ between processes.
    """

    def __init__(
        self,
        photos: Path,
        recipe: Recipe,
        accelerator: Accelerator,
        progress: Progress,
        cache: Path | None,
    ) -> None:
        self._accelerator = accelerator
        self._photographs = _read(photos, recipe, accelerator, progress, cache)
        top = photos.absolute().name if isinstance(photos, Path) else photos.name
        inside = [name.removeprefix(f"{top}/") for name in self._photographs.names]
        self.names_sha256 = hashlib.sha256(json.dumps(inside).encode()).hexdigest()
        with together(accelerator):
            training, validation = split(len(self._photographs.names), recipe.data, recipe.seed)
        self.training = torch.from_numpy(training)
        self.validation = torch.from_numpy(validation).to(accelerator.device)
        self.windows = Windows(self._photographs, recipe.data, accelerator.device)
        self.size = recipe.data.batch_size * accelerator.num_processes
        self.steps = len(training) // self.size
        with together(accelerator):
            if self.steps == 0:
                raise RetintError(
                    f"{len(training)} training photographs do not fill one batch of {self.size}: "
                    "add photographs, or --set data.batch_size="
                    f"{max(1, len(training) // accelerator.num_processes)}"
                )
        needs_palette = any(stage.palette for stage in recipe.stages)
        self.mean_ab, self.palette_weights = self._color_statistics(recipe.seed, needs_palette)

    @property
    def left_out(self) -> list[str]:
        """A line for each photograph so far that is of no use; of a stream, they become more."""
        return self._photographs.left_out

    def epoch(self, seed: int, first_step: int) -> Tensor:
        """Numbers of the photographs of an epoch, (steps, batch): this process's share of them.

        Args:
            seed: of their order.
            first_step: that will be taken; those before it are not read.
        """
        shuffled = self._photographs.shuffled(self.training, seed)
        shares = shuffled[: self.steps * self.size].view(
            self.steps, self._accelerator.num_processes, -1
        )
        mine = shares[:, self._accelerator.process_index]
        self._photographs.expect(mine[first_step:])
        return mine.to(self._accelerator.device)

    def _color_statistics(self, seed: int, needs_palette: bool) -> tuple[list[float], Tensor]:
        """Mean ab of the training photographs, and the weights of the palette's colours."""
        device = self._accelerator.device
        palette = torch.from_numpy(ab_palette()).to(device)
        histogram = torch.zeros(len(palette), device=device)
        sums = torch.zeros(2, device=device)
        some = self._photographs.sample(self.training, _COLOR_SAMPLE, seed)
        self._photographs.expect(some)
        for indices in some.split(32):
            rgb = self.windows.batch(indices, train=False)[:, :, ::4, ::4]
            ab = lab.rgb_to_lab(rgb, axis=1)[:, 1:]
            sums += ab.mean(dim=(2, 3)).sum(dim=0)
            histogram += nearest_histogram(ab, palette) if needs_palette else 1
        return (sums / len(some)).tolist(), class_weights(histogram)


def _read(
    photos: Path,
    recipe: Recipe,
    accelerator: Accelerator,
    progress: Progress,
    cache: Path | None,
) -> Photographs | Stream:
    """What the recipe says; of a cache, one process of each machine makes it for the others."""
    photographs: Photographs | Stream
    if recipe.data.stream:
        with together(accelerator):
            pictures = spread(find_pictures(photos), recipe.data.limit)
            photographs = Stream(pictures, recipe.data)
    else:
        for decodes in (True, False):
            with together(accelerator):
                if accelerator.is_local_main_process == decodes:
                    pictures = spread(find_pictures(photos), recipe.data.limit)
                    with progress.task("decoding photographs", len(pictures)) as advance:
                        photographs = load_photographs(pictures, recipe.data, advance, cache)
    complaint = f"finds other photographs in {photos} than the first"
    require_same(accelerator, photographs.names, complaint)
    return photographs
