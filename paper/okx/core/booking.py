"""Fills: booked in the ledger, then noted in the order, the bills and the list of fills."""

from __future__ import annotations

from paper.matching.values import Trade
from paper.okx.core.instruments import Instrument
from paper.okx.core.ledger import Booked
from paper.okx.core.orders import Fill, Order
from paper.okx.core.world import World


def book(
    world: World,
    of: Instrument,
    order: Order | None,
    lots: int,
    price: int,
    *,
    maker: bool,
    now_ms: int,
) -> Booked:
    """Book one side of a trade, lots above zero bought; no order: the market's side."""
    ledger = world.ledger
    account = None if order is None else world.account(order.owner)
    if not of.is_contract:
        return ledger.spot(account, of, lots, price, maker=maker)
    mode = "" if order is None else order.mode
    return ledger.contract(account, of, mode, lots, price, maker=maker, now_ms=now_ms)


def note(
    world: World,
    order: Order,
    trade: Trade,
    booked: Booked,
    trade_id: int,
    *,
    maker: bool,
    now_ms: int,
) -> None:
    """Note a fill in its order, and tell it."""
    of = order.instrument
    currencies = (of.settle,) if of.is_contract else (of.base, of.quote)
    change = booked.gain - booked.fee
    for currency in currencies:
        bill = world.bill(
            order.owner,
            currency,
            "2",
            change if of.is_contract else _moved(order, trade, currency, booked),
            inst_id=of.inst_id,
            mode=order.mode,
            ord_id=order.ord_id,
            now_ms=now_ms,
        )
    fill = Fill(
        trade_id=trade_id,
        bill_id=bill,
        price=trade.price,
        lots=trade.size,
        maker=maker,
        fee=booked.fee,
        currency=booked.currency,
        gain=booked.gain,
        at_ms=now_ms,
        mark=world.marks.get(of.inst_id, trade.price),
    )
    order.filled += trade.size
    order.value += trade.size * trade.price
    order.coins += of.notional(trade.size, trade.price)
    order.fee += max(0, booked.fee)
    order.rebate += max(0, -booked.fee)
    order.fee_currency = booked.currency
    order.gain += booked.gain
    order.last, order.updated_ms = fill, now_ms
    if order.budget is not None:
        order.budget -= trade.size * trade.price
        order.size = order.filled
    whole = order.filled == order.size and order.budget is None
    order.state = "filled" if whole else "partially_filled"
    held = world.account(order.owner).positions.get((of.inst_id, order.mode))
    if held is not None:
        held.trade_id = trade_id
    world.fills[order.owner].append((order, fill))
    world.notify(order, fill)


def _moved(order: Order, trade: Trade, currency: str, booked: Booked) -> int:
    """Return what a spot fill did to one of its two balances."""
    of = order.instrument
    if currency == of.base:
        change = order.signed * of.base_of(trade.size)
    else:
        change = -order.signed * trade.size * of.worth(trade.price)
    return change - (booked.fee if currency == booked.currency else 0)
