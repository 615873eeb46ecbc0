"""A call of `retint colorize` from plan to report, once or again and again on a hot folder."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import islice, takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from retint import __version__
from retint.batch import Manner, Outcome, colorize_tasks
from retint.colorizer import Colorizer, complete
from retint.errors import RetintError, exists_line
from retint.journal import NAME, Journal
from retint.places import HERE, Places, State
from retint.plan import Plan, Shard, Task, plan_tasks

if TYPE_CHECKING:
    from retint.report import Report

_LOOK_EVERY = 1.0  # seconds between two looks into a hot folder


@dataclass(frozen=True)
class Request:
    """What is to be coloured, and how; the options of `retint colorize`.

    Attributes:
        paths: photographs, and folders of them.
        out: folder for the results or, of one photograph, the file; None to write beside them.
        model: a name of `retint models`, an .onnx file, or a run folder.
        provider: ONNX Runtime provider to compute with, such as "CUDA"; the CPU if None.
        manner: how photographs are coloured and written.
        samples: colourings of each photograph.
        suffix: ending, and so format, of the results, such as ".tif"; the photograph's if None.
        shard: the part of the photographs that is done; all if None.
        provenance: write into the results that their colours were inferred, and how.
        report: page to write, with thumbnails and failures; None for none.
        places: what knows the files; those of this machine by default.
    """

    paths: Sequence[Path]
    out: Path | None = None
    model: str = "default"
    provider: str | None = None
    manner: Manner = field(default_factory=Manner)
    samples: int = 1
    suffix: str | None = None
    shard: Shard | None = None
    provenance: bool = True
    report: Path | None = None
    places: Places = HERE

    def plan(self, *, may_be_empty: bool = False) -> Plan:
        """Tasks, problems, and how many pictures are left alone; see `plan_tasks`.

        Raises:
            RetintError: if `out` cannot be where the results go, or there are hints for several.
        """
        plan = plan_tasks(
            self.paths,
            self.out,
            samples=self.samples,
            first=self.manner.first_seed,
            suffix=self.suffix,
            shard=self.shard,
            may_be_empty=may_be_empty or self.shard is not None,
            places=self.places,
        )
        hinted = self.manner.options.get("hints") or self.manner.strokes
        if hinted and len(plan.tasks) > 1:
            raise RetintError("hints belong to one photograph: give one, not several")
        return plan


@dataclass
class Totals:
    """How many photographs came to what end, or would in a dry run.

    `results` are files of folders that are named like results, and so no photographs to colour.
    """

    colored: int = 0
    failed: int = 0
    skipped: int = 0
    done_before: int = 0
    results: int = 0
    dry: bool = False

    def __str__(self) -> str:
        before = f", {self.done_before} done before" if self.done_before else ""
        results = f"; {self.results} named like results passed over" if self.results else ""
        coloured = "to be coloured" if self.dry else "coloured"
        ends = f"{self.colored} {coloured}, {self.failed} failed, {self.skipped} skipped"
        return f"{ends}{before}{results}"

    @property
    def files(self) -> int:
        """All of them."""
        return self.colored + self.failed + self.skipped + self.done_before + self.results


Engine = Callable[[Iterable[Task], Colorizer, Manner], Iterator[Outcome]]
"""Does tasks and gives what became of each, in any order: `colorize_tasks` of `retint.batch`, or of
`retint.scale.cluster.Cluster`."""


class Run:
    """Does a request.

    Args:
        request: what to do.
        tell: is given a line for each result.
        warn: is given a line for each problem.
        engine: does the work.
    """

    def __init__(
        self,
        request: Request,
        tell: Callable[[str], None],
        warn: Callable[[str], None],
        engine: Engine = colorize_tasks,
    ) -> None:
        self._request = request
        self._tell = tell
        self._warn = warn
        self._engine = engine
        self._places = request.places
        self.totals = Totals(dry=request.manner.dry)
        self._said: set[str] = set()
        self._journal: Journal | None = None
        self._report: Report | None = None
        self._unrecorded: list[Task] = []
        self._held = ExitStack()

    def once(self) -> Totals:
        """Colour all there is, or say what would become of it.

        Raises:
            RetintError: if the request makes no sense, or another run is at work on the same
                journal.
        """
        with self._held:
            self._do(self._request.plan())
        return self.totals

    def watch(self, stop: threading.Event) -> None:
        """Colour what comes into the folders until `stop` is set; finish what is in work.

        Raises:
            RetintError: if the request makes no sense, or another run is at work on the same
                journal.
        """
        with self._held:
            self._go_on_watching(stop)

    def _do(self, plan: Plan) -> None:
        request = self._request
        if not plan.tasks:
            self._account(plan)
            return
        colorizer = self._open()
        todo = self._account(plan)
        if request.manner.dry:
            self._journal = None  # it was asked, and is not to be written
        else:
            self._places.remove_partial_files(target for task in todo for target in task.targets)
        if len(todo) == 1:
            self._color(todo, colorizer)
        elif todo:
            from retint.progress import Progress  # late: one photograph need not wait for it

            with Progress().task("colouring", len(todo)) as advance:
                self._color(todo, colorizer, advance)
        self._close()

    def _go_on_watching(self, stop: threading.Event) -> None:
        seen: dict[Path, State | None] = {}
        tried: dict[Path, State | None] = {}
        self._request.plan(may_be_empty=True)  # before the journal makes a folder of a wrong `out`
        colorizer = self._open()
        while not stop.is_set():
            plan = self._request.plan(may_be_empty=True)
            states = {task.source: self._places.state(task.source) for task in plan.tasks}
            plan.tasks = [
                task for task in plan.tasks if states[task.source] != tried.get(task.source)
            ]
            todo = self._account(plan)
            # A file that changed since the last look may still be on its way.
            settled = [task for task in todo if states[task.source] == seen.get(task.source)]
            seen = states
            tried |= {task.source: states[task.source] for task in settled}
            self._places.remove_partial_files(target for task in settled for target in task.targets)
            self._color(takewhile(lambda _: not stop.is_set(), settled), colorizer)
            stop.wait(_LOOK_EVERY)
        self._close()

    def _open(self) -> Colorizer:
        """Open model, journal and report."""
        request = self._request
        providers = [request.provider] if request.provider else None
        colorizer = Colorizer(request.model, providers, provenance=request.provenance)
        if request.samples > 1 and not colorizer.model.varies:
            raise RetintError(
                f"model '{request.model}' has one colouring only: leave out --samples"
            )
        settings = self._settings(colorizer)
        place = self._journal_folder()
        if place is not None:
            shard = request.shard
            stem = Path(NAME).stem + (f"-{shard.index}-of-{shard.count}" if shard else "")
            path = place / f"{stem}.jsonl"
            if not request.manner.dry:
                self._held.enter_context(self._places.held(path))
            self._journal = Journal(path, settings, self._places)
            colorizer.date = self._journal.date
        if request.report and not request.manner.dry:
            from retint.report import Report

            go_on = self._journal is not None and self._journal.goes_on
            overwrite = request.manner.overwrite
            self._report = Report(request.report, settings, go_on=go_on, overwrite=overwrite)
        return colorizer

    def _close(self) -> None:
        if self._journal:
            self._journal.record(self._unrecorded)
            self._journal.finish()
        if self._report:
            self._tell(f"wrote {self._report.write()}")

    def _settings(self, colorizer: Colorizer) -> dict[str, Any]:
        manner, options = self._request.manner, complete(self._request.manner.options)
        return {
            "retint": __version__,
            "model": colorizer.model.card["name"],
            "weights": colorizer.model.sha256,
            **options,
            "hints": [repr(hint) for hint in options["hints"]],
            "strokes": str(manner.strokes) if manner.strokes else None,
            "quality": manner.quality,
            "provenance": self._request.provenance,
        }

    def _journal_folder(self) -> Path | None:
        """Where a run of folders keeps its journal; single photographs have none."""
        folders = [path for path in self._request.paths if self._places.is_folder(path)]
        return (self._request.out or folders[0]) if folders else None

    def _account(self, plan: Plan) -> list[Task]:
        """Tell the plan's problems, each once; give the tasks that are still to do."""
        overwrite = self._request.manner.overwrite
        for problem in plan.problems:
            self._fail(problem)
        self.totals.results += plan.results
        todo = []
        for task in plan.tasks:
            if self._journal and self._journal.is_done(task, anew=overwrite):
                self.totals.done_before += 1
                if self._report:
                    self._report.add_done(task)
                continue
            existing = [target for target in task.targets if self._places.exists(target)]
            if not existing or overwrite or self._was_begun(task):
                todo.append(task)
            else:
                self._fail(exists_line(existing[0]), task.source)
        return todo

    def _color(
        self,
        tasks: Iterable[Task],
        colorizer: Colorizer,
        advance: Callable[[int], None] | None = None,
    ) -> None:
        manner = self._request.manner
        if not manner.overwrite:
            tasks = self._written_down(tasks)
        outcomes = self._engine(tasks, colorizer, manner)
        for done, outcome in enumerate(outcomes, start=1):
            self._take(outcome)
            if advance:
                advance(done)

    def _was_begun(self, task: Task) -> bool:
        return self._journal is not None and self._journal.was_begun(task)

    def _written_down(self, tasks: Iterable[Task]) -> Iterator[Task]:
        """The tasks, each in the journal before it is begun, and without what a killed run left."""
        coming = iter(tasks)
        while some := list(islice(coming, self._places.at_once)):
            for task in some:
                if self._was_begun(task):
                    for target in task.targets:
                        self._places.remove(target)
            if self._journal:
                self._journal.record(some)
            yield from some

    def _take(self, outcome: Outcome) -> None:
        for written in outcome.written:
            self._tell(f"{outcome.task.source} -> {written}")
        if outcome.note:
            self._warn(outcome.note)
        if self._report:
            self._report.add(outcome)
        if outcome.error:
            self.totals.failed += 1
            self._warn(outcome.error)
        elif outcome.skipped:
            self.totals.skipped += 1
            self._warn(outcome.skipped)
        else:
            self.totals.colored += 1
            if self._journal and self._request.manner.overwrite:
                self._unrecorded.append(outcome.task)
                if len(self._unrecorded) >= self._places.at_once:
                    self._journal.record(self._unrecorded)
                    self._unrecorded.clear()

    def _fail(self, line: str, source: Path | None = None) -> None:
        if line in self._said:
            return
        self._said.add(line)
        self.totals.failed += 1
        self._warn(line)
        if self._report:
            self._report.add_problem(line, source)
