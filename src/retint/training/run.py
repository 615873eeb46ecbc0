"""The run folder: everything a training run leaves behind, written so that a kill loses nothing.

recipe.yaml       the recipe with all its values
run.json          versions, git revision, device, photographs used and left out
metrics.jsonl     one JSON object a line: running losses, validation figures
events/           the same for TensorBoard
graphs/, grids/   PNG pictures
index.html        curves and pictures to look at, renewed while it trains
checkpoint.pt     the whole state, to resume from
generator.safetensors, best.safetensors   weights: the last, and the best by validation score
generator.onnx    the best, for `retint colorize`; README.md, its model card
lock              empty; held while it trains
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import Tensor
from torch.utils.tensorboard import SummaryWriter

from retint.errors import RetintError, lacks_memory, written
from retint.locks import locked
from retint.training.recipe import Recipe, load_recipe
from retint.whole import whole_file, write_text

_DIGEST = "sha256"  # in the metadata of weights
# What a run writes, but for the lock; recipe.yaml, which comes first, makes a folder a run's.
_WRITTEN = (
    *("run.json", "metrics.jsonl", "events", "graphs", "grids", "index.html"),
    *("checkpoint.pt", "generator.safetensors", "best.safetensors", "generator.onnx", "README.md"),
)
# What a checkpoint holds, whatever else.
_STATE = {
    *("stage", "epoch", "iteration", "best", "metrics_size"),
    *("generator", "ema", "discriminator", "optimizers"),
}


class Run:
    """A run folder opened for training."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.graphs = folder / "graphs"
        self.grids = folder / "grids"
        self.checkpoint = folder / "checkpoint.pt"
        self._recipe = folder / "recipe.yaml"
        self._metrics = folder / "metrics.jsonl"
        self._events: SummaryWriter | None = None

    @contextmanager
    def held(self, recipe: Recipe, *, resume: bool) -> Iterator[None]:
        """Make the folder, and keep other trainings out of it for as long as this lasts.

        If nothing is started, nothing is left of it.

        Raises:
            RetintError: if another training has it, it cannot be written, or it holds a run that
                is not to be resumed, one of another recipe, or files that a run would replace.
        """
        made, lock = not self.folder.exists(), self.folder / "lock"
        taken = f"{self.folder} is being trained: wait for the end of that, or give another --out"
        with ExitStack() as stack:
            with written(self.folder):
                self.folder.mkdir(parents=True, exist_ok=True)
                stack.enter_context(locked(lock, taken))
            try:
                self._require_mine(recipe, resume=resume)
                yield
            finally:
                if not self._recipe.exists():
                    with suppress(OSError):
                        if not lock.stat().st_size:  # else it is somebody's
                            lock.unlink()
                        if made:
                            self.folder.rmdir()

    def _require_mine(self, recipe: Recipe, *, resume: bool) -> None:
        """See that the folder is free for this recipe, or holds a run of it to go on with."""
        if not self._recipe.exists():
            self._require_free()
            return
        if not resume:
            raise RetintError(f"{self.folder} holds a run: add --resume, or give another --out")
        if load_recipe(str(self._recipe)) != recipe:
            raise RetintError(
                f"{self.folder} was trained with another recipe: resume with the same recipe "
                "and --set values (they are in its recipe.yaml)"
            )

    def _require_free(self) -> None:
        """See that a folder that is no run holds nothing of the names that a run writes."""
        there = [name for name in _WRITTEN if (self.folder / name).exists()]
        if (self.folder / "lock").exists() and (self.folder / "lock").stat().st_size:
            there.append("lock")
        if there:
            raise RetintError(
                f"{self.folder} holds {there[0]} and is no run folder: give another --out"
            )

    def require_base(self, base: Mapping[str, str] | None) -> None:
        """See that a run that was stopped before its first checkpoint begins as it did.

        Args:
            base: name and SHA-256 of the weights that it would begin from now, if any.

        Raises:
            RetintError: if it began from others.
        """
        had = self._stored_facts().get("base")
        if not had or self.checkpoint.exists() or (base and base["sha256"] == had["sha256"]):
            return
        if base and base["name"] == had["name"]:
            raise RetintError(
                f"{base['name']} is no longer the file that {self.folder} began from, or another "
                "of that name: give the one that it had, or start a new run with another --out"
            )
        raise RetintError(
            f"{self.folder} began from {had['name']} and has no checkpoint yet: add the --init "
            f"that it had ({had['name']})"
        )

    def start(self, recipe: Recipe, facts: Mapping[str, Any]) -> None:
        """Write what the run is, or check that the one in the folder has the same photographs.

        Raises:
            RetintError: if it has others, or cannot be written.
        """
        if self._recipe.exists() and self.checkpoint.exists():
            facts = self._carried_on(facts)
        write_text(self._recipe, recipe.to_yaml())
        write_text(self.folder / "run.json", json.dumps(facts, indent=2) + "\n")
        with written(self.folder):
            self.grids.mkdir(exist_ok=True)
            self.graphs.mkdir(exist_ok=True)

    def _stored_facts(self) -> dict[str, Any]:
        return read_facts(self.folder) if (self.folder / "run.json").exists() else {}

    def _carried_on(self, facts: Mapping[str, Any]) -> Mapping[str, Any]:
        """Facts of a run that goes on; what earlier versions left out is not missed."""
        stored = self._stored_facts()
        digest = facts["names_sha256"]
        if stored.get("names_sha256", digest) != digest:  # what validated might train
            had, has = (known["training"] + known["validation"] for known in (stored, facts))
            other = f"{has} photographs, not {had}" if had != has else f"{has} of other names"
            raise RetintError(
                f"{facts['photographs']} is not what {self.folder} was trained on ({other}): "
                "resume with the same photographs, or start a new run with another --out and "
                f"--init {self.folder}"
            )
        return {**facts, "base": stored.get("base")}  # whatever --init is now

    def log(self, kind: str, epoch: int, iteration: int, values: Mapping[str, Any]) -> None:
        """Append one line to metrics.jsonl and the numbers to the TensorBoard events."""
        line = {"kind": kind, "epoch": epoch, "iteration": iteration, **values}
        with self._metrics.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        if self._events is None:
            self._events = SummaryWriter(str(self.folder / "events"), purge_step=iteration)
        for name, value in values.items():
            if isinstance(value, float):
                self._events.add_scalar(f"{kind}/{name}", value, iteration)

    def save(self, state: dict[str, Any], weights: Mapping[str, Tensor], *, best: bool) -> None:
        """Write the checkpoint and the generator's weights, each whole or not at all.

        Raises:
            RetintError: if they cannot be written.
        """
        try:
            self._save(state, weights, best=best)
        except torch.OutOfMemoryError:
            raise
        except (OSError, RuntimeError, SafetensorError) as error:  # of three libraries
            raise RetintError(
                f"{self.folder} cannot be written, its disk may be full: make room, and go on with "
                "--resume"
            ) from error

    def _save(self, state: dict[str, Any], weights: Mapping[str, Tensor], *, best: bool) -> None:
        size = self._metrics.stat().st_size if self._metrics.exists() else 0
        tensors = {name: tensor.cpu().contiguous() for name, tensor in weights.items()}
        # Not save_file(), which makes files that their owner alone can read.
        encoded = save(tensors, {_DIGEST: _digest(tensors)})
        for name in ("generator", "best") if best else ("generator",):
            with whole_file(self.folder / f"{name}.safetensors", sole=True) as beside:
                beside.write_bytes(encoded)
        with whole_file(self.checkpoint, sole=True) as beside:
            torch.save({**state, "metrics_size": size}, beside)

    def restore(self) -> dict[str, Any] | None:
        """Read the checkpoint into memory, not the device's; None if there is none.

        Raises:
            RetintError: if it is damaged or cannot be read.
        """
        if not self.checkpoint.exists():
            return None
        try:
            with ZipFile(self.checkpoint) as archive:  # whose checksums torch does not look at
                damaged = archive.testzip()
            state: dict[str, Any] = torch.load(
                self.checkpoint, map_location="cpu", weights_only=True
            )
            missing = _STATE - state.keys()
        except PermissionError as error:
            raise RetintError(f"{self.checkpoint} cannot be read: {error.strerror}") from error
        except Exception as error:  # torch raises many types on damaged files
            if lacks_memory(error):
                raise
            raise _damaged(self.checkpoint) from error
        if damaged or missing:
            raise _damaged(self.checkpoint)
        return state

    @contextmanager
    def restoring(self) -> Iterator[None]:
        """Tell in a line where what `restore` gave does not fit the networks."""
        try:
            yield
        except torch.OutOfMemoryError:
            raise
        except (RuntimeError, KeyError, TypeError, ValueError, AttributeError) as error:
            raise _damaged(self.checkpoint) from error

    def rewind(self, state: Mapping[str, Any] | None) -> None:
        """Forget what was logged after the checkpoint that `restore` gave."""
        if state is None:
            self._metrics.unlink(missing_ok=True)
        elif self._metrics.exists():
            os.truncate(self._metrics, state["metrics_size"])

    def close(self) -> None:
        """Flush the TensorBoard events."""
        if self._events is not None:
            self._events.close()


