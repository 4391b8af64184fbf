"""Market making after Avellaneda and Stoikov (2008).

Source: "High-frequency trading in a limit order book". Quotes stand around a reservation price that
moves away from the inventory, at a distance that grows with volatility: r = mid - q g s2 T and
half = g s2 T / 2 + ln(1 + g / k) / g. There q is the inventory in orders, g the risk aversion, s2
the variance of the mid a second, T the horizon in seconds, k the decay of arrivals with distance.
The horizon does not run out, as in the paper's section 2.3.

The half spread is wider by what fills have lost to moves of the mid soon after them, and the side
in the way of one-sided prints backs off for a while.

The model's own figures are floats; a price becomes an integer on a tick, away from the mid, and no
amount is ever computed with a float.

Where an instrument cannot be sold short, the ask is what is held; of a binary the rest of the ask
is a bid for the complement, since YES at p and NO at 1 - p are one bet.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from services.bots.core.strategy import (
    BookEvent,
    FillEvent,
    Intent,
    PrintEvent,
    Quote,
    StrategyEvent,
    View,
    Wake,
    Withdraw,
    WorkingOrder,
)
from tradingtools.domain.book import BookStatus
from tradingtools.domain.instrument import Instrument, InstrumentKind, TradingPhase
from tradingtools.domain.strategies import MarketMakingConfig
from tradingtools.venues.ports import Side
from tradingtools.venues.trading import Fill, TradingBook

BID, ASK, COMPLEMENT = "bid", "ask", "complement"
SLOTS = (BID, ASK, COMPLEMENT)


MAX_AWAITING = 200
"""Fills that wait for their markout; the oldest is not judged when there are more."""
ADVERSE_FADING = 0.9


@dataclass(frozen=True, slots=True, kw_only=True)
class Awaiting:
    """A fill whose markout is not known yet."""

    trade_id: str
    long: bool
    """It gains when the mid rises."""
    size: int
    mid: int
    """At the fill, in units of price."""
    due_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketMakingState:
    """All that a market maker remembers."""

    mid: float = 0.0
    mid_ms: int = 0
    variance: float = 0.0
    """Of the mid, in price squared a second."""
    bought: float = 0.0
    sold: float = 0.0
    """Recent sizes that takers bought and sold, fading."""
    print_ms: int = 0
    no_bid_until_ms: int = 0
    no_ask_until_ms: int = 0
    spread_gain: int = 0
    """Money gained against the mid at the time of each fill."""
    markout: int = 0
    """Money that fills gained by moves of the mid within ``markout_s`` after them: below zero, they
    were taken by those who knew more."""
    adverse: float = 0.0
    """The move of the mid against a fill within that time, in price: a fading mean."""
    judged: int = 0
    """Fills of which the markout is known."""
    awaiting: tuple[Awaiting, ...] = ()
    """Fills of which it is not known yet, the oldest first."""
    fees: int = 0
    fills: int = 0


def sources(state: MarketMakingState) -> dict[str, int]:
    """Return the gains whose source is known: against the mid at the time of each fill."""
    return {"spread": state.spread_gain, "markout": state.markout}


class MarketMaking:
    """The strategy; see the module."""

    def begin(self, config: MarketMakingConfig) -> MarketMakingState:  # noqa: ARG002
        """Return the state of one that has seen nothing."""
        return MarketMakingState()

    def on(
        self,
        config: MarketMakingConfig,
        state: MarketMakingState,
        event: StrategyEvent,
        view: View,
    ) -> tuple[MarketMakingState, tuple[Intent, ...]]:
        """Return what is remembered, and the quotes that should stand."""
        if isinstance(event, PrintEvent):
            if event.trade.instrument_id != config.instrument_id:
                return state, ()
            state = _with_print(config, state, event, view.now_ms)
            if state.no_bid_until_ms <= view.now_ms and state.no_ask_until_ms <= view.now_ms:
                return state, ()
        elif isinstance(event, FillEvent):
            state = _with_fill(config, state, event, view)
        elif isinstance(event, BookEvent):
            book = view.books.get(event.instrument_id)
            if event.instrument_id == config.instrument_id and _quotable(book):
                state = _with_mid(config, state, _mid(view, config), view.now_ms)
                state = _with_markouts(config, state, view)
        return state, _quotes(config, state, view)

    def explain(
        self, config: MarketMakingConfig, state: MarketMakingState, view: View
    ) -> Mapping[str, str]:
        """Return why each quote is where it is."""
        if not _quotable(view.books.get(config.instrument_id)):
            return dict.fromkeys(SLOTS, "nothing is quoted: the book is not fresh on both sides")
        prices = _prices(config, state, view)
        about = (
            f"mid {state.mid:.6g}, deviation {math.sqrt(state.variance):.3g} a root second, "
            f"inventory {prices.inventory:.3g} orders: reservation price "
            f"{prices.reservation:.6g}, half spread {prices.half:.3g}"
        )
        if state.adverse < 0 and config.adverse_weight:
            lost = f"{-state.adverse:.3g} within {config.markout_s:g} s"
            about += f", wider because fills lose {lost}"
        reasons = {}
        for slot, until in ((BID, state.no_bid_until_ms), (ASK, state.no_ask_until_ms)):
            held_back = f"; held back for {until - view.now_ms} ms: one-sided prints"
            reasons[slot] = about + (held_back if until > view.now_ms else "")
        reasons[COMPLEMENT] = reasons[ASK]
        return reasons | {"profit": _profit(config, state, view)}


@dataclass(frozen=True, slots=True)
class _Prices:
    inventory: float
    reservation: float
    half: float
    bid: int
    ask: int


def _quotable(book: TradingBook | None) -> bool:
    return book is not None and book.status is BookStatus.FRESH and bool(book.bids and book.asks)


def _mid(view: View, config: MarketMakingConfig) -> float:
    book = view.books[config.instrument_id]
    unit: float = 10.0 ** view.instruments[config.instrument_id].price_digits
    return (book.bids[0][0] + book.asks[0][0]) / 2 / unit


def _fading(elapsed_ms: int, half_life_s: float) -> float:
    return math.pow(0.5, max(elapsed_ms, 0) / 1000 / half_life_s)


def _with_mid(
    config: MarketMakingConfig, state: MarketMakingState, mid: float, now_ms: int
) -> MarketMakingState:
    elapsed = now_ms - state.mid_ms
    if not state.mid_ms:
        return replace(state, mid=mid, mid_ms=now_ms)
    if elapsed <= 0:
        # Moves within a millisecond are one move: it is counted when the clock goes on.
        return state
    kept = _fading(elapsed, config.volatility_half_life_s)
    rate = (mid - state.mid) ** 2 / (elapsed / 1000)
    return replace(
        state, mid=mid, mid_ms=now_ms, variance=kept * state.variance + (1 - kept) * rate
    )


def _with_print(
    config: MarketMakingConfig, state: MarketMakingState, event: PrintEvent, now_ms: int
) -> MarketMakingState:
    kept = _fading(now_ms - state.print_ms, config.toxic_half_life_s) if state.print_ms else 0.0
    size = float(event.trade.size)
    bought = kept * state.bought + (size if event.trade.side == "BUY" else 0.0)
    sold = kept * state.sold + (size if event.trade.side == "SELL" else 0.0)
    state = replace(state, bought=bought, sold=sold, print_ms=now_ms)
    both = bought + sold
    if both < 3 * config.order_size:
        # Too little to call it a side.
        return state
    if bought > config.toxic_imbalance * both:
        return replace(state, no_ask_until_ms=now_ms + config.back_off_ms)
    if sold > config.toxic_imbalance * both:
        return replace(state, no_bid_until_ms=now_ms + config.back_off_ms)
    return state


def _middle(state: MarketMakingState, instrument: Instrument) -> int:
    """Return the mid in units of price."""
    return max(round(state.mid * 10.0**instrument.price_digits), 1)


def _with_markouts(
    config: MarketMakingConfig, state: MarketMakingState, view: View
) -> MarketMakingState:
    """Judge the fills that are old enough by how far the mid has moved since."""
    due = [one for one in state.awaiting if one.due_ms <= view.now_ms]
    if not due:
        return state
    instrument = view.instruments[config.instrument_id]
    mid, gain, adverse = _middle(state, instrument), 0, state.adverse
    for one in due:
        before = instrument.notional(one.mid, one.size, up=True)
        after = instrument.notional(mid, one.size, up=False)
        gain += after - before if one.long != instrument.inverse else before - after
        move = (mid - one.mid) / 10.0**instrument.price_digits
        adverse = ADVERSE_FADING * adverse + (1 - ADVERSE_FADING) * (move if one.long else -move)
    return replace(
        state,
        markout=state.markout + gain,
        adverse=adverse,
        judged=state.judged + len(due),
        awaiting=tuple(one for one in state.awaiting if one.due_ms > view.now_ms),
    )


def _awaiting(
    config: MarketMakingConfig, state: MarketMakingState, fill: Fill, view: View
) -> tuple[Awaiting, ...]:
    others = tuple(one for one in state.awaiting if one.trade_id != fill.trade_id)
    if fill.undone:
        return others
    one = Awaiting(
        trade_id=fill.trade_id,
        long=(fill.side == "BUY") == (fill.instrument_id == config.instrument_id),
        size=fill.size,
        mid=_middle(state, view.instruments[config.instrument_id]),
        due_ms=view.now_ms + int(config.markout_s * 1000),
    )
    return (*others, one)[-MAX_AWAITING:]


def _profit(config: MarketMakingConfig, state: MarketMakingState, view: View) -> str:
    """Return what was made by source."""
    text = view.instruments[config.instrument_id].money_text
    return (
        f"{state.fills} fills: spread {text(state.spread_gain)}, fees {text(state.fees)}; of "
        f"{state.judged} the mid has moved for {text(state.markout)} within {config.markout_s:g} s"
    )


def _with_fill(
    config: MarketMakingConfig, state: MarketMakingState, event: FillEvent, view: View
) -> MarketMakingState:
    fill, instrument = event.fill, view.instruments[event.fill.instrument_id]
    mid = round(state.mid * 10**instrument.price_digits)
    if fill.instrument_id == config.complement_id:
        mid = 10**instrument.price_digits - mid
    worth = instrument.notional(max(mid, 1), fill.size, up=fill.side == "SELL")
    paid = instrument.notional(fill.price, fill.size, up=fill.side == "BUY")
    gain = worth - paid if (fill.side == "BUY") != instrument.inverse else paid - worth
    sign = -1 if fill.undone else 1
    return replace(
        state,
        spread_gain=state.spread_gain + sign * gain,
        fees=state.fees + sign * fill.fee,
        fills=state.fills + sign,
        awaiting=_awaiting(config, state, fill, view),
    )


def _inventory(config: MarketMakingConfig, view: View) -> int:
    """Size that gains when the price rises, less what gains when it falls."""
    held = view.holding(config.instrument_id).size
    return held - (view.holding(config.complement_id).size if config.complement_id else 0)


def _prices(config: MarketMakingConfig, state: MarketMakingState, view: View) -> _Prices:
    instrument, book = view.instruments[config.instrument_id], view.books[config.instrument_id]
    unit, tick = 10**instrument.price_digits, instrument.tick_size
    inventory = _inventory(config, view) / config.order_size
    risk = config.risk_aversion * state.variance * config.horizon_s
    reservation = state.mid - inventory * risk
    half = risk / 2 + math.log1p(config.risk_aversion / config.arrival_decay) / config.risk_aversion
    # Who trades at a loss to the better informed has to earn that loss (Glosten and Milgrom, 1985).
    half += max(-state.adverse, 0.0) * config.adverse_weight
    half = min(max(half, config.min_half_spread / unit), config.max_half_spread / unit)
    bid = math.floor((reservation - half) * unit / tick) * tick
    ask = math.ceil((reservation + half) * unit / tick) * tick
    # A quote never crosses: it waits for the other side to come, its own one included.
    asks, bids = _own(config, view, unit)
    bid = min(bid, book.asks[0][0] - tick, *(price - tick for price in asks))
    ask = max(ask, book.bids[0][0] + tick, *(price + tick for price in bids))
    if instrument.kind is InstrumentKind.BINARY:
        bid, ask = min(bid, unit - tick), max(ask, tick)
    return _Prices(inventory, reservation, half, bid, ask)


def _own(config: MarketMakingConfig, view: View, unit: int) -> tuple[Sequence[int], Sequence[int]]:
    """Return where its own offers and bids stand, those for the complement as offers."""
    asks: list[int] = []
    bids: list[int] = []
    for one in view.standing.values():
        if one.instrument_id == config.complement_id:
            asks.append(unit - one.price)
        elif one.instrument_id == config.instrument_id:
            (asks if one.side == "SELL" else bids).append(one.price)
    return asks, bids


def _quotes(config: MarketMakingConfig, state: MarketMakingState, view: View) -> tuple[Intent, ...]:
    instrument = view.instruments[config.instrument_id]
    if not _quotable(view.books.get(config.instrument_id)) or not state.mid_ms:
        return tuple(Withdraw(slot=slot, why="no fresh book") for slot in SLOTS)
    if instrument.phase not in (TradingPhase.OPEN, TradingPhase.POST_ONLY):
        return tuple(Withdraw(slot=slot, why=f"{instrument.phase}") for slot in SLOTS)
    prices, inventory = _prices(config, state, view), _inventory(config, view)
    wakes = [at for at in (state.no_bid_until_ms, state.no_ask_until_ms) if at > view.now_ms]
    buying = 0 if state.no_bid_until_ms > view.now_ms else config.max_position - inventory
    selling = 0 if state.no_ask_until_ms > view.now_ms else config.max_position + inventory
    bid = _side(config, view, BID, instrument, "BUY", prices.bid, min(config.order_size, buying))
    asks = _asks(config, view, instrument, prices.ask, min(config.order_size, selling))
    return (bid, *asks, *(Wake(at_ms=at) for at in wakes))


def _asks(
    config: MarketMakingConfig, view: View, instrument: Instrument, price: int, size: int
) -> tuple[Intent, Intent]:
    held = view.holding(instrument.id).size
    shortable = instrument.kind in (InstrumentKind.FUTURE, InstrumentKind.SWAP)
    sold = size if shortable else min(size, max(held, 0))
    ask = _side(config, view, ASK, instrument, "SELL", price, sold)
    if not config.complement_id:
        return ask, Withdraw(slot=COMPLEMENT)
    other = view.instruments[config.complement_id]
    rest = 0 if isinstance(ask, Quote) else size
    mirrored = 10**instrument.price_digits - price
    return ask, _side(config, view, COMPLEMENT, other, "BUY", mirrored, rest)


def _side(
    config: MarketMakingConfig,
    view: View,
    slot: str,
    instrument: Instrument,
    side: Side,
    price: int,
    size: int,
) -> Intent:
    size = instrument.size_in_lots(max(size, 0))
    if not size or price <= 0:
        return Withdraw(slot=slot, why="held back, at the limit, or nothing to sell")
    standing = view.standing.get(slot)
    if standing is not None and _near(config, instrument, standing, side, price, size):
        price, size = standing.price, standing.size - standing.filled
    return Quote(
        slot=slot,
        instrument_id=instrument.id,
        side=side,
        price=price,
        size=size,
        post_only=True,
    )


def _near(
    config: MarketMakingConfig,
    instrument: Instrument,
    standing: WorkingOrder,
    side: Side,
    price: int,
    size: int,
) -> bool:
    left = standing.size - standing.filled
    return (
        standing.side == side
        and standing.instrument_id == instrument.id
        and abs(standing.price - price) < config.requote_ticks * instrument.tick_size
        and 0 < left <= size
        and 2 * left >= size
    )
