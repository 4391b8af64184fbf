"""Signatures that leave while PostgreSQL is away: on the signer's own disk first, booked later.

Only what reads or ends orders goes this way (`audit`). A line is synced before its signature
leaves, so none is missing after a crash; a line that was cut off had no signature.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path

import msgspec
import structlog

from services.signer.store import Spooled, Store
from tradingtools.domain.errors import LimitReached

MAX = 100_000
"""Signatures that it has room for; beyond them nothing is signed until they are booked."""
_RECURRING_PERCENT = 75
"""Part of the room for reads and dead man's switches: the rest is for what ends orders."""
_BATCH = 1_000
_log = structlog.get_logger("signer")
_decoder = msgspec.json.Decoder(Spooled)


class Spool:
    """A file of lines that only its signer writes.

    Args:
        path: of the file; made when it is needed.
        most: how many signatures it takes.

    Raises:
        OSError: it cannot be read.
    """

    def __init__(self, path: Path, most: int = MAX) -> None:
        self._path = path
        self._most = most
        self._writing = asyncio.Lock()
        self._waiting = _read(path)

    @property
    def waiting(self) -> Sequence[Spooled]:
        """Return what is not booked yet, oldest first."""
        return tuple(self._waiting)

    async def add(self, spooled: Sequence[Spooled]) -> None:
        """Make signatures durable.

        Raises:
            LimitReached: there is no room.
            OSError: the disk does not take them.
        """
        recurs = all(one.entry.recurs for one in spooled)
        room = self._most * _RECURRING_PERCENT // 100 if recurs else self._most
        async with self._writing:
            if len(self._waiting) + len(spooled) > room:
                raise LimitReached("the signer's disk has no room for more", retry_after_ms="1000")
            await asyncio.to_thread(_append, self._path, spooled)
            self._waiting += spooled

    async def book(self, store: Store) -> None:
        """Book what waits, and empty the file then.

        Raises:
            psycopg.Error: some may be booked; asking again books none twice.
        """
        while batch := self._waiting[:_BATCH]:
            await store.book(batch)
            async with self._writing:
                del self._waiting[: len(batch)]
                if not self._waiting:
                    await asyncio.to_thread(_empty, self._path)
            _log.info("signatures of while the database was away are booked", count=len(batch))


def _read(path: Path) -> list[Spooled]:
    try:
        lines = path.read_bytes().split(b"\n")
    except FileNotFoundError:
        return []
    if lines.pop():
        _log.warning("the last line of the spool was cut off; its signature has not left")
        with path.open("r+b") as file:
            file.truncate(sum(len(line) + 1 for line in lines))
            os.fsync(file.fileno())
    return [_decoder.decode(line) for line in lines]


def _append(path: Path, spooled: Sequence[Spooled]) -> None:
    known = path.exists()
    at = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        before = os.fstat(at).st_size
        text = b"".join(msgspec.json.encode(one) + b"\n" for one in spooled)
        try:
            _write_all(at, text)
            os.fsync(at)
        except OSError:
            # Half of a line would hide those that follow it.
            os.ftruncate(at, before)
            raise
    finally:
        os.close(at)
    if not known:
        _sync_directory(path.parent)


def _write_all(at: int, text: bytes) -> None:
    while text:
        text = text[os.write(at, text) :]


def _empty(path: Path) -> None:
    at = os.open(path, os.O_WRONLY | os.O_NOFOLLOW)
    try:
        os.ftruncate(at, 0)
        os.fsync(at)
    finally:
        os.close(at)


def _sync_directory(directory: Path) -> None:
    at = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(at)
    finally:
        os.close(at)
