"""Sessions and their answers in SQLite, written as they come."""

from __future__ import annotations

import datetime
import random
import secrets
import sqlite3
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

from retint.databases import check_database
from retint.errors import RetintError
from retint.survey.build import Survey
from retint.survey.trials import Side, Trial, TrialKind, draw_trials

NAME = "answers.sqlite"

# synchronous = full: an answer that was acknowledged outlives a loss of power, too.
_SCHEMA = """
pragma journal_mode = wal;
pragma synchronous = full;
pragma foreign_keys = on;
create table if not exists sessions (id text primary key, model text not null, day text not null);
create table if not exists trials (
    session text not null references sessions (id),
    number integer not null,
    kind text not null,
    picture integer not null,
    real text not null,
    first text not null,
    left text not null unique,
    right text not null unique,
    views integer not null,
    answer text,
    milliseconds integer,
    primary key (session, number)
);
"""
_COLUMNS = "number, kind, picture, real, first, left, right, views, answer, milliseconds"
_TABLES = {"sessions": "id, model, day", "trials": _COLUMNS}
# What SQLite says where the file may be whole, but cannot be got at.
_OUT_OF_REACH = {
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_CANTOPEN,
}


@dataclass(frozen=True)
class Session:
    """What one rater was shown and said.

    Attributes:
        model: that coloured all its pictures.
        trials: in order; those without an answer are still to come.
    """

    model: str
    trials: tuple[Trial, ...]

    @property
    def complete(self) -> bool:
        """Whether all trials have an answer."""
        return all(trial.answer for trial in self.trials)

    @property
    def current(self) -> Trial | None:
        """The trial that the rater has to answer now; None at the end."""
        return next((trial for trial in self.trials if trial.answer is None), None)


class Store:
    """The answers of a survey.

    Args:
        survey: what is shown.
        chance: draws models and trials; the operating system's randomness if None.

    Raises:
        RetintError: if the file cannot be used.
    """

    def __init__(self, survey: Survey, chance: random.Random | None = None) -> None:
        self._survey = survey
        self._chance = chance or random.SystemRandom()
        self._lock = threading.Lock()
        file = survey.folder / NAME
        try:
            self._database = sqlite3.connect(file, check_same_thread=False)
            self._database.executescript(_SCHEMA)
            check_database(self._database, _TABLES)
        except sqlite3.Error as error:
            raise _unusable(file, error) from error

    def begin(self) -> tuple[str, Session]:
        """Begin a session with a model that has had the fewest; give its secret id, too."""
        id_ = secrets.token_urlsafe(24)
        trials = draw_trials(self._survey.protocol, len(self._survey.pictures), self._chance)
        with self._transaction() as database:
            begun = Counter(model for (model,) in database.execute("select model from sessions"))
            fewest = min(begun[name] for name in self._survey.names)
            model = self._chance.choice([n for n in self._survey.names if begun[n] == fewest])
            today = datetime.date.today().isoformat()
            database.execute("insert into sessions values (?, ?, ?)", (id_, model, today))
            database.executemany(
                f"insert into trials (session, {_COLUMNS}) values ({', '.join('?' * 11)})",
                [(id_, *astuple(trial)) for trial in trials],
            )
        return id_, Session(model, tuple(trials))

    def session(self, id_: str) -> Session | None:
        """A session, if there is such a one."""
        with self._transaction() as database:
            found = database.execute("select model from sessions where id = ?", (id_,)).fetchone()
            return None if found is None else _session(database, id_, found[0])

    def count_view(self, id_: str, number: int) -> None:
        """Write down that a trial is being shown."""
        with self._transaction() as database:
            database.execute(
                "update trials set views = views + 1 where session = ? and number = ?",
                (id_, number),
            )

    def answer(self, id_: str, number: int, side: Side, milliseconds: int) -> Session:
        """Write down an answer, unless the trial has one; give the session as it is then."""
        with self._transaction() as database:
            database.execute(
                "update trials set answer = ?, milliseconds = ? "
                "where session = ? and number = ? and answer is null",
                (side, milliseconds, id_, number),
            )
            (model,) = database.execute(
                "select model from sessions where id = ?", (id_,)
            ).fetchone()
            return _session(database, id_, model)

    def close(self) -> None:
        """Close the database."""
        self._database.close()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock, self._database:
            yield self._database


def read_sessions(survey: Survey) -> list[Session]:
    """All sessions of a survey, which may go on, in the order they began; nothing is written.

    Raises:
        RetintError: if the answers cannot be read.
    """
    file = survey.folder / NAME
    if not file.exists():  # nobody was asked yet
        return []
    # Without a log of what is still to be written into it, SQLite needs to make none: it could
    # not in a folder that may only be read.
    logged = file.with_name(f"{NAME}-wal").exists()
    address = file.absolute().as_uri() + ("?mode=ro" if logged else "?mode=ro&immutable=1")
    try:
        with closing(sqlite3.connect(address, uri=True)) as database:
            check_database(database, _TABLES)
            return _sessions(database)
    except sqlite3.Error as error:
        raise _unusable(file, error) from error


def _unusable(file: Path, error: sqlite3.Error) -> RetintError:
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF
    mend = (
        "see whether you may use its folder, and whether the disk is full"
        if code in _OUT_OF_REACH
        else "move it away"
    )
    return RetintError(f"{file} cannot be used ({error}): {mend}")


def _sessions(database: sqlite3.Connection) -> list[Session]:
    found = database.execute("select id, model from sessions order by rowid").fetchall()
    return [_session(database, id_, model) for id_, model in found]


def _session(database: sqlite3.Connection, id_: str, model: str) -> Session:
    rows = database.execute(
        f"select {_COLUMNS} from trials where session = ? order by number", (id_,)
    )
    return Session(model, tuple(_trial(*row) for row in rows))


def _trial(number: int, kind: str, *rest: Any) -> Trial:
    return Trial(number, TrialKind(kind), *rest)
