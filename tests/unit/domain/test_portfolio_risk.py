"""Limits of many bots: no course of shares passes one, and each is seen to act."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tradingtools.domain import portfolio_usage
from tradingtools.domain.bot_risk import RiskAction
from tradingtools.domain.portfolio_risk import (
    PARTS,
    USAGE_AGE_MS,
    Ledger,
    LimitReached,
    Result,
    RiskScope,
    ScopeLimit,
    ScopeLimits,
    Share,
)

L, S = ScopeLimit, RiskScope


def share(bot: str = "a", instrument: str = "okx:BTC", **more: int | str | None) -> Share:
    values = {"wallet_id": f"w-{bot}", "market": instrument, **more}
    return Share(bot_id=bot, instrument_id=instrument, **values)  # type: ignore[arg-type]


def limits(scope: RiskScope = S.PORTFOLIO, subject: str = "", **values: int) -> ScopeLimits:
    named = {ScopeLimit(name): value for name, value in values.items()}
    return ScopeLimits(scope=scope, subject=subject, values=named)


def sided(has: Share, side: int, micros: int) -> Share:
    return replace(has, long_micros=micros) if side > 0 else replace(has, short_micros=micros)


LIMITS = (
    limits(max_gross=1_000, max_net=600, max_concentration=PARTS // 2),
    limits(S.WALLET, "w-a", max_gross=400),
    limits(S.EXCHANGE, "okx", max_net=500),
    replace(limits(S.GROUP, "majors", max_gross=450), instruments=frozenset({"okx:BTC", "pm:yes"})),
    limits(S.MARKET, "*", max_gross=420),
    limits(S.MARKET, "okx:BTC", max_with_copies=300),
)
COPIES = {"okx:BTC": 100}
STEP = st.tuples(
    st.sampled_from(["a", "b", "c"]),
    st.sampled_from(["okx:BTC", "okx:ETH", "pm:yes", "pm:no"]),
    st.sampled_from(["long", "short", "hold"]),
    st.integers(0, 500),
)


@settings(max_examples=60)
@given(steps=st.lists(STEP, max_size=25))
def test_no_course_of_shares_passes_a_limit(steps: list[tuple[str, str, str, int]]) -> None:
    """Shares are asked for, used and given back by three bots, in any order."""
    shares: dict[tuple[str, str], Share] = {}
    for bot, instrument, what, amount in steps:
        market = "pm:both" if instrument.startswith("pm") else instrument
        ledger = Ledger(limits=LIMITS, shares=list(shares.values()), copies=COPIES, copies_age_ms=0)
        has = portfolio_usage.present(ledger, share(bot, instrument, market=market))
        if what == "hold":
            held = max(min(amount - 250, has.long_micros), -has.short_micros)
            # A hedge that is closed is the one thing that may raise a net.
            held = held if abs(held) >= abs(has.held_micros) else has.held_micros
            shares[bot, instrument] = replace(has, held_micros=held)
            continue
        side = 1 if what == "long" else -1
        requested = sided(has, side, amount)
        if portfolio_usage.refused(ledger, requested) is None:
            shares[bot, instrument] = sided(has, side, max(amount, has.held_micros * side))

    ledger = Ledger(limits=LIMITS, shares=list(shares.values()), copies=COPIES, copies_age_ms=0)
    assert portfolio_usage.reached(ledger) == []


def refused(
    of: ScopeLimits, requested: Share, *shares: Share, copies: dict[str, int] | None = None,
    age: int | None = 0,
) -> ScopeLimit | None:  # fmt: skip
    ledger = Ledger(limits=[of], shares=shares, copies=copies or {}, copies_age_ms=age)
    found = portfolio_usage.refused(ledger, requested)
    return None if found is None else found.limit


def test_gross_nets_nothing_and_net_what_is_held_alone() -> None:
    hedge = share("b", short_micros=80, held_micros=-80)
    open_sell = share("b", short_micros=80)

    assert refused(limits(max_gross=100), share(long_micros=21), hedge) is L.MAX_GROSS
    assert refused(limits(max_gross=101), share(long_micros=21), hedge) is None
    assert refused(limits(max_net=20), share(long_micros=100), hedge) is None
    assert refused(limits(max_net=20), share(long_micros=101), hedge) is L.MAX_NET
    assert refused(limits(max_net=20), share(long_micros=21), open_sell) is L.MAX_NET


def test_side_over_its_net_closes_and_the_other_opens() -> None:
    over = share("b", long_micros=90, held_micros=90)

    assert refused(limits(max_net=50), share(short_micros=40), over) is None
    assert refused(limits(max_net=50), share(long_micros=1), over) is L.MAX_NET


def test_no_market_takes_more_than_its_part() -> None:
    of = limits(max_gross=100, max_concentration=400_000)

    assert refused(of, share(long_micros=40)) is None
    assert refused(of, share(long_micros=41)) is L.MAX_CONCENTRATION
    other = share("b", "okx:ETH", long_micros=60)
    assert refused(of, share(long_micros=40), other) is None


def test_bots_leave_room_for_copies_and_ignore_old_ones() -> None:
    of = limits(S.MARKET, "okx:BTC", max_with_copies=100)

    assert refused(of, share(long_micros=40), copies={"okx:BTC": 60}) is None
    assert refused(of, share(long_micros=41), copies={"okx:BTC": 60}) is L.MAX_WITH_COPIES
    assert refused(of, share(long_micros=1), age=None) is L.STALE_COPIES
    assert refused(of, share(long_micros=1), age=10_001) is L.STALE_COPIES
    assert refused(of, share("a", "okx:ETH", long_micros=1), age=None) is None


def test_a_breach_by_copies_is_told_and_acts_on_bots() -> None:
    of = limits(S.MARKET, "*", max_with_copies=100)
    ledger = Ledger(
        limits=[of],
        shares=[share(long_micros=10), share("b", "okx:ETH", long_micros=10)],
        copies={"okx:BTC": 95},
        copies_age_ms=0,
    )

    (found,) = portfolio_usage.reached(ledger)

    assert (found.limit, found.market, found.action) == (
        L.MAX_WITH_COPIES, "okx:BTC", RiskAction.REDUCE_ONLY,
    )  # fmt: skip
    assert found.concerns(ledger.shares[0])
    assert not found.concerns(ledger.shares[1])


def test_holdings_that_nobody_has_written_lately_close_the_scope() -> None:
    of, old = limits(max_gross=100), share("b", long_micros=1, age_ms=USAGE_AGE_MS + 1)

    assert refused(of, share(long_micros=1), old) is L.STALE_USAGE
    assert refused(of, share(long_micros=1), replace(old, age_ms=None)) is None
    assert refused(limits(S.WALLET, "w-a", max_gross=100), share(long_micros=1), old) is None


def test_reduction_is_never_refused_and_needs_precede_wishes() -> None:
    ledger = Ledger(limits=[limits(max_gross=10)], shares=[share(long_micros=50)])
    assert portfolio_usage.refused(ledger, share(long_micros=40)) is None

    ledger = Ledger(limits=[limits(max_gross=10)])
    need, want = share(long_micros=8), share(long_micros=11)
    assert portfolio_usage.give(ledger, need, want) == need
    assert portfolio_usage.give(ledger, need, replace(want, long_micros=10)).long_micros == 10  # type: ignore[union-attr]
    assert isinstance(portfolio_usage.give(ledger, want, want), LimitReached)


@pytest.mark.parametrize(
    ("scope", "subject", "stops"),
    [
        (S.PORTFOLIO, "", True),
        (S.WALLET, "w-a", True),
        (S.WALLET, "w-b", False),
        (S.EXCHANGE, "okx", True),
        (S.EXCHANGE, "pm", False),
    ],
)
@pytest.mark.parametrize("limit", [L.MAX_DAILY_LOSS, L.MAX_DRAWDOWN])
def test_losses_of_a_scope_stop_it(
    limit: ScopeLimit, scope: RiskScope, subject: str, stops: bool
) -> None:
    of = replace(limits(scope, subject, **{limit: 50}), day_start_micros=20, peak_micros=20)
    lost = Result(bot_id="a", wallet_id="w-a", exchange="okx", micros=-30)

    found = portfolio_usage.reached(Ledger(limits=[of], results=[lost]))

    reported = [(one.limit, one.action) for one in found]
    assert reported == ([(limit, RiskAction.CANCEL_AND_STOP)] if stops else [])
    assert portfolio_usage.reached(Ledger(limits=[of], results=[replace(lost, micros=-29)])) == []


def test_the_use_of_each_limit_reaches_it_where_it_is_reached() -> None:
    one = limits(
        max_gross=1_000, max_net=600, max_concentration=PARTS // 2, max_daily_loss=100,
        max_drawdown=300,
    )  # fmt: skip
    one = replace(one, day_start_micros=0, peak_micros=200)
    ledger = Ledger(
        limits=(one,),
        shares=(share("a", long_micros=700), share("b", "okx:ETH", short_micros=300)),
        results=(Result(bot_id="a", wallet_id="w-a", exchange="okx", micros=-100),),
    )
    found = portfolio_usage.usage(one, ledger)
    used = {limit: portfolio_usage.used(found, limit, one) for limit in one.values}
    assert used == {
        L.MAX_GROSS: 1_000,
        L.MAX_NET: 700,
        L.MAX_CONCENTRATION: 7 * PARTS // 10,
        L.MAX_DAILY_LOSS: 100,
        L.MAX_DRAWDOWN: 300,
    }
    reached = {passed.limit for passed in portfolio_usage.reached(ledger)}
    assert reached == {L.MAX_NET, L.MAX_CONCENTRATION, L.MAX_DAILY_LOSS, L.MAX_DRAWDOWN}
    market = limits(S.MARKET, "*", max_with_copies=300)
    beside = replace(ledger, limits=(market,), copies={"okx:BTC": 50})
    of_market = portfolio_usage.usage(market, beside)
    assert portfolio_usage.used(of_market, L.MAX_WITH_COPIES, market) == 750
    assert portfolio_usage.used(of_market, L.STALE_USAGE, market) is None
