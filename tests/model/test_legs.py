"""Every course of a pair's orders, and each guard of its code taken away once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from services.bots.core import legs
from services.bots.core.legs import LegState, LegStep, Situation
from services.bots.strategies import arbitrage, pair
from tests.model.legs_world import CONFIG, TRANCHE, Options, explore

PLAIN = Options()
WORLDS = {
    "plain": PLAIN,
    "hedges fail": Options(hedges_fail=True, orders=6),
    "the market runs away": Options(runs_away=True),
    "a fill is undone": Options(undoes=1),
}


@pytest.mark.parametrize("name", WORLDS)
def test_pair_ends_even_in_bound_and_is_never_hedged_twice(name: str) -> None:
    seen, wrong, story = explore(WORLDS[name])

    assert not wrong, f"{wrong}: {'; '.join(story)}"
    assert seen > 200


@pytest.mark.long
@pytest.mark.parametrize(
    "options", [Options(undoes=2, orders=6), Options(runs_away=True, undoes=1)]
)
def test_no_course_of_all_that_can_happen_at_once(options: Options) -> None:
    _, wrong, story = explore(options)

    assert not wrong, f"{wrong}: {'; '.join(story)}"


def test_each_pair_of_states_has_one_line_for_each_situation() -> None:
    lines = [(row.first, row.second, one) for row in legs.TABLE for one in row.situations]

    assert len(lines) == len(set(lines)) == len(legs.STEPS)
    for first, second in {(row.first, row.second) for row in legs.TABLE}:
        assert {(first, second, one) for one in Situation} <= set(lines)
        assert {(second, first, one) for one in Situation} <= set(lines)
        for one in Situation:
            assert legs.STEPS[first, second, one] is legs.STEPS[second, first, one]


def _unseen(view: Any, terms: Any) -> legs.Leg:
    return replace(_LEG(view, terms), flying=False)


def _step(situation: Situation, step: LegStep) -> Callable[[pytest.MonkeyPatch], None]:
    def taken(monkeypatch: pytest.MonkeyPatch) -> None:
        for states in (
            (LegState.AHEAD, LegState.BEHIND),
            (LegState.BEHIND, LegState.AHEAD),
        ):
            monkeypatch.setitem(legs.STEPS, (*states, situation), step)

    return taken


_LEG = pair.leg
GUARDS: dict[str, tuple[Callable[[pytest.MonkeyPatch], None], Options, dict[str, int], str]] = {
    "what is on its way counts as filled for its leg": (
        lambda patch: patch.setattr(pair, "leg", _unseen),
        PLAIN,
        {},
        "hedged twice",
    ),
    "a lone leg is made even before anything else": (
        _step(Situation.IN_BOUND, LegStep.GO_ON),
        PLAIN,
        {"max_sets": 3 * TRANCHE},
        "alone",
    ),
    "after the deadline a lone leg is flattened": (
        _step(Situation.LATE, LegStep.HEDGE),
        WORLDS["hedges fail"],
        {},
        "ends with",
    ),
    "a hedge beyond the bound is not sent where flattening loses less": (
        _step(Situation.BEYOND_BOUND, LegStep.HEDGE),
        WORLDS["the market runs away"],
        {},
        "loses",
    ),
    "a tranche is bounded by its loss": (
        lambda patch: patch.setattr(arbitrage, "_bounded", lambda _c, _v, one: one.size),
        replace(WORLDS["hedges fail"], bound=500),
        {"max_loss": 500},
        "loses",
    ),
}


@pytest.mark.parametrize("name", GUARDS)
def test_without_one_guard_a_promise_breaks(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    take, options, settings, expected = GUARDS[name]
    config = replace(CONFIG, **settings)  # type: ignore[arg-type]

    take(monkeypatch)

    _, wrong, story = explore(options, config)
    assert expected in wrong, f"{wrong}: {'; '.join(story)}"


def test_a_smaller_bound_makes_smaller_tranches_that_keep_it() -> None:
    options = replace(WORLDS["hedges fail"], bound=500)

    _, wrong, story = explore(options, replace(CONFIG, max_loss=500))

    assert not wrong, f"{wrong}: {'; '.join(story)}"
