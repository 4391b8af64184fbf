"""Test who goes next: exits first, leaders in turn, a wallet's entries in order, nobody lost.

One by one by what turns promise, and together by a plain reference that takes one by one.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.executor.core.fair_queue import FairQueue

LEADERS = ("a", "b", "c")
WALLETS = ("w1", "w2", "w3", "w4", "w5", "w6")


@dataclass(frozen=True)
class Claim:
    number: int
    leader: str
    wallets: frozenset[str]
    size: int


@dataclass(frozen=True)
class Put:
    leader: str
    wallets: frozenset[str]
    size: int


_puts = st.builds(
    Put, st.sampled_from(LEADERS), st.frozensets(st.sampled_from(WALLETS), max_size=3),
    st.integers(1, 100),
)  # fmt: skip


def _put(queue: FairQueue[Claim], number: int, put: Put) -> Claim:
    claim = Claim(number, put.leader, put.wallets, put.size)
    queue.put(claim, leader=put.leader, size=put.size, wallets=put.wallets)
    return claim


@given(st.lists(_puts | st.none(), max_size=60))
def test_whatever_comes_when(steps: list[Put | None]) -> None:
    queue: FairQueue[Claim] = FairQueue()
    waiting: list[Claim] = []
    taken: list[Claim] = []
    overtaken: dict[tuple[int, str], int] = {}
    for number, step in enumerate([*steps, *[None] * sum(s is not None for s in steps)]):
        if step is not None:
            waiting.append(_put(queue, number, step))
            continue
        if not waiting:
            with pytest.raises(IndexError):
                queue.take(1)
            continue
        (claim,) = queue.take(1)
        taken.append(claim)
        waiting.remove(claim)
        assert len(queue) == len(waiting)
        if claim.wallets:
            assert all(other.wallets for other in waiting), "an exit waits for no entry"
        earlier = [w for w in waiting if w.number < claim.number]
        assert not any(w.wallets & claim.wallets for w in earlier), "a wallet's order"
        same = [
            w
            for w in earlier
            if w.leader == claim.leader and bool(w.wallets) == bool(claim.wallets)
        ]
        assert not same, "a leader's claims keep theirs"
        for first in _firsts(waiting):
            if bool(first.wallets) == bool(claim.wallets) and _free(first, waiting, claim):
                place = (first.number, claim.leader)
                overtaken[place] = overtaken.get(place, 0) + (claim.leader != first.leader)
                assert overtaken[place] <= 1, "nobody waits for two claims of another leader"
    assert not waiting
    assert len(set(taken)) == len(taken) == sum(s is not None for s in steps)
    assert not queue._by_wallet


def _firsts(waiting: list[Claim]) -> list[Claim]:
    lines: dict[tuple[str, bool], Claim] = {}
    for claim in waiting:
        lines.setdefault((claim.leader, bool(claim.wallets)), claim)
    return list(lines.values())


def _free(claim: Claim, waiting: list[Claim], taken: Claim) -> bool:
    """Return whether its wallets made it wait for nobody, also while that one was there."""
    others = [*waiting, taken]
    return not any(o.wallets & claim.wallets for o in others if o.number < claim.number)


def _order(*puts: tuple[str, str, int]) -> list[int]:
    queue: FairQueue[int] = FairQueue()
    for number, (leader, wallets, size) in enumerate(puts):
        queue.put(number, leader=leader, size=size, wallets=wallets.split())
    return [claim for _ in puts for claim in queue.take(1)]


def test_a_single_one_goes_between_the_parts_of_a_crowd() -> None:
    crowd = [("crowd", f"w{n}", 100) for n in range(4)]
    assert _order(*crowd, ("single", "x", 1)) == [4, 0, 1, 2, 3]
    assert _order(*crowd, ("single", "x", 1), ("single", "y", 1)) == [4, 0, 5, 1, 2, 3]


def test_exit_goes_first_and_a_wallets_second_entry_after() -> None:
    assert _order(("a", "w", 100), ("b", "w", 1), ("c", "", 300)) == [2, 0, 1]
    assert _order(("a", "v", 9), ("a", "w", 9), ("b", "w", 1), ("c", "x", 9)) == [0, 3, 1, 2]


def test_who_has_gone_waits_for_those_who_have_not() -> None:
    queue: FairQueue[str] = FairQueue()
    for name in ("a1", "a2", "b1"):
        queue.put(name, leader=name[0], size=5, wallets=[name])
    assert queue.take(5) == ["a1"]
    queue.put("c1", leader="c", size=50, wallets=["c1"])
    assert queue.take(100) == ["b1", "c1", "a2"]


@dataclass
class Plain:
    """The same turns, looked for among all that wait each time."""

    waiting: list[Claim] = field(default_factory=list)
    gone: dict[tuple[bool, str], int] = field(default_factory=dict)
    turns: int = 0

    def next(self) -> Claim:
        entries = all(claim.wallets for claim in self.waiting)
        mine = [claim for claim in self.waiting if bool(claim.wallets) == entries]
        firsts = {claim.leader: claim for claim in reversed(mine)}.values()
        free = [c for c in firsts if not any(w.wallets & c.wallets for w in self._before(c))]
        return min(free, key=lambda c: (self.gone.get((entries, c.leader), 0), c.size, c.number))

    def _before(self, claim: Claim) -> list[Claim]:
        return self.waiting[: self.waiting.index(claim)]

    def pop(self) -> Claim:
        claim = self.next()
        self.waiting.remove(claim)
        entries = bool(claim.wallets)
        self.turns += 1
        self.gone[entries, claim.leader] = self.turns
        if not any(bool(w.wallets) == entries for w in self.waiting):
            self.gone = {place: turn for place, turn in self.gone.items() if place[0] != entries}
        return claim

    def take(self, most: int) -> list[Claim]:
        taken = [self.pop()]
        entries = bool(taken[0].wallets)
        while self.waiting and bool((follows := self.next()).wallets) == entries:
            if sum(claim.size for claim in [*taken, follows]) > most:
                break
            taken.append(self.pop())
        return taken


_several = st.builds(
    Put, st.sampled_from(LEADERS), st.frozensets(st.sampled_from(WALLETS), max_size=2),
    st.integers(0, 6),
)  # fmt: skip


@settings(max_examples=60)
@given(st.lists(_several | st.integers(1, 20), max_size=40))
def test_what_goes_together_is_what_turns_give_one_by_one(steps: list[Put | int]) -> None:
    queue: FairQueue[Claim] = FairQueue()
    plain = Plain()
    for number, step in enumerate([*steps, *[10] * len(steps)]):
        if isinstance(step, Put):
            plain.waiting.append(_put(queue, number, step))
        elif plain.waiting:
            assert queue.take(step) == plain.take(step)
        assert len(queue) == len(plain.waiting)
    assert not queue._by_wallet


def test_exits_go_without_entries_and_nobody_beyond_the_number() -> None:
    queue: FairQueue[str] = FairQueue()
    for name, size in (("e1", 60), ("e2", 40), ("e3", 1), ("big", 300)):
        queue.put(name, leader=name, size=size, wallets=[name])
    queue.put("x1", leader="a", size=1, wallets=[])
    queue.put("x2", leader="a", size=1, wallets=[])
    assert [queue.take(100) for _ in range(4)] == [["x1", "x2"], ["e3", "e2"], ["e1"], ["big"]]
