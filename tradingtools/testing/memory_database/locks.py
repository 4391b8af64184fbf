"""Locks as PostgreSQL has them: shared or exclusive, first come first served, to the end.

One manager for row locks, advisory locks and the waits of unique keys. A cycle of waits is broken
by the one who would close it.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from typing import Any

import psycopg


@dataclass(frozen=True, slots=True)
class Blocked(Exception):
    """A statement has to wait for a lock and then run again."""

    name: Hashable
    shared: bool


@dataclass(slots=True)
class _Waiter:
    owner: Any
    shared: bool
    granted: asyncio.Future[None]


class _Lock:
    __slots__ = ("holders", "waiters")

    def __init__(self, holders: dict[Any, bool]) -> None:
        self.holders = holders
        """Whether shared, by owner."""
        self.waiters: list[_Waiter] = []

    def compatible(self, owner: Any, shared: bool) -> bool:
        return all(holder is owner or (shared and also) for holder, also in self.holders.items())


class Locks:
    """All locks of one database. An owner is a transaction."""

    def __init__(self) -> None:
        self._locks: dict[Hashable, _Lock] = {}
        self._held: defaultdict[Any, dict[Hashable, None]] = defaultdict(dict)
        self._waits: dict[Any, tuple[_Lock, _Waiter]] = {}
        """What each owner waits for; a connection has one statement at a time."""

    def take(self, owner: Any, name: Hashable, *, shared: bool) -> bool:
        """Take a lock now; False: somebody holds it, or waits for it in front of us."""
        lock = self._locks.get(name)
        if lock is None:
            self._locks[name] = _Lock({owner: shared})
            self._held[owner][name] = None
            return True
        mine = lock.holders.get(owner)
        if mine is not None and (shared or not mine):
            return True
        if not lock.compatible(owner, shared) or (mine is None and self._behind(lock, shared)):
            return False
        lock.holders[owner] = shared
        self._held[owner][name] = None
        return True

    @staticmethod
    def _behind(lock: _Lock, shared: bool) -> bool:
        return any(not (shared and waiter.shared) for waiter in lock.waiters)

    async def wait(self, owner: Any, blocked: Blocked) -> None:
        """Wait until the lock is ours.

        Raises:
            psycopg.errors.DeadlockDetected: whoever is in front waits for us.
        """
        lock = self._locks[blocked.name]
        waiter = _Waiter(owner, blocked.shared, asyncio.get_running_loop().create_future())
        lock.waiters.append(waiter)
        if owner in self._waits_for(owner, set()):
            lock.waiters.remove(waiter)
            raise psycopg.errors.DeadlockDetected("deadlock detected")
        self._waits[owner] = lock, waiter
        try:
            await waiter.granted
        except BaseException:
            if waiter in lock.waiters:
                lock.waiters.remove(waiter)
                self._grant(blocked.name)
            raise
        finally:
            self._waits.pop(owner, None)

    def _waits_for(self, owner: Any, seen: set[int]) -> Iterator[Any]:
        for lock in self._locks.values():
            ahead: list[Any] = []
            for waiter in lock.waiters:
                if waiter.owner is owner:
                    ahead += [h for h in lock.holders if h is not owner]
                    for other in ahead:
                        if id(other) in seen:
                            continue
                        seen.add(id(other))
                        yield other
                        yield from self._waits_for(other, seen)
                    break
                ahead.append(waiter.owner)

    def release(self, owner: Any) -> None:
        """End of a transaction: everything it holds or waits for."""
        if owner in self._waits:
            lock, waiter = self._waits.pop(owner)
            if not waiter.granted.done():
                lock.waiters.remove(waiter)
                waiter.granted.set_exception(psycopg.OperationalError("the connection is closed"))
        for name in self._held.pop(owner, {}):
            lock = self._locks[name]
            lock.holders.pop(owner, None)
            if lock.waiters:
                self._grant(name)
            elif not lock.holders:
                del self._locks[name]

    def _grant(self, name: Hashable) -> None:
        lock = self._locks[name]
        while lock.waiters:
            first = lock.waiters[0]
            if not lock.compatible(first.owner, first.shared):
                return
            lock.waiters.pop(0)
            lock.holders[first.owner] = first.shared
            self._held[first.owner][name] = None
            if not first.granted.done():
                first.granted.set_result(None)
