"""The training loop, from photographs to a run folder, to be read from top to bottom."""

from __future__ import annotations

import copy
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from retint import __version__, lab
from retint.errors import RetintError
from retint.export import export_run, read_onnx_weights, write_card
from retint.model import list_models, model_path
from retint.models import Generator, PatchGAN, Readout, create_generator, initialize
from retint.palette import ab_palette
from retint.pictures import find_pictures
from retint.progress import Progress
from retint.training.data import Photographs, load_photographs, split
from retint.training.distributed import require_same, share_statistics, start, together
from retint.training.graphs import draw_graphs, save_grid
from retint.training.losses import nearest_histogram, rebalancing_weights
from retint.training.page import duration, write_page
from retint.training.recipe import Recipe
from retint.training.run import Run, git_revision, load_weights
from retint.training.step import LOSSES, GraphedStep, Step
from retint.training.stream import Stream
from retint.training.validation import predict, validate
from retint.training.windows import Windows

_GRID_ITERATIONS = {1, 5, 10, 50, 100, 249}  # the report's, section 5.5
_GRID_PICTURES = 6
_LOG_EVERY = 50  # iterations
_COLOR_SAMPLE = 2000  # photographs that give the colour statistics


def train(
    photos: Path,
    recipe: Recipe,
    out: Path,
    *,
    resume: bool = False,
    init: str | None = None,
    cache: Path | None = None,
) -> None:
    """Train a generator on colour photographs and leave a run folder.

    Args:
        photos: a folder of photographs, or a tar archive, or a folder of archives.
        recipe: everything that decides the run.
        out: the run folder to make.
        resume: go on from the last checkpoint in `out`, if there is one.
        init: weights of the same generator to start from: a model that ships, or a file that
            `retint train` (.safetensors) or `retint export` (.onnx) made.
        cache: folder for decoded photographs; the user's cache folder by default.

    Raises:
        RetintError: if photographs, recipe or run folder are of no use, or a loss is not finite.
    """
    try:
        trainer = _Trainer(photos, recipe, out, resume, init, cache)
        trainer.tell_if_complete()
        for stage in range(len(recipe.stages)):
            trainer.train_stage(stage)
        trainer.close()
    except OSError as error:  # of logs, graphs, pictures
        raise RetintError(
            f"training cannot go on ({error}): make room, and go on with --resume"
        ) from error
    except torch.OutOfMemoryError as error:
        smaller = max(1, recipe.data.batch_size // 2)
        raise RetintError(
            f"batches of {recipe.data.batch_size} do not fit into the GPU's memory: start anew "
            f"with --set data.batch_size={smaller}, or a smaller data.size"
        ) from error


class _Trainer:
    """What lives from the first to the last epoch."""

    def __init__(
        self,
        photos: Path,
        recipe: Recipe,
        out: Path,
        resume: bool,
        init: str | None,
        cache: Path | None,
    ) -> None:
        self.recipe = recipe
        self.epochs = sum(stage.epochs for stage in recipe.stages)
        self.accelerator = start(recipe)
        self.device = self.accelerator.device
        self.progress = Progress(self.accelerator.is_main_process)
        torch.backends.cudnn.benchmark = True

        require_same(self.accelerator, recipe, "has another recipe: give all the same command")
        self.photographs = photographs = self._photographs(photos, cache)
        with together(self.accelerator):
            training, validation = split(len(photographs.names), recipe.data, recipe.seed)
        self.rejected = len(photographs.rejected)
        self.training = torch.from_numpy(training)
        self.validation = torch.from_numpy(validation).to(self.device)
        self.windows = Windows(photographs, recipe.data, self.device)
        self.batch = recipe.data.batch_size * self.accelerator.num_processes
        self.steps_per_epoch = len(training) // self.batch
        with together(self.accelerator):
            if self.steps_per_epoch == 0:
                raise RetintError(
                    f"{len(training)} training photographs do not fill one batch of {self.batch}: "
                    "add photographs or --set data.batch_size=N"
                )
        self.progress.say(
            f"{len(training)} photographs to train on, {len(validation)} to validate, "
            f"{len(photographs.rejected)} left out (listed in run.json)"
        )

        self.mean_ab, self.palette_weights = self._color_statistics()
        with together(self.accelerator):
            self._make_generator(init)
        self.generator = self.accelerator.prepare(self._compiled(self.bare))
        self.run = Run(out)
        with together(self.accelerator):
            if self.accelerator.is_main_process:
                self.run.start(recipe, self._facts(photos, photographs.rejected), resume=resume)
        with together(self.accelerator):
            self.saved = self.run.restore(self.device) if resume else None
        self.epoch = self.saved["epoch"] if self.saved else 0
        self.iteration = self.saved["iteration"] if self.saved else 0
        require_same(
            self.accelerator,
            self.iteration,
            f"does not read the checkpoint that the first reads: all machines have to see {out}",
        )
        if resume and self.accelerator.is_main_process:
            self.run.rewind(self.saved)
        self.first_epoch, self.started = self.epoch, time.monotonic()
        # Of the epoch: 0, but after a checkpoint inside one, which other batches may have led to.
        seen = self.saved.get("seen", 0) if self.saved else 0
        self.first_step = min(-(-seen // self.batch), self.steps_per_epoch - 1)
        self.best = self.saved["best"] if self.saved else float("inf")
        if self.saved:
            with self.run.restoring():
                self.bare.load_state_dict(self.saved["generator"])
                if self.ema is not None:
                    self.ema.load_state_dict(self.saved["ema"])

    def tell_if_complete(self) -> None:
        """Say so where a checkpoint leaves nothing to train, and where its results are."""
        if self.epoch == self.epochs:
            folder = self.run.folder
            self.progress.say(
                f"{folder} is complete already, {self.epochs} of {self.epochs} epochs: "
                f"{folder / 'index.html'} shows them; to train on, start another run with "
                f"--init {folder / 'generator.safetensors'}"
            )

    def train_stage(self, number: int) -> None:
        """Train the epochs of one stage that are still to be done."""
        stage = self.recipe.stages[number]
        start = sum(earlier.epochs for earlier in self.recipe.stages[:number])
        if self.epoch >= start + stage.epochs:
            return
        step, discriminator = self._make_step(number)

        def learn(indices: Tensor) -> Tensor:
            return step(self.windows.batch(indices, train=True))

        graphed = self.windows.resident and self.accelerator.num_processes == 1
        one_step = GraphedStep(learn, self.device) if graphed else learn
        total = stage.epochs * self.steps_per_epoch
        while self.epoch < start + stage.epochs:
            done = (self.epoch - start) * self.steps_per_epoch

            def advance_schedule(count: int, done: int = done) -> None:
                step.set_progress((done + count) / total)

            def state() -> dict[str, Any]:
                return {
                    "stage": number,
                    "discriminator": discriminator.state_dict(),
                    "optimizers": step.state_dict(),
                }

            began, steps = time.monotonic(), self.steps_per_epoch - self.first_step
            losses = self._train_epoch(number, one_step, advance_schedule, state)
            self.epoch, self.first_step = self.epoch + 1, 0
            self._finish_epoch(number, losses, steps * self.batch / (time.monotonic() - began))
            last = self.epoch == start + stage.epochs
            if self.epoch % self.recipe.checkpoint_every == 0 or last:
                self._checkpoint_epoch(state())

    def _train_epoch(
        self,
        stage: int,
        one_step: Callable[[Tensor], Tensor],
        advance_schedule: Callable[[int], None],
        state: Callable[[], dict[str, Any]],
    ) -> dict[str, float]:
        """Give the mean losses of the epoch."""
        batches = self._shuffled_batches()
        self._seed_steps(self.first_step)
        sums = torch.zeros(len(LOSSES), device=self.device)
        if self.saved and self.first_step:
            sums = self.saved["means"] * self.first_step
        losses: dict[str, float] = {}
        title = f"epoch {self.epoch + 1} of {self.epochs} ({self.recipe.stages[stage].name})"
        with self.progress.task(title, self.steps_per_epoch) as advance:
            for count in range(self.first_step + 1, self.steps_per_epoch + 1):
                advance_schedule(count - 1)
                sums += one_step(batches[count - 1])
                self.iteration += 1
                advance(count)
                shown = self.iteration in _GRID_ITERATIONS
                if shown or count % _LOG_EVERY == 0 or count == self.steps_per_epoch:
                    means = self.accelerator.reduce(sums / count, "mean").tolist()
                    losses = dict(zip(LOSSES, means, strict=True))
                    with together(self.accelerator):
                        self._check_finite(losses)
                    self._log("train", self.epoch + 1, {"stage": stage, **losses})
                if shown:
                    self._grid(f"iteration-{self.iteration:06d}")
                every = self.recipe.checkpoint_steps
                if every and count % every == 0 and count < self.steps_per_epoch:
                    means = self.accelerator.reduce(sums / count, "mean")
                    self._checkpoint({**state(), "seen": count * self.batch, "means": means})
                    self._seed_steps(count)
        return losses

    def _finish_epoch(self, stage: int, losses: dict[str, float], rate: float) -> None:
        """Validate and show the generator."""
        rejected = len(self.photographs.rejected)
        if rejected > self.rejected:  # of a stream: nothing else reads them so late
            self.progress.say(
                f"{rejected} photographs so far are of no use, such as "
                f"{self.photographs.rejected[-1]}; 'retint data check' names them all"
            )
            self.rejected = rejected
        self.figures = validate(
            self.judged, self.windows, self.validation, self.readout, self.accelerator
        )
        self._log(
            "validation", self.epoch, {"stage": stage, **self.figures, "images_per_second": rate}
        )
        self._grid(f"epoch-{self.epoch:03d}")
        shown = f"G {losses['loss_g']:.3f} (L1 {losses['loss_g_l1']:.3f}"
        if self.recipe.stages[stage].gan:
            shown += f", GAN {losses['loss_g_gan']:.3f}), D {losses['loss_d']:.3f}"
        else:
            shown += ")"
        self.progress.say(
            f"epoch {self.epoch}: {shown}; validation PSNR "
            f"{self.figures['psnr']:.2f} dB, ab error {self.figures['ab_error']:.3f} of grey's, "
            f"colour {self.figures['colorfulness']:.2f} of the truth's; {rate:.0f} images/s, "
            f"{duration(self._seconds_left())} left"
        )

    def _seconds_left(self) -> float:
        """Time to the end of the run, by what its epochs took since it was started."""
        done = self.epoch - self.first_epoch
        return (time.monotonic() - self.started) / done * (self.epochs - self.epoch)

    def _checkpoint_epoch(self, state: dict[str, Any]) -> None:
        improved = self.figures["score"] < self.best
        self.best = min(self.best, self.figures["score"])
        self._checkpoint(state, best=improved)
        if self.accelerator.is_main_process:
            draw_graphs(self.run.folder, self.run.graphs)
            write_page(self.run.folder, self.recipe, self._seconds_left())

    def _checkpoint(self, state: dict[str, Any], *, best: bool = False) -> None:
        if not self.accelerator.is_main_process:
            return
        state |= {
            "epoch": self.epoch,
            "iteration": self.iteration,
            "best": self.best,
            "generator": self.bare.state_dict(),
            "ema": self.ema.state_dict() if self.ema is not None else None,
        }
        self.run.save(state, self.judged.state_dict(), best=best)

    def close(self) -> None:
        """Finish the run: its model card, and the best weights as a model file."""
        self.run.close()
        if self.accelerator.is_main_process:
            write_page(self.run.folder, self.recipe, None)
            write_card(self.run.folder)
            model = export_run(self.run.folder)
            self.progress.say(f"wrote {model}: retint colorize photo.jpg --model {model}")
        self.accelerator.end_training()

    def _photographs(self, photos: Path, cache: Path | None) -> Photographs | Stream:
        """What the recipe says; of a cache, one process of each machine makes it for the others."""
        photographs: Photographs | Stream
        if self.recipe.data.stream:
            with together(self.accelerator):
                photographs = Stream(find_pictures(photos), self.recipe.data)
        else:
            photographs = self._cached(photos, cache)
        require_same(
            self.accelerator,
            photographs.names,
            f"finds other photographs in {photos} than the first",
        )
        return photographs

    def _cached(self, photos: Path, cache: Path | None) -> Photographs:
        for decodes in (True, False):
            with together(self.accelerator):
                if self.accelerator.is_local_main_process == decodes:
                    pictures = find_pictures(photos)
                    with self.progress.task("decoding photographs", len(pictures)) as advance:
                        photographs = load_photographs(pictures, self.recipe.data, advance, cache)
        return photographs

    def _make_generator(self, init: str | None) -> None:
        network = self.recipe.generator
        torch.manual_seed(self.recipe.seed)
        self.bare: Generator = create_generator(network.name, **network.options)
        _check_size(self.recipe, self.bare)
        if self.recipe.readout.palette and not self.bare.palette_size:
            raise RetintError(
                f"recipe '{self.recipe.name}' reads out a palette that its generator lacks: set "
                "generator.options.palette=true, or readout.palette=0"
            )
        if network.init is not None:
            initialize(self.bare, network.init)
        if init is not None:
            _load_initial(self.bare, init)
        self.bare = share_statistics(self.bare, self.accelerator)
        self.bare.to(self.device).to(memory_format=torch.channels_last)
        self.ema = (
            copy.deepcopy(self.bare).requires_grad_(False).eval() if self.recipe.ema else None
        )
        self.readout = Readout(**self.recipe.readout.model_dump()).to(self.device)
        # What is validated, shown and exported.
        self.judged: Generator = self.ema if self.ema is not None else self.bare

    def _make_step(self, number: int) -> tuple[Step, PatchGAN]:
        torch.manual_seed(self.recipe.seed + number)
        discriminator = PatchGAN(width=self.recipe.discriminator_width)
        initialize(discriminator)
        discriminator = share_statistics(discriminator, self.accelerator)
        discriminator.to(self.device).to(memory_format=torch.channels_last)
        step = Step(
            self.recipe,
            self.recipe.stages[number],
            self.generator,
            self.accelerator.prepare(self._compiled(discriminator)),
            self.ema,
            self.accelerator,
            self.palette_weights,
        )
        if self.saved and self.saved["stage"] == number:
            with self.run.restoring():
                discriminator.load_state_dict(self.saved["discriminator"])
                step.load_state_dict(self.saved["optimizers"])
        return step, discriminator

    def _compiled(self, network: torch.nn.Module) -> Any:
        return torch.compile(network) if self.recipe.compile else network

    def _color_statistics(self) -> tuple[list[float], Tensor]:
        """Mean ab of the training photographs, and the weights of the palette's colours."""
        palette = torch.from_numpy(ab_palette()).to(self.device)
        histogram = torch.zeros(len(palette), device=self.device)
        sums = torch.zeros(2, device=self.device)
        needs_palette = any(stage.palette for stage in self.recipe.stages)
        if isinstance(self.photographs, Stream):  # as they lie, which is faster read
            order = self.photographs.shuffled(self.training, self.recipe.seed)
            some = order[:_COLOR_SAMPLE]
            self.photographs.expect(some)
        else:
            some = self.training[:: max(1, len(self.training) // _COLOR_SAMPLE)]
        for indices in some.split(32):
            rgb = self.windows.batch(indices, train=False)[:, :, ::4, ::4]
            ab = lab.rgb_to_lab(rgb, axis=1)[:, 1:]
            sums += ab.mean(dim=(2, 3)).sum(dim=0)
            histogram += nearest_histogram(ab, palette) if needs_palette else 1
        return (sums / len(some)).tolist(), rebalancing_weights(histogram)

    def _shuffled_batches(self) -> Tensor:
        """Picture indices of an epoch, (steps, batch), this process's share of them."""
        shuffled = self.photographs.shuffled(self.training, self._epoch_seed(0))
        whole = shuffled[: self.steps_per_epoch * self.batch]
        shares = whole.view(self.steps_per_epoch, self.accelerator.num_processes, -1)
        mine = shares[:, self.accelerator.process_index]
        if isinstance(self.photographs, Stream):
            self.photographs.expect(mine[self.first_step :])
        return mine.to(self.device)

    def _seed_steps(self, done: int) -> None:
        """Let augmentation and dropout from here on depend on epoch and step alone.

        So a run that was resumed from a checkpoint repeats them exactly.
        """
        torch.manual_seed(self._epoch_seed(self.accelerator.process_index + 1) + (done << 40))

    def _epoch_seed(self, use: int) -> int:
        return (self.recipe.seed * 1_000_003 + self.epoch) * 1_009 + use

    def _check_finite(self, losses: dict[str, float]) -> None:
        broken = [name for name, value in losses.items() if not abs(value) < float("inf")]
        if broken:
            raise RetintError(
                f"{' and '.join(broken)} became {losses[broken[0]]} by iteration {self.iteration} "
                f"(epoch {self.epoch + 1}): lower lr_g and lr_d or set precision=fp32, then "
                f"--resume {self.run.folder} from its last good checkpoint"
            )

    def _log(self, kind: str, epoch: int, values: dict[str, Any]) -> None:
        if self.accelerator.is_main_process:
            self.run.log(kind, epoch, self.iteration, values)

    @torch.no_grad()
    def _grid(self, name: str) -> None:
        if not self.accelerator.is_main_process:
            return
        rgb = self.windows.batch(self.validation[:_GRID_PICTURES], train=False)
        ab, lightness, true_ab = predict(self.judged, rgb, self.readout)
        save_grid(lightness, ab, true_ab, self.run.grids / f"{name}.png")

    def _facts(self, photos: Path, rejected: list[str]) -> dict[str, Any]:
        name = torch.cuda.get_device_name() if self.device.type == "cuda" else platform.processor()
        return {
            "retint": __version__,
            "git": git_revision(),
            "torch": torch.__version__,
            "device": f"{self.device.type} {name}".strip(),
            "processes": self.accelerator.num_processes,
            "photographs": str(photos),
            "training": len(self.training),
            "validation": len(self.validation),
            "mean_ab": [round(value, 2) for value in self.mean_ab],
            "left_out": rejected,
        }


def _check_size(recipe: Recipe, generator: Generator) -> None:
    size = recipe.data.size
    if size % generator.stride:
        depth = (size & -size).bit_length() - 1
        raise RetintError(
            f"pictures of {size} px do not fit generator '{recipe.generator.name}': make data.size "
            f"a multiple of {generator.stride}"
            + (f", or generator.options.depth {depth}" if recipe.generator.name == "unet" else "")
        )
    judged, needed = size // generator.out_stride, PatchGAN.smallest
    if judged < needed and any(stage.gan for stage in recipe.stages):
        raise RetintError(
            f"the discriminator would see {judged} px and needs {needed}: make data.size "
            f"{needed * generator.out_stride} or more"
        )


def _load_initial(generator: Generator, init: str) -> None:
    path = model_path(init) if init in list_models() else Path(init)
    if not path.is_file():
        raise RetintError(f"no weights file {path}: check --init")
    try:
        weights = read_onnx_weights(path) if path.suffix == ".onnx" else load_weights(path)
        found = generator.load_state_dict(weights, strict=False)
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[0]
        raise RetintError(f"{path} does not fit the recipe's generator: {reason}") from error
    # ONNX files lack the counters of batch norms, which nothing depends on.
    missing = [key for key in found.missing_keys if not key.endswith("num_batches_tracked")]
    odd = [*missing, *found.unexpected_keys]
    if odd:
        raise RetintError(
            f"{path} does not fit the recipe's generator: {odd[0]} is in one of them alone; use "
            "the recipe it was trained with, or 'finetune' with --init default"
        )
