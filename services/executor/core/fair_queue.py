"""Choose which waiting claims are committed and sent next. Pure.

Exits go before entries. Leaders take turns, one claim each: whoever was served last waits longest,
and among leaders not yet served the smallest claim goes first. Entries of a wallet keep their
order: no claim overtakes an earlier one with an entry of the same wallet. Consecutive claims go
together up to a number of orders, so that a backlog costs one commit and not one a claim.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Waiting(Generic[T]):
    number: int
    item: T
    size: int
    wallets: frozenset[str]


class _Class(Generic[T]):
    """Exits or entries: a line for each leader."""

    def __init__(self) -> None:
        self.lines: dict[str, deque[_Waiting[T]]] = {}
        self._turns = 0
        self._gone: dict[str, int] = {}
        """The last turn of a leader, while anybody waits."""

    def in_turn(self) -> list[str]:
        """Return the leaders in the order of their turns."""
        return sorted(self.lines, key=self._place)

    def _place(self, leader: str) -> tuple[int, int, int]:
        first = self.lines[leader][0]
        return self._gone.get(leader, -1), first.size, first.number

    def pop(self, leader: str) -> _Waiting[T]:
        self._turns += 1
        self._gone[leader] = self._turns
        line = self.lines[leader]
        taken = line.popleft()
        if not line:
            del self.lines[leader]
        if not self.lines:
            self._gone.clear()
        return taken


class FairQueue(Generic[T]):
    """Claims that wait."""

    def __init__(self) -> None:
        self._exits: _Class[T] = _Class()
        self._entries: _Class[T] = _Class()
        self._by_wallet: dict[str, deque[int]] = {}
        """Numbers of the claims that have an entry of it, oldest first."""
        self._count = 0
        self._waiting = 0

    def __len__(self) -> int:
        return self._waiting

    @property
    def exits_wait(self) -> bool:
        """Return whether an exit waits: then exits are taken next."""
        return bool(self._exits.lines)

    def put(self, item: T, *, leader: str, size: int, wallets: Iterable[str]) -> None:
        """Add a claim.

        Args:
            item: the claim.
            leader: whose followers' it is.
            size: orders in it.
            wallets: of its entries; none: it is of exits alone, which wait for nobody's order.
        """
        waiting = _Waiting(self._count, item, size, frozenset(wallets))
        self._count += 1
        self._waiting += 1
        which = self._entries if waiting.wallets else self._exits
        which.lines.setdefault(leader, deque()).append(waiting)
        for wallet in waiting.wallets:
            self._by_wallet.setdefault(wallet, deque()).append(waiting.number)

    def take(self, most: int) -> list[T]:
        """Remove those that go together next, as turns would give them one by one.

        The first one goes whatever its size; a claim that would make it more than ``most`` orders
        begins the next time, and so does the first entry after exits, which wait for none.

        Raises:
            IndexError: nobody waits.
        """
        which, leader = self._next()
        together: list[T] = []
        size = 0
        while not together or size + which.lines[leader][0].size <= most:
            taken = which.pop(leader)
            self._remove(taken)
            together.append(taken.item)
            size += taken.size
            if not which.lines:
                break
            _, leader = self._next()
        return together

    def _next(self) -> tuple[_Class[T], str]:
        """Return the leader whose turn it is, with the class of his claim."""
        for leader in self._exits.in_turn():
            return self._exits, leader
        for leader in self._entries.in_turn():
            if self._ready(self._entries.lines[leader][0]):
                return self._entries, leader
        # The oldest of all is the first of its line and of its wallets: somebody is always ready.
        raise IndexError("nobody waits")

    def _ready(self, first: _Waiting[T]) -> bool:
        return all(self._by_wallet[wallet][0] == first.number for wallet in first.wallets)

    def _remove(self, taken: _Waiting[T]) -> None:
        self._waiting -= 1
        for wallet in taken.wallets:
            numbers = self._by_wallet[wallet]
            numbers.popleft()
            if not numbers:
                del self._by_wallet[wallet]
