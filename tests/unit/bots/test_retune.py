"""A change of a running bot's settings and limits: its orders follow, its memory stays."""

from __future__ import annotations

from dataclasses import replace

from services.bots.core.bot import Bot
from services.bots.core.requests import CANCEL_AGAIN_MS, PermitRequest
from services.bots.core.risk import RiskLimits
from tests.unit.bots.samples import AMENDS
from tests.unit.bots.simulated import LEASE_MS, Run
from tests.unit.bots.test_bot import FRESH, Wants, quoted
from tradingtools.domain.bot_order_states import BotOrderState, PendingRequest
from tradingtools.venues.ports import Meaning
from tradingtools.venues.trading import (
    AmendOrder,
    CancelOrder,
    NewOrder,
    OrderReport,
    OrderStatus,
    Receipt,
)


def resting() -> tuple[Run, Bot[int, int], str]:
    """Return a bot with one order that rests."""
    run = Run(1, AMENDS)
    setup = replace(run.bot.setup, limits=RiskLimits(max_position=100), version=1)
    bot = Bot(setup, Wants(quoted(10)), 7, lease_until_ms=run.now + LEASE_MS)
    bot.run(run.now)
    (requested,) = bot.market(FRESH, run.now)
    assert isinstance(requested, PermitRequest)
    (new,) = bot.granted(requested.permit, run.now)
    assert isinstance(new, NewOrder)
    accepted = Receipt(meaning=Meaning.ACCEPTED)
    bot.answered(new.order_id, PendingRequest.PLACE, accepted, run.now)
    return run, bot, new.order_id


def test_a_wish_that_changes_no_setting_touches_no_order() -> None:
    run, bot, _ = resting()
    assert bot.retune(replace(bot.setup, version=2), run.now) == []
    assert bot.setup.version == 2


def test_other_settings_move_the_quote_and_keep_the_memory() -> None:
    run, bot, order_id = resting()
    bot.strategy = Wants(quoted(20))
    (requested,) = bot.retune(replace(bot.setup, config=9, version=2), run.now)
    if isinstance(requested, PermitRequest):
        (requested,) = bot.granted(requested.permit, run.now)
    assert isinstance(requested, AmendOrder)
    assert (requested.order_id, requested.size) == (order_id, 20)
    assert bot.state == 7


def test_under_lower_limits_nothing_keeps_standing_that_the_old_ones_let_in() -> None:
    run, bot, order_id = resting()
    lower = replace(bot.setup, limits=RiskLimits(max_position=5), version=2)
    (requested,) = bot.retune(lower, run.now)
    assert isinstance(requested, CancelOrder)
    assert requested.order_id == order_id
    assert bot.orders[order_id].state is BotOrderState.OPEN
    # The quote that is still wanted is judged by the new limits.
    assert bot.market(FRESH, run.now) == []
    order = bot.orders[order_id]
    report = OrderReport(
        order_id=order_id, venue_order_id="v", instrument_id=order.order.instrument.id,
        side="BUY", status=OrderStatus.CANCELLED, price=order.price, size=order.size,
        filled_size=0, venue_ms=run.now,
    )  # fmt: skip
    assert bot.reported(report, run.now) == []
    assert "max_position" in bot.refusals["a"]


def test_an_order_on_its_way_under_the_old_limits_is_ended_when_it_arrives() -> None:
    """A cancel that overtakes it ends nothing: it is cancelled again once it stands."""
    run = Run(1, AMENDS)
    setup = replace(run.bot.setup, limits=RiskLimits(max_position=100), version=1)
    bot = Bot(setup, Wants(quoted(10)), 7, lease_until_ms=run.now + LEASE_MS)
    bot.run(run.now)
    (requested,) = bot.market(FRESH, run.now)
    assert isinstance(requested, PermitRequest)
    (new,) = bot.granted(requested.permit, run.now)
    assert isinstance(new, NewOrder)

    (early,) = bot.retune(replace(setup, limits=RiskLimits(max_position=5), version=2), run.now)
    assert isinstance(early, CancelOrder)
    unknown = Receipt(meaning=Meaning.REJECTED, code="51400")
    assert bot.answered(new.order_id, PendingRequest.CANCEL, unknown, run.now) == []
    accepted = Receipt(meaning=Meaning.ACCEPTED)
    assert bot.answered(new.order_id, PendingRequest.PLACE, accepted, run.now) == []

    (late,) = bot.tick(run.now + CANCEL_AGAIN_MS)
    assert isinstance(late, CancelOrder)
    assert late.order_id == new.order_id
