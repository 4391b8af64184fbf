"""The whole protocol keeps its promises in every interleaving, with each far side there may be."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tools.model import runs
from tools.model.explore import Condition
from tools.model.guards import COMBINATIONS, Rules, combination
from tools.model.protocol import OneOrder
from tools.model.state import State
from tradingtools.domain.order_states import OrderState

STATES_AT_LEAST = 5_000
TRANSITIONS_AT_LEAST = 25_000


def _lives(letters: str) -> int:
    """With A and D there is more to walk; `python -m tools.model` walks all of it."""
    return 2 if set("AD") & set(letters) else 3


@pytest.mark.parametrize("letters", COMBINATIONS)
def test_no_interleaving_breaks_a_promise(
    letters: str, record_property: Callable[[str, object], None]
) -> None:
    found = runs.one_order(letters, lives=_lives(letters))

    record_property("states", found.states)
    record_property("transitions", found.transitions)
    assert not found.broken, runs.readable(found)
    assert found.states >= STATES_AT_LEAST
    assert found.transitions >= TRANSITIONS_AT_LEAST
    _ends_are_those_of_the_contract(letters, found.sights)


def _ends_are_those_of_the_contract(letters: str, sights: frozenset[str]) -> None:
    """The walk saw everything that may happen, and LOST only where the contract allows it."""
    always = {
        "CONFIRMED, an order",
        "FAILED KILLED, an order",
        "FAILED REJECTED, no order",
        "FAILED UNSENT, no order",
        "DEAD, no order",
        "DEAD, an order",
        "UNKNOWN, an order",
    }
    assert always <= sights
    provable = "D" in letters or {"B", "C"} <= set(letters)
    assert ("LOST, no order" in sights) == provable


def test_the_parts_of_a_copy_are_the_whole_and_no_more() -> None:
    found = runs.two_parts()

    assert not found.broken, runs.readable(found)
    assert found.states >= 100
    assert found.sights >= {"part 0 over 2", "part 0 over 1, part 1 over 1"}


def test_an_order_ends_right_whatever_the_far_side_says_later() -> None:
    found = runs.ends()

    assert not found.broken, runs.readable(found)
    assert found.states >= 200
    assert {s.split(",")[0] for s in found.sights} == {s.value for s in OrderState} - {"CLAIMED"}
    assert {"RESURRECTED, grown", "DEAD, another's", "FAILED, undone"} <= found.sights


def _visible(world: OneOrder) -> Iterator[tuple[object, ...]]:
    """Yield what an observer of both stores can see, over all reachable states."""
    found: set[Condition] = {world.initial()}
    work = list(found)
    while work:
        state = work.pop()
        assert isinstance(state, State)
        yield state.row, state.orders, state.killed, state.voided, state.broken
        for step in world.steps(state):
            if step.state not in found:
                found.add(step.state)
                work.append(step.state)


@pytest.mark.parametrize("letters", ["BC", "D"])
def test_forgetting_what_cannot_matter_hides_nothing(letters: str) -> None:
    rules = Rules(capabilities=combination(letters), lives=2)

    short = set(_visible(OneOrder(rules)))
    whole = set(_visible(OneOrder(rules, forget=False)))

    assert short == whole


def test_a_letter_that_is_no_capability_is_named() -> None:
    with pytest.raises(ValueError, match="no capability: X"):
        combination("AX")
