"""The one SQLite file and the one thread that touches it.

Each job is a function of the connection that runs as a savepoint; jobs that wait together share
one commit, so that a burst of orders costs a few fsyncs, and a job's result is handed back only
after its commit (synchronous=FULL): what was answered survives kill -9. Jobs run in the order in
which they were given, reads included, so every read sees every earlier write. The tables'
functions (`accounts.py`, `journal.py`) and the exchange's transactions run here.
"""

from __future__ import annotations

import asyncio
import queue
import sqlite3
import threading
from collections.abc import Callable
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")

_BATCH = 512
_BUSY_S = 2.0


@dataclass(frozen=True, slots=True)
class _Job:
    run: Callable[[sqlite3.Connection], Any]
    done: asyncio.Future[Any]


class Store:
    """Runs transactions one after the other; open it on the event loop that awaits the results."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="store", daemon=True)
        self._opened: asyncio.Future[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def open(self) -> None:
        """Create or open the file. Raises sqlite3.Error or OSError when that fails."""
        self._loop = asyncio.get_running_loop()
        self._opened = self._loop.create_future()
        self._thread.start()
        await self._opened

    async def close(self) -> None:
        """Finish all jobs that were given and close the file."""
        self._jobs.put(None)
        await asyncio.to_thread(self._thread.join)

    def submit(self, run: Callable[[sqlite3.Connection], T]) -> asyncio.Future[T]:
        """Give a job; the future ends after its commit, or with what the job raised."""
        if self._loop is None:
            raise RuntimeError("the store is not open")
        done: asyncio.Future[T] = self._loop.create_future()
        self._jobs.put(_Job(run, done))
        return done

    async def run(self, run: Callable[[sqlite3.Connection], T]) -> T:
        """Give a job and wait for it; a caller that is cancelled does not stop it."""
        return await asyncio.shield(self.submit(run))

    def _work(self) -> None:
        opened = self._opened
        if opened is None:
            return
        try:
            db = _connect(self._path)
        except (sqlite3.Error, OSError) as error:
            self._notify([(opened, None, error)])
            return
        self._notify([(opened, None, None)])
        try:
            while (job := self._jobs.get()) is not None:
                jobs, last = self._gather(job)
                self._commit(db, jobs)
                if last:
                    return
        finally:
            db.close()

    def _gather(self, job: _Job) -> tuple[list[_Job], bool]:
        jobs = [job]
        while len(jobs) < _BATCH:
            try:
                following = self._jobs.get_nowait()
            except queue.Empty:
                break
            if following is None:
                return jobs, True
            jobs.append(following)
        return jobs, False

    def _commit(self, db: sqlite3.Connection, jobs: list[_Job]) -> None:
        outcomes: list[tuple[asyncio.Future[Any], Any, BaseException | None]] = []
        try:
            db.execute("BEGIN IMMEDIATE")
            for job in jobs:
                outcomes.append((job.done, *_run_job(db, job)))
            db.execute("COMMIT")
        except sqlite3.Error as error:
            # Nothing of this batch is durable, whatever its jobs returned.
            if db.in_transaction:
                db.execute("ROLLBACK")
            outcomes = [(job.done, None, error) for job in jobs]
        self._notify(outcomes)

    def _notify(
        self, outcomes: list[tuple[asyncio.Future[Any], Any, BaseException | None]]
    ) -> None:
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(_resolve, outcomes)


def _run_job(db: sqlite3.Connection, job: _Job) -> tuple[Any, BaseException | None]:
    db.execute("SAVEPOINT job")
    try:
        result = job.run(db)
    except Exception as error:  # noqa: BLE001 - handed to the caller, who knows what it means
        db.execute("ROLLBACK TO job")
        return None, error
    finally:
        db.execute("RELEASE job")
    return result, None


def _resolve(outcomes: list[tuple[asyncio.Future[Any], Any, BaseException | None]]) -> None:
    for done, result, error in outcomes:
        if done.done():
            continue
        if error is not None:
            done.set_exception(error)
        else:
            done.set_result(result)


def _connect(path: Path) -> sqlite3.Connection:
    path.parent.mkdir(parents=True, exist_ok=True)
    db = sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None)
    db.row_factory = sqlite3.Row
    # Only one process may own the file, and it does so until it dies.
    db.execute("PRAGMA locking_mode = EXCLUSIVE")
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    db.execute("PRAGMA foreign_keys = ON")
    db.executescript(resources.files("paper.insiders").joinpath("schema.sql").read_text())
    return db
