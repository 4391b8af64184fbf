"""Seeded randomness as a function, not a stream.

A restart must find the same world without replaying how it was reached, so each draw is addressed
by what it is for. `key` hashes names into a key once; `mix` draws the n-th value of a key and is
cheap enough to be called for each level of each book.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import TypeVar

_MASK = (1 << 64) - 1
_T = TypeVar("_T")


def key(*parts: str | int) -> int:
    """A 64-bit key for what the parts name."""
    joined = "\x1f".join(str(part) for part in parts).encode()
    return int.from_bytes(blake2b(joined, digest_size=8).digest(), "big")


def mix(base: int, n: int) -> int:
    """The n-th 64-bit draw of a key (the finalizer of SplitMix64, Steele et al., 2014)."""
    z = (base + (n + 1) * 0x9E3779B97F4A7C15) & _MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
    return z ^ (z >> 31)


def between(draw: int, low: int, high: int) -> int:
    """A draw laid on low..high, both included."""
    return low + draw % (high - low + 1)


def hits(draw: int, permille: int) -> bool:
    """True for `permille` of 1,000 draws."""
    return draw % 1000 < permille


def pick(draw: int, choices: Sequence[_T]) -> _T:
    """One of the choices."""
    return choices[draw % len(choices)]
