"""Closing: nothing keeps a stop waiting, and nothing is closed that is not there."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from services.bots.core.bot import Bot
from services.bots.core.holding import Holding
from services.bots.core.losses import flattening
from services.bots.core.risk import MarkPoint, RiskLimit, RiskLimits, breach
from tests.unit.bots.samples import AMENDS, book, outcome, spot, swap
from tests.unit.bots.simulated import ONE, Run
from tests.unit.bots.test_bot import FRESH, Wants, quoted, started
from tests.unit.bots.test_risk import asks, exposure
from tests.unit.bots.test_shares import SIDES
from tradingtools.domain.book import BookStatus
from tradingtools.domain.bot_order_states import BotOrderState, PendingRequest
from tradingtools.domain.bot_states import BotState
from tradingtools.venues.ports import Meaning, Side
from tradingtools.venues.trading import AmendOrder, NewOrder, Receipt, RestingTime

OTHER = swap(inverse=True)
HELD = {ONE.id: Holding(size=10, cost=64 * 10**8)}
UNKNOWN = Receipt(meaning=Meaning.UNKNOWN, code="TIMEOUT")
KILL = breach(RiskLimit.KILL_SWITCH, "test")


def stopped(side: Side, **more: Any) -> tuple[Run, Bot[int, int]]:
    """Return a bot that is to close 10, with an order for 4 of which nobody knows what it did."""
    run = Run(1, AMENDS)
    price = 639_000 if side == "BUY" else 641_000
    lost = replace(quoted(4, price), side=side)
    bot = started(run, lost, limits=RiskLimits(**more), holdings=HELD)
    run.act(bot.market(FRESH, run.now))
    (order_id,) = bot.orders
    bot.answered(order_id, PendingRequest.PLACE, UNKNOWN, run.now)
    run.venue.flying.clear()
    bot.kill(KILL, run.now)
    return run, bot


def exits(run: Run) -> list[tuple[str, int, bool]]:
    sent = [one for one in run.venue.flying if isinstance(one, NewOrder)]
    return [(one.side, one.size, one.reduce_only) for one in sent]


@pytest.mark.parametrize(("side", "size"), [("BUY", 10), ("SELL", 6)])
def test_an_order_that_nobody_knows_keeps_no_stop_waiting(side: Side, size: int) -> None:
    """What it may close is not closed twice, whatever becomes of it."""
    run, bot = stopped(side)

    run.act(bot.tick(run.now))

    assert exits(run) == [("SELL", size, True)]
    assert not bot.quiet


def test_no_count_of_orders_keeps_a_stop_waiting() -> None:
    run, bot = stopped("BUY", max_orders_per_minute=1)

    run.act(bot.tick(run.now))

    assert exits(run) == [("SELL", 10, True)]
    rated = RiskLimits(max_orders_per_minute=0)
    assert asks(rated, exposure(100), "SELL", 1) is RiskLimit.MAX_ORDERS_PER_MINUTE


def test_an_exit_is_not_cut_to_a_position_that_other_bots_have_a_part_in() -> None:
    run, bot = stopped("BUY")
    bot.oppose({ONE.id})

    run.act(bot.tick(run.now))

    assert exits(run) == [("SELL", 10, False)]


@pytest.mark.parametrize(
    ("size", "opposed", "reduces"), [(6, ONE.id, False), (11, ONE.id, True), (6, "another", True)]
)
def test_a_strategys_exit_beside_a_bot_on_the_other_side_is_not_reduce_only(
    size: int, opposed: str, reduces: bool
) -> None:
    """The exchange would cut it to the account's net; one larger than is held would open."""
    run = Run(1, AMENDS)
    bot = started(run, limits=RiskLimits(), holdings=HELD)
    bot.strategy = Wants(replace(quoted(size, 641_000), side="SELL", reduce_only=True))
    bot.oppose({opposed})

    run.act(bot.market(FRESH, run.now))

    assert exits(run) == [("SELL", size, reduces)]


def test_exits_of_two_slots_beside_a_bot_on_the_other_side_open_nothing_together() -> None:
    run = Run(1, AMENDS)
    bot = started(run, limits=RiskLimits(), holdings=HELD)
    one = replace(quoted(6, 641_000), side="SELL", reduce_only=True)
    bot.strategy = Wants(one, replace(one, slot="b", price=642_000))
    bot.oppose({ONE.id})

    run.act(bot.market(FRESH, run.now))

    assert exits(run) == [("SELL", 6, False), ("SELL", 6, True)]


