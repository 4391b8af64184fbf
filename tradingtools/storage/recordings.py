"""Append-only files of records, a folder a day, that a kill -9 leaves readable.

A file is one zlib stream of records, each behind its length (4 bytes, big-endian). Every append
ends with a flush, so that whatever was appended can be read, however the writer ended.
"""

from __future__ import annotations

import os
import shutil
import zlib
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime
from pathlib import Path

_LEVEL = 1
"""Half the size of no compression at a tenth of the time of the usual level."""
_CHUNK = 1 << 16
SUFFIX = ".recording"


class RecordingFile:
    """A file that is being written.

    Args:
        path: of the file; it must not be there yet.

    Raises:
        OSError: it cannot be made.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o640)
        self._zlib = zlib.compressobj(_LEVEL)

    def append(self, records: Sequence[bytes]) -> None:
        """Append records; afterwards a kill of this process does not lose them.

        Raises:
            OSError: they are not written, and the file is of no further use.
        """
        framed = b"".join([len(each).to_bytes(4, "big") + each for each in records])
        data = self._zlib.compress(framed) + self._zlib.flush(zlib.Z_SYNC_FLUSH)
        while data:
            data = data[os.write(self._file, data) :]

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)


def records(path: Path) -> Iterator[bytes]:
    """Yield the records of a file, as far as they are whole.

    Raises:
        OSError: it cannot be read.
        ValueError: it is no recording.
    """
    stream, held = zlib.decompressobj(), b""
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            try:
                held += stream.decompress(chunk)
            except zlib.error as error:
                raise ValueError(f"{path}: {error}") from None
            at = 0
            while len(held) >= at + 4:
                end = at + 4 + int.from_bytes(held[at : at + 4], "big")
                if len(held) < end:
                    break
                yield held[at + 4 : end]
                at = end
            held = held[at:]


def day_of(now_ms: int) -> date:
    """Return the UTC day of an instant since 1970."""
    return datetime.fromtimestamp(now_ms / 1000, UTC).date()


def new_file(directory: Path, day: date, name: str) -> Path:
    """Return where a writer's next file of a day is: after all that are there."""
    folder = directory / day.isoformat()
    number = len(list(folder.glob(f"{name}-*{SUFFIX}")))
    while (path := folder / f"{name}-{number:06d}{SUFFIX}").exists():
        number += 1
    return path


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
    return sorted((directory / day.isoformat()).glob(f"*{SUFFIX}"))


def drop_before(directory: Path, day: date) -> list[date]:
    """Delete the days before one; returns which."""
    old = [known for known in days(directory) if known < day]
    for known in old:
        shutil.rmtree(directory / known.isoformat(), ignore_errors=True)
    return old
