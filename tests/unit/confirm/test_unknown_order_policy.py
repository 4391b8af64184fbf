"""Conclusions about an unanswered order, over all promises and everything a look can give."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.confirm.core.unknown_order_policy import (
    NOT_FOUNDS_NEEDED,
    UNREACHABLE_MS,
    LookupResult,
    NextAction,
    UnknownOrder,
    after_lookup,
    after_void,
    horizon_ms,
    pause_ms,
    reason,
    standing,
)
from tradingtools.domain.reasons import Reason
from tradingtools.domain.venue_order import VenueOrder
from tradingtools.venues.ports import Capabilities

NOT_AFTER, LONGEST = 1_000_000, 2_000
HORIZON = NOT_AFTER + LONGEST
PROMISES = [Capabilities(a, b, c, d, LONGEST) for a, b, c, d in product([False, True], repeat=4)]
cases = st.builds(
    UnknownOrder,
    not_after_ms=st.just(NOT_AFTER),
    not_found_count=st.integers(0, 5),
    unknown_since_ms=st.integers(0, NOT_AFTER),
    attempt=st.integers(1, 5),
    attempts=st.integers(1, 4),
)
moments = st.integers(0, HORIZON + 2 * UNREACHABLE_MS) | st.sampled_from([HORIZON, HORIZON + 1])


def case(found: int = 0, since: int = NOT_AFTER) -> UnknownOrder:
    return UnknownOrder(not_after_ms=NOT_AFTER, not_found_count=found, unknown_since_ms=since)


@settings(max_examples=1_000)
@given(made=cases, now=moments)
def test_an_order_is_given_up_only_on_proof(made: UnknownOrder, now: int) -> None:
    for promises, poll in product(PROMISES, LookupResult):
        try:
            _is_proven(promises, poll, made, now)
        except AssertionError as error:
            error.add_note(f"{promises}, {poll}")
            raise


def _is_proven(promises: Capabilities, poll: LookupResult, made: UnknownOrder, now: int) -> None:
    act = after_lookup(made, poll, promises, now)
    if act is NextAction.GIVE_UP:
        proven = (
            poll is LookupResult.NOT_FOUND
            and promises.get_by_key
            and promises.not_after
            and now > HORIZON
            and made.not_found_count + 1 >= NOT_FOUNDS_NEEDED
        )
        assert poll is LookupResult.VOIDED or proven
    if poll is LookupResult.NO_ANSWER:
        assert act in (NextAction.WAIT, NextAction.CALL)
    if act is NextAction.VOID:
        assert promises.void
    if act is NextAction.SEND_AGAIN:
        assert promises.idempotency
        assert now < NOT_AFTER
        assert made.attempt < made.attempts
        assert poll in (LookupResult.NOT_FOUND, LookupResult.NOT_SUPPORTED)
    if act is NextAction.BOOK:
        assert poll is LookupResult.FOUND


@pytest.mark.parametrize("promises", PROMISES)
def test_every_combination_comes_to_an_end(promises: Capabilities) -> None:
    # A far side that never got the order, asked again and again until the end is clear.
    found, now, since = 0, NOT_AFTER, NOT_AFTER
    for _ in range(1_000):
        poll = LookupResult.NOT_FOUND if promises.get_by_key else LookupResult.NOT_SUPPORTED
        made = case(found, since)
        act = after_lookup(made, poll, promises, now)
        if act is NextAction.VOID:
            act = after_void(made, LookupResult.VOIDED, now)
        if act is not NextAction.WAIT:
            break
        found += poll is LookupResult.NOT_FOUND and now > HORIZON
        now += 500
    decidable = promises.void or (promises.not_after and promises.get_by_key)
    assert act is (NextAction.GIVE_UP if decidable else NextAction.CALL)


@pytest.mark.parametrize("promises", PROMISES)
def test_what_is_found_is_booked_whenever_it_appears(promises: Capabilities) -> None:
    for now in (0, NOT_AFTER, HORIZON + UNREACHABLE_MS):
        assert after_lookup(case(), LookupResult.FOUND, promises, now) is NextAction.BOOK
        assert after_lookup(case(), LookupResult.VOIDED, promises, now) is NextAction.GIVE_UP


def test_not_founds_count_only_after_the_horizon() -> None:
    promises = Capabilities(True, True, True, False, LONGEST)
    assert horizon_ms(case(), promises) == HORIZON
    assert after_lookup(case(99), LookupResult.NOT_FOUND, promises, HORIZON) is NextAction.WAIT
    assert after_lookup(case(1), LookupResult.NOT_FOUND, promises, HORIZON + 1) is NextAction.WAIT
    assert (
        after_lookup(case(2), LookupResult.NOT_FOUND, promises, HORIZON + 1) is NextAction.GIVE_UP
    )


def test_without_an_enforced_deadline_a_person_is_called() -> None:
    promises = Capabilities(True, False, True, False, LONGEST)
    assert after_lookup(case(2), LookupResult.NOT_FOUND, promises, HORIZON + 1) is NextAction.CALL


def test_not_found_without_get_by_key_proves_nothing() -> None:
    promises = Capabilities(True, True, False, False, LONGEST)
    assert after_lookup(case(2), LookupResult.NOT_FOUND, promises, HORIZON + 1) is NextAction.CALL


@pytest.mark.parametrize("poll", [LookupResult.NOT_FOUND, LookupResult.NOT_SUPPORTED])
@pytest.mark.parametrize("promises", PROMISES)
def test_order_is_resent_after_doubling_pauses_until_useless(
    promises: Capabilities, poll: LookupResult
) -> None:
    def act(attempt: int, now: int) -> NextAction:
        made = UnknownOrder(
            not_after_ms=NOT_AFTER, not_found_count=0, unknown_since_ms=0,
            attempt=attempt, attempts=3, send_again_ms=250,
        )  # fmt: skip
        return after_lookup(made, poll, promises, now)

    again = promises.idempotency
    for attempt, pause in ((1, 250), (2, 500)):
        assert (act(attempt, pause - 1) is NextAction.WAIT) >= again, (
            "it waits for its turn, no void"
        )
        assert (act(attempt, pause) is NextAction.SEND_AGAIN) == again
        assert (act(attempt, NOT_AFTER - 1) is NextAction.SEND_AGAIN) == again
        assert act(attempt, NOT_AFTER) is not NextAction.SEND_AGAIN
    assert act(3, 250 << 2) is not NextAction.SEND_AGAIN


@given(st.sampled_from(LookupResult), cases, moments)
def test_a_void_gives_up_only_when_it_succeeded(
    poll: LookupResult, made: UnknownOrder, now: int
) -> None:
    act = after_void(made, poll, now)
    assert (act is NextAction.GIVE_UP) == (poll is LookupResult.VOIDED)
    assert (act is NextAction.BOOK) == (poll is LookupResult.FOUND)
    if poll is LookupResult.NO_ANSWER:
        late = now - made.unknown_since_ms > UNREACHABLE_MS
        assert act is (NextAction.CALL if late else NextAction.WAIT)


@pytest.mark.parametrize("promises", PROMISES)
def test_silence_calls_a_person_after_a_quarter_of_an_hour(promises: Capabilities) -> None:
    silent = case(99, since=0)
    assert after_lookup(silent, LookupResult.NO_ANSWER, promises, UNREACHABLE_MS) is NextAction.WAIT
    assert (
        after_lookup(silent, LookupResult.NO_ANSWER, promises, UNREACHABLE_MS + 1)
        is NextAction.CALL
    )


def test_ends_carry_their_reason() -> None:
    assert {act: reason(act) for act in NextAction if reason(act)} == {
        NextAction.GIVE_UP: Reason.NEVER_ARRIVED,
        NextAction.CALL: Reason.UNDECIDABLE,
    }


def test_pauses_double_up_to_five_seconds() -> None:
    pauses = [pause_ms(n) for n in range(20)]
    assert pauses[:5] == [250, 500, 1000, 2000, 4000]
    assert set(pauses[5:]) == {5_000}


def test_an_order_says_whether_its_key_is_void() -> None:
    for status, poll in (("VOIDED", LookupResult.VOIDED), ("KILLED", LookupResult.FOUND)):
        made = VenueOrder(order_key="k", order_id="", status=status, closed=True)
        assert standing(made) is poll