def test_an_exit_that_rests_stays_when_the_other_side_is_left_and_comes_back() -> None:
    run = Run(1, AMENDS)
    bot = started(run, limits=RiskLimits(), holdings=HELD)
    bot.strategy = Wants(replace(quoted(6, 641_000), side="SELL", reduce_only=True))
    bot.oppose({ONE.id})
    run.act(bot.market(FRESH, run.now))
    run.venue.arrive(run.now)
    run.act(bot.reported(run.venue.report("bot1e1n1"), run.now))

    for instruments in ((), {ONE.id}, ()):
        bot.oppose(instruments)
        run.act(bot.tick(run.now))

    assert [one.pending for one in bot.orders.values()] == [PendingRequest.NONE]
    assert not run.venue.flying


@pytest.mark.parametrize(("status", "stops"), [(BookStatus.FRESH, True), (BookStatus.STALE, False)])
def test_a_quiet_book_that_is_whole_keeps_no_loss_limit_from_stopping(
    status: BookStatus, stops: bool
) -> None:
    """Two legs: one has told nothing for a minute, and the other one loses."""
    quiet, run = outcome(), Run(1, AMENDS)
    setup = run.bot.setup
    both = {**setup.instruments, quiet.id: quiet}
    able = {**setup.capabilities, quiet.venue: AMENDS}
    run.bot.setup = replace(setup, instruments=both, capabilities=able)
    held = {**HELD, quiet.id: Holding(size=10, cost=5)}
    bot = started(run, limits=RiskLimits(max_unrealised_loss=10**8), holdings=held)
    run.act(
        bot.market(book(quiet, [(400_000, 9)], [(410_000, 9)], status=BookStatus.FRESH), run.now)
    )
    if status is not BookStatus.FRESH:
        run.act(bot.market(book(quiet, [(400_000, 9)], [(410_000, 9)], status=status), run.now))
    run.act(bot.market(FRESH, run.now))
    assert not bot.breaches

    run.now += 60_000
    run.act(bot.market(book(ONE, [(600_000, 900)], [(600_001, 900)]), run.now))

    assert (bot.life is BotState.RISK_STOPPED) is stops


def test_a_mark_of_no_book_is_believed_while_it_is_young() -> None:
    run = Run(1, AMENDS)
    bot = started(run, limits=RiskLimits(max_unrealised_loss=10**8), holdings=HELD)
    bot._market.marks[ONE.id] = MarkPoint(price=600_000, at_ms=run.now)

    bot.tick(run.now + 5_001)
    assert not bot.breaches
    bot.tick(run.now + 5_000)
    assert bot.life is BotState.RISK_STOPPED


@pytest.mark.parametrize("explained", [False, True])
def test_an_exit_of_what_its_account_lacks_opens_no_other_side(explained: bool) -> None:
    run = Run(1, AMENDS)
    exit_ = replace(quoted(10, 641_000), side="SELL")
    bot = started(run, exit_, limits=RiskLimits(), holdings=HELD)
    run.act(bot.market(FRESH, run.now))
    run.venue.arrive(run.now)
    (order_id,) = bot.orders
    run.act(bot.reported(run.venue.report(order_id), run.now))
    assert not bot.orders[order_id].order.reduce_only

    why = breach(RiskLimit.POSITION_MISSING, "test")
    closed = {} if explained else {(ONE.id, side): why for side in SIDES}
    run.act(bot.missing(closed, {ONE.id}, run.now))
    run.venue.arrive(run.now)
    run.act(bot.reported(run.venue.report(order_id), run.now))

    run.act(bot.market(FRESH, run.now))
    assert exits(run) == [("SELL", 10, True)]


@pytest.mark.parametrize(("side", "reduces"), [("BUY", False), ("SELL", True)])
def test_what_adds_to_an_explained_rest_is_no_exit(side: Side, reduces: bool) -> None:
    """An exchange refuses to reduce a position by adding to it."""
    run = Run(1, AMENDS)
    command = replace(quoted(4, 639_000 if side == "BUY" else 641_000), side=side)
    bot = started(run, limits=RiskLimits(), holdings=HELD)
    bot.missing({}, {ONE.id}, run.now)

    bot.strategy = Wants(command)
    run.act(bot.market(FRESH, run.now))

    assert exits(run) == [(side, 4, reduces)]


@pytest.mark.parametrize(
    "life",
    [
        BotState.PAUSING,
        BotState.PAUSED,
        BotState.STOPPING,
        BotState.STOPPED,
        BotState.RISK_STOPPED,
        BotState.ERROR,
    ],
)
def test_what_a_bot_holds_that_trades_no_more_is_closed_at_its_loss_limit(life: BotState) -> None:
    run = Run(1, AMENDS)
    bot = started(run, limits=RiskLimits(max_unrealised_loss=10**8), holdings=HELD)
    run.act(bot.market(FRESH, run.now))
    run.act(bot.end(life, run.now))
    assert bot.trades
    assert not bot.breaches

    run.act(bot.market(book(ONE, [(600_000, 900)], [(600_001, 900)]), run.now))
    run.act(bot.tick(run.now))
    run.act(bot.tick(run.now))

    assert [one.limit for one in bot.breaches] == [RiskLimit.MAX_UNREALISED_LOSS]
    failed = life is BotState.ERROR
    assert bot.life is (BotState.ERROR if failed else BotState.RISK_STOPPED)
    assert exits(run) == [("SELL", 10, True)]


