"""Many processes, here or on a cluster, that colour one photograph each: Ray's actors.

Actors rather than Ray Data: a worker that dies costs one photograph one more attempt, a photograph
that kills its workers is named in the end, and the journal knows each before it is begun.
"""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

# Before Ray is loaded: it would report to its makers, and pack the working folder under `uv run`.
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
os.environ["RAY_ENABLE_UV_RUN_RUNTIME_ENV"] = "0"
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # no warning of it

import cv2
import ray
from ray.exceptions import RayError, RayTaskError

from retint import __version__
from retint.batch import Manner, Outcome
from retint.colorizer import Colorizer
from retint.errors import RetintError, first_line, last_line
from retint.model import Model
from retint.photo.provenance import now
from retint.plan import Task
from retint.scale.urls import remove_partials
from retint.scale.work import colorize_task

log = logging.getLogger(__name__)

_MOST_DEATHS = 3  # of workers with the same photograph in hand
_PACE = 1.0  # seconds of work that a worker is given at a time, more or less
_MOST_AT_ONCE = 16  # photographs
_PATIENCE = 60.0  # seconds without any worker before a person is told
_SHARED_MEMORY = 2**30  # bytes at most, of Ray on this machine: for the model and for outcomes


@dataclass(frozen=True)
class Cluster:
    """Where to compute.

    Attributes:
        address: of a running Ray cluster; None for processes on this machine.
        workers: processes; as many as there are cores if None. On a cluster each takes one core,
            and those for which there is none yet start when there is.
    """

    address: str | None = None
    workers: int | None = None

    def colorize_tasks(
        self, tasks: Iterable[Task], colorizer: Colorizer, manner: Manner
    ) -> Iterator[Outcome]:
        """Do the tasks, in the order in which workers get done; see `retint.batch`.

        Raises:
            RetintError: if there is no cluster, or no worker can start.
        """
        if manner.strokes is not None:
            raise RetintError("hints belong to one photograph: colour it without --engine ray")
        with self.connected():
            model = _Weights(
                __version__,
                colorizer.model.read(),
                colorizer.provenance,
                colorizer.date or now(),
                Path.cwd(),
            )
            count = self.workers or max(1, int(ray.cluster_resources().get("CPU", 1)))
            make = ray.remote(_Worker).options(num_cpus=1, max_restarts=0, max_task_retries=0)
            given = (ray.put(model), manner)
            crew = _Crew(lambda: make.remote(*given), count)
            try:
                yield from crew.do(tasks)
            finally:
                crew.dismiss()

    @contextmanager
    def connected(self) -> Iterator[None]:
        """Start Ray, or join it, for as long as this lasts; nothing where the process has done so.

        Raises:
            RetintError: if that fails.
        """
        if ray.is_initialized():  # by a program that uses this one
            yield
            return
        quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
        try:
            if self.address:
                _knock(self.address)
                ray.init(self.address, **quiet)
            else:
                ray.init(
                    "local",
                    num_cpus=self.workers,
                    include_dashboard=False,
                    object_store_memory=_SHARED_MEMORY,
                    **quiet,
                )
        except (OSError, OverflowError, RayError, RuntimeError, ValueError) as error:
            where = f"at {self.address}" if self.address else "on this machine"
            cause = first_line(error)
            raise RetintError(f"Ray cannot be used {where}: {cause}") from error
        try:
            yield
        finally:
            ray.shutdown()


def _knock(address: str) -> None:
    """See whether anything answers there: Ray itself would try for minutes."""
    host, _, port = address.rpartition(":")
    if host and port.isdecimal() and "://" not in host:
        socket.create_connection((host.strip("[]"), int(port)), _PATIENCE / 6).close()


@dataclass(frozen=True)
class _Weights:
    """What each worker needs to know of the run; the model's file may be on this machine only."""

    version: str
    model: bytes
    provenance: bool
    date: str
    folder: Path


class _Worker:
    """A process with an opened model."""

    def __init__(self, weights: _Weights, manner: Manner) -> None:
        if weights.version != __version__:
            raise RetintError(
                f"retint {__version__} is installed on {ray.util.get_node_ip_address()}, but "
                f"{weights.version} where the run began: install the same"
            )
        cv2.setNumThreads(1)
        with suppress(OSError):  # if machines share no folder, all is at URLs
            os.chdir(weights.folder)
        model = Model(weights.model, threads=1)
        self._colorizer = Colorizer(model, provenance=weights.provenance)
        self._colorizer.date = weights.date
        self._manner = manner

    def is_ready(self) -> bool:
        """Answers when the model is open."""
        return True

    def color(self, tasks: Sequence[Task], again: bool) -> list[Outcome]:
        """Do tasks, one after the other; `again` if another worker may have done them in part."""
        manner = self._manner
        if again:
            remove_partials(target for task in tasks for target in task.targets)
            manner = replace(manner, overwrite=True)
        return [colorize_task(task, self._colorizer, manner) for task in tasks]


@dataclass
class _Tracked:
    """A task, whether it was begun before, and how many workers died with nothing else in hand."""

    task: Task
    begun: bool = False
    deaths: int = 0


