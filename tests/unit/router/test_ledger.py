"""The router's memory of money: what is noted twice counts once, and no sum is negative."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from services.router.core.caps import Exposure
from services.router.core.ledger import BUY_DAYS, DAY_MS, Ledger, OpenEntry
from services.router.core.subscription_index import SubscriptionIndex
from tests.unit.samples import LEADER, subscription
from tradingtools.domain.subscription import SubscriptionState

SUBSCRIPTIONS, CONDITIONS, ASSETS = ("s1", "s2"), ("c1", "c2"), ("1", "2")
KEYS = ("k1", "k2", "k3", "k4")
PROXY = subscription().follower.proxy


def entry_of(key: str) -> OpenEntry:
    """Each key stands for one order, as in life."""
    number = KEYS.index(key)
    return OpenEntry(
        subscription_id=SUBSCRIPTIONS[number % 2],
        condition_id=CONDITIONS[number // 2],
        asset_id=ASSETS[number // 2],
        proxy=PROXY,
        copy_key=key,
        money_micros=10**number,
        day=0,
    )


def exposed(ledger: Ledger, who: str, condition: str, asset: str = "1") -> Exposure:
    made = replace(subscription(), id=who)
    return ledger.exposure(made, condition, asset, DAY_MS - 1)


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
                    ledger.release(key, size_micros=1, filled_micros=1)
                    open_now.discard(key)
                case ("hold", str(who), int(which), int(cost)):
                    ledger.hold(who, PROXY, CONDITIONS[which], ASSETS[which], cost)
                    held[who, which] = cost
        for who in SUBSCRIPTIONS:
            for which, condition in enumerate(CONDITIONS):
                mine = [entry_of(key) for key in open_now]
                mine = [e for e in mine if (e.subscription_id, e.condition_id) == (who, condition)]
                expected = sum(e.money_micros for e in mine) + held.get((who, which), 0)
                assert exposed(ledger, who, condition).market_micros == expected >= 0
                assert ledger.entry_open(who, ASSETS[which]) == bool(mine)
            total = exposed(ledger, who, "c1")
            both = [exposed(ledger, who, condition) for condition in CONDITIONS]
            assert total.leader_micros == sum(e.market_micros for e in both)
        everybody = [exposed(ledger, who, "c1") for who in SUBSCRIPTIONS]
        assert everybody[0].total_micros == sum(e.leader_micros for e in everybody)


def test_both_outcomes_of_a_market_count_together() -> None:
    ledger = Ledger()
    ledger.hold("s1", PROXY, "c1", "1", 5)
    ledger.hold("s1", PROXY, "c1", "2", 7)
    both = exposed(ledger, "s1", "c1")
    assert (both.market_micros, both.positions, both.holds_other_outcome) == (12, 2, True)
    ledger.hold("s1", PROXY, "c1", "1", 0)
    other = exposed(ledger, "s1", "c1", "2")
    assert (other.market_micros, other.positions, other.holds_other_outcome) == (7, 1, False)


def test_a_day_gives_back_what_did_not_fill_and_ends_at_midnight() -> None:
    ledger = Ledger()
    ledger.reserve("k4", entry_of("k4"))
    assert exposed(ledger, "s2", "c2").day_micros == 1_000
    ledger.release("k4", size_micros=3, filled_micros=1)
    assert exposed(ledger, "s2", "c2").day_micros == 334
    made = replace(subscription(), id="s2")
    assert ledger.exposure(made, "c2", "2", DAY_MS).day_micros == 0
    assert ledger.exposure(made, "c2", "2", DAY_MS - 1).buys == 1


def test_nothing_stays_of_markets_where_nothing_is_held_any_more() -> None:
    def kept(markets: int) -> int:
        ledger = Ledger()
        for number in range(markets):
            entry = structs.replace(entry_of("k1"), condition_id=f"c{number}", asset_id=str(number))
            ledger.reserve(str(number), entry)
            ledger.hold(entry.subscription_id, PROXY, entry.condition_id, entry.asset_id, 5)
            ledger.release(str(number), size_micros=1, filled_micros=0)
            ledger.hold(entry.subscription_id, PROXY, entry.condition_id, entry.asset_id, 0)
        ledger.forget_days_before(BUY_DAYS + 1)
        return sum(len(part) for part in vars(ledger).values())

    assert kept(50) == kept(1)


def test_a_buy_that_did_not_fill_is_none() -> None:
    ledger = Ledger()
    ledger.reserve("k1", entry_of("k1"))
    assert exposed(ledger, "s1", "c1").buys == 1
    ledger.release("k1", size_micros=5, filled_micros=0)
    after = exposed(ledger, "s1", "c1")
    assert (after.buys, after.day_micros, after.positions) == (0, 0, 0)


def test_a_buy_counts_for_ninety_days() -> None:
    ledger = Ledger()
    for day, copy_key in ((0, "c-0"), (BUY_DAYS, "c-90")):
        ledger.bought("s1", "1", copy_key, day)
    ledger.forget_days_before(BUY_DAYS - 1)
    assert exposed(ledger, "s1", "c1").buys == 2
    ledger.forget_days_before(BUY_DAYS)
    assert exposed(ledger, "s1", "c1").buys == 1


def test_funding_is_moved_by_trades_and_reservations() -> None:
    ledger = Ledger()
    assert exposed(ledger, "s1", "c1").budget_micros is None
    ledger.fund(PROXY, 100)
    ledger.reserve("k2", entry_of("k2"))
    ledger.hold("s1", PROXY, "c1", "1", 20)
    ledger.cash(PROXY, -25)
    held = exposed(ledger, "s1", "c1")
    assert (held.budget_micros, held.equity_micros) == (65, 95)


def test_free_cash_excludes_reservations_and_funding_is_first() -> None:
    ledger = Ledger()
    ledger.reserve("k2", entry_of("k2"))
    ledger.hold("s1", PROXY, "c1", "1", 20)
    unknown = exposed(ledger, "s1", "c1")
    assert (unknown.cash_micros, unknown.equity_micros) == (None, None)
    ledger.wallet(PROXY, 50)
    known = exposed(ledger, "s1", "c1")
    assert (known.cash_micros, known.budget_micros, known.equity_micros) == (40, None, 70)
    ledger.fund(PROXY, 30)
    ledger.cash(PROXY, -20)
    funded = exposed(ledger, "s1", "c1")
    assert (funded.cash_micros, funded.budget_micros, funded.equity_micros) == (40, 0, 30)


def test_a_shadow_takes_no_cash() -> None:
    ledger = Ledger()
    ledger.wallet(PROXY, 50)
    settings = replace(subscription().settings, shadow=True)
    shadow = replace(subscription(), settings=settings)
    assert ledger.exposure(shadow, "c1", "1", 0).cash_micros is None


def test_followers_stay_in_the_order_they_came() -> None:
    index = SubscriptionIndex()
    first, second = subscription(), replace(subscription(), id="sub-2")
    index.put(first)
    index.put(second)
    paused = replace(first, state=SubscriptionState.PAUSED, version=2)
    index.put(paused)
    assert index.followers_of(LEADER) == (paused, second)
    assert index.subscription("sub-1") == paused
    assert index.followers_of("0x" + "9" * 40) == ()
    assert index.subscription("sub-9") is None