def test_a_stopped_bot_that_holds_nothing_is_judged_no_more() -> None:
    run = Run(1, AMENDS)
    lost = {ONE.id: Holding(realised=-(10**9))}
    bot = started(run, limits=RiskLimits(), holdings=lost)
    bot.setup = replace(bot.setup, limits=RiskLimits(max_daily_loss=0))
    bot.life = BotState.STOPPED

    run.act(bot.market(FRESH, run.now))

    assert bot.life is BotState.STOPPED
    assert not bot.breaches


def test_less_than_no_coins_are_never_bought_back() -> None:
    """What was closed twice is put right by the comparison of positions."""
    coins, run = spot(), Run(1, AMENDS)
    setup = run.bot.setup
    run.bot.setup = replace(
        setup, instruments={coins.id: coins}, capabilities={coins.venue: AMENDS}
    )
    bot = started(run, limits=RiskLimits(), holdings={coins.id: Holding(size=-10_000, cost=64)})
    run.act(bot.market(book(coins, [(640_000, 10**9)], [(640_001, 10**9)]), run.now))

    assert list(flattening(bot.exposure(run.now), bot._market)) == []


@pytest.mark.parametrize(
    "limits",
    [
        RiskLimits(max_notional=ONE.notional(650_000, 15, up=True)),
        RiskLimits(max_order_notional=ONE.notional(650_000, 12, up=True)),
        RiskLimits(max_market_loss=0),
    ],
    ids=["notional", "order", "reduce only"],
)
@pytest.mark.parametrize("resting", [True, False])
def test_an_exit_that_would_also_open_goes_as_an_exit_where_no_more_is_let_in(
    limits: RiskLimits, resting: bool
) -> None:
    """The whole of it was refused again and again, and what was held stayed."""
    run = Run(1, AMENDS)
    bot = started(run, limits=limits, holdings={ONE.id: replace(HELD[ONE.id], realised=-(10**8))})
    for_now = RestingTime.GTC if resting else RestingTime.IOC
    turns = replace(quoted(20, 641_000), side="SELL", time_in_force=for_now)
    bot.strategy = Wants(turns)

    run.act(bot.market(FRESH, run.now))
    run.act(bot.tick(run.now))
    run.act(bot.tick(run.now))

    assert exits(run) == [("SELL", 10, False)]
    if not resting:
        return
    # As long as that is so, the one that stands is as wanted.
    run.venue.arrive(run.now)
    (order_id,) = bot.orders
    assert bot.reported(run.venue.report(order_id), run.now) == []
    assert bot.tick(run.now) == []
    bot.setup = replace(bot.setup, limits=RiskLimits())
    bot._quoting.retune(bot.setup)
    (more,) = [one for one in bot.tick(run.now) if isinstance(one, AmendOrder)]
    assert more.size == 20


def test_an_exit_larger_than_an_order_may_be_goes_in_parts() -> None:
    """Whole, its request is refused before it leaves, for ever."""
    run = Run(1, AMENDS)
    few = replace(ONE, maximum_size=4)
    bot = started(run, limits=RiskLimits(), holdings=HELD)
    bot.know(few)
    bot._market.instruments[ONE.id] = few
    run.act(bot.market(FRESH, run.now))
    bot.kill(KILL, run.now)

    run.act(bot.tick(run.now))

    assert exits(run) == [("SELL", 4, True)]


def test_an_order_that_cannot_be_cancelled_keeps_no_exit_of_another_market_waiting() -> None:
    run = Run(1, AMENDS)
    bot = started(run, limits=RiskLimits(), holdings=HELD)
    bot.know(OTHER)
    bot.strategy = Wants(replace(quoted(4), slot="b", instrument_id=OTHER.id))
    run.act(bot.market(book(OTHER, [(640_000, 9)], [(640_001, 9)]), run.now))
    run.act(bot.market(FRESH, run.now))
    run.venue.arrive(run.now)
    (order_id,) = bot.orders
    bot.reported(run.venue.report(order_id), run.now)
    bot.kill(KILL, run.now)

    run.act(bot.tick(run.now))

    assert bot.orders[order_id].state is BotOrderState.OPEN
    assert exits(run) == [("SELL", 10, True)]
