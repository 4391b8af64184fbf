"""The requests and their answers, in order; tests judge clients by them."""

from __future__ import annotations

from collections import deque
from pathlib import Path

import msgspec

_RETAINED = 50_000
_LONGEST = 4_000


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One request; `fault` is what was done to it, empty: nothing."""

    seq: int
    at_ms: int
    method: str
    path: str
    query: str
    signer: str
    body: str
    status: int
    answer: str
    fault: str = ""


class Journal:
    """The last requests, numbered from 1 without gaps; all of them are in the file.

    Args:
        file: where they are written; None: nowhere.
    """

    def __init__(self, file: Path | None) -> None:
        self._entries: deque[Entry] = deque(maxlen=_RETAINED)
        self._file = file.open("ab") if file else None
        self._last = 0

    def add(self, **entry: object) -> None:
        """Note a request that was answered, or that never will be."""
        self._last += 1
        for name in ("body", "answer"):
            entry[name] = str(entry[name])[:_LONGEST]
        made = msgspec.convert(entry | {"seq": self._last}, Entry)
        self._entries.append(made)
        if self._file:
            self._file.write(msgspec.json.encode(made) + b"\n")
            self._file.flush()

    def after(self, seq: int) -> list[Entry]:
        """Return what is kept behind a number, oldest first."""
        return [entry for entry in self._entries if entry.seq > seq]

    def close(self) -> None:
        """End the file."""
        if self._file:
            self._file.close()
