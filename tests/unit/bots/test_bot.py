"""A bot in a simulated run (`simulated.py`), and one rule after another."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any, cast

import pytest

from services.bots.core.bot import Bot
from services.bots.core.holding import Holding
from services.bots.core.requests import PermitRequest
from services.bots.core.risk import Equity, RiskLimits
from services.bots.core.strategy import Intent, Quote, StrategyEvent, View
from tests.unit.bots.samples import AMENDS, CANCELS, book
from tests.unit.bots.simulated import ENDS, LEASE_MS, ONE, Run, Whim, wrongs
from tradingtools.domain.bot_order_states import BotOrderState, PendingRequest
from tradingtools.domain.bot_states import BotState
from tradingtools.venues.ports import Meaning
from tradingtools.venues.trading import (
    AmendOrder,
    CancelOrder,
    Fill,
    NewOrder,
    Receipt,
    RestingTime,
    TradingCapabilities,
)


@pytest.mark.parametrize(
    "capabilities",
    [AMENDS, replace(CANCELS, not_after=True), ENDS],
    ids=["amends", "cancels", "ends"],
)
@pytest.mark.parametrize("seed", range(12))
def test_whatever_comes_nothing_doubles_and_no_limit_is_passed(
    seed: int, capabilities: TradingCapabilities
) -> None:
    run = Run(seed, capabilities, undoes=seed % 3 == 0 and not capabilities.amend)

    assert wrongs(run) == []
    assert run.venue.trades > 5


class Fails(Whim):
    """Quotes once, then fails."""

    def on(
        self, config: int, state: int, event: StrategyEvent, view: View
    ) -> tuple[int, tuple[Intent, ...]]:
        if state > config:
            raise ZeroDivisionError
        quote = Quote(slot="a", instrument_id=ONE.id, side="BUY", price=639_000, size=10)
        return state + 1, (quote,)


def test_a_strategy_that_fails_ends_its_bot_and_its_orders() -> None:
    run = Run(1, AMENDS)
    run.bot = Bot(run.bot.setup, Fails(), 1, lease_until_ms=run.now + LEASE_MS)
    run.act(run.bot.run(run.now))
    fresh = book(ONE, [(640_000, 9)], [(640_001, 9)])
    run.act(run.bot.market(fresh, run.now))

    assert run.bot.life is BotState.ERROR
    assert isinstance(run.bot.failure, ZeroDivisionError)
    run.finish()
    assert run.bot.quiet


_QUOTE = Quote(slot="a", instrument_id=ONE.id, side="BUY", price=639_000, size=10)


@pytest.mark.parametrize(
    ("wanted", "says"),
    [
        ((replace(_QUOTE, instrument_id="okx:ETH-USDT"),), "'okx:ETH-USDT', which the bot has not"),
        ((replace(_QUOTE, price=cast(int, 639_000.5)),), "price of a quote is 639000.5"),
        ((replace(_QUOTE, size=cast(int, Decimal(1))),), r"size of a quote is Decimal\('1'\)"),
        (("BUY",), "'BUY' is none of Quote, Withdraw, Wake and Finished"),
        (None, "not iterable"),
    ],
    ids=["instrument", "price", "size", "intent", "nothing"],
)
def test_a_strategy_that_wants_what_cannot_be_ends_its_bot_alone(wanted: Any, says: str) -> None:
    """An error beyond the bot would end the run of all bots of its wallet."""
    run = Run(1, AMENDS)
    run.bot = Bot(run.bot.setup, Wants(), 1, lease_until_ms=run.now + LEASE_MS)
    run.act(run.bot.run(run.now))
    strategy: Any = run.bot.strategy
    strategy.on = lambda _config, state, _event, _view: (state + 1, wanted)
    run.act(run.bot.market(FRESH, run.now))

    assert run.bot.life is BotState.ERROR
    with pytest.raises(Exception, match=says):
        raise run.bot.failure or AssertionError


def test_a_permit_that_is_denied_is_asked_for_again() -> None:
    run = Run(1, AMENDS)
    run.bot = Bot(run.bot.setup, Fails(), 9, lease_until_ms=run.now + LEASE_MS)
    run.bot.setup = replace(run.bot.setup, config=10)
    run.bot.run(run.now)
    fresh = book(ONE, [(640_000, 9)], [(640_001, 9)])
    requested = [one for one in run.bot.market(fresh, run.now) if isinstance(one, PermitRequest)]

    assert len(requested) == 1
    assert run.bot.tick(run.now) == []
    run.bot.denied(requested[0].permit)
    assert run.bot.tick(run.now) == requested


class Wants(Whim):
    """Wants what it was made with."""

    def __init__(self, *intents: Intent) -> None:
        self.intents = intents

    def on(
        self, config: int, state: int, event: StrategyEvent, view: View
    ) -> tuple[int, tuple[Intent, ...]]:
        return state, self.intents


def started(run: Run, *intents: Intent, limits: RiskLimits, **more: Any) -> Bot[int, int]:
    setup = replace(run.bot.setup, limits=limits)
    run.bot = Bot(setup, Wants(*intents), 1, lease_until_ms=run.now + LEASE_MS, **more)
    run.act(run.bot.run(run.now))
    return run.bot


def quoted(size: int, price: int = 640_000) -> Quote:
    return Quote(slot="a", instrument_id=ONE.id, side="BUY", price=price, size=size)


FRESH = book(ONE, [(640_000, 9)], [(640_001, 9)])


@pytest.mark.parametrize("better", [quoted(20), quoted(10, 900_000)], ids=["size", "price"])
def test_a_change_is_judged_as_the_whole_order(better: Quote) -> None:
    most = ONE.notional(650_000, 10, up=True)
    run = Run(1, AMENDS)
    bot = started(run, quoted(10), limits=RiskLimits(max_order_notional=most))
    run.act(bot.market(FRESH, run.now))
    run.venue.arrive(run.now)
    run.act(bot.reported(run.venue.report("bot1e1n1"), run.now))
    assert [one.size for one in bot.orders.values()] == [10]

    bot.strategy = Wants(better)
    requested = bot.market(FRESH, run.now)

    assert [type(one) for one in requested] == [CancelOrder]
    assert "max_order_notional" in bot.refusals["a"]


def test_a_loss_of_a_former_life_is_not_forgotten() -> None:
    run = Run(1, AMENDS)
    day = run.now // 86_400_000
    before = Equity(result=-90, day_start=0, peak=0, day=day)
    held = {ONE.id: Holding(realised=-110)}
    limits = RiskLimits(max_daily_loss=100)

    bot = started(run, limits=limits, equity=before, holdings=held)
    bot.market(FRESH, run.now)

    assert bot.life is BotState.RISK_STOPPED
    assert started(run, limits=limits, holdings=held).life is BotState.RUNNING


def test_what_reconciling_stopped_does_not_run() -> None:
    run = Run(1, AMENDS)
    bot = started(run, limits=RiskLimits())
    bot.end(BotState.RISK_STOPPED, run.now)

    bot.run(run.now)

    assert bot.life is BotState.RISK_STOPPED


def test_at_a_venue_without_deadlines_an_order_has_an_end_and_is_dated() -> None:
    run = Run(1, ENDS)
    bot = started(run, quoted(10), limits=RiskLimits())
    run.act(bot.market(FRESH, run.now))
    (sent,) = (one.order for one in bot.orders.values())

    assert (sent.time_in_force, sent.created_ms) == (RestingTime.GTD, run.now)
    assert sent.expires_ms == run.now + 2_500
    # It is as it was wanted: nothing is to be changed about it.
    run.venue.arrive(run.now)
    run.act(bot.reported(run.venue.report(sent.order_id), run.now))
    assert bot.tick(run.now) == []


def test_what_was_lost_there_stays_reserved_until_its_end_and_a_horizon() -> None:
    run = Run(1, ENDS)
    bot = started(run, quoted(10), limits=RiskLimits())
    run.act(bot.market(FRESH, run.now))
    (sent,) = (one.order for one in bot.orders.values())
    bot.end(BotState.STOPPING, run.now)
    assert sent.expires_ms is not None
    unknown = Receipt(meaning=Meaning.UNKNOWN)
    bot.answered(sent.order_id, PendingRequest.PLACE, unknown, run.now)
    end = sent.expires_ms + 500 + bot.setup.clock_error_ms

    for requested in (end - 2_000, end, end + 1, end + 2_001):
        bot.not_found(sent.order_id, requested_ms=requested, now_ms=requested)
        assert not bot.quiet
    requested = end + 4_001
    bot.not_found(sent.order_id, requested_ms=requested, now_ms=requested)

    assert bot.quiet
    assert [one.state for one in bot.orders.values()] == [BotOrderState.LOST]


def test_a_fill_that_fails_after_its_order_is_settled_is_booked_back() -> None:
    run = Run(1, ENDS)
    bot = started(run, quoted(10), limits=RiskLimits())
    run.act(bot.market(FRESH, run.now))
    run.venue.arrive(run.now)
    while run.venue.orders["bot1e1n1"].open:
        run.venue.trade()
    fills = [one for one in run.venue.every if isinstance(one, Fill)]
    bot.end(BotState.STOPPING, run.now)
    for fill in fills:
        bot.filled(fill, run.now)
    bot.reported(run.venue.report("bot1e1n1"), run.now)
    ((slot, settled),) = bot.written().orders
    assert (bot.orders, bot.holdings[ONE.id].size) == ({}, 10)

    bot.restore(slot, settled)
    for fill in fills:
        bot.filled(replace(fill, undone=True), run.now)

    assert bot.holdings[ONE.id].size == 0
    assert [one.undone for one in bot.written().fills] == [True] * len(fills)


def test_a_change_that_left_and_was_not_written_is_read_by_the_next_owner() -> None:
    run = Run(1, AMENDS)
    bot = started(run, quoted(10), limits=RiskLimits())
    answer = Receipt(meaning=Meaning.ACCEPTED)
    (requested,) = (one for one in bot.market(FRESH, run.now) if isinstance(one, PermitRequest))
    run.venue.flying += [
        one for one in bot.granted(requested.permit, run.now) if isinstance(one, NewOrder)
    ]
    run.venue.arrive(run.now)
    bot.answered("bot1e1n1", PendingRequest.PLACE, answer, run.now)
    run.write()
    bot.strategy = Wants(quoted(30, 640_020))
    run.venue.flying += [one for one in bot.market(FRESH, run.now) if isinstance(one, AmendOrder)]
    assert run.venue.arrive(run.now).meaning is Meaning.ACCEPTED

    while run.venue.position <= 10:
        run.venue.trade()
    filled = run.venue.orders["bot1e1n1"].filled
    run.bot = run.begin()
    run.read()

    mine = run.bot.orders["bot1e1n1"]
    assert (mine.price, mine.size, mine.reserved) == (640_020, 30, 30 - filled)
    assert run.bot.breaches == []
    # What was told before it was changed may be told again.
    run.hear(run.venue.reported[0])
    assert run.bot.orders["bot1e1n1"].reserved == 30 - filled
