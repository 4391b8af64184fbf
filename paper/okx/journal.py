"""The journal: everything that was asked of the exchange, what it answered, and what it pushed.

Tests judge a client by it, so a request is noted before it is done and its answer before it leaves.
"""

from __future__ import annotations

from collections import deque
from itertools import islice
from pathlib import Path

import msgspec

_RETAINED = 200_000
FILE_BYTES = 100_000_000
"""The file that is written has so many at most, and so has the one before it."""


class Entry(msgspec.Struct, kw_only=True):
    """A request by REST or socket (`requested`), or a private frame that was pushed (`pushed`)."""

    seq: int
    kind: str
    at_ns: int
    account: str
    via: str
    """`rest`, or the socket's connection id."""
    what: str
    """The method and path, or the operation or channel."""
    body: object = None
    fault: str = ""
    status: int = 0
    code: str = ""
    """The answer's code; empty: none was given."""
    answer: object = None
    answered_ns: int = 0


class Journal:
    """The last entries, numbered from 1 without gaps; more of them in a file if there is one."""

    def __init__(self, path: Path | None = None) -> None:
        self._entries: deque[Entry] = deque(maxlen=_RETAINED)
        self._path = path
        self._file = None if path is None else path.open("ab")
        self.last = 0

    def requested(
        self, *, at_ns: int, account: str, via: str, what: str, body: object, fault: str = ""
    ) -> Entry:
        """Note a request; its answer is noted by `answered`."""
        self.last += 1
        entry = Entry(
            seq=self.last,
            kind="asked",
            at_ns=at_ns,
            account=account,
            via=via,
            what=what,
            body=body,
            fault=fault,
        )
        self._entries.append(entry)
        self._write(entry)
        return entry

    def answered(self, entry: Entry, *, at_ns: int, status: int, code: str, answer: object) -> None:
        """Note what is about to be answered."""
        entry.status, entry.code, entry.answer, entry.answered_ns = status, code, answer, at_ns
        self._write(entry)

    def pushed(self, *, at_ns: int, account: str, via: str, what: str, body: object) -> None:
        """Note a private frame that is about to leave."""
        self.last += 1
        entry = Entry(
            seq=self.last,
            kind="pushed",
            at_ns=at_ns,
            account=account,
            via=via,
            what=what,
            body=body,
        )
        self._entries.append(entry)
        self._write(entry)

    def after(self, seq: int, limit: int) -> list[Entry]:
        """Up to `limit` entries that follow `seq`, oldest first."""
        first = self.last - len(self._entries)
        begin = max(seq - first, 0)
        return list(islice(self._entries, begin, begin + limit))

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()

    def _write(self, entry: Entry) -> None:
        if self._file is not None:
            self._file.write(msgspec.json.encode(entry) + b"\n")
            self._file.flush()
            self._turn()

    def _turn(self) -> None:
        """Begin a new file when this one is long; the one before it is kept, older ones go."""
        if self._file is None or self._path is None or self._file.tell() < FILE_BYTES:
            return
        self._file.close()
        self._path.replace(self._path.with_suffix(".before.jsonl"))
        self._file = self._path.open("ab")
