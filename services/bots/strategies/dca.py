"""Dollar-cost averaging: the same amount of money buys at each interval, whatever the price.

Definition: Constantinides, "A Note on the Suboptimality of Dollar-Cost Averaging as an Investment
Policy" (1979), who also proves that it is no better than buying at once: it is a plan for saving,
not a source of gain.

A buy is an IOC at the best ask plus a bound of slippage; what it does not get waits for the next
interval, and an interval that was missed is not made up for. What is held, and what it has cost,
come from the bot's booked fills, so the budget holds across restarts and undone fills. A resting
sell of all that is held takes the profit; its price follows the average cost.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from services.bots.core.holding import Holding
from services.bots.core.strategy import (
    EndEvent,
    Finished,
    FundingEvent,
    Intent,
    PrintEvent,
    Quote,
    SignalEvent,
    StrategyEvent,
    View,
    Wake,
    Withdraw,
)
from tradingtools.domain.book import BookStatus
from tradingtools.domain.instrument import Instrument, InstrumentKind, TradingPhase
from tradingtools.domain.strategies import DcaConfig, FinishWhen
from tradingtools.venues.trading import RestingTime

BUY, TAKE_PROFIT = "buy", "take_profit"
RETRY_MS = 5_000
"""From a buy that got nothing to the next try."""
_MILLION = 1_000_000
_LARGE = 10**18


@dataclass(frozen=True, slots=True, kw_only=True)
class DcaState:
    """All that a plan remembers."""

    next_ms: int = 0
    """When the next buy is due."""
    order_id: str = ""
    """The last buy that was seen at work: its interval is used."""
    bought: bool = False
    """Something has been held since the plan began, or since all was sold."""


class Dca:
    """The strategy; see the module."""

    def begin(self, config: DcaConfig) -> DcaState:  # noqa: ARG002
        """Return the state of one that has seen nothing: a buy is due."""
        return DcaState()

    def on(
        self, config: DcaConfig, state: DcaState, event: StrategyEvent, view: View
    ) -> tuple[DcaState, tuple[Intent, ...]]:
        """Return what is remembered, and the orders that should stand."""
        if isinstance(event, PrintEvent | FundingEvent | SignalEvent):
            return state, ()
        state = _used(config, state, event, view)
        instrument, holding = view.instruments[config.instrument_id], _held(config, view)
        # A rest below the smallest order, such as a fee in coins leaves, is never sold.
        if instrument.size_in_lots(max(holding.size, 0)):
            state = replace(state, bought=True)
        elif state.bought and not view.standing:
            if config.finish_when is FinishWhen.SOLD:
                return state, (Finished(why="all was sold"),)
            state = replace(state, bought=False)
        spent = _spent(config, holding, view)
        if spent and config.finish_when is FinishWhen.BUDGET and not view.standing:
            return state, (Finished(why="the budget is spent"),)
        return state, (*_buy(config, state, view), *_sell(config, holding, view))

    def explain(self, config: DcaConfig, state: DcaState, view: View) -> Mapping[str, str]:
        """Return what the next buy waits for, and where all is sold."""
        instrument, holding = view.instruments[config.instrument_id], _held(config, view)
        cost = f"{instrument.money_text(holding.cost)} {instrument.settle}"
        wait = max(state.next_ms - view.now_ms, 0) / 1000
        buys = f"buys for {instrument.money_text(config.amount)} in {wait:g} s"
        if config.budget is not None:
            buys += f"; {cost} of {instrument.money_text(config.budget)} spent"
        if _spent(config, holding, view):
            buys = f"buys no more: {cost} is spent"
        sells = "holds nothing to sell"
        if config.take_profit is None:
            sells = "keeps what it buys"
        elif holding.size > 0 and holding.cost > 0:
            sells = (
                f"sells {instrument.size_text(holding.size)} at "
                f"{instrument.price_text(_target(instrument, holding, config.take_profit))}: "
                f"{config.take_profit / 10_000:g} % above the average of "
                f"{instrument.price_text(_target(instrument, holding, 0))}"
            )
        return {BUY: buys, TAKE_PROFIT: sells}


def _held(config: DcaConfig, view: View) -> Holding:
    return view.holding(config.instrument_id)


def _used(config: DcaConfig, state: DcaState, event: StrategyEvent, view: View) -> DcaState:
    """Count an interval as used once its order is seen; one that got nothing is tried again."""
    standing = view.standing.get(BUY)
    ended = event if isinstance(event, EndEvent) and event.slot == BUY else None
    order_id = ended.order_id if ended else standing.order_id if standing else ""
    if order_id and order_id != state.order_id:
        interval = config.interval_s * 1000
        due = state.next_ms or view.now_ms
        missed = max(view.now_ms - due, 0) // interval
        state = replace(state, order_id=order_id, next_ms=due + (missed + 1) * interval)
    if ended and not ended.filled:
        state = replace(state, next_ms=min(state.next_ms, view.now_ms + RETRY_MS))
    return state


def _limit(config: DcaConfig, instrument: Instrument, view: View) -> int | None:
    """Return the highest price that a buy may pay now; None: nothing may be bought."""
    book = view.books.get(config.instrument_id)
    if instrument.phase is not TradingPhase.OPEN or book is None:
        return None
    if book.status is not BookStatus.FRESH or not book.asks:
        return None
    ask = book.asks[0][0]
    price = instrument.price_on_tick(ask + ask * config.max_slippage // _MILLION, up=False)
    if instrument.kind is InstrumentKind.BINARY:
        price = min(price, 10**instrument.price_digits - instrument.tick_size)
    return price if price >= ask else None


def _size(instrument: Instrument, money: int, price: int, view: View) -> int:
    """Return the largest size that costs no more than the money, at a price or better."""
    # An inverse contract is worth the more base the lower its price.
    worst = view.books[instrument.id].asks[0][0] if instrument.inverse else price
    return instrument.size_in_lots(
        max(money, 0) * _LARGE // instrument.notional(worst, _LARGE, up=True)
    )


def _spent(config: DcaConfig, holding: Holding, view: View) -> bool:
    """Return whether the budget has no room for the smallest order."""
    instrument = view.instruments[config.instrument_id]
    price = _limit(config, instrument, view)
    if config.budget is None or price is None:
        return False
    return not _size(instrument, config.budget - holding.cost, price, view)


def _buy(config: DcaConfig, state: DcaState, view: View) -> tuple[Intent, ...]:
    if BUY in view.standing:
        # An IOC that is on its way: it is neither repeated nor called back.
        return ()
    if view.now_ms < state.next_ms:
        return Withdraw(slot=BUY, why="the next buy is not due"), Wake(at_ms=state.next_ms)
    instrument = view.instruments[config.instrument_id]
    price = _limit(config, instrument, view)
    if price is None:
        return (Withdraw(slot=BUY, why="no fresh ask to buy at"),)
    money = config.amount
    if config.budget is not None:
        money = min(money, config.budget - _held(config, view).cost)
    size = _size(instrument, money, price, view)
    if not size:
        return (Withdraw(slot=BUY, why="the budget, or the amount, is below the smallest order"),)
    return (
        Quote(
            slot=BUY,
            instrument_id=instrument.id,
            side="BUY",
            price=price,
            size=size,
            time_in_force=RestingTime.IOC,
            why=f"{instrument.money_text(config.amount)} each {config.interval_s} s",
        ),
    )


def _target(instrument: Instrument, holding: Holding, above: int) -> int:
    """Return the average cost, raised by parts of a million, rounded up."""
    if instrument.inverse:
        worth_at_one = instrument.notional(1, holding.size, up=True)
        return -(-worth_at_one * (_MILLION + above) // (holding.cost * _MILLION))
    worth = instrument.notional(_LARGE, holding.size, up=False)
    return -(-holding.cost * (_MILLION + above) * _LARGE // (worth * _MILLION))


def _sell(config: DcaConfig, holding: Holding, view: View) -> tuple[Intent, ...]:
    if config.take_profit is None:
        return ()
    instrument = view.instruments[config.instrument_id]
    size = holding.size - holding.size % instrument.lot_size
    if size <= 0 or not holding.cost:
        return (Withdraw(slot=TAKE_PROFIT, why="nothing is held"),)
    if instrument.phase is not TradingPhase.OPEN:
        return (Withdraw(slot=TAKE_PROFIT, why=instrument.phase.value),)
    if size < instrument.minimum_size and TAKE_PROFIT not in view.standing:
        return (Withdraw(slot=TAKE_PROFIT, why="what is held is below the smallest order"),)
    price = _target(instrument, holding, config.take_profit)
    price = instrument.price_on_tick(price, up=True)
    if instrument.kind is InstrumentKind.BINARY and price >= 10**instrument.price_digits:
        return (Withdraw(slot=TAKE_PROFIT, why="an outcome is never worth more than 1"),)
    return (
        Quote(
            slot=TAKE_PROFIT,
            instrument_id=instrument.id,
            side="SELL",
            price=price,
            size=size,
            reduce_only=instrument.kind in (InstrumentKind.FUTURE, InstrumentKind.SWAP),
            why=f"{config.take_profit / 10_000:g} % above the average cost",
        ),
    )