@dataclass(frozen=True)
class _Attempt:
    """What a worker was given, and when."""

    given: Sequence[_Tracked]
    start: float


class _Crew:
    """Workers, each with a few photographs to do, and others in place of those that die.

    A worker is given as many as it does in a second, so that one process can feed hundreds of
    workers. They are taken from their source as workers become free: no more wait than that.
    """

    def __init__(self, make: Callable[[], Any], count: int) -> None:
        self._make = make
        self._all: set[Any] = set()
        self._idle: list[Any] = []
        self._busy = 0
        self._at_once = 1
        self._failed_starts = 0  # one after the other
        self._warned = False
        self._events: SimpleQueue[tuple[Any, _Attempt | None, Future[Any]]] = SimpleQueue()
        for _ in range(count):
            self._hire()

    def do(self, tasks: Iterable[Task]) -> Iterator[Outcome]:
        """Do the tasks."""
        coming = (_Tracked(task) for task in tasks)
        again: list[_Tracked] = []
        ready = self._next(again, coming)
        while ready or self._busy:
            if ready and self._idle:
                self._begin(self._idle.pop(), ready)
                ready = self._next(again, coming)
                continue
            worker, attempt, future = self._next_event()
            error = future.exception()
            if error is None:
                self._idle.append(worker)
            else:
                self._remove(worker, error)
            if attempt is None:
                self._note_start(error)
                continue
            self._busy -= 1
            if error is None:
                self._set_pace(attempt)
                yield from future.result()
            else:
                self._hire()
                yield from self._lost(attempt, error, again)
            ready = ready or self._next(again, coming)

    def dismiss(self) -> None:
        """End all workers."""
        for worker in self._all:
            ray.kill(worker)

    def _next(self, again: list[_Tracked], coming: Iterator[_Tracked]) -> list[_Tracked]:
        """What was begun before is done alone, so that it is known what a worker dies of."""
        return [again.pop()] if again else list(islice(coming, self._at_once))

    def _lost(
        self, attempt: _Attempt, error: BaseException, again: list[_Tracked]
    ) -> Iterator[Outcome]:
        """Have tasks done again whose worker died, but for one that ends all its workers."""
        alone = len(attempt.given) == 1
        for one in attempt.given:
            one.deaths += alone and not getattr(error, "preempted", False)
            if one.deaths < _MOST_DEATHS:
                again.append(one)
            else:
                remove_partials(one.task.targets)
                yield Outcome(one.task, error=_deadly(one.task))

    def _set_pace(self, attempt: _Attempt) -> None:
        """As many at once as are done in a second, going by those that were just done."""
        seconds = (time.monotonic() - attempt.start) / len(attempt.given)
        most = min(2 * self._at_once, _MOST_AT_ONCE)
        self._at_once = max(1, min(most, int(_PACE / seconds)))

    def _hire(self) -> None:
        worker = self._make()
        self._all.add(worker)
        self._watch(worker.is_ready.remote(), worker, None)

    def _begin(self, worker: Any, given: Sequence[_Tracked]) -> None:
        again = any(one.begun for one in given)
        for one in given:
            one.begun = True
        done = worker.color.remote([one.task for one in given], again)
        self._watch(done, worker, _Attempt(given, time.monotonic()))
        self._busy += 1

    def _watch(self, reference: Any, worker: Any, attempt: _Attempt | None) -> None:
        # Not ray.wait(): with thousands of workers, it looks at all of them for each that is done.
        reference.future().add_done_callback(
            lambda future: self._events.put((worker, attempt, future))
        )

    def _next_event(self) -> tuple[Any, _Attempt | None, Future[Any]]:
        while True:
            try:
                return self._events.get(timeout=_PATIENCE)
            except Empty:
                if not self._busy:
                    log.warning("waiting for a worker: 'ray status' says whether a core is free")

    def _remove(self, worker: Any, error: BaseException) -> None:
        """Do without a worker that is lost; what is no loss of a worker is raised."""
        if not isinstance(error, RayError) or isinstance(error, RayTaskError):
            raise error
        self._all.discard(worker)
        ray.kill(worker)  # it may be alive, and only out of reach

    def _note_start(self, error: BaseException | None) -> None:
        """Another worker for one that did not start, unless that is in vain.

        One bad machine does not end a run that others can go on with.
        """
        if error is None:
            self._failed_starts = 0
            return
        self._failed_starts += 1
        refused = getattr(error, "actor_init_failed", False)
        if not refused and self._failed_starts <= len(self._all) + 1:
            self._hire()
            return
        cause = last_line(error).removeprefix("retint.errors.RetintError: ")
        if not self._all:
            raise RetintError(f"a worker cannot start: {cause}") from error
        if not self._warned:
            log.warning("a worker cannot start, the others go on without it: %s", cause)
            self._warned = True


def _deadly(task: Task) -> str:
    return (
        f"{task.source} ended {_MOST_DEATHS} workers that were colouring it: there may be too "
        "little memory for it, or it is damaged; scale it down or leave it out"
    )
