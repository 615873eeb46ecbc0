"""Does the photographs of jobs, and tells how far they are."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncIterator
from contextlib import suppress

from retint.errors import RetintError, first_line
from retint.web.jobs import REMOVED, Job, JobStore, StorageError, wish_of_json
from retint.web.service import Service

log = logging.getLogger("retint.web")

_LOOK_EVERY = 60.0  # seconds between two looks for what has expired
_TELL_EVERY = 0.5  # seconds between two looks at a job that is followed
_MOST_ATTEMPTS = 3  # of services that ended while they coloured a photograph


class JobWorker:
    """Does the jobs' photographs, one after the other, in a thread of its own."""

    def __init__(self, store: JobStore, service: Service) -> None:
        self._store = store
        self._service = service
        self._wake = threading.Event()
        self._stopping = False
        self._begun: tuple[str, int] | None = None
        self._thread = threading.Thread(target=self._run, name="jobs", daemon=True)

    def start(self) -> None:
        """Begin, with what an earlier service left."""
        self._thread.start()

    def wake(self) -> None:
        """Say that there is something to do."""
        self._wake.set()

    @property
    def stopping(self) -> bool:
        """Whether no more photographs are begun: who follows a job need not wait for its end."""
        return self._stopping

    def end(self) -> None:
        """Begin no more photographs; they wait for the next start of the service."""
        self._stopping = True
        self._wake.set()

    def stop(self) -> None:
        """The same, and finish the photograph in work."""
        self.end()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopping:
            self._wake.clear()
            try:
                self._store.remove_expired()
                waiting = self._store.next_waiting()
                if waiting is None:
                    self._wake.wait(_LOOK_EVERY)
                else:
                    self._do(*waiting)
            except Exception:  # such as a full disk: what waits is tried again
                log.exception("a job could not go on")
                self._take_back()
                self._wake.wait(_LOOK_EVERY)

    def _do(self, id_: str, number: int, wish: str) -> None:
        if self._begun != (id_, number):  # or it is the same attempt, which could not be taken back
            before = self._store.attempt(id_, number)
            if before >= _MOST_ATTEMPTS:  # or else it would end the service for ever
                line = "the service ended while it coloured this photograph: send it smaller"
                self._store.fail(id_, number, line)
                return
            self._begun = id_, number
        try:
            result = self._service.work(self._read(id_, number), wish_of_json(wish))
        except RetintError as error:
            self._store.fail(id_, number, str(error))
        except Exception:  # a bug; the others are not to wait for it
            log.exception("photograph %d of job %s failed", number + 1, id_)
            self._store.fail(id_, number, f"the service failed; its log has job {id_}")
        else:
            self._store.finish(id_, number, result)

    def _read(self, id_: str, number: int) -> bytes:
        try:
            return self._store.read(id_, number)
        except FileNotFoundError as error:
            raise RetintError(REMOVED) from error
        except (OSError, MemoryError) as error:  # the others are not to wait for it
            log.exception("photograph %d of job %s cannot be read", number + 1, id_)
            cause = first_line(error)
            raise RetintError(
                f"it cannot be read from the service's folder ({cause}): send it again"
            ) from error

    def _take_back(self) -> None:
        """Count no attempt where the service did not end: only a result could not be stored."""
        if self._begun is not None:
            with suppress(StorageError):
                self._store.take_back(*self._begun)
                self._begun = None


async def progress_of(store: JobStore, worker: JobWorker, id_: str) -> AsyncIterator[Job]:
    """A job, whenever it has changed, until it or the service ends."""
    told = None
    while not worker.stopping:
        job = await asyncio.to_thread(store.get, id_)
        if job is None:
            return
        if job != told:
            yield job
            told = job
        if job.finished is not None:
            return
        await asyncio.sleep(_TELL_EVERY)
