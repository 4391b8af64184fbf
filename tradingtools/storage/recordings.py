"""Append-only files of records, a folder a day, that a kill -9 leaves readable.

Each record stands behind its length (4 bytes, big-endian), as it came: compressing it would take
longer than all the rest. Files of earlier days are compressed as a whole.
"""

from __future__ import annotations

import gzip
import shutil
import threading
import zlib
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from queue import SimpleQueue
from typing import BinaryIO

_LEVEL = 1
_CHUNK = 1 << 20
_PATIENCE_SECONDS = 5.0
_MAX_WAITING = 2_000
"""Appends that wait for the disk: what is kept in memory has a bound."""
SUFFIX = ".recording"
PACKED = SUFFIX + ".gz"


class RecordingWriter:
    """A file that is being written, by a thread: the disk may be slow, and nobody waits for it.

    Args:
        path: of the file; it must not be there yet.
        first: is done before the file is made; None: nothing.
    """

    def __init__(self, path: Path, first: Callable[[], None] | None = None) -> None:
        self._path = path
        self._first = first
        self._given: SimpleQueue[bytes | None] = SimpleQueue()
        self._error: OSError | None = None
        self._thread = threading.Thread(target=self._write, name="recording", daemon=True)
        self._thread.start()

    def append(self, records: Sequence[bytes]) -> None:
        """Append records soon; once they are written a kill of this process does not lose them.

        Raises:
            OSError: earlier ones could not be written, or wait for too long; the file is of no
                further use.
        """
        if self._error is not None:
            raise self._error
        if self._given.qsize() >= _MAX_WAITING:
            raise OSError(f"{self._path}: the disk does not keep up")
        self._given.put(b"".join([len(each).to_bytes(4, "big") + each for each in records]))

    def end(self) -> None:
        """Write what was given, and close the file, soon."""
        self._given.put(None)

    def close(self) -> None:
        """Write what was given, and close the file; returns when that is done."""
        self.end()
        self._thread.join(_PATIENCE_SECONDS)

    def _write(self) -> None:
        try:
            if self._first is not None:
                self._first()
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("xb", buffering=0) as file:
                while (data := self._given.get()) is not None:
                    while data:
                        data = data[file.write(data) :]
        except OSError as error:
            self._error = error


def records(path: Path) -> Iterator[bytes]:
    """Yield the records of a file, as far as they are whole.

    Raises:
        OSError: it cannot be read.
        ValueError: it is no recording.
    """
    with _open(path) as file:
        held = b""
        while chunk := _read(path, file):
            held += chunk
            at = 0
            while len(held) >= at + 4:
                end = at + 4 + int.from_bytes(held[at : at + 4], "big")
                if len(held) < end:
                    break
                yield held[at + 4 : end]
                at = end
            held = held[at:]


def _open(path: Path) -> BinaryIO:
    packed = path.name.endswith(PACKED)
    return gzip.open(path, "rb") if packed else path.open("rb")  # type: ignore[return-value]


def _read(path: Path, file: BinaryIO) -> bytes:
    try:
        return file.read(_CHUNK)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ValueError(f"{path.name}: {error}") from None


def pack_before(directory: Path, day: date) -> None:
    """Compress the files of the days before one. A kill in between leaves what was there.

    Raises:
        OSError: a file cannot be read or written.
    """
    for known in days(directory):
        if known >= day:
            return
        for path in (directory / known.isoformat()).glob(f"*{SUFFIX}"):
            packed = path.with_name(path.name + ".gz")
            half = path.with_name(path.name + ".half")
            with path.open("rb") as raw, gzip.open(half, "wb", _LEVEL) as file:
                shutil.copyfileobj(raw, file, _CHUNK)
            half.rename(packed)
            path.unlink()


def day_of(now_ms: int) -> date:
    """Return the UTC day of an instant since 1970."""
    return datetime.fromtimestamp(now_ms / 1000, UTC).date()


def new_file(directory: Path, day: date, name: str) -> Path:
    """Return where a writer's next file of a day is: after all that are there."""
    folder = directory / day.isoformat()
    number = len(list(folder.glob(f"{name}-*{SUFFIX}*")))
    while any(folder.glob(f"{name}-{number:06d}{SUFFIX}*")):
        number += 1
    return folder / f"{name}-{number:06d}{SUFFIX}"


def days(directory: Path) -> list[date]:
    """Return the days that have recordings, the oldest first."""
    found = []
    for folder in directory.iterdir() if directory.is_dir() else ():
        try:
            found.append(date.fromisoformat(folder.name))
        except ValueError:
            continue
    return sorted(found)


def files(directory: Path, day: date) -> list[Path]:
    """Return the files of a day, each writer's in the order in which they were begun."""
    folder = directory / day.isoformat()
    packed = {path.name.removesuffix(".gz"): path for path in folder.glob(f"*{PACKED}")}
    # A kill between a packed file and the end of the other leaves both, with the same in them.
    raw = {path.name: path for path in folder.glob(f"*{SUFFIX}")}
    return [path for _, path in sorted({**raw, **packed}.items())]


def drop_before(directory: Path, day: date) -> list[date]:
    """Delete the days before one; returns which."""
    old = [known for known in days(directory) if known < day]
    for known in old:
        shutil.rmtree(directory / known.isoformat(), ignore_errors=True)
    return old
