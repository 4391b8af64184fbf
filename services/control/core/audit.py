"""The audit chain of control changes: each entry's hash covers its text and the hash before it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

GENESIS = bytes(32)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One change as stored."""

    seq: int
    text: str
    """What it says, canonical."""
    previous_hash: bytes
    hash: bytes


def first_break(entries: Iterable[Entry], previous: bytes = GENESIS) -> int | None:
    """The number of the first entry that does not continue the chain; None when it is whole.

    Args:
        entries: in the order of their numbers.
        previous: hash of the entry before the first one.
    """
    for entry in entries:
        expected = hashlib.sha256(previous + entry.text.encode()).digest()
        if entry.previous_hash != previous or entry.hash != expected:
            return entry.seq
        previous = entry.hash
    return None
