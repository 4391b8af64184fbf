"""Who goes next: exits first, leaders in turn, a wallet's entries in order, nobody lost."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.executor.core.queue import Queue

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


def _put(queue: Queue[Claim], number: int, put: Put) -> Claim:
    claim = Claim(number, put.leader, put.wallets, put.size)
    queue.put(claim, leader=put.leader, size=put.size, wallets=put.wallets)
    return claim


@given(st.lists(_puts | st.none(), max_size=60))
def test_whatever_comes_when(steps: list[Put | None]) -> None:
    queue: Queue[Claim] = Queue()
    waiting: list[Claim] = []
    taken: list[Claim] = []
    overtaken: dict[tuple[int, str], int] = {}
    for number, step in enumerate([*steps, *[None] * sum(s is not None for s in steps)]):
        if step is not None:
            waiting.append(_put(queue, number, step))
            continue
        if not waiting:
            with pytest.raises(IndexError):
                queue.take()
            continue
        claim = queue.take()
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
    """Whether its wallets made it wait for nobody, also while that one was there."""
    others = [*waiting, taken]
    return not any(o.wallets & claim.wallets for o in others if o.number < claim.number)


def _order(*puts: tuple[str, str, int]) -> list[int]:
    queue: Queue[int] = Queue()
    for number, (leader, wallets, size) in enumerate(puts):
        queue.put(number, leader=leader, size=size, wallets=wallets.split())
    return [queue.take() for _ in puts]


def test_a_single_one_goes_between_the_parts_of_a_crowd() -> None:
    crowd = [("crowd", f"w{n}", 100) for n in range(4)]
    assert _order(*crowd, ("single", "x", 1)) == [4, 0, 1, 2, 3]
    assert _order(*crowd, ("single", "x", 1), ("single", "y", 1)) == [4, 0, 5, 1, 2, 3]


def test_an_exit_goes_first_and_a_wallets_second_entry_after_its_first() -> None:
    assert _order(("a", "w", 100), ("b", "w", 1), ("c", "", 300)) == [2, 0, 1]
    assert _order(("a", "v", 9), ("a", "w", 9), ("b", "w", 1), ("c", "x", 9)) == [0, 3, 1, 2]


def test_who_has_gone_waits_for_those_who_have_not() -> None:
    queue: Queue[str] = Queue()
    for name in ("a1", "a2", "b1"):
        queue.put(name, leader=name[0], size=5, wallets=[name])
    assert queue.take() == "a1"
    queue.put("c1", leader="c", size=50, wallets=["c1"])
    assert [queue.take() for _ in range(3)] == ["b1", "c1", "a2"]
