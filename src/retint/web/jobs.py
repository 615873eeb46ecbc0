"""Jobs of many or large photographs, kept on disk: they survive a restart, and expire."""

from __future__ import annotations

import json
import logging
import re
import shutil
import sqlite3
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO
from uuid import uuid4

from retint.databases import check_database
from retint.errors import RetintError
from retint.locks import locked
from retint.web.service import BusyError, Result, Wish
from retint.whole import whole_file

log = logging.getLogger("retint.web")

_SCHEMA = """
pragma journal_mode = wal;
pragma foreign_keys = on;
create table if not exists jobs (
    id text primary key, created real not null, finished real, wish text not null
);
create table if not exists files (
    job text not null references jobs (id) on delete cascade,
    number integer not null,
    name text not null,
    state text not null default 'waiting',
    error text,
    suffix text,
    media_type text,
    attempts integer not null default 0,
    primary key (job, number)
);
"""
_COLUMNS = {
    "jobs": "id, created, finished, wish",
    "files": "job, number, name, state, error, suffix, media_type, attempts",
}
_ID = re.compile(r"[0-9a-f]{32}")
REMOVED = "the photograph was removed from the service's folder"
WAITING, DONE, FAILED = "waiting", "done", "failed"


@dataclass(frozen=True)
class File:
    """A photograph of a job.

    Attributes:
        number: from 0, in the order of the upload.
        name: that the client gave it; never used as a path.
        state: waiting, done or failed.
        error: why it failed, or None.
        suffix: ending of the result, or None.
        media_type: of the result, or None.
    """

    number: int
    name: str
    state: str
    error: str | None = None
    suffix: str | None = None
    media_type: str | None = None


@dataclass(frozen=True)
class Job:
    """Photographs that came together.

    Attributes:
        id: names it in addresses.
        finished: seconds since 1970, or None while photographs wait.
        files: of it.
    """

    id: str
    finished: float | None
    files: tuple[File, ...]


class StorageError(RetintError):
    """There is no room for a job."""

    def __init__(self) -> None:
        super().__init__("the service has no room for the job: its operator has to make some")


