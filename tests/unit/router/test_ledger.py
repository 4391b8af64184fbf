"""The router's memory of money: what is noted twice counts once, and no sum is negative."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from services.router.core.ledger import Ledger, OpenEntry
from tests.unit.samples import LEADER, subscription
from tradingtools.domain.subscription import SubscriptionState

SUBSCRIPTIONS, CONDITIONS, ASSETS = ("s1", "s2"), ("c1", "c2"), ("1", "2")
KEYS = ("k1", "k2", "k3", "k4")


def entry_of(key: str) -> OpenEntry:
    """Each key stands for one order, as in life."""
    number = KEYS.index(key)
    return OpenEntry(
        subscription_id=SUBSCRIPTIONS[number % 2],
        condition_id=CONDITIONS[number // 2],
        asset_id=ASSETS[number // 2],
        money_micros=10**number,
    )


steps = st.lists(
    st.one_of(
        st.tuples(st.just("reserve"), st.sampled_from(KEYS)),
        st.tuples(st.just("release"), st.sampled_from(KEYS)),
        st.tuples(
            st.just("hold"),
            st.sampled_from(SUBSCRIPTIONS),
            st.sampled_from([0, 1]),
            st.integers(0, 50),
        ),
    ),
    max_size=20,
)


@given(steps, st.booleans())
def test_exposure_is_what_is_open_and_held(taken: list[tuple[object, ...]], twice: bool) -> None:
    ledger = Ledger()
    open_now: set[str] = set()
    held: dict[tuple[str, int], int] = {}
    for step in taken:
        for _ in range(2 if twice else 1):
            match step:
                case ("reserve", str(key)):
                    ledger.reserve(key, entry_of(key))
                    open_now.add(key)
                case ("release", str(key)):
                    ledger.release(key)
                    open_now.discard(key)
                case ("hold", str(who), int(which), int(cost)):
                    ledger.hold(who, CONDITIONS[which], ASSETS[which], cost)
                    held[who, which] = cost
        for who in SUBSCRIPTIONS:
            for which, condition in enumerate(CONDITIONS):
                mine = [entry_of(key) for key in open_now]
                mine = [e for e in mine if (e.subscription_id, e.condition_id) == (who, condition)]
                expected = sum(e.money_micros for e in mine) + held.get((who, which), 0)
                assert ledger.exposure(who, condition) == expected >= 0
                assert ledger.entry_open(who, ASSETS[which]) == bool(mine)


def test_both_outcomes_of_a_market_count_together() -> None:
    ledger = Ledger()
    ledger.hold("s1", "c1", "1", 5)
    ledger.hold("s1", "c1", "2", 7)
    assert ledger.exposure("s1", "c1") == 12
    ledger.hold("s1", "c1", "1", 0)
    assert ledger.exposure("s1", "c1") == 7


def test_followers_stay_in_the_order_they_came() -> None:
    ledger = Ledger()
    first, second = subscription(), replace(subscription(), id="sub-2")
    ledger.put(first)
    ledger.put(second)
    paused = replace(first, state=SubscriptionState.PAUSED, version=2)
    ledger.put(paused)
    assert ledger.followers_of(LEADER) == (paused, second)
    assert ledger.subscription("sub-1") == paused
    assert ledger.followers_of("0x" + "9" * 40) == ()
    assert ledger.subscription("sub-9") is None
