"""The exchange as one thing: what accounts ask, what the market does, and time that passes.

Whoever drives it says what time it is; a server takes the wall clock, a backtest its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from paper.matching.values import Cancels, Side
from paper.okx.core import funds
from paper.okx.core.codes import Refusal
from paper.okx.core.happenings import Happening
from paper.okx.core.instruments import Instrument, State
from paper.okx.core.ledger import Account
from paper.okx.core.margin import Position, initial_margin
from paper.okx.core.orders import Order, OrderRequest
from paper.okx.core.risk import Risk
from paper.okx.core.tiers import LEVELS, Tier
from paper.okx.core.trading import Trading
from paper.okx.core.world import World


class Exchange:
    """One exchange; every call is done when it returns, and `drain` tells what happened."""

    def __init__(
        self,
        instruments: Iterable[Instrument],
        tiers: Mapping[str, Sequence[Tier]],
        *,
        first_id: int = 2_000_000_000_000_000_000,
        cancels: Cancels = "behind",
    ) -> None:
        self.world = World(instruments, tiers, first_id=first_id, cancels=cancels)
        self.trading = Trading(self.world)
        self.risk = Risk(self.world, self.trading)

    def open_account(self, name: str, *, mode: str = "2", level: str = "Lv1") -> Account:
        """Add an account without money. Raises ValueError for an unknown mode or fee level."""
        if mode not in ("1", "2"):
            raise ValueError("mode: must be 1 (Spot) or 2 (Futures)")
        if level not in LEVELS:
            raise ValueError(f"level: must be one of {', '.join(LEVELS)}")
        account = Account(name=name, mode=mode, fees=LEVELS[level])
        self.world.ledger.accounts[name] = account
        return account

    def deposit(self, name: str, currency: str, amount: int, now_ms: int) -> None:
        """Put money into an account (below zero: take it out)."""
        self.world.ledger.deposit(self.world.account(name), currency, amount)
        self.world.bill(name, currency, "1", amount, now_ms=now_ms)

    def place(
        self, name: str, request: OrderRequest, now_ms: int, *, expires_ms: int | None = None
    ) -> Order:
        """Take an order and match it. Raises Refusal."""
        order = self.trading.place(name, request, now_ms, expires_ms=expires_ms)
        self.risk.check_touched(now_ms)
        return order

    def cancel(self, name: str, inst_id: str, ord_id: str, cl_ord_id: str, now_ms: int) -> Order:
        """Cancel an open order. Raises Refusal."""
        return self.trading.cancel(name, inst_id, ord_id, cl_ord_id, now_ms)

    def amend(  # noqa: PLR0913 - the request has so many parts
        self,
        name: str,
        inst_id: str,
        ord_id: str,
        cl_ord_id: str,
        *,
        size: str = "",
        price: str = "",
        req_id: str = "",
        cancel_on_fail: bool = False,
        now_ms: int,
    ) -> Order:
        """Change an open order. Raises Refusal."""
        order = self.trading.amend(
            name,
            inst_id,
            ord_id,
            cl_ord_id,
            size=size,
            price=price,
            req_id=req_id,
            cancel_on_fail=cancel_on_fail,
            now_ms=now_ms,
        )
        self.risk.check_touched(now_ms)
        return order

    def set_leverage(self, name: str, inst_id: str, mode: str, leverage: int, now_ms: int) -> None:
        """Set the leverage of a contract in a margin mode; a position's margin follows. Raises
        Refusal."""
        world, account = self.world, self.world.account(name)
        of = world.instruments.get(inst_id)
        if of is None or not of.is_contract:
            raise Refusal("51001")
        if account.mode != "2":
            raise Refusal("51010")
        if not 1 <= leverage <= of.max_leverage:
            raise Refusal("59102")
        before = account.leverage(inst_id, mode)
        account.leverages[inst_id, mode] = leverage
        position = account.held(inst_id, mode)
        try:
            self._fits(account, position, leverage, of.settle)
        except Refusal:
            account.leverages[inst_id, mode] = before
            if position is not None:
                position.leverage = before
            raise
        if position is not None:
            position.updated_ms = now_ms
            world.position_changed(name, inst_id, mode)
            world.account_changed(name, of.settle)

    def move_margin(self, name: str, inst_id: str, amount: int, now_ms: int) -> Position:
        """Add cash to an isolated position's margin (below zero: take it out). Raises Refusal."""
        world, account = self.world, self.world.account(name)
        position = account.held(inst_id, "isolated")
        if position is None:
            raise Refusal("59300")
        settle, mark = position.instrument.settle, world.marks[inst_id]
        orders = world.open_orders(name)
        spare = funds.available_cash(account, orders, settle, world.marks)
        need = funds.need(account, position, mark, world.tiers[inst_id])
        kept = position.margin + amount + min(0, position.gain(mark))
        if amount > spare or (amount < 0 and kept < need.initial):
            raise Refusal("59301")
        world.ledger.move_margin(account, position, amount)
        world.bill(name, settle, "6", -amount, inst_id=inst_id, mode="isolated", now_ms=now_ms)
        world.position_changed(name, inst_id, "isolated")
        return position

    def market_level(self, inst_id: str, side: Side, price: int, size: int, now_ms: int) -> None:
        """Take the market's size at a price, 0 for none."""
        self.trading.market_level(inst_id, side, price, size, now_ms)
        self.risk.check_touched(now_ms)

    def market_book(
        self,
        inst_id: str,
        bids: Iterable[tuple[int, int]],
        asks: Iterable[tuple[int, int]],
        now_ms: int,
    ) -> None:
        """Take the market's whole book, (price, size)."""
        self.trading.market_book(inst_id, bids, asks, now_ms)
        self.risk.check_touched(now_ms)

    def market_print(self, inst_id: str, side: Side, price: int, lots: int, now_ms: int) -> None:
        """Take a trade of the market; `side` is its taker's."""
        self.trading.market_print(inst_id, side, price, lots, now_ms)
        self.risk.check_touched(now_ms)

    def mark(self, inst_id: str, ticks: int, now_ms: int) -> None:
        """Take a mark price."""
        self.risk.mark(inst_id, ticks, now_ms)

    def set_state(self, inst_id: str, state: State, now_ms: int) -> None:
        """Suspend an instrument, let it trade again, or end it."""
        self.risk.set_state(inst_id, state, now_ms)

    def at(self, now_ms: int) -> None:
        """Let what is due happen: switches, funding, expiry."""
        self.trading.tick(now_ms)
        for inst_id in list(self.world.funding):
            if self.world.instruments[inst_id].state == "live":
                self.risk.fund(inst_id, now_ms)
        self.risk.expire(now_ms)

    def drain(self) -> list[Happening]:
        """Everything that happened since the last call."""
        return self.world.drain()

    def _fits(
        self, account: Account, position: Position | None, leverage: int, currency: str
    ) -> None:
        """Bring a position to a leverage, if the account can pay that. Raises Refusal."""
        world, orders = self.world, self.world.open_orders(account.name)
        if position is not None:
            position.leverage = leverage
            if position.mode == "isolated":
                desired = initial_margin(abs(position.cost), leverage) - position.margin
                if desired > funds.available_cash(account, orders, currency, world.marks):
                    raise Refusal("59108")
                world.ledger.move_margin(account, position, desired)
                return
        if funds.available(account, orders, currency, world.marks) < 0:
            raise Refusal("59108")
