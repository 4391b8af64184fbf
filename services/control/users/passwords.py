"""Passwords: Argon2id, a few at a time, and as slow for a name that nobody has."""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import dataclass

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerifyMismatchError

from tradingtools.domain.errors import Unavailable

_HASHER = PasswordHasher(time_cost=1, memory_cost=46 * 1024, parallelism=1)
"""OWASP's first choice: 46 MiB, one pass."""
_AT_ONCE = 2
_WAITING = 32
"""Hashes that are computed or wait; whoever comes then has to come again."""
_WORDS = 16


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome of a guess."""

    right: bool
    again: bool = False
    """The hash was made by other costs than those of now."""


class Passwords:
    """Hash and verify, beside the event loop."""

    def __init__(self) -> None:
        self._turns = asyncio.Semaphore(_AT_ONCE)
        self._there = 0
        # Of a password that nobody has: what is verified for an unknown name.
        self._nobodys = ""

    async def hashed(self, password: str) -> str:
        """Return the hash to keep. Raises Unavailable: too many wait."""
        return await self._in_turn(password, None)

    async def verify(self, password: str, kept: str | None) -> Verdict:
        """Compare a guess with a hash.

        Args:
            password: the guess.
            kept: the hash; None: there is no such user, which takes as long.

        Raises:
            Unavailable: too many wait.
        """
        if not self._nobodys:
            self._nobodys = await self.hashed(secrets.token_hex(_WORDS))
        message = await self._in_turn(password, kept or self._nobodys)
        return Verdict(bool(message) and kept is not None, message == "again")

    async def _in_turn(self, password: str, kept: str | None) -> str:
        if self._there >= _WAITING:
            raise Unavailable("too many log in at once", retry_after_ms="1000")
        self._there += 1
        # A thread cannot be stopped: who hangs up has his turn until its work is done.
        return await asyncio.shield(asyncio.create_task(self._turn(password, kept)))

    async def _turn(self, password: str, kept: str | None) -> str:
        try:
            async with self._turns:
                return await asyncio.to_thread(_computed, password, kept)
        finally:
            self._there -= 1


def one_time() -> str:
    """Return a password that a person gets to type once, of 80 bits."""
    alphabet = "abcdefghjkmnpqrstuvwxyz23456789"
    words = ("".join(secrets.choice(alphabet) for _ in range(4)) for _ in range(4))
    return "-".join(words)


def _computed(password: str, kept: str | None) -> str:
    """Return a hash; of a guess "right" or "again", or nothing when it is wrong."""
    if kept is None:
        return _HASHER.hash(password)
    try:
        _HASHER.verify(kept, password)
    except (VerifyMismatchError, InvalidHashError):
        return ""
    return "again" if _HASHER.check_needs_rehash(kept) else "right"