class JobStore:
    """The jobs in a folder: a SQLite file, and a folder of files for each.

    All methods raise StorageError where the database cannot be read or written.

    Args:
        folder: made if it is not there.
        keep_seconds: how long finished jobs stay.
        most_open: jobs that are not finished, at a time.

    Raises:
        RetintError: if the folder cannot be used, or another service uses it.
    """

    def __init__(self, folder: Path, keep_seconds: float, most_open: int = sys.maxsize) -> None:
        with ExitStack() as opened:
            try:
                folder.mkdir(parents=True, exist_ok=True)
                # Two would do the same photographs.
                taken = f"{folder} is in use by another service: choose another --data"
                opened.enter_context(locked(folder / "lock", taken))
                self._database = opened.enter_context(_opened(folder / "jobs.sqlite"))
                self._remove_strays(folder)
            except (OSError, sqlite3.Error) as error:
                raise RetintError(
                    f"{folder} cannot hold the jobs ({error}): choose another --data, or move its "
                    "jobs.sqlite away"
                ) from error
            self._opened = opened.pop_all()
        self._folder = folder
        self._keep = keep_seconds
        self._most_open = most_open
        self._lock = threading.Lock()

    def add(self, photographs: Sequence[tuple[str, Path | BinaryIO]], wish: Wish) -> str:
        """Store a job, by name and file of its photographs; give its id.

        Raises:
            BusyError: if too many are open.
            StorageError: if there is no room for it.
        """
        self.admit()
        id_ = uuid4().hex
        place = self._folder / id_
        try:
            place.mkdir()
            for number, (_, source) in enumerate(photographs):
                _copy(source, place / f"{number}.in")
            with self._transaction() as database:
                self._admit(database)  # others may have come while this one was copied
                database.execute(
                    "insert into jobs (id, created, wish) values (?, ?, ?)",
                    (id_, time.time(), json.dumps(_to_json(wish))),
                )
                database.executemany(
                    "insert into files (job, number, name) values (?, ?, ?)",
                    [(id_, number, name) for number, (name, _) in enumerate(photographs)],
                )
        except OSError as error:
            self._remove_files(id_)
            log.exception("a job cannot be stored")
            raise StorageError from error
        except (BusyError, StorageError):
            self._remove_files(id_)
            raise
        return id_

    def admit(self) -> None:
        """See that another job may come; to be asked before it is received.

        Raises:
            BusyError: if too many are open.
        """
        with self._transaction() as database:
            self._admit(database)

    def get(self, id_: str) -> Job | None:
        """A job, if there is such a one."""
        with self._transaction() as database:
            found = database.execute("select finished from jobs where id = ?", (id_,)).fetchone()
            if found is None:
                return None
            rows = database.execute(
                "select number, name, state, error, suffix, media_type from files "
                "where job = ? order by number",
                (id_,),
            ).fetchall()
        return Job(id_, found[0], tuple(File(*row) for row in rows))

    def count_open(self) -> int:
        """Jobs that are not finished."""
        with self._transaction() as database:
            return _count_open(database)

    def result(self, job: Job, number: int) -> Path:
        """Where the result of a photograph lies, or will."""
        return self._folder / job.id / f"{number}.out"

    def remove(self, id_: str) -> None:
        """Forget a job and its files."""
        self._remove_files(id_)  # first, which makes room for what the database writes
        with self._transaction() as database:
            database.execute("delete from jobs where id = ?", (id_,))
        self._remove_files(id_)  # what was written meanwhile

    def remove_expired(self) -> None:
        """Forget the jobs that were finished too long ago."""
        with self._transaction() as database:
            rows = database.execute(
                "select id from jobs where finished < ?", (time.time() - self._keep,)
            ).fetchall()
        for (id_,) in rows:
            self.remove(id_)

    def next_waiting(self) -> tuple[str, int, str] | None:
        """Job, number and stored wish of the photograph that has waited longest."""
        with self._transaction() as database:
            found = database.execute(
                "select job, number, wish from files join jobs on jobs.id = job "
                "where state = ? order by created, number limit 1",
                (WAITING,),
            ).fetchone()
        return None if found is None else (found[0], found[1], found[2])

    def attempt(self, id_: str, number: int) -> int:
        """Write down that a service begins a photograph; give how many others did before."""
        with self._transaction() as database:
            found = database.execute(
                "select attempts from files where job = ? and number = ?", (id_, number)
            ).fetchone()
            database.execute(
                "update files set attempts = attempts + 1 where job = ? and number = ?",
                (id_, number),
            )
        return 0 if found is None else int(found[0])

    def take_back(self, id_: str, number: int) -> None:
        """Write down that the service has not ended in the last attempt at a photograph."""
        with self._transaction() as database:
            database.execute(
                "update files set attempts = attempts - 1 where job = ? and number = ?",
                (id_, number),
            )

    def read(self, id_: str, number: int) -> bytes:
        """A photograph of a job."""
        return (self._folder / id_ / f"{number}.in").read_bytes()

    def finish(self, id_: str, number: int, result: Result) -> None:
        """Store the result of a photograph, which is not needed any more."""
        try:
            with whole_file(self._folder / id_ / f"{number}.out", sole=True) as beside:
                beside.write_bytes(result.data)
        except FileNotFoundError:  # the job is being removed
            self.fail(id_, number, REMOVED)
        else:
            self._end(id_, number, DONE, None, result.suffix, result.media_type)

    def fail(self, id_: str, number: int, line: str) -> None:
        """Write down why a photograph has no result; it is not needed any more."""
        self._end(id_, number, FAILED, line, None, None)

    def close(self) -> None:
        """Close the database, and leave the folder to another service."""
        self._opened.close()

    def _end(self, id_: str, number: int, *outcome: str | None) -> None:
        with self._transaction() as database:
            found = database.execute(
                "update files set state = ?, error = ?, suffix = ?, media_type = ? "
                "where job = ? and number = ?",
                (*outcome, id_, number),
            ).rowcount
            database.execute(
                "update jobs set finished = ? where id = ? and not exists "
                "(select 1 from files where job = id and state = ?)",
                (time.time(), id_, WAITING),
            )
        if found:
            (self._folder / id_ / f"{number}.in").unlink(missing_ok=True)
        else:
            self._remove_files(id_)  # the job was removed while it was in work

    def _admit(self, database: sqlite3.Connection) -> None:
        if _count_open(database) >= self._most_open:
            raise BusyError

    def _remove_strays(self, folder: Path) -> None:
        """Remove the files of jobs that a killed service had not yet written down."""
        known = {id_ for (id_,) in self._database.execute("select id from jobs")}
        for place in folder.iterdir():
            if _ID.fullmatch(place.name) and place.name not in known:
                shutil.rmtree(place, ignore_errors=True)

    def _remove_files(self, id_: str) -> None:
        shutil.rmtree(self._folder / id_, ignore_errors=True)

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        try:
            with self._lock, self._database:
                yield self._database
        except sqlite3.Error as error:
            log.exception("the database of the jobs cannot be used")
            raise StorageError from error


def _copy(source: Path | BinaryIO, target: Path) -> None:
    if isinstance(source, Path):
        shutil.copyfile(source, target)
        return
    with target.open("wb") as file:
        shutil.copyfileobj(source, file)


def _count_open(database: sqlite3.Connection) -> int:
    found = database.execute("select count(*) from jobs where finished is null")
    return int(found.fetchone()[0])


@contextmanager
def _opened(file: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(file, check_same_thread=False)) as database:
        database.executescript(_SCHEMA)
        _add_attempts(database)
        check_database(database, _COLUMNS)
        yield database


def _add_attempts(database: sqlite3.Connection) -> None:
    """Add the column that databases of earlier versions lack."""
    columns = [name for _, name, *_ in database.execute("pragma table_info(files)")]
    if "attempts" not in columns:
        database.execute("alter table files add column attempts integer not null default 0")


def _to_json(wish: Wish) -> dict[str, Any]:
    return {
        "options": {key: value for key, value in wish.options.items() if key != "hints"},
        "format_name": wish.format_name,
        "quality": wish.quality,
        "recolor": wish.recolor,
        "model": wish.model,
    }


def wish_of_json(text: str) -> Wish:
    """A wish as `JobStore.next_waiting` gives it.

    Raises:
        RetintError: if another version has stored it.
    """
    try:
        return Wish(**json.loads(text))
    except (TypeError, ValueError) as error:
        line = "another version of the service has stored it: send the photograph again"
        raise RetintError(line) from error
