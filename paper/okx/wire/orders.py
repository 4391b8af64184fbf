"""Orders and fills as rows."""

from __future__ import annotations

from paper.okx.core.amounts import ONE, show
from paper.okx.core.instruments import Instrument
from paper.okx.core.orders import Fill, Order
from paper.okx.core.world import World
from paper.okx.wire.envelope import Json
from paper.okx.wire.prices import notional

REASONS = {
    "0": "Order canceled by system",
    "1": "Order canceled by user",
    "3": "Order canceled due to the risk of forced liquidation",
    "7": "Order canceled due to the delivery of the contract",
    "13": "FOK order was canceled due to incompletely filled",
    "14": "IOC order was partially canceled due to incompletely filled",
    "20": "Cancel all after triggered",
    "22": "Some reduce-only orders with worse prices in the current order book were canceled",
    "31": "Current maker order would have taken liquidity, so it was canceled",
    "32": "Self trade prevention",
}


def average(order: Order) -> str:
    """The mean price of an order's fills; empty without one."""
    if not order.filled:
        return ""
    of = order.instrument
    if of.inverse:
        return show(order.filled * of.lot * of.contract // order.coins)
    return show(order.value * of.tick // order.filled)


def size_of(order: Order) -> str:
    """The size as it was asked for, in lots or in the quote currency."""
    if order.budget is not None:
        return order.request.sz
    return order.instrument.size_text(order.size)


def order_row(order: Order) -> Json:
    """An order as REST and sockets show it."""
    of, fill, requested = order.instrument, order.last, order.request
    currency = of.settle if of.is_contract else ""
    fee_currency = order.fee_currency or _fee_currency(order)
    row: Json = dict.fromkeys(_EMPTY, "")
    row |= {
        "accFillSz": of.size_text(order.filled),
        "attachAlgoOrds": [],
        "avgPx": average(order),
        "cTime": str(order.created_ms),
        "cancelSource": order.cancel_source,
        "cancelSourceReason": REASONS.get(order.cancel_source, ""),
        "category": order.category,
        "ccy": requested.ccy or currency,
        "clOrdId": requested.cl_ord_id,
        "fee": show(-order.fee),
        "feeCcy": fee_currency,
        "fillPx": "" if fill is None else of.price_text(fill.price),
        "fillSz": "0" if fill is None else of.size_text(fill.lots),
        "fillTime": "" if fill is None else str(fill.at_ms),
        "instId": of.inst_id,
        "instType": of.kind,
        "isTpLimit": "false",
        "lever": str(order.leverage) if of.is_contract else "",
        "linkedAlgoOrd": {"algoId": ""},
        "ordId": order.ord_id,
        "ordType": order.kind,
        "pnl": show(order.gain),
        "posSide": "net" if of.is_contract else "",
        "px": "" if order.price is None else of.price_text(order.price),
        "rebate": show(order.rebate),
        "rebateCcy": fee_currency,
        "reduceOnly": "true" if requested.reduce_only else "false",
        "side": order.side,
        "state": order.state,
        "stpMode": order.self_trade,
        "sz": size_of(order),
        "tag": requested.tag,
        "tdMode": order.mode,
        "tgtCcy": _unit(order),
        "tradeId": "" if fill is None else str(fill.trade_id),
        "uTime": str(order.updated_ms),
        "tradeQuoteCcy": of.quote,
    }
    return row


_EMPTY = (
    "algoClOrdId",
    "algoId",
    "attachAlgoClOrdId",
    "pxType",
    "pxUsd",
    "pxVol",
    "quickMgnType",
    "slOrdPx",
    "slTriggerPx",
    "slTriggerPxType",
    "source",
    "stpId",
    "tpOrdPx",
    "tpTriggerPx",
    "tpTriggerPxType",
)


def pushed_row(world: World, order: Order, fill: Fill | None) -> Json:
    """An order as the channel `orders` pushes it, with the fill that changed it."""
    of = order.instrument
    row = order_row(order)
    lots = order.size if order.budget is None else order.filled
    price = order.price or world.marks.get(of.inst_id, 1)
    value = notional(world, of, lots, price)
    if fill is None:
        row |= {"fillPx": "", "fillSz": "0", "fillTime": "", "tradeId": ""}
    row |= {
        "amendResult": order.amend_result,
        "amendSource": "1" if order.amend_result else "",
        "code": "0",
        "execType": "" if fill is None else _maker(fill),
        "fillFee": "0" if fill is None else show(-fill.fee),
        "fillFeeCcy": "" if fill is None else fill.currency,
        "fillFwdPx": "",
        "fillMarkPx": "" if fill is None else of.price_text(fill.mark),
        "fillMarkVol": "",
        "fillIdxPx": "",
        "fillNotionalUsd": "" if fill is None else show(notional(world, of, fill.lots, fill.price)),
        "fillPnl": "0" if fill is None else show(fill.gain),
        "fillPxUsd": "",
        "fillPxVol": "",
        "lastPx": of.price_text(price),
        "msg": "",
        "notionalUsd": show(value),
        "reqId": order.req_id,
    }
    return row


def fill_row(world: World, order: Order, fill: Fill) -> Json:
    """A fill as `fills` and `fills-history` show it."""
    of = order.instrument
    return {
        "instType": of.kind,
        "instId": of.inst_id,
        "tradeId": str(fill.trade_id),
        "ordId": order.ord_id,
        "clOrdId": order.request.cl_ord_id,
        "billId": world.shown_id(fill.bill_id),
        "subType": _SUBTYPES.get((order.category, order.side), "1"),
        "tag": order.request.tag,
        "fillPx": of.price_text(fill.price),
        "fillSz": of.size_text(fill.lots),
        "fillIdxPx": show(world.indexes.get(index_of(of), 0)),
        "fillPnl": show(fill.gain),
        "fillPxVol": "",
        "fillPxUsd": "",
        "fillMarkVol": "",
        "fillFwdPx": "",
        "fillMarkPx": of.price_text(fill.mark) if of.is_contract else "",
        "side": order.side,
        "posSide": "net" if of.is_contract else "",
        "execType": _maker(fill),
        "feeCcy": fill.currency,
        "fee": show(-fill.fee),
        "feeRate": _rate(world, order, fill),
        "ts": str(fill.at_ms),
        "fillTime": str(fill.at_ms),
        "tradeQuoteCcy": of.quote,
    }


_SUBTYPES = {
    ("normal", "buy"): "1",
    ("normal", "sell"): "2",
    ("partial_liquidation", "sell"): "100",
    ("partial_liquidation", "buy"): "101",
    ("full_liquidation", "sell"): "104",
    ("full_liquidation", "buy"): "105",
    ("delivery", "sell"): "112",
    ("delivery", "buy"): "113",
}


def index_of(of: Instrument) -> str:
    """The index of an instrument, e.g. `BTC-USDT`."""
    return of.family if of.is_contract else of.inst_id


def _rate(world: World, order: Order, fill: Fill) -> str:
    fees = world.account(order.owner).fees
    rate = fees.rate(contract=order.instrument.is_contract, maker=fill.maker)
    return show(-rate * ONE // 10**6)


def _maker(fill: Fill) -> str:
    return "M" if fill.maker else "T"


def _unit(order: Order) -> str:
    if order.instrument.is_contract or order.kind != "market":
        return ""
    return "quote_ccy" if order.budget is not None else "base_ccy"


def _fee_currency(order: Order) -> str:
    of = order.instrument
    if of.is_contract:
        return of.settle
    return of.base if order.side == "buy" else of.quote
