"""What the raters' answers say: table, JSON, CSV and a page."""

from __future__ import annotations

import base64
import csv
import io
import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

import numpy as np

from retint.outputs import write_files
from retint.pages import render
from retint.photo import Photo, encode_photo, read_photo
from retint.survey.build import SIZE, TRUTH, Survey
from retint.survey.statistics import Interval, Power, cluster_bootstrap, power, wilson
from retint.survey.store import Session
from retint.survey.trials import Trial, TrialKind
from retint.tables import Table

_SHARE_OF_CHECKS = 0.75  # that an attentive rater answers right; Zhang et al. 2016 saw 0.87
_EXTREMES = 10
_NONE = "-"


@dataclass(frozen=True)
class Rate:
    """How often some sessions took the photograph for the computer's work.

    Attributes:
        raters: sessions.
        trials: that counted.
        fooled: of these.
        rate: the share.
        wilson: its interval, if all answers were independent.
        bootstrap: its interval over raters; None of a single one, who says nothing of others.
        power: raters for a narrower one.
    """

    raters: int
    trials: int
    fooled: int
    rate: float
    wilson: Interval
    bootstrap: Interval | None
    power: Power


@dataclass(frozen=True)
class PictureRate:
    """How often one photograph beside one model's colouring fooled raters who paid attention."""

    model: str
    number: int
    name: str
    trials: int
    fooled: int
    interval: Interval

    @property
    def rate(self) -> float:
        """The share of its trials."""
        return self.fooled / self.trials


@dataclass(frozen=True)
class ModelResult:
    """What raters said of one model.

    Attributes:
        model: its name.
        begun: sessions that were begun.
        incomplete: of these, not at their end; they are in no rate.
        inattentive: complete sessions that failed the attention checks.
        attentive: rate of the other complete sessions; None without any.
        everyone: rate of all complete sessions.
        seconds: that an answer took, median of the attentive.
        seen_again: trials of all complete sessions that were shown more than once.
    """

    model: str
    begun: int
    incomplete: int
    inattentive: int
    attentive: Rate | None
    everyone: Rate | None
    seconds: float | None
    seen_again: int


@dataclass(frozen=True)
class Results:
    """All that the answers say."""

    survey: Survey
    models: list[ModelResult]
    pictures: list[PictureRate]

    def line(self) -> str:
        """How the answers came about, in one line."""
        protocol = self.survey.protocol
        return (
            f"{len(self.survey.pictures)} photographs of {self.survey.photographs} "
            f"({len(self.survey.left_out)} left out), middle square at {SIZE} x {SIZE} px, real "
            f"and coloured at the same lightness, {protocol.seconds:g} s each, one after the "
            f"other, sides and order random; {protocol.practice} practice trials with feedback, "
            f"{protocol.trials} counted without; one model a session, one session a rater; "
            f"{self.rule()} Made by retint {self.survey.retint}"
        )

    def rule(self) -> str:
        """Which sessions are left out, in a sentence."""
        checks = self.survey.protocol.checks
        if not checks:
            return "no attention checks."
        return (
            f"attentive is who answers {_wanted(checks)} of the {checks} attention checks "
            "(the photograph against a rainbow across it) right, or more."
        )


def results_of(survey: Survey, sessions: Sequence[Session]) -> Results:
    """Count the answers of a survey."""
    models = [
        _result(name, [session for session in sessions if session.model == name])
        for name in survey.names
    ]
    return Results(survey, models, list(_picture_rates(survey, sessions)))


def is_attentive(session: Session) -> bool:
    """Whether enough attention checks were answered right."""
    checks = [trial for trial in session.trials if trial.kind is TrialKind.CHECK]
    return sum(not trial.fooled for trial in checks) >= _wanted(len(checks))


def _wanted(checks: int) -> int:
    return int(np.ceil(_SHARE_OF_CHECKS * checks))


def _counted(session: Session) -> list[Trial]:
    return [trial for trial in session.trials if trial.kind is TrialKind.COUNTED]


def _result(model: str, sessions: Sequence[Session]) -> ModelResult:
    complete = [session for session in sessions if session.complete]
    attentive = [session for session in complete if is_attentive(session)]
    trials = [trial for session in attentive for trial in _counted(session)]
    times = [trial.milliseconds for trial in trials if trial.milliseconds is not None]
    return ModelResult(
        model=model,
        begun=len(sessions),
        incomplete=len(sessions) - len(complete),
        inattentive=len(complete) - len(attentive),
        attentive=_rate(attentive),
        everyone=_rate(complete),
        seconds=median(times) / 1000 if times else None,
        seen_again=sum(trial.views > 1 for session in complete for trial in session.trials),
    )