def read_recipe(folder: Path) -> Recipe:
    """The recipe of a finished or running run.

    Raises:
        RetintError: if `folder` is not a run folder.
    """
    if not (folder / "recipe.yaml").exists():
        raise RetintError(f"{folder} is not a run folder: it has no recipe.yaml")
    return load_recipe(str(folder / "recipe.yaml"))


def read_facts(folder: Path) -> dict[str, Any]:
    """What run.json says of the run: versions, device, photographs, their mean ab.

    Raises:
        RetintError: if it is missing or damaged.
    """
    try:
        facts: dict[str, Any] = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    except OSError as error:
        raise RetintError(f"{folder} is not a run folder: it has no run.json") from error
    except ValueError as error:
        raise RetintError(f"{folder / 'run.json'} is damaged: {error}") from error
    return facts


def read_metrics(folder: Path, kind: str) -> list[dict[str, Any]]:
    """Lines of metrics.jsonl of one kind: "train" or "validation".

    Raises:
        RetintError: if there is no such file, or a line is damaged.
    """
    try:
        lines = (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
        return [values for values in map(json.loads, lines) if values["kind"] == kind]
    except OSError as error:
        raise RetintError(f"{folder} is not a run folder: it has no metrics.jsonl") from error
    except (ValueError, KeyError, TypeError) as error:
        raise RetintError(f"{folder / 'metrics.jsonl'} is damaged: {error}") from error


def kept_epochs(validations: Sequence[dict[str, Any]]) -> Sequence[dict[str, Any]]:
    """Of lines of the kind "validation", those at checkpoints; all, as long as there is none.

    Epochs between checkpoints may have been better, but nothing of them is left.
    """
    return [line for line in validations if line.get("kept", True)] or validations


def best_epoch(validations: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Of lines of the kind "validation", that of the weights in best.safetensors."""
    return min(kept_epochs(validations), key=lambda line: line["score"])


def load_weights(path: Path) -> dict[str, Tensor]:
    """Weights of a .safetensors file; where `Run.save` wrote it, they are checked to be the same.

    Raises:
        RetintError: if it is damaged, or no such file.
    """
    try:
        with safe_open(path, "pt") as file:
            said = (file.metadata() or {}).get(_DIGEST)
        tensors = load_file(path)
    except (OSError, ValueError, SafetensorError) as error:
        raise RetintError(f"{path} cannot be read as weights: it may be damaged") from error
    if said is not None and said != _digest(tensors):
        raise RetintError(f"{path} is damaged: copy it again from where it came from")
    return tensors


def _digest(tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 of tensors and their names, in hexadecimal."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        digest.update(name.encode())
        plain = tensors[name].cpu().contiguous().flatten().view(torch.uint8).numpy()
        digest.update(plain.data)
    return digest.hexdigest()


def _damaged(checkpoint: Path) -> RetintError:
    return RetintError(
        f"{checkpoint} is damaged and cannot be resumed from: start a new run, with --init "
        f"{checkpoint.with_name('generator.safetensors')} if that is there"
    )
