"""Admission of orders: from a request to an order, or the code of its refusal."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import cast, get_args

from paper.matching.values import SelfTrade, Side
from paper.okx.core import funds
from paper.okx.core.amounts import exact
from paper.okx.core.codes import Refusal
from paper.okx.core.instruments import Instrument
from paper.okx.core.ledger import Account
from paper.okx.core.orders import Order, OrderKind, OrderRequest, TradeMode
from paper.okx.core.world import World

PENDING_LIMIT = 500
LIMIT_PERMILLE = 50
"""A contract's buy may bid, and its sell may ask, so far beyond the mark."""

_CLIENT_ID = re.compile(r"[A-Za-z0-9]{0,32}")
_TAG = re.compile(r"[A-Za-z0-9]{0,16}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sized:
    """The numbers of an order, read."""

    price: int | None
    size: int
    budget: int | None


def admit(world: World, account: Account, request: OrderRequest, now_ms: int) -> Order:
    """The order that a request becomes. Raises Refusal."""
    of = _instrument(world, request)
    _check_words(request)
    _check_mode(account, of, request)
    pending = world.open[account.name]
    if request.cl_ord_id and any(
        order.request.cl_ord_id == request.cl_ord_id for order in pending.values()
    ):
        raise Refusal("51016")
    if len(pending) >= PENDING_LIMIT:
        raise Refusal("51174", of.inst_id, str(PENDING_LIMIT))
    sized = read_numbers(of, request)
    check_limits(world, of, cast("Side", request.side), sized)
    order = _make(world, account, of, request, sized, now_ms)
    if request.reduce_only:
        _reduce(account, order)
    check_funds(world, account, order)
    return order


def _instrument(world: World, request: OrderRequest) -> Instrument:
    of = world.instruments.get(request.inst_id)
    if of is None:
        raise Refusal("51001")
    if of.state == "expired":
        raise Refusal("51027")
    if of.state != "live":
        raise Refusal("51022")
    return of


def _check_words(request: OrderRequest) -> None:
    desired = (
        ("side", request.side, get_args(Side)),
        ("ordType", request.ord_type, get_args(OrderKind)),
        ("tdMode", request.td_mode, get_args(TradeMode)),
        ("stpMode", request.stp_mode, get_args(SelfTrade)),
        ("posSide", request.pos_side, ("", "net")),
        ("tgtCcy", request.tgt_ccy, ("", "base_ccy", "quote_ccy")),
    )
    for name, value, known in desired:
        if value not in known:
            raise Refusal("51000", name)
    if not _CLIENT_ID.fullmatch(request.cl_ord_id):
        raise Refusal("51000", "clOrdId")
    if not _TAG.fullmatch(request.tag):
        raise Refusal("51000", "tag")


def _check_mode(account: Account, of: Instrument, request: OrderRequest) -> None:
    if account.blocked:
        raise Refusal("51024")
    if of.is_contract != (request.td_mode != "cash"):
        raise Refusal("51000", "tdMode")
    if of.is_contract and account.mode != "2":
        raise Refusal("51010")


def read_numbers(of: Instrument, request: OrderRequest) -> Sized:
    """The request's price and size in ticks and lots. Raises Refusal."""
    market = request.ord_type in ("market", "optimal_limit_ioc")
    price = None if market else _number(of.ticks, request.px, "px")
    quote = not of.is_contract and market and request.side == "buy"
    if quote and request.tgt_ccy != "base_ccy":
        unit = of.worth(1)
        budget = _number(lambda text: exact(text) // unit, request.sz, "sz")
        return Sized(price=None, size=0, budget=budget)
    try:
        size = of.lots(request.sz)
    except ValueError as error:
        raise Refusal("51121" if "multiple" in str(error) else "51000", "sz") from None
    if size <= 0:
        raise Refusal("51000", "sz")
    if size < of.min_lots:
        raise Refusal("51020")
    return Sized(price=price, size=size, budget=None)


def check_limits(world: World, of: Instrument, side: Side, sized: Sized) -> None:
    """Refuse what is too large, or a contract's price too far beyond its mark."""
    if sized.price is None:
        if sized.size > of.max_market_lots:
            raise Refusal("51202")
        return
    if sized.size > of.max_limit_lots:
        raise Refusal("51203", of.size_text(of.max_limit_lots))
    mark = world.marks.get(of.inst_id)
    if not of.is_contract or mark is None:
        return
    high, low = price_limits(mark)
    if (side == "buy" and sized.price > high) or (side == "sell" and sized.price < low):
        raise Refusal("51006", of.price_text(high), of.price_text(low))


def price_limits(mark: int) -> tuple[int, int]:
    """The highest price of a buy and the lowest one of a sell, in ticks."""
    return mark * (1000 + LIMIT_PERMILLE) // 1000, mark * (1000 - LIMIT_PERMILLE) // 1000


def check_funds(world: World, account: Account, order: Order, *, instead: bool = False) -> None:
    """Refuse an order that the account cannot pay, or that its leverage does not allow; with
    `instead` it takes the place of the open order of its number."""
    of = order.instrument
    before = world.open_orders(account.name)
    others = [one for one in before if one.number != order.number] if instead else before
    after = [*others, _priced(world, order)]
    currency = of.settle if of.is_contract or order.side == "buy" else of.base
    needs = funds.frozen(account, after, currency) - funds.frozen(account, others, currency)
    count = funds.available if order.mode == "cross" else funds.available_cash
    if needs > 0 and needs > count(account, others, currency, world.marks):
        raise Refusal("51008", currency)
    if of.is_contract:
        _check_tier(world, account, order, others)


def _check_tier(world: World, account: Account, order: Order, others: list[Order]) -> None:
    of = order.instrument
    held = account.held(of.inst_id, order.mode)
    lots = held.lots * order.signed if held is not None else 0
    lots += sum(
        one.left
        for one in (*others, order)
        if one.instrument is of and one.side == order.side and one.mode == order.mode
    )
    leverage = account.leverage(of.inst_id, order.mode)
    allowed = [tier.most for tier in world.tiers[of.inst_id] if tier.max_leverage >= leverage]
    if lots * of.lot > max(allowed, default=0):
        most = of.size_text(max(allowed, default=0) // of.lot)
        raise Refusal("51004", of.inst_id, most, str(leverage))


def _priced(world: World, order: Order) -> Order:
    """Return the order with the price that its funds are counted by: of those at which it may
    trade or wait, the one at which it is worth most."""
    if order.budget is not None:
        return order
    of, book = order.instrument, world.books[order.instrument.inst_id]
    other: Side = "sell" if order.side == "buy" else "buy"
    best = book.best(other)
    known = [order.price]
    if order.price is None:
        known = [best, book.reach(other, order.size), world.marks.get(of.inst_id)]
    elif best is not None and (best - order.price) * order.signed <= 0:
        known.append(best)
    prices = [price for price in known if price is not None]
    return replace(order, price=max(prices, key=partial(of.notional, 1), default=1))


def _reduce(account: Account, order: Order) -> None:
    held = account.held(order.instrument.inst_id, order.mode)
    if held is None or held.lots * order.signed > 0:
        raise Refusal("51169")
    order.size = min(order.size, abs(held.lots))


def _make(
    world: World,
    account: Account,
    of: Instrument,
    request: OrderRequest,
    sized: Sized,
    now_ms: int,
) -> Order:
    number = world.next_number()
    return Order(
        number=number,
        ord_id=world.shown_id(number),
        owner=account.name,
        request=request,
        instrument=of,
        side=cast("Side", request.side),
        kind=cast("OrderKind", request.ord_type),
        price=sized.price,
        size=sized.size,
        budget=sized.budget,
        mode=cast("TradeMode", request.td_mode),
        self_trade=cast("SelfTrade", request.stp_mode),
        leverage=account.leverage(of.inst_id, request.td_mode) if of.is_contract else 0,
        created_ms=now_ms,
        updated_ms=now_ms,
    )


def _number(read: Callable[[str], int], text: str, name: str) -> int:
    if not text:
        raise Refusal("50014", name)
    try:
        value = read(text)
    except ValueError:
        raise Refusal("51000", name) from None
    if value <= 0:
        raise Refusal("51000", name)
    return value
