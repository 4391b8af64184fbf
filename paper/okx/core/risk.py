"""Marks, funding, liquidation and the end of a contract: what happens to positions."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import replace

from paper.matching.values import Side
from paper.okx.core import funds
from paper.okx.core.happenings import InstrumentChanged, Liquidated, LiquidationWarning, MarkChanged
from paper.okx.core.instruments import Instrument, State
from paper.okx.core.ledger import Account
from paper.okx.core.liquidation import WARNING, Step, next_step
from paper.okx.core.margin import Position, bankruptcy_price
from paper.okx.core.orders import DELIVERY, RISK, SYSTEM, Fill, Order, OrderRequest
from paper.okx.core.tiers import Tier
from paper.okx.core.trading import Trading
from paper.okx.core.world import Funding, World

_STEPS = 100


class Risk:
    """The work of marks and time on accounts."""

    def __init__(self, world: World, trading: Trading) -> None:
        self._world = world
        self._trading = trading
        self.liquidations: deque[Liquidated] = deque(maxlen=1000)

    def mark(self, inst_id: str, ticks: int, now_ms: int) -> None:
        """Take a mark price; who falls to his maintenance margin is liquidated."""
        if self._world.marks.get(inst_id) == ticks:
            return
        self._world.marks[inst_id] = ticks
        self._world.out.append(MarkChanged(inst_id))
        for account in list(self._world.ledger.accounts.values()):
            if any(key[0] == inst_id and p.lots for key, p in account.positions.items()):
                self.check(account, now_ms)

    def check_touched(self, now_ms: int) -> None:
        """Check the accounts whose positions changed since the last call."""
        while self._trading.touched:
            self.check(self._world.account(self._trading.touched.pop()), now_ms)

    def fund(self, inst_id: str, now_ms: int) -> None:
        """Settle a swap's funding if its time has come."""
        funding = self._world.funding.get(inst_id)
        if funding is None or now_ms < funding.at_ms:
            return
        of, rate = self._world.instruments[inst_id], funding.rate
        mark = self._world.marks[inst_id]
        changes = self._world.ledger.fund(of, mark, rate, now_ms)
        for key, change in changes.items():
            account, _, mode = key.rpartition("/")
            self._world.bill(
                account, of.settle, "8", change, inst_id=inst_id, mode=mode, now_ms=now_ms
            )
            self._world.position_changed(account, inst_id, mode)
        self._turn(funding, now_ms)
        self._world.out.append(InstrumentChanged(inst_id, funded=True))
        for key in changes:
            self.check(self._world.account(key.rpartition("/")[0]), now_ms)

    def set_state(self, inst_id: str, state: State, now_ms: int) -> None:
        """Suspend an instrument, let it trade again, or end it: its orders go, its positions are
        settled at the mark, and it is listed no more."""
        of = self._world.instruments[inst_id]
        changed = _with_state(of, state)
        self._world.instruments[inst_id] = changed
        self._adopt(of, changed)
        if state == "expired":
            self._end(changed, now_ms)
        self._world.out.append(InstrumentChanged(inst_id))

    def expire(self, now_ms: int) -> None:
        """End the contracts whose time has come."""
        for of in list(self._world.instruments.values()):
            if of.expires_ms is not None and now_ms >= of.expires_ms and of.state != "expired":
                self.set_state(of.inst_id, "expired", now_ms)

    def check(self, account: Account, now_ms: int) -> None:
        """Warn of, or liquidate, each pool of an account that is near or at its demand."""
        for position in list(account.positions.values()):
            if position.lots and position.mode == "isolated":
                self._isolated(account, position, now_ms)
        for currency in {p.instrument.settle for p in account.positions.values()}:
            self._cross(account, currency, now_ms)

    def _isolated(self, account: Account, position: Position, now_ms: int) -> None:
        inst_id = position.instrument.inst_id
        for _ in range(_STEPS):
            if not position.lots:
                return
            mark, tiers = self._world.marks[inst_id], self._world.tiers[inst_id]
            counted = position.margin + position.gain(mark)
            demanded = funds.need(account, position, mark, tiers).kept
            self._warn(account, [position], counted, demanded)
            if counted > demanded:
                return
            bound = [
                order
                for order in self._world.open_orders(account.name)
                if order.instrument.inst_id == inst_id and order.mode == "isolated"
            ]
            self._trading.withdraw(bound, now_ms, source=RISK)
            step = next_step([(demanded, position, tiers)])
            self._seize(account, step, position.margin, now_ms)

    def _cross(self, account: Account, currency: str, now_ms: int) -> None:
        world = self._world
        for _ in range(_STEPS):
            positions = funds.crossed(account, currency)
            if not positions:
                world.ledger.cover(account, currency)
                return
            orders = world.open_orders(account.name)
            counted, demanded = funds.pool_margin(
                account, orders, currency, world.marks, world.tiers
            )
            self._warn(account, positions, counted, demanded)
            if counted > demanded:
                return
            bound = [order for order in orders if _binds(order, currency)]
            if bound:
                self._trading.withdraw(bound, now_ms, source=RISK)
                continue
            demands = [
                (
                    funds.need(account, p, world.marks[p.instrument.inst_id], self._tiers(p)).kept,
                    p,
                    self._tiers(p),
                )
                for p in positions
            ]
            step = next_step(demands)
            self._seize(account, step, account.cash[currency], now_ms)

    def _tiers(self, position: Position) -> Sequence[Tier]:
        return self._world.tiers[position.instrument.inst_id]

    def _warn(
        self, account: Account, positions: list[Position], counted: int, demanded: int
    ) -> None:
        near = counted <= WARNING * demanded
        for position in positions:
            if near and not position.warned:
                inst_id, mode = position.instrument.inst_id, position.mode
                self._world.out.append(LiquidationWarning(account.name, inst_id, mode))
            position.warned = near

    def _seize(self, account: Account, step: Step, pool: int, now_ms: int) -> None:
        """Close lots of a position for its holder and tell it as an order of the exchange."""
        position, of = step.position, step.position.instrument
        mark = self._world.marks[of.inst_id]
        price = mark
        if step.last:
            price = bankruptcy_price(position, pool) or mark
        side: Side = "buy" if step.lots > 0 else "sell"
        before = position.penalty
        gain = self._world.ledger.seize(account, position, step.lots, mark, last=step.last)
        category = "full_liquidation" if step.last else "partial_liquidation"
        penalty = before - position.penalty
        bill = self._world.bill(
            account.name,
            of.settle,
            "5",
            gain - penalty,
            inst_id=of.inst_id,
            mode=position.mode,
            now_ms=now_ms,
        )
        lots = abs(step.lots)
        fill = Fill(
            trade_id=self._world.next_trade(of.inst_id),
            bill_id=bill,
            price=price,
            lots=lots,
            maker=False,
            fee=penalty,
            currency=of.settle,
            gain=gain,
            at_ms=now_ms,
            mark=mark,
        )
        self._notify(account, position, side, fill, category)
        reported = Liquidated(account.name, of.inst_id, side, lots, price, max(0, -gain), now_ms)
        self.liquidations.append(reported)
        self._world.out.append(reported)
        self._world.position_changed(account.name, of.inst_id, position.mode)

    def _notify(
        self, account: Account, position: Position, side: Side, fill: Fill, category: str
    ) -> None:
        """Tell a trade of the exchange by itself as an order that it has filled."""
        of = position.instrument
        order = self._forced(account, position, side, fill.lots, category, fill.at_ms)
        order.last, order.value = fill, fill.lots * fill.price
        order.coins = of.notional(fill.lots, fill.price)
        order.fee, order.fee_currency, order.gain = fill.fee, of.settle, fill.gain
        self._world.add(order)
        self._world.fills[account.name].append((order, fill))
        self._world.notify(order, fill)

    def _forced(
        self,
        account: Account,
        position: Position,
        side: Side,
        lots: int,
        category: str,
        now_ms: int,
    ) -> Order:
        of, number = position.instrument, self._world.next_number()
        mode = "isolated" if position.mode == "isolated" else "cross"
        request = OrderRequest(
            inst_id=of.inst_id,
            td_mode=mode,
            side=side,
            ord_type="market",
            sz=of.size_text(lots),
        )
        return Order(
            number=number,
            ord_id=self._world.shown_id(number),
            owner=account.name,
            request=request,
            instrument=of,
            side=side,
            kind="market",
            price=None,
            size=lots,
            budget=None,
            mode=mode,  # type: ignore[arg-type]
            self_trade="cancel_maker",
            leverage=position.leverage,
            created_ms=now_ms,
            updated_ms=now_ms,
            state="filled",
            filled=lots,
            category=category,
        )

    def _end(self, of: Instrument, now_ms: int) -> None:
        world = self._world
        source = DELIVERY if of.kind == "FUTURES" else SYSTEM
        for account in world.ledger.accounts.values():
            orders = [o for o in world.open_orders(account.name) if o.instrument is of]
            self._trading.withdraw(orders, now_ms, source=source)
            for mode in ("cross", "isolated"):
                position = account.held(of.inst_id, mode)
                if position is None:
                    continue
                lots, mark = position.lots, world.marks[of.inst_id]
                gain = world.ledger.settle(account, position, mark)
                bill = world.bill(
                    account.name,
                    of.settle,
                    "3",
                    gain,
                    inst_id=of.inst_id,
                    mode=mode,
                    now_ms=now_ms,
                )
                fill = Fill(
                    trade_id=world.next_trade(of.inst_id),
                    bill_id=bill,
                    price=mark,
                    lots=abs(lots),
                    maker=False,
                    fee=0,
                    currency=of.settle,
                    gain=gain,
                    at_ms=now_ms,
                    mark=mark,
                )
                self._notify(account, position, "sell" if lots > 0 else "buy", fill, "delivery")
                world.position_changed(account.name, of.inst_id, mode)
                self._cross(account, of.settle, now_ms)

    def _adopt(self, old: Instrument, new: Instrument) -> None:
        """Let orders and positions know the instrument as it is now."""
        for order in self._world.orders.values():
            if order.instrument is old:
                order.instrument = new
        for account in self._world.ledger.accounts.values():
            for position in account.positions.values():
                if position.instrument is old:
                    position.instrument = new

    def _turn(self, funding: Funding, now_ms: int) -> None:
        funding.settled.append((funding.at_ms, funding.rate))
        funding.rate = funding.next_rate
        while funding.at_ms <= now_ms:
            funding.at_ms += funding.interval_ms


def _binds(order: Order, currency: str) -> bool:
    """Return whether an open order weighs on the cross pool of a currency."""
    of = order.instrument
    if of.is_contract:
        return of.settle == currency
    return currency == (of.quote if order.side == "buy" else of.base)


def _with_state(of: Instrument, state: State) -> Instrument:
    return replace(of, state=state, row={**of.row, "state": state})
