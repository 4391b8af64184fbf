"""A signer's limits are never passed, whatever the schedule, and nobody waits too long."""

from __future__ import annotations

from heapq import heappop, heappush

from hypothesis import example, given, settings
from hypothesis import strategies as st

from tradingtools.domain.instrument import TradingPhase
from tradingtools.venues.polymarket.order_limits import (
    CANCELS,
    ORDERS,
    POST_ONLY_MS,
    EngineWindow,
    Rate,
    TokenBucket,
)

TOGETHER = [(0, 1_000, 0)] * 40 + [(0, 1_000 - 25 * n, 0) for n in range(1, 21)] + [(0, 0, 0)] * 40
"""Sent over half a second, they arrive at one instant, and others at once behind them."""
VENUE = {ORDERS: (40, 60), CANCELS: (80, 120)}
"""What the venue has, as its documents say: a second, and at once."""


@settings(max_examples=60, deadline=None)
@given(
    rate=st.sampled_from([ORDERS, CANCELS]),
    wants=st.lists(
        st.tuples(st.integers(0, 40), st.integers(0, 3_000), st.integers(0, 2_000)),
        min_size=1,
        max_size=250,
    ),
)
@example(rate=ORDERS, wants=[(0, 0, 0)] * 250)
@example(rate=ORDERS, wants=TOGETHER)
@example(rate=ORDERS, wants=[(0, 1_000, 0)] * 20 + [(0, 0, 0)] * 60)
@example(rate=CANCELS, wants=[(0, 2_000, 0)] * 250)
def test_the_venue_never_counts_more_than_it_takes(
    rate: Rate, wants: list[tuple[int, int, int]]
) -> None:
    """Requests arrive late and together, and are answered later still."""
    bucket, now = TokenBucket.full(rate, 0), 0
    arrivals: list[int] = []
    out: list[int] = []
    for gap, way_there, way_back in wants:
        now += gap
        if len(out) == rate.on_their_way:
            now = max(now, heappop(out))
        bucket, wait = bucket.take(now)
        if wait:
            now += wait
            bucket, again = bucket.take(now)
            assert not again  # told once, right
        arrivals.append(now + way_there)
        heappush(out, now + way_there + way_back)
    per_second, at_once = VENUE[rate]
    left, at = at_once * 1_000, 0
    for arrival in sorted(arrivals):
        left, at = min(at_once * 1_000, left + (arrival - at) * per_second), arrival
        left -= 1_000
        assert left >= 0


def test_a_refusal_shuts_the_bucket() -> None:
    bucket, wait = TokenBucket.full(ORDERS, 0).take(10)
    assert not wait
    shut = bucket.shut(10, 3_000)
    assert shut.take(2_000)[1] == 1_010
    assert shut.take(3_010)[1] == 0
    assert shut.shut(20, 5).take(2_000)[1] == 1_010


def test_a_batch_larger_than_the_bucket_goes_when_it_is_full() -> None:
    bucket, wait = TokenBucket.full(CANCELS, 0).take(0, 200)
    assert not wait
    assert bucket.take(0)[1] == 1_513  # 120 of debt and the one, at 80 a second


def test_after_a_restart_takers_wait_for_two_minutes() -> None:
    window = EngineWindow().restarting(1_000, 5_000)
    assert window.wait_ms(1_000, post_only=True) == 5_000
    assert window.wait_ms(6_000, post_only=True) == 0
    assert window.wait_ms(6_000, post_only=False) == POST_ONLY_MS - 5_000
    assert window.wait_ms(1_000 + POST_ONLY_MS, post_only=False) == 0
    reported = EngineWindow().post_only(1_000, 30_000)
    assert reported.wait_ms(1_000, post_only=True) == 0
    assert reported.wait_ms(1_000, post_only=False) == 30_000


def test_a_restart_has_phases() -> None:
    window = EngineWindow().restarting(1_000, 5_000)
    assert window.phase(1_000) == (TradingPhase.SUSPENDED, 5_000)
    assert window.phase(6_000) == (TradingPhase.POST_ONLY, POST_ONLY_MS - 5_000)
    assert window.phase(1_000 + POST_ONLY_MS) == (TradingPhase.OPEN, None)


def test_what_is_free_of_a_bucket() -> None:
    bucket, _ = TokenBucket.full(ORDERS, 0).take(0, 30)
    assert bucket.free(0) == 0.25
    assert bucket.free(250) == 0.5
    assert bucket.shut(250, 1_000).free(1_249) == 0.0
    assert TokenBucket.full(ORDERS, 0).free(9) == 1.0
