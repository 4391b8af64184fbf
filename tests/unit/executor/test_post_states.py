"""The sender of a POST runs by the table of its states and takes each of its transitions."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import product
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import structs
from structlog.testing import capture_logs

from services.executor.core.attempt import Attempt
from services.executor.core.post_states import (
    FINAL,
    NEXT,
    IllegalTransition,
    PostEvent,
    PostState,
)
from services.executor.post import Post
from services.executor.recorder import Outcome
from tests.unit.executor.test_sender import Scene, attempt, scene, until
from tradingtools import clock
from tradingtools.domain.order import Purpose
from tradingtools.venues.ports import NOT_SENT

E = PostEvent


class Moves:
    """Moves that the table was asked for, by order."""

    def __init__(self) -> None:
        self.states: dict[str, PostState] = {}
        self.events: dict[str, list[PostEvent]] = {}


@pytest.fixture
def moves(monkeypatch: pytest.MonkeyPatch) -> Moves:
    return _noted(monkeypatch)


def _noted(monkeypatch: pytest.MonkeyPatch) -> Moves:
    found = Moves()

    class Noted(Post):
        __slots__ = ()

        def __init__(self, one: Attempt, wait_ms: int) -> None:
            super().__init__(one, wait_ms)
            found.states[one.order.order_key] = self.state

        def move(self, event: PostEvent) -> PostState:
            key = self.attempt.order.order_key
            found.states[key] = super().move(event)
            found.events.setdefault(key, []).append(event)
            return self.state

    monkeypatch.setattr("services.executor.sender.Post", Noted)
    return found


def late(one: Attempt) -> Attempt:
    return structs.replace(one, order=structs.replace(one.order, not_after_ms=1))


def stale(one: Attempt) -> Attempt:
    """Return it as it is when its gates were checked a second ago."""
    return structs.replace(one, gates_checked_ns=clock.monotonic_ns() - 1_000_000_000)


def without_bytes(one: Attempt) -> Attempt:
    """Return it with a body of which no bytes can be made."""
    return structs.replace(one, order=structs.replace(one.order, body="\ud800"))


def same(one: Attempt) -> Attempt:
    return one


Path = tuple[Callable[[Attempt], Attempt], list[int], bool, list[PostEvent]]
_AT_ONCE = [E.LANE_FREE, E.SENT_AT_ONCE, E.ANSWERED]
ALONE: dict[str, Path] = {
    "an acceptance is concluded": (same, [], False, [*_AT_ONCE, E.CONCLUDED]),
    "an outcome that cannot be recorded is abandoned": (same, [], True, [*_AT_ONCE, E.FAILED]),
    "a server error is reported and concluded": (
        same, [500], False, [*_AT_ONCE, E.NOT_FINAL, E.CONCLUDED],
    ),
    "a server error that cannot be recorded is abandoned": (
        same, [500], True, [*_AT_ONCE, E.NOT_FINAL, E.FAILED],
    ),
    "a rate limit is waited for and sent again": (
        same, [429], False, [*_AT_ONCE, E.NOT_FINAL, E.NOT_ACCEPTED, E.POSTED, E.CONCLUDED],
    ),
    "gates that are stale are checked again": (
        stale, [], False, [E.LANE_FREE, E.HELD_UP, E.POSTED, E.CONCLUDED],
    ),
    "an order that is late is concluded unsent": (
        late, [], False, [E.LANE_FREE, E.HELD_UP, E.CONCLUDED],
    ),
    "a late order that cannot be recorded is abandoned": (
        late, [], True, [E.LANE_FREE, E.HELD_UP, E.FAILED],
    ),
    "an order without bytes is abandoned": (without_bytes, [], False, [E.LANE_FREE, E.FAILED]),
}  # fmt: skip
WAITING: dict[str, Path] = {
    "an entry behind another is sent after it": (
        same, [], False, [E.LANE_BUSY, *_AT_ONCE, E.CONCLUDED],
    ),
    "an entry whose time ends in its lane is concluded unsent": (
        late, [], False, [E.LANE_BUSY, E.CONCLUDED],
    ),
    "an expired entry that cannot be recorded is abandoned": (
        late, [], True, [E.LANE_BUSY, E.FAILED],
    ),
}  # fmt: skip


def _refuse(key: str) -> Callable[[Outcome], None]:
    def record(outcome: Outcome) -> None:
        if outcome.fields["order_key"] == key:
            raise ValueError("nobody has thought of this")

    return record


async def _warm(here: Scene) -> None:
    await until(lambda: len(here.client._connections._idle) == 4)


@pytest.mark.parametrize("path", ALONE.values(), ids=ALONE)
async def test_an_attempt_alone_takes_its_path(path: Path, moves: Moves) -> None:
    changed, statuses, refused, expected = path
    one = changed(attempt("a"))
    key = one.order.order_key
    with capture_logs():
        async with scene(_refuse(key if refused else "")) as here:
            await _warm(here)
            here.far.statuses[key] = list(statuses)
            here.sender.send([one])
            await until(lambda: moves.states[key] in FINAL)
            assert moves.events[key] == expected


@pytest.mark.parametrize("path", WAITING.values(), ids=WAITING)
async def test_an_attempt_behind_another_takes_its_path(path: Path, moves: Moves) -> None:
    changed, _, refused, expected = path
    first, one = attempt("a"), changed(attempt("b"))
    key = one.order.order_key
    with capture_logs():
        async with scene(_refuse(key if refused else "")) as here:
            await _warm(here)
            held = here.far.held[first.order.order_key] = asyncio.Event()
            here.sender.send([first, one])
            if changed is same:
                assert moves.states[key] is PostState.WAITING
                held.set()
            await until(lambda: moves.states[key] in FINAL)
            assert moves.events[key] == expected


@pytest.mark.parametrize("state", sorted(set(PostState) - {PostState.READY}))
async def test_no_byte_leaves_at_once_from_another_state(state: PostState) -> None:
    one = Post(attempt("a"), 600_000)
    one.state = state
    async with scene() as here:
        await _warm(here)
        with pytest.raises(IllegalTransition):
            here.sender._try_send(one)
        assert here.far.came == []


async def test_no_byte_leaves_again_of_a_post_that_has_ended() -> None:
    one = Post(attempt("a"), 600_000)
    one.state = PostState.CONCLUDED
    async with scene() as here:
        await _warm(here)
        with pytest.raises(IllegalTransition):
            await here.sender._slow_path.run(one, None)
        assert here.far.came == []


async def test_an_outcome_is_recorded_once() -> None:
    one = Post(attempt("a"), 600_000)
    one.state = PostState.ANSWERED
    async with scene() as here:
        here.sender._conclude(one, NOT_SENT, None)
        with pytest.raises(IllegalTransition):
            here.sender._conclude(one, NOT_SENT, None)
        assert len(here.outcomes) == 1


async def test_a_post_that_has_ended_is_not_abandoned_as_well() -> None:
    one = Post(attempt("a"), 600_000)
    one.state = PostState.CONCLUDED
    async with scene() as here:
        with capture_logs():
            here.sender._give_up(one, ValueError("nobody has thought of this"))
        assert here.died == []


def test_every_transition_is_on_a_path() -> None:
    taken: set[tuple[PostState, PostEvent]] = set()
    for *_, events in (*ALONE.values(), *WAITING.values()):
        state = PostState.NEW
        for event in events:
            taken.add((state, event))
            state = NEXT[state, event]
        assert state in FINAL
    assert taken == set(NEXT)


@pytest.mark.parametrize(
    "pair", sorted(set(product(PostState, PostEvent)) - set(NEXT)), ids=" ".join
)
def test_a_transition_outside_the_table_raises(pair: tuple[PostState, PostEvent]) -> None:
    one = Post(attempt("a"), 600_000)
    one.state, event = pair
    with pytest.raises(IllegalTransition):
        one.check(event)
    with pytest.raises(IllegalTransition):
        one.move(event)
    assert one.state is pair[0]


def test_a_final_state_takes_no_event() -> None:
    assert not {state for state, _ in NEXT} & FINAL


_SCRIPTS = st.lists(
    st.tuples(
        st.sampled_from("123"),
        st.sampled_from([Purpose.ENTRY, Purpose.ENTRY, Purpose.COPY_EXIT]),
        st.sampled_from([same, same, stale, late, without_bytes]),
        st.lists(st.sampled_from([429, 500, 201]), max_size=3),
        st.booleans(),
    ),
    min_size=1,
    max_size=12,
)


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(_SCRIPTS, st.booleans())
def test_whatever_happens_each_attempt_ends_once(script: list[Any], warm: bool) -> None:
    with pytest.MonkeyPatch.context() as monkeypatch:
        _run_script(script, _noted(monkeypatch), warm=warm)


def _run_script(script: list[Any], moves: Moves, *, warm: bool) -> None:
    async def whole() -> None:
        made = [
            (changed(attempt(f"s{n}", wallet=wallet, purpose=purpose)), statuses, refused)
            for n, (wallet, purpose, changed, statuses, refused) in enumerate(script)
        ]
        refused = {one.order.order_key for one, _, refuses in made if refuses}

        def record(outcome: Outcome) -> None:
            if outcome.fields["order_key"] in refused:
                raise ValueError("nobody has thought of this")

        with capture_logs():
            async with scene(record) as here:
                if warm:
                    await _warm(here)
                for one, statuses, _ in made:
                    here.far.statuses[one.order.order_key] = list(statuses)
                attempts = [one for one, _, _ in made]
                here.sender.send(attempts[::2])
                here.sender.send(attempts[1::2])
                await until(lambda: all(state in FINAL for state in moves.states.values()))
                await until(lambda: not here.sender._lanes and not here.sender._running)
                for events in moves.events.values():
                    state = PostState.NEW
                    for event in events:
                        state = NEXT[state, event]
                    assert state in FINAL
                assert len(moves.events) == len(made)

    asyncio.run(whole())
