"""Shares of a resolved market: paid once, whatever is told late, twice or undone."""

from __future__ import annotations

from dataclasses import replace

import pytest

from services.bots.core.bot import AnyBot, Bot
from services.bots.core.requests import LookUp
from services.bots.core.setup import Setup
from services.bots.strategies.idle import Idle
from tests.unit.bots.samples import CANCELS, outcome
from tradingtools.domain.bot_states import BotState
from tradingtools.domain.instrument import Instrument, TradingPhase
from tradingtools.venues.trading import Fill, NewOrder, OrderReport, OrderStatus, PhaseChange

YES, NO = outcome("yes"), outcome("no")
NOW = 1_790_000_000_000


def bot(*instruments: Instrument) -> AnyBot:
    made = Bot(
        Setup(
            bot_id="mm",
            epoch=1,
            config=None,
            instruments={one.id: one for one in instruments},
            capabilities={"polymarket": CANCELS},
        ),
        Idle(),
        None,
        lease_until_ms=NOW + 60_000,
    )
    made.adopt(
        NewOrder(
            order_id="mm00000001000000000001",
            instrument=instruments[0],
            side="BUY",
            price=400_000,
            size=20_000_000,
            not_after_ms=NOW,
        )
    )
    made.run(NOW)
    return made


def bought(made: AnyBot, size: int = 10_000_000, trade: str = "t1", undone: bool = False) -> None:
    (order_id,) = made.orders
    made.filled(
        Fill(
            trade_id=trade,
            order_id=order_id,
            venue_order_id="0x1",
            instrument_id=YES.id,
            side="BUY",
            price=400_000,
            size=size,
            fee=0,
            fee_currency="USDC",
            maker=True,
            venue_ms=NOW,
            undone=undone,
        ),
        NOW,
    )


def ended(made: AnyBot, status: OrderStatus, filled: int) -> None:
    """Let its order end."""
    (order,) = made.orders.values()
    report = OrderReport(
        order_id=order.order.order_id,
        venue_order_id="0x1",
        instrument_id=YES.id,
        side="BUY",
        status=status,
        price=400_000,
        size=20_000_000,
        filled_size=filled,
        venue_ms=NOW,
    )
    made.reported(report, NOW)


def life(made: AnyBot) -> tuple[BotState, str]:
    return made.life, made.finished


def resolution(of: Instrument, payout: int | None) -> PhaseChange:
    ended = replace(of, phase=TradingPhase.ENDED, payout=payout)
    return PhaseChange(instrument=ended, phase=TradingPhase.ENDED, cause="resolution", venue_ms=NOW)


@pytest.mark.parametrize("payout", [1_000_000, 0, 500_000])
def test_what_a_share_pays_is_booked_and_the_strategy_holds_nothing(payout: int) -> None:
    made = bot(YES)
    bought(made)
    (requested,) = [
        one for one in made.market(resolution(YES, payout), NOW) if isinstance(one, LookUp)
    ]
    assert requested.order.order_id in made.orders
    held = made.holdings[YES.id]
    assert (held.size, held.cost, held.realised) == (0, 0, 10 * payout - 4_000_000)
    *_, paid = made.written().fills
    assert (paid.side, paid.price, paid.size) == ("SELL", payout, 10_000_000)
    assert (paid.order_id, paid.forced) == ("resolution:mm", "resolution")
    # Told again by the feed, and by whoever looks it up.
    made.market(resolution(YES, payout), NOW)
    made.resolved(resolution(YES, payout).instrument, NOW)
    assert made.holdings[YES.id] == held
    assert made.written().fills == ()


def test_a_trade_that_is_told_or_undone_late_is_paid_for_itself() -> None:
    made = bot(YES)
    bought(made)
    made.market(resolution(YES, 1_000_000), NOW)
    bought(made, trade="t2", size=5_000_000)
    assert made.holdings[YES.id].realised == 9_000_000
    bought(made, undone=True)
    assert (made.holdings[YES.id].size, made.holdings[YES.id].realised) == (0, 3_000_000)
    fills = made.written().fills
    assert [(one.side, one.size) for one in fills if one.forced] == [
        ("SELL", 10_000_000),
        ("SELL", 5_000_000),
        ("BUY", 10_000_000),
    ]
    assert len({(one.order_id, one.trade_id, one.undone) for one in fills}) == len(fills)


def test_without_a_payout_nothing_is_booked_until_it_is_known() -> None:
    made = bot(YES)
    bought(made)
    made.market(resolution(YES, None), NOW)
    assert made.holdings[YES.id].size == 10_000_000
    made.resolved(resolution(YES, 500_000).instrument, NOW)
    assert made.holdings[YES.id].size == 0


def test_a_bot_ends_with_its_last_market_when_nothing_of_it_is_left() -> None:
    made = bot(YES, NO)
    bought(made, size=20_000_000)
    ended(made, OrderStatus.FILLED, 20_000_000)
    made.market(resolution(YES, 1_000_000), NOW)
    assert life(made) == (BotState.RUNNING, "")
    made.market(resolution(NO, 0), NOW)
    assert life(made) == (BotState.STOPPING, "its markets have ended")


def test_a_bot_whose_order_may_still_have_traded_does_not_end() -> None:
    made = bot(YES)
    made.market(resolution(YES, 1_000_000), NOW)
    assert life(made) == (BotState.RUNNING, "")
    ended(made, OrderStatus.CANCELLED, 10_000_000)
    assert life(made) == (BotState.RUNNING, "")  # the end tells of a trade that has not come
    bought(made)
    assert life(made) == (BotState.STOPPING, "its markets have ended")


def test_a_bot_that_waits_for_what_its_shares_pay_does_not_end() -> None:
    made = bot(YES)
    bought(made, size=20_000_000)
    ended(made, OrderStatus.FILLED, 20_000_000)
    made.market(resolution(YES, None), NOW)
    assert life(made) == (BotState.RUNNING, "")
    made.resolved(resolution(YES, 500_000).instrument, NOW)
    assert life(made) == (BotState.STOPPING, "its markets have ended")