def _rate(sessions: Sequence[Session]) -> Rate | None:
    if not sessions:
        return None
    trials = np.array([len(_counted(session)) for session in sessions])
    fooled = np.array([sum(t.fooled for t in _counted(session)) for session in sessions])
    return Rate(
        raters=len(sessions),
        trials=int(trials.sum()),
        fooled=int(fooled.sum()),
        rate=float(fooled.sum() / trials.sum()),
        wilson=wilson(int(fooled.sum()), int(trials.sum())),
        bootstrap=cluster_bootstrap(fooled, trials) if len(sessions) > 1 else None,
        power=power(fooled, trials),
    )


def _picture_rates(survey: Survey, sessions: Iterable[Session]) -> Iterator[PictureRate]:
    shown: Counter[tuple[str, int]] = Counter()
    fooled: Counter[tuple[str, int]] = Counter()
    for session in sessions:
        if session.complete and is_attentive(session):
            for trial in _counted(session):
                shown[session.model, trial.picture] += 1
                fooled[session.model, trial.picture] += trial.fooled
    for key in sorted(shown):
        model, number = key
        interval = wilson(fooled[key], shown[key])
        yield PictureRate(model, number, survey.pictures[number], shown[key], fooled[key], interval)


def table_of(results: Results) -> Table:
    """Two rows for each model: attentive raters, and everyone who came to the end."""
    header = ["", "raters", "trials", "fooled", "Wilson 95%", "bootstrap 95%", "raters for ±3%"]
    rows = []
    for result in results.models:
        rows.append(_row(result.model, result.attentive))
        rows.append(_row(f"{result.model}, the inattentive too", result.everyone))
    return Table(header, rows)


def _row(name: str, rate: Rate | None) -> list[str]:
    if rate is None:
        return [name, "0", "0", *[_NONE] * 4]
    bootstrap = _NONE if rate.bootstrap is None else str(rate.bootstrap)
    return [
        name,
        str(rate.raters),
        str(rate.trials),
        f"{rate.rate:.1%}",
        str(rate.wilson),
        bootstrap,
        str(rate.power.raters),
    ]


def sessions_table(results: Results) -> Table:
    """What became of the sessions of each model."""
    header = ["", "begun", "incomplete", "inattentive", "s to answer", "shown again"]
    rows = [
        [
            result.model,
            str(result.begun),
            str(result.incomplete),
            str(result.inattentive),
            _NONE if result.seconds is None else f"{result.seconds:.1f}",
            str(result.seen_again),
        ]
        for result in results.models
    ]
    return Table(header, rows)


def write_report(results: Results, out: Path) -> list[Path]:
    """Write results.json, pictures.csv and report.html into a folder.

    Raises:
        RetintError: if it cannot be written, or a picture of the survey cannot be read.
    """
    values = {
        "protocol": results.line(),
        "session": asdict(results.survey.protocol),
        "models": [asdict(result) for result in results.models],
    }
    contents = {
        "results.json": json.dumps(values, indent=2).encode() + b"\n",
        "pictures.csv": os.fsencode(_csv_of(results)),  # names of files need not be text
        "report.html": _page(results).encode(),
    }
    return write_files(out, contents)


def _csv_of(results: Results) -> str:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["model", "picture", "trials", "fooled", "rate", "wilson_low", "wilson_high"])
    for picture in results.pictures:
        figures = (picture.rate, picture.interval.low, picture.interval.high)
        writer.writerow(
            [picture.model, picture.name, picture.trials, picture.fooled]
            + [f"{figure:.4f}" for figure in figures]
        )
    return stream.getvalue()


def _page(results: Results) -> str:
    extremes = [(result.model, *_extremes(results, result.model)) for result in results.models]
    return render(
        "survey/report.html.j2",
        table=table_of(results),
        sessions=sessions_table(results),
        models=results.models,
        line=results.line(),
        extremes=[entry for entry in extremes if entry[1] or entry[2]],
        left_out=results.survey.left_out,
    )


def _extremes(results: Results, model: str) -> tuple[list[dict[str, str]], list[dict[str, str]]]:
    """Pictures that fooled most, and least, by the cautious ends of their intervals."""
    pictures = [picture for picture in results.pictures if picture.model == model]
    count = min(_EXTREMES, len(pictures) // 2)
    most = sorted(pictures, key=lambda p: (-p.interval.low, -p.rate))[:count]
    least = sorted(pictures, key=lambda p: (p.interval.high, p.rate))[:count]
    shown = [[_shown(results.survey, picture) for picture in some] for some in (most, least)]
    return shown[0], shown[1]


def _shown(survey: Survey, picture: PictureRate) -> dict[str, str]:
    """A photograph on the page, its pictures as JPEG in base64."""
    return {
        "title": f"{picture.name}: fooled {picture.fooled} of {picture.trials}",
        "truth": _jpeg(survey.picture_path(picture.number, TRUTH)),
        "colored": _jpeg(survey.picture_path(picture.number, picture.model)),
    }


def _jpeg(png: Path) -> str:
    photo = Photo(read_photo(png).pixels, "JPEG")
    return base64.b64encode(encode_photo(photo, quality=85)).decode()
