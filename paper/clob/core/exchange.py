"""The exchange: orders come in, trade, end, and everything that becomes of them is told.

Every call takes the time; nothing here asks for it. `happenings` is emptied by who publishes them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from paper.clob.core import admission, taking
from paper.clob.core.ledger import Ledger
from paper.clob.core.markets import MarketState
from paper.clob.core.phases import Phases
from paper.clob.core.placement import Placement
from paper.clob.core.settlement import Settlement
from paper.clob.core.trading import TradeMaker
from paper.clob.core.values import (
    WHOLE,
    Happened,
    Happening,
    Market,
    MarketResolved,
    Order,
    OrderUpdate,
    Refusal,
    TickChanged,
    Trade,
    TradeUpdate,
)
from paper.matching.values import Event, NewOrder, OrderRemoved
from paper.matching.values import Trade as Match

NO_BOOK = "the orderbook {} does not exist"
ENDED = "already canceled or matched"
NOT_FOUND = "order not found"


@dataclass(frozen=True, slots=True)
class Placed:
    """An order that was taken: what it gave and got at once, and by which trades."""

    order: Order
    making: int
    taking: int
    trades: tuple[str, ...]


class Exchange:
    """Everything at one instant.

    Args:
        seed: trades and transactions are numbered after it.
        settles_ms: from a match to MINED, and from there to CONFIRMED.
    """

    def __init__(self, seed: int, settles_ms: int) -> None:
        self.ledger = Ledger()
        self.phases = Phases()
        self.orders: dict[str, Order] = {}
        self.trades: dict[str, Trade] = {}
        self.happenings: list[Happening] = []
        self.touched: set[str] = set()
        """Conditions whose book has changed."""
        self.settlement = Settlement(self.ledger, settles_ms)
        self._states: dict[str, MarketState] = {}
        self._of_asset: dict[str, MarketState] = {}
        self._numbers: dict[int, Order] = {}
        self._delayed: list[tuple[int, Order]] = []
        self._maker = TradeMaker(seed)

    # Markets.

    def list_market(self, market: Market) -> None:
        """Open a market."""
        state = MarketState(market)
        self._states[market.condition] = state
        for asset in market.assets:
            self._of_asset[asset] = state

    def state_of(self, asset: str) -> MarketState | None:
        """Return the market of an asset."""
        return self._of_asset.get(asset)

    def market(self, condition: str) -> MarketState | None:
        """Return a market."""
        return self._states.get(condition)

    def markets(self) -> Iterable[MarketState]:
        """Return all markets."""
        return self._states.values()

    def change_tick(self, condition: str, tick: int, now_ms: int) -> None:
        """Change a market's tick; orders off the new one are ended."""
        state = self._states[condition]
        old = state.market.tick
        market = state.with_tick(tick)
        for order in self._resting(condition):
            if order.price % tick:
                self._end(order, "CANCELED", now_ms)
        self.happenings.append(TickChanged(market, old))

    def resolve(
        self, condition: str, payouts: tuple[int, int], now_ms: int, *, redeems: bool = True
    ) -> None:
        """End a market: what rests is ended, what is under way settles first.

        Args:
            condition: which one.
            payouts: of a share of each outcome.
            now_ms: the time.
            redeems: pay all holders; else each has to redeem.
        """
        state = self._states[condition]
        if state.payouts is not None:
            return
        state.payouts = payouts
        self.wipe(condition, "CANCELED_MARKET_RESOLVED", now_ms)
        for trade in self.settlement.finish(condition, now_ms):
            self._progress(trade)
        if redeems:
            self.ledger.redeem(state.market, payouts)
        self._notify(state.book.snapshot([], []), state, now_ms)
        self.happenings.append(MarketResolved(state.market, payouts))

    def wipe(self, condition: str, status: str, now_ms: int) -> None:
        """End every order of a market."""
        for order in self._resting(condition):
            self._end(order, status, now_ms)

    # The market's own orders.

    def level(self, condition: str, side: str, price: int, size: int, now_ms: int) -> None:
        """Take a level of the first outcome's book from the feed."""
        state = self._states[condition]
        self._notify(
            state.book.level("buy" if side == "BUY" else "sell", price, size), state, now_ms
        )

    def snapshot(
        self,
        condition: str,
        bids: Iterable[tuple[int, int]],
        asks: Iterable[tuple[int, int]],
        now_ms: int,
    ) -> None:
        """Take the whole of the market's own book from the feed."""
        state = self._states[condition]
        self._notify(state.book.snapshot(bids, asks), state, now_ms)

    def printed(self, condition: str, side: str, price: int, size: int, now_ms: int) -> None:
        """Take a trade of strangers from the feed; it serves orders that rest before them."""
        state = self._states[condition]
        state.last_price, state.last_side = price, side
        events = state.book.printed("buy" if side == "BUY" else "sell", price, size)
        self._notify(events, state, now_ms)

    # Orders.

    def place(self, placed: Placement, owner: str, now_ms: int) -> Placed:
        """Take an order. Raises Refusal."""
        state = self._of_asset.get(placed.asset)
        if state is None:
            raise Refusal(NO_BOOK.format(placed.asset))
        if placed.id in self.orders:
            raise Refusal(f"order {placed.id} is invalid. Duplicated.")
        market = state.market
        if not state.open:
            raise Refusal("the market is not yet ready to process new orders")
        admission.check_post_only(placed)
        price, size = admission.price_and_size(placed, market)
        expires_ms = admission.ends_ms(placed, now_ms)
        self.phases.check_place(post_only=placed.post_only, now_ms=now_ms)
        buys_for = placed.kind in ("FAK", "FOK") and placed.side == "BUY"
        order = Order(
            id=placed.id,
            number=len(self.orders) + 1,
            wallet=placed.wallet,
            owner=owner,
            market=market,
            asset=placed.asset,
            side=placed.side,
            price=price,
            size=size,
            kind=placed.kind,
            post_only=placed.post_only,
            expires_ms=expires_ms,
            created_ms=now_ms,
            budget=placed.maker_amount if buys_for else None,
        )
        self._check_balance(order, placed.maker_amount)
        if market.seconds_delay and taking.would_take(order, state):
            return self._delay(order, market.seconds_delay, now_ms)
        return self._enter(order, state, now_ms)

    def cancel(self, order_id: str, owner_wallets: set[str], now_ms: int) -> str | None:
        """End an order; None, or the reason why it was not."""
        order = self.orders.get(order_id)
        if order is None or order.wallet not in owner_wallets:
            return NOT_FOUND
        if order.status == "DELAYED":
            return "order is being processed and can't be canceled"
        if not order.resting:
            return ENDED
        self._end(order, "CANCELED", now_ms)
        return None

    def resting(self, wallets: set[str], condition: str = "", asset: str = "") -> list[Order]:
        """Return what rests of some wallets, oldest first."""
        return [
            order
            for order in self._numbers.values()
            if order.wallet in wallets
            and condition in ("", order.market.condition)
            and asset in ("", order.asset)
        ]

    def available(self, wallet: str, asset: str | None) -> int:
        """Return USDC (None) or shares that no resting order has bound."""
        if asset is None:
            bound = sum(
                _usdc(order.left, order.price)
                for order in self._numbers.values()
                if order.wallet == wallet and order.side == "BUY"
            )
            return self.ledger.usdc[wallet] - bound
        bound = sum(
            order.left
            for order in self._numbers.values()
            if order.wallet == wallet and order.side == "SELL" and order.asset == asset
        )
        return self.ledger.shares[wallet, asset] - bound

    def advance(self, now_ms: int) -> None:
        """Do what is due: expiry, game starts, delayed orders, settlement."""
        for order in list(self._numbers.values()):
            if order.expires_ms is not None and order.expires_ms <= now_ms:
                self._end(order, "CANCELED_EXPIRED_ORDER", now_ms)
        for state in self._states.values():
            start = state.market.game_start_ms
            if start is not None and start <= now_ms and not state.started:
                state.started = True
                self.wipe(state.market.condition, "CANCELED", now_ms)
        due = [order for at, order in self._delayed if at <= now_ms]
        self._delayed = [(at, order) for at, order in self._delayed if at > now_ms]
        for order in due:
            self._after_delay(order, now_ms)
        for trade in self.settlement.advance(now_ms):
            self._progress(trade)

    # Sets.

    def change_sets(self, wallet: str, condition: str, size: int, now_ms: int) -> None:
        """Make sets of a wallet's USDC, or merge them if below zero. Raises ValueError.

        The chain knows of no orders: those that are not covered any more are ended.
        """
        state = self._states.get(condition)
        if state is None:
            raise ValueError("the condition is not prepared")
        held = [self.ledger.shares[wallet, asset] for asset in state.market.assets]
        if size > self.ledger.usdc[wallet] or -size > min(held):
            raise ValueError("execution reverted: the balance is too low")
        self.ledger.split(wallet, state.market, size)
        for asset in (None, *state.market.assets):
            self._uncover(wallet, asset, now_ms)

    def redeem(self, wallet: str, condition: str) -> None:
        """Pay what a wallet holds of a resolved market. Raises ValueError."""
        state = self._states.get(condition)
        if state is None or state.payouts is None:
            raise ValueError("execution reverted: the market is not resolved")
        self.ledger.redeem_one(wallet, state.market, state.payouts)

    def _uncover(self, wallet: str, asset: str | None, now_ms: int) -> None:
        """End the newest orders that need what a wallet has no more."""
        side = "BUY" if asset is None else "SELL"
        while self.available(wallet, asset) < 0:
            newest = max(
                (
                    order
                    for order in self._numbers.values()
                    if (order.wallet, order.side) == (wallet, side) and asset in (None, order.asset)
                ),
                key=lambda order: order.number,
                default=None,
            )
            if newest is None:
                return
            self._end(newest, "CANCELED", now_ms)

    # Inside.

    def _check_balance(self, order: Order, maker_amount: int) -> None:
        desired, asset = maker_amount, None if order.side == "BUY" else order.asset
        if order.side == "BUY" and not order.post_only:
            desired += admission.max_fee(maker_amount, order.market)
        free = self.available(order.wallet, asset)
        if free < desired:
            raise Refusal(admission.BALANCE.format(free, desired))

    def _delay(self, order: Order, seconds: int, now_ms: int) -> Placed:
        order.status = "DELAYED"
        self.orders[order.id] = self._numbers[order.number] = order
        self._delayed.append((now_ms + seconds * 1000, order))
        self._happened(order, "PLACEMENT")
        return Placed(order, 0, 0, ())

    def _after_delay(self, order: Order, now_ms: int) -> None:
        state = self._of_asset[order.asset]
        if order.status != "DELAYED":
            return
        del self._numbers[order.number]
        order.status = "LIVE"
        try:
            self._check_balance(order, order.budget or _give(order))
            self._enter(order, state, now_ms)
        except Refusal as refusal:
            order.status = f"CANCELED_{refusal.text}"
            self._happened(order, "CANCELLATION")

    def _enter(self, order: Order, state: MarketState, now_ms: int) -> Placed:
        """Match an order and let the rest rest or leave. Raises Refusal."""
        takes = order.kind in ("FAK", "FOK")
        size = order.size
        if takes:
            size = taking.affordable(order, state)
            if order.kind == "FOK" and not taking.fills_whole(order, size, state):
                raise self._kill(order, admission.FOK_KILLED)
            if not size:
                raise self._kill(order, admission.FAK_KILLED)
        elif order.post_only and taking.would_take(order, state):
            raise Refusal(admission.CROSSES)
        self.orders[order.id] = self._numbers[order.number] = order
        self._happened(order, "PLACEMENT")
        before = len(order.trades)
        desired = NewOrder(
            order_id=order.number,
            owner=order.id,  # orders of one wallet may trade with each other here
            side=order.book_side(),
            kind="ioc" if takes else "limit",
            size=size,
            price=order.book_price(),
        )
        self._notify(state.book.place(desired), state, now_ms)
        if takes and order.status == "LIVE":
            order.status = "MATCHED"
            self._leave(order)
            self._happened(order, "UPDATE")
        making, got = (order.paid, order.matched)
        if order.side == "SELL":
            making, got = got, making
        return Placed(order, making, got, tuple(order.trades[before:]))

    def _kill(self, order: Order, text: str) -> Refusal:
        order.status = f"CANCELED_{text}"
        self.orders[order.id] = order
        self._happened(order, "CANCELLATION")
        return Refusal(text)

    def _notify(self, events: list[Event], state: MarketState, now_ms: int) -> None:
        """Book what the matching did."""
        state.changed_ms = now_ms
        self.touched.add(state.market.condition)
        matches = [event for event in events if isinstance(event, Match)]
        for trade in self._maker.trades(matches, self._numbers, state, now_ms):
            self._booked(trade, state)
        for event in events:
            if isinstance(event, OrderRemoved) and event.reason == "filled":
                order = self._numbers.get(event.order_id)
                if order is not None:
                    order.status = "MATCHED"
                    self._leave(order)
                    self._happened(order, "UPDATE")

    def _booked(self, trade: Trade, state: MarketState) -> None:
        self.trades[trade.id] = trade
        self.ledger.match(trade)
        self.settlement.add(trade)
        first = trade.taker.asset == state.market.assets[0]
        state.last_price = trade.taker.price if first else WHOLE - trade.taker.price
        state.last_side = trade.taker.side
        for leg in trade.legs:
            order = self.orders.get(leg.order_id)
            if order is not None:
                order.trades.append(trade.id)
                if order.left or order.budget is not None:
                    self._happened(order, "UPDATE")
        self._progress(trade)

    def _end(self, order: Order, status: str, now_ms: int) -> None:
        state = self._of_asset[order.asset]
        state.book.cancel(order.number)
        state.changed_ms = now_ms
        self.touched.add(order.market.condition)
        order.status = status
        self._leave(order)
        self._happened(order, "CANCELLATION")

    def _leave(self, order: Order) -> None:
        self._numbers.pop(order.number, None)

    def _resting(self, condition: str) -> list[Order]:
        return [o for o in self._numbers.values() if o.market.condition == condition]

    def _happened(self, order: Order, what: Happened) -> None:
        # As it is now: it may change before anybody is told.
        self.happenings.append(OrderUpdate(replace(order, trades=list(order.trades)), what))

    def _progress(self, trade: Trade) -> None:
        self.happenings.append(TradeUpdate(replace(trade)))


def _usdc(size: int, price: int) -> int:
    return -(-size * price // WHOLE)


def _give(order: Order) -> int:
    return _usdc(order.size, order.price) if order.side == "BUY" else order.size
