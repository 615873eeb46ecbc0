"""The training loop, from photographs to a run folder, to be read from top to bottom."""

from __future__ import annotations

import errno
import platform
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor

from retint import __version__
from retint.errors import NO_ROOM, RetintError
from retint.export import export_run, write_card
from retint.models import PatchGAN
from retint.progress import Progress
from retint.training.batches import Batches
from retint.training.distributed import precision_of, require_same, start, together
from retint.training.graphs import draw_graphs, save_grid
from retint.training.memory import Room
from retint.training.networks import Networks, require_start
from retint.training.page import duration, write_page
from retint.training.recipe import Recipe
from retint.training.run import Run
from retint.training.step import LOSSES, GraphedStep, Step
from retint.training.validation import predict, validate

_GRID_ITERATIONS = {1, 5, 10, 50, 100, 249}  # the report's, section 5.5
_GRID_PICTURES = 6
_LOG_EVERY = 50  # iterations
_VALIDATED = 32  # pictures at a time, and no more than fit where a batch trains
_DRAW_EVERY = 20.0  # seconds at most: the device waits for the graphs
_NO_ROOM = {*NO_ROOM, errno.EFBIG}


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
        photos: a folder of photographs and archives, or one archive: .tar, .parquet or .arrow; or
            a UPath of universal-pathlib for what lies at a URL.
        recipe: everything that decides the run.
        out: the run folder to make.
        resume: go on from the last checkpoint in `out`, if there is one.
        init: weights of the same generator to start from: a model that ships, a run folder, or a
            file that `retint train` (.safetensors) or `retint export` (.onnx) made.
        cache: folder for decoded photographs; the user's cache folder by default.

    Raises:
        RetintError: if photographs, recipe or run folder are of no use, or a loss is not finite.
    """
    with _mends(recipe), ExitStack() as stack:
        accelerator = start(recipe)
        torch.backends.cudnn.benchmark = True
        require_same(accelerator, recipe, "has another recipe: give all the same command")
        run = Run(out)
        # Before the photographs, which take long: what does not fit is told at once.
        with together(accelerator):
            if accelerator.is_main_process:
                stack.enter_context(run.held(recipe, resume=resume))
        with together(accelerator):
            resumed = resume and run.checkpoint.exists()
            networks = Networks(recipe, accelerator, init, resumed=resumed)
            if accelerator.is_main_process:
                run.require_base(networks.base)
                if init is None and not resumed:
                    require_start(recipe)
        progress = Progress(accelerator.is_main_process)
        if precision_of(accelerator) != recipe.precision:
            progress.say(f"this {accelerator.device.type} has no bf16: it computes in fp32")
        batches = Batches(photos, recipe, accelerator, progress, cache)
        progress.say(
            f"{len(batches.training)} photographs to train on, {len(batches.validation)} to "
            f"validate, {len(batches.left_out)} left out (listed in run.json)"
        )
        with together(accelerator):
            if accelerator.is_main_process:
                facts = _facts(accelerator, photos, batches, networks)
                run.start(recipe, facts)
        training = _Training(recipe, accelerator, progress, batches, networks, run)
        if resume:
            training.resume()
        training.tell_if_complete()
        for number in range(len(recipe.stages)):
            training.train_stage(number)
        training.close()


@contextmanager
def _mends(recipe: Recipe) -> Iterator[None]:
    """Say in a line what a person can do about a disk, or memory of a GPU."""
    try:
        yield
    except OSError as error:  # of logs, graphs, pictures
        mend = "make room" if error.errno in _NO_ROOM else "mend that"
        raise RetintError(
            f"training cannot go on ({error}): {mend}, and go on with --resume"
        ) from error
    except torch.OutOfMemoryError as error:
        size = recipe.data.batch_size
        smaller = f"--set data.batch_size={size // 2}, or a smaller" if size > 1 else "a smaller"
        raise RetintError(
            f"batches of {size} do not fit into the GPU's memory: start anew with {smaller} "
            "data.size, and another --out"
        ) from error


class _Training:
    """A run on its way: how far it is, and what every epoch does."""

    def __init__(
        self,
        recipe: Recipe,
        accelerator: Accelerator,
        progress: Progress,
        batches: Batches,
        networks: Networks,
        run: Run,
    ) -> None:
        self.recipe = recipe
        self.accelerator = accelerator
        self.progress = progress
        self.batches = batches
        self.networks = networks
        self.run = run
        self.epochs = sum(stage.epochs for stage in recipe.stages)
        self.epoch = self.iteration = 0  # done
        self.best = float("inf")  # score of an epoch
        self.saved: dict[str, Any] | None = None  # the checkpoint it goes on from
        self.steps_of_epoch = 0  # done: at its start 0, but after a checkpoint inside it
        self.first_means: Tensor | None = None  # of losses, from the steps before that checkpoint
        self.told = len(batches.left_out)  # of photographs of no use
        self.stage = self.stage_start = 0  # number of the stage; epochs before it
        self.learner: Step  # of that stage, as the next
        self.discriminator: PatchGAN
        self.steps_taken, self.started = 0, time.monotonic()
        self.drawn = float("-inf")  # when the graphs last were

    def resume(self) -> None:
        """Go on from the run's last checkpoint, if it has one."""
        with together(self.accelerator):
            self.saved = self.run.restore()
        if self.saved:
            self.epoch, self.iteration = self.saved["epoch"], self.saved["iteration"]
            self.best = self.saved["best"]
        complaint = "does not read the checkpoint that the first reads: all machines have to see"
        require_same(self.accelerator, self.iteration, f"{complaint} {self.run.folder}")
        if self.accelerator.is_main_process:
            self.run.rewind(self.saved)
        if self.saved:
            # Batches of another size, of other processes, may have led to a checkpoint in an epoch.
            seen = self.saved.get("seen", 0)
            self.steps_of_epoch = min(-(-seen // self.batches.size), self.batches.steps - 1)
            self.first_means = self.saved.get("means")
            with self.run.restoring():
                self.networks.load_state(self.saved)

    def tell_if_complete(self) -> None:
        """Say so where a checkpoint leaves nothing to train, and where its results are."""
        if self.epoch == self.epochs:
            folder = self.run.folder
            self.progress.say(
                f"{folder} is complete already, {self.epochs} of {self.epochs} epochs: "
                f"{folder / 'index.html'} shows them; to train on, start another run with "
                f"--init {folder}"
            )

    def train_stage(self, number: int) -> None:
        """Train the epochs of one stage that are still to be done."""
        stage = self.recipe.stages[number]
        start = sum(earlier.epochs for earlier in self.recipe.stages[:number])
        if self.epoch >= start + stage.epochs:
            return
        self.stage, self.stage_start = number, start
        self.learner, self.discriminator = self.networks.make_step(
            number, self.batches.palette_weights
        )
        self._go_on_with_stage()
        room = Room(self.accelerator.device, self.recipe.data.batch_size)

        def learn(indices: Tensor) -> Tensor:
            return self.learner(self.batches.windows.batch(indices, train=True))

        graphed = self.batches.windows.resident and self.accelerator.num_processes == 1
        one_step = GraphedStep(learn, self.accelerator.device) if graphed else learn
        while self.epoch < start + stage.epochs:
            began, steps = time.monotonic(), self.batches.steps - self.steps_of_epoch
            losses = self._train_epoch(one_step)
            if self.epoch == start and (line := room.line()):
                self.progress.say(line)
            self.epoch, self.steps_of_epoch = self.epoch + 1, 0
            rate = steps * self.batches.size / (time.monotonic() - began)
            last = self.epoch == start + stage.epochs
            kept = last or self.epoch % self.recipe.checkpoint_every == 0
            figures = self._validate(losses, rate, kept=kept)
            if kept:
                self._checkpoint_epoch(figures["score"])

    def _go_on_with_stage(self) -> None:
        """Take from a checkpoint what it has of this stage, and let its memory go."""
        saved, self.saved = self.saved, None
        if saved and saved["stage"] == self.stage:
            with self.run.restoring():
                self.discriminator.load_state_dict(saved["discriminator"])
                self.learner.load_state_dict(saved["optimizers"])

    def _train_epoch(self, one_step: Callable[[Tensor], Tensor]) -> dict[str, float]:
        """Give the mean losses of the epoch."""
        first = self.steps_of_epoch
        done = (self.epoch - self.stage_start) * self.batches.steps
        total = self.recipe.stages[self.stage].epochs * self.batches.steps
        batches = self.batches.epoch(self._epoch_seed(0), first)
        self._seed_steps(first)
        sums = torch.zeros(len(LOSSES), device=self.accelerator.device)
        if self.first_means is not None:
            sums = self.first_means.to(self.accelerator.device) * first
            self.first_means = None
        losses: dict[str, float] = {}
        with self.progress.task(self._title, len(batches)) as advance:
            for count in range(first + 1, len(batches) + 1):
                self.learner.set_progress((done + count - 1) / total, self.iteration)
                sums += one_step(batches[count - 1])
                self.steps_of_epoch = count
                self.iteration += 1
                self.steps_taken += 1
                advance(count)
                shown = self.iteration in _GRID_ITERATIONS
                if shown or count % _LOG_EVERY == 0 or count == len(batches):
                    means = self.accelerator.reduce(sums / count, "mean").tolist()
                    losses = dict(zip(LOSSES, means, strict=True))
                    with together(self.accelerator):
                        self._check_finite(losses)
                    self._log("train", self.epoch + 1, losses)
                if shown:
                    self._show(f"iteration-{self.iteration:06d}")
                every = self.recipe.checkpoint_steps
                if every and count % every == 0 and count < len(batches):
                    means = self.accelerator.reduce(sums / count, "mean")
                    self._checkpoint({"seen": count * self.batches.size, "means": means})
                    self._seed_steps(count)
        return losses

    def _validate(self, losses: dict[str, float], rate: float, *, kept: bool) -> dict[str, float]:
        """Measure and show the generator; `kept` says whether a checkpoint will have it."""
        left_out = self.batches.left_out
        if len(left_out) > self.told:  # of a stream: nothing else reads them so late
            self.progress.say(
                f"{len(left_out)} photographs so far are of no use, such as {left_out[-1]}; "
                "'retint data check' names them all"
            )
            self.told = len(left_out)
        batches, networks = self.batches, self.networks
        figures = validate(
            networks.judged,
            batches.windows,
            batches.validation,
            networks.readout,
            self.accelerator,
            min(_VALIDATED, 2 * self.recipe.data.batch_size),
        )
        facts = {"kept": kept, "images_per_second": rate}
        self._log("validation", self.epoch, {**facts, **figures})
        self._show(f"epoch-{self.epoch:03d}", anew=kept)
        stage = self.recipe.stages[self.stage]
        weighted = (("L1", "loss_g_l1", stage.l1), ("GAN", "loss_g_gan", stage.gan))
        parts = ", ".join(f"{name} {losses[key]:.3f}" for name, key, weight in weighted if weight)
        shown = f" ({parts})" if parts else ""
        if stage.gan:
            shown += f", D {losses['loss_d']:.3f}"
        self.progress.say(
            f"epoch {self.epoch}: G {losses['loss_g']:.3f}{shown}; validation PSNR "
            f"{figures['psnr']:.2f} dB, ab error {figures['ab_error']:.3f} of grey's, "
            f"colour {figures['colorfulness']:.2f} of the truth's; {rate:.0f} images/s, "
            f"{duration(self._seconds_left())} left"
        )
        return figures

    def _title(self) -> str:
        """What the progress of an epoch is called."""
        title = f"epoch {self.epoch + 1} of {self.epochs} ({self.recipe.stages[self.stage].name})"
        if not self.steps_taken:
            return title
        return f"{title}, {duration(self._seconds_left())} left in all"

    def _seconds_left(self) -> float:
        """Time to the end of the run, by what its steps took since it was started."""
        left: int = (self.epochs - self.epoch) * self.batches.steps - self.steps_of_epoch
        return (time.monotonic() - self.started) / self.steps_taken * left

    def _checkpoint_epoch(self, score: float) -> None:
        improved = score < self.best
        self.best = min(self.best, score)
        self._checkpoint({}, best=improved)

    def _checkpoint(self, inside: dict[str, Any], *, best: bool = False) -> None:
        """Save the run; `inside` is what one that stops in the middle of an epoch needs, too."""
        state = {
            "stage": self.stage,
            "discriminator": self.discriminator.state_dict(),
            "optimizers": self.learner.state_dict(),
            **inside,
            **self.networks.state(),
        }
        with together(self.accelerator):
            self._check_weights({"G": state["generator"], "D": state["discriminator"]})
        if not self.accelerator.is_main_process:
            return
        progress = {"epoch": self.epoch, "iteration": self.iteration, "best": self.best}
        weights = self.networks.judged.state_dict()
        self.run.save({**state, **progress}, weights, best=best)

    def close(self) -> None:
        """Finish the run: its model card, and the best weights as a model file."""
        self.run.close()
        if self.accelerator.is_main_process:
            write_page(self.run.folder, self.recipe, None)
            model = export_run(self.run.folder)
            write_card(self.run.folder)  # which names the model
            self.progress.say(f"wrote {model}: retint colorize photo.jpg --model {model}")
        self.accelerator.end_training()

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
            raise self._diverged(f"{' and '.join(broken)} became {losses[broken[0]]}")

    def _check_weights(self, networks: Mapping[str, Mapping[str, Tensor]]) -> None:
        """See that a checkpoint does not replace the last good one by one of no use."""
        for name, weights in networks.items():
            finite = torch.stack([tensor.isfinite().all() for tensor in weights.values()])
            if not finite.all():
                raise self._diverged(f"weights of {name} became infinite or no numbers")

    def _diverged(self, what: str) -> RetintError:
        weights = self.run.folder / "generator.safetensors"
        return RetintError(
            f"{what} by iteration {self.iteration} (epoch {self.epoch + 1}): start another run "
            "with lower lr_g and lr_d, or precision=fp32"
            + (f", and with --init {weights}" if weights.exists() else "")
        )

    def _log(self, kind: str, epoch: int, values: dict[str, Any]) -> None:
        if self.accelerator.is_main_process:
            self.run.log(kind, epoch, self.iteration, {"stage": self.stage, **values})

    def _show(self, name: str, *, anew: bool = False) -> None:
        """Save a grid; renew graphs and page if that is long ago, or `anew`."""
        if not self.accelerator.is_main_process:
            return
        self._grid(name)
        if anew or time.monotonic() - self.drawn > _DRAW_EVERY:
            draw_graphs(self.run.folder, self.run.graphs)
            write_page(self.run.folder, self.recipe, self._seconds_left())
            self.drawn = time.monotonic()

    @torch.no_grad()
    def _grid(self, name: str) -> None:
        shown = self.batches.validation[:_GRID_PICTURES]
        rgb = self.batches.windows.batch(shown, train=False)
        ab, lightness, true_ab = predict(self.networks.judged, rgb, self.networks.readout)
        save_grid(lightness, ab, true_ab, self.run.grids / f"{name}.png")


def _facts(
    accelerator: Accelerator, photos: Path, batches: Batches, networks: Networks
) -> dict[str, Any]:
    """What a reader of the run wants to know beside its recipe."""
    device = accelerator.device.type
    name = torch.cuda.get_device_name() if device == "cuda" else platform.processor()
    return {
        "retint": __version__,
        "git": _git_revision(),
        "torch": torch.__version__,
        "device": f"{device} {name}".strip(),
        "processes": accelerator.num_processes,
        "precision": precision_of(accelerator),
        "photographs": str(photos),
        "names_sha256": batches.names_sha256,
        "training": len(batches.training),
        "validation": len(batches.validation),
        "base": networks.base,
        "mean_ab": [round(value, 2) for value in batches.mean_ab],
        "left_out": batches.left_out,
    }


def _git_revision() -> str:
    """Revision of the source checkout that is running, "unknown" outside one."""
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
