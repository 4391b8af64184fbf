"""A signer's limits are never passed, whatever the schedule, and nobody waits too long."""

from __future__ import annotations

from hypothesis import example, given, settings
from hypothesis import strategies as st

from tradingtools.venues.polymarket.order_limits import (
    CANCELS,
    ORDERS,
    POST_ONLY_MS,
    EngineWindow,
    Rate,
    TokenBucket,
)

VENUE = {ORDERS: (40, 60), CANCELS: (80, 120)}
"""What the venue has, as its documents say: a second, and at once."""


@settings(max_examples=60, deadline=None)
@given(
    rate=st.sampled_from([ORDERS, CANCELS]),
    gaps=st.lists(st.integers(0, 60), min_size=1, max_size=300),
    costs=st.integers(1, 15),
)
@example(rate=ORDERS, gaps=[0] * 200, costs=1)
@example(rate=CANCELS, gaps=[0] * 200, costs=15)
def test_no_window_ever_holds_more_than_the_venue_takes(
    rate: Rate, gaps: list[int], costs: int
) -> None:
    bucket, now, sent = TokenBucket.full(rate, 0), 0, list[tuple[int, int]]()
    for n, gap in enumerate(gaps):
        now += gap
        cost = 1 + n % costs
        bucket, wait = bucket.take(now, cost)
        while wait:
            now += wait
            bucket, again = bucket.take(now, cost)
            assert not again  # told once, right
            wait = again
        sent.append((now, cost))
    per_second, at_once = VENUE[rate]
    for first in range(len(sent)):
        total = 0
        for at, cost in sent[first:]:
            total += cost
            assert total * 1000 <= at_once * 1000 + (at - sent[first][0]) * per_second


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
    told = EngineWindow().post_only(1_000, 30_000)
    assert told.wait_ms(1_000, post_only=True) == 0
    assert told.wait_ms(1_000, post_only=False) == 30_000
