"""The sender of a POST is watched against the table of its states, transition by transition."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
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
    TRANSITIONS,
    IllegalTransition,
    PostEvent,
    PostState,
    after,
)
from services.executor.pre_send_check import Withheld
from services.executor.recorder import Outcome
from services.executor.sender import Sender
from tests.unit.executor.test_sender import Scene, attempt, scene, until
from tradingtools import clock
from tradingtools.domain.order import Purpose
from tradingtools.venues.insiders.order_gateway import Answer
from tradingtools.venues.ports import Meaning, Verdict

E = PostEvent


class Watched(Sender):
    """A sender whose every step is looked up in the table; an illegal one raises."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.states: dict[str, PostState] = {}
        self.events: dict[str, list[PostEvent]] = {}

    def move(self, one: Attempt, event: PostEvent) -> None:
        key = one.order.order_key
        self.states[key] = after(self.states.get(key, PostState.NEW), event)
        self.events.setdefault(key, []).append(event)

    def send(self, attempts: Sequence[Attempt]) -> None:
        taken = set(self._lanes)
        for one in attempts:
            self.move(one, E.LANE_BUSY if one.lane in taken else E.LANE_FREE)
            taken.add(one.lane)
        super().send(attempts)

    def _send_first_bytes(self, one: Attempt) -> None:
        if self.states[one.order.order_key] is PostState.WAITING:
            self.move(one, E.LANE_FREE)
        super()._send_first_bytes(one)

    def _try_send(self, one: Attempt) -> asyncio.Future[Answer] | None:
        sent = super()._try_send(one)
        self.move(one, E.HELD_UP if sent is None else E.SENT_AT_ONCE)
        return sent

    def _on_answer(self, one: Attempt, sent: asyncio.Future[Answer]) -> None:
        if not sent.cancelled():
            self.move(one, E.ANSWERED)
        super()._on_answer(one, sent)

    def _start_retrying(self, one: Attempt, sent: asyncio.Future[Answer] | None = None) -> None:
        if sent is not None:
            self.move(one, E.NOT_FINAL)
        super()._start_retrying(one, sent)

    async def _post(
        self, one: Attempt, sent: Awaitable[Answer] | None, ready: Any, *, probe: int
    ) -> tuple[Verdict, Answer | None]:
        if sent is None:
            self.move(one, E.POSTED)
        try:
            verdict, answer = await super()._post(one, sent, ready, probe=probe)
        except Withheld:
            self.move(one, E.NOT_ACCEPTED)
            raise
        if verdict.meaning is Meaning.NOT_ACCEPTED:
            self.move(one, E.NOT_ACCEPTED)
        return verdict, answer

    def _conclude(self, one: Attempt, verdict: Verdict, answer: Answer | None) -> None:
        super()._conclude(one, verdict, answer)
        self.move(one, E.CONCLUDED)

    def _give_up(self, one: Attempt, error: BaseException) -> None:
        # One that the table forbids has not happened to the order; it is the test that fails.
        if isinstance(error, IllegalTransition):
            self.events.setdefault(one.order.order_key, []).append(E.FAILED)
            return
        self.move(one, E.FAILED)
        super()._give_up(one, error)


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


def _watched(here: Scene) -> Watched:
    assert isinstance(here.sender, Watched)
    return here.sender


async def _warm(here: Scene) -> None:
    await until(lambda: len(here.client._connections._idle) == 4)


@pytest.mark.parametrize("path", ALONE.values(), ids=ALONE)
async def test_an_attempt_alone_takes_its_path(path: Path) -> None:
    changed, statuses, refused, expected = path
    one = changed(attempt("a"))
    key = one.order.order_key
    with capture_logs():
        async with scene(_refuse(key if refused else ""), make=Watched) as here:
            await _warm(here)
            here.far.statuses[key] = list(statuses)
            here.sender.send([one])
            await until(lambda: _watched(here).states[key] in FINAL)
            assert _watched(here).events[key] == expected


@pytest.mark.parametrize("path", WAITING.values(), ids=WAITING)
async def test_an_attempt_behind_another_takes_its_path(path: Path) -> None:
    changed, _, refused, expected = path
    first, one = attempt("a"), changed(attempt("b"))
    key = one.order.order_key
    with capture_logs():
        async with scene(_refuse(key if refused else ""), make=Watched) as here:
            await _warm(here)
            held = here.far.held[first.order.order_key] = asyncio.Event()
            here.sender.send([first, one])
            if changed is same:
                assert _watched(here).states[key] is PostState.WAITING
                held.set()
            await until(lambda: _watched(here).states[key] in FINAL)
            assert _watched(here).events[key] == expected


def test_every_transition_is_on_a_path() -> None:
    taken: set[tuple[PostState, PostEvent]] = set()
    for *_, events in (*ALONE.values(), *WAITING.values()):
        state = PostState.NEW
        for event in events:
            taken.add((state, event))
            state = after(state, event)
        assert state in FINAL
    assert taken == set(TRANSITIONS)


@pytest.mark.parametrize(
    "pair", sorted(set(product(PostState, PostEvent)) - set(TRANSITIONS)), ids=" ".join
)
def test_a_transition_outside_the_table_raises(pair: tuple[PostState, PostEvent]) -> None:
    with pytest.raises(IllegalTransition):
        after(*pair)


def test_a_final_state_takes_no_event() -> None:
    assert not {state for state, _ in TRANSITIONS} & FINAL


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
            async with scene(record, make=Watched) as here:
                if warm:
                    await _warm(here)
                for one, statuses, _ in made:
                    here.far.statuses[one.order.order_key] = list(statuses)
                attempts = [one for one, _, _ in made]
                here.sender.send(attempts[::2])
                here.sender.send(attempts[1::2])
                watched = _watched(here)
                await until(lambda: all(state in FINAL for state in watched.states.values()))
                await until(lambda: not watched._lanes and not watched._running)
                for events in watched.events.values():
                    state = PostState.NEW
                    for event in events:
                        state = after(state, event)
                    assert state in FINAL
                assert len(watched.events) == len(made)

    asyncio.run(whole())
