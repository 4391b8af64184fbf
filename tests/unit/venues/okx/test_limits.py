"""The limits of requests: whatever comes when, the venue never counts more than it allows."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterator
from dataclasses import dataclass
from heapq import heappop, heappush

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tradingtools.venues.okx.limits import LIMITS, Charge, RateLimits, Scope

INSTRUMENTS = ("BTC-USDT-SWAP", "ETH-USDT")


@dataclass(frozen=True)
class Burst:
    """Requests somebody wants to send at once, by REST or by socket."""

    after_ms: int
    verb: tuple[Scope, Scope, bool]
    orders: int
    about: str
    times: int
    there_ms: tuple[int, int]
    """On their way to the venue: the first one's, and what each one after has less."""
    back_ms: int

    @property
    def charges(self) -> tuple[Charge, ...]:
        """What each of them counts for."""
        one, many, counted = self.verb
        first = Charge(one if self.orders == 1 else many, self.about, self.orders)
        return (first, Charge(Scope.SUB_ACCOUNT, "", self.orders)) if counted else (first,)


BURSTS = st.builds(
    Burst,
    after_ms=st.sampled_from([0, 1, 100, 1_000, 1_900, 2_100]),
    verb=st.sampled_from(
        [
            (Scope.PLACE, Scope.PLACE_BATCH, True),
            (Scope.AMEND, Scope.AMEND_BATCH, True),
            (Scope.CANCEL, Scope.CANCEL_BATCH, False),
        ]
    ),
    orders=st.sampled_from([1, 1, 20]),
    about=st.sampled_from(INSTRUMENTS),
    times=st.integers(1, 50),
    there_ms=st.tuples(st.integers(0, 600), st.integers(0, 12)),
    back_ms=st.integers(0, 300),
)


def counted_by_the_venue(bursts: list[Burst]) -> Iterator[tuple[int, Charge]]:
    """Send in order, each as soon as it may; yield when the venue counts what."""
    limits = RateLimits()
    now, number = 0, 0
    under_way: list[tuple[int, int, tuple[Charge, ...]]] = []
    for burst in bursts:
        now += burst.after_ms
        for at in range(burst.times):
            while True:
                while under_way and under_way[0][0] <= now:
                    answered, _, charges = heappop(under_way)
                    limits.end(charges, answered)
                wait = limits.wait_ms(burst.charges, now)
                if wait == 0:
                    break
                now = under_way[0][0] if wait is None else now + wait
            limits.begin(burst.charges)
            there = max(0, burst.there_ms[0] - at * burst.there_ms[1])
            number += 1
            heappush(under_way, (now + there + burst.back_ms, number, burst.charges))
            for charge in burst.charges:
                yield now + there, charge


@settings(max_examples=25, deadline=None)
@given(st.lists(BURSTS, min_size=12, max_size=24))
def test_no_schedule_of_rest_and_socket_exceeds_a_limit(bursts: list[Burst]) -> None:
    by_window: dict[tuple[Scope, str], list[tuple[int, int]]] = defaultdict(list)
    for at, charge in counted_by_the_venue(bursts):
        by_window[charge.scope, charge.about].append((at, charge.cost))
    for (scope, _), counted in by_window.items():
        window: deque[tuple[int, int]] = deque()
        for at, cost in sorted(counted):
            window.append((at, cost))
            while window[0][0] < at - LIMITS[scope].window_ms:
                window.popleft()
            assert sum(one for _, one in window) <= LIMITS[scope].count, scope


def test_the_sub_account_is_counted_over_all_instruments() -> None:
    limits = RateLimits()
    for number in range(50):
        charges = (
            Charge(Scope.PLACE_BATCH, f"I{number % 5}", 20),
            Charge(Scope.SUB_ACCOUNT, "", 20),
        )
        assert limits.wait_ms(charges, 0) == 0
        limits.begin(charges)
        limits.end(charges, 0)

    assert limits.wait_ms((Charge(Scope.PLACE, "I9"), Charge(Scope.SUB_ACCOUNT)), 5) == 1_996
    assert limits.wait_ms((Charge(Scope.CANCEL, "I9"),), 5) == 0


def test_a_full_window_of_unanswered_requests_waits_for_an_answer() -> None:
    limits = RateLimits()
    one = (Charge(Scope.PLACE, "A"),)
    for _ in range(60):
        limits.begin(one)

    assert limits.wait_ms(one, 10**9) is None
    assert limits.wait_ms((Charge(Scope.PLACE, "B"),), 0) == 0
    limits.end(one, 10**9)
    assert limits.wait_ms(one, 10**9) == 2_001


def test_a_limit_is_reached_again_after_its_window() -> None:
    limits = RateLimits()
    one = (Charge(Scope.CANCEL_ALL_AFTER, "tt1"),)
    limits.begin(one)
    limits.end(one, 100)

    assert limits.wait_ms(one, 100) == 1_001
    assert limits.wait_ms(one, 1_100) == 1
    assert limits.wait_ms(one, 1_101) == 0


def test_what_is_never_allowed_is_said_at_once() -> None:
    with pytest.raises(ValueError, match="PLACE"):
        RateLimits().wait_ms((Charge(Scope.PLACE, "A", 61),), 0)


def test_every_scope_has_a_limit() -> None:
    assert set(LIMITS) == set(Scope)


def test_what_is_free_is_that_of_the_fullest_limit_of_orders() -> None:
    limits = RateLimits()
    assert limits.free(0) == 1.0
    place = [Charge(Scope.PLACE, "BTC-USDT-SWAP", 45), Charge(Scope.SUB_ACCOUNT, cost=45)]
    limits.begin(place)
    assert limits.free(0) == 0.25
    # Questions have limits of their own, which orders do not wait for.
    limits.begin([Charge(Scope.CANCEL_ALL_AFTER)])
    assert limits.free(0) == 0.25
    limits.end(place, 10)
    assert limits.free(2_010) == 0.25
    assert limits.free(2_011) == 1.0
