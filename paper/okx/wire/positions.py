"""Positions and warnings of their liquidation as rows."""

from __future__ import annotations

from paper.okx.core import funds
from paper.okx.core.amounts import ratio, show
from paper.okx.core.ledger import Account
from paper.okx.core.margin import Position, liquidation_price
from paper.okx.core.world import World
from paper.okx.wire.envelope import Json
from paper.okx.wire.orders import index_of
from paper.okx.wire.prices import dollars, notional


def liquidation_of(world: World, account: Account, position: Position) -> str:
    """The estimated liquidation price of a position; empty where there is none."""
    of = position.instrument
    mark = world.marks[of.inst_id]
    mine = funds.need(account, position, mark, world.tiers[position.instrument.inst_id])
    balance = position.margin
    if position.mode == "cross":
        orders = world.open_orders(account.name)
        counted, demanded = funds.pool_margin(account, orders, of.settle, world.marks, world.tiers)
        balance = counted - position.gain(mark) - (demanded - mine.kept)
    rate = account.fees.rate(contract=True, maker=False)
    found = liquidation_price(
        position, balance, maintenance_ppm=mine.tier.maintenance_ppm, taker_ppm=rate
    )
    return "" if found is None else of.price_text(found)


def position_row(world: World, account: Account, position: Position) -> Json:
    """A position; one that was closed has no lots and no prices."""
    of = position.instrument
    mark = world.marks[of.inst_id]
    last = world.prints[of.inst_id][-1].price if world.prints[of.inst_id] else mark
    mine = funds.need(account, position, mark, world.tiers[position.instrument.inst_id])
    isolated = position.mode == "isolated"
    if isolated:
        counted, demanded = position.margin + position.gain(mark), mine.kept
    else:
        counted, demanded = funds.pool_margin(
            account, world.open_orders(account.name), of.settle, world.marks, world.tiers
        )
    base = position.margin if isolated else mine.initial
    open_ = bool(position.lots)
    realized = position.realized + position.fees + position.funding + position.penalty
    row: Json = dict.fromkeys(_POSITION_EMPTY, "")
    return row | {
        "adl": "1" if open_ else "0",
        "avgPx": show(position.average()) if open_ else "",
        "bePx": show(_break_even(account, position)) if open_ else "",
        "cTime": str(position.opened_ms),
        "ccy": of.settle,
        "closeOrderAlgo": [],
        "fee": show(position.fees),
        "fundingFee": show(position.funding),
        "idxPx": show(world.indexes.get(index_of(of), 0)),
        "imr": "" if isolated or not open_ else show(mine.initial),
        "instId": of.inst_id,
        "instType": of.kind,
        "last": of.price_text(last),
        "lever": str(position.leverage),
        "liqPenalty": show(position.penalty),
        "liqPx": liquidation_of(world, account, position) if open_ else "",
        "margin": show(position.margin) if isolated else "",
        "markPx": of.price_text(mark),
        "mgnMode": position.mode,
        "mgnRatio": ratio(counted, demanded) if open_ else "",
        "mmr": show(mine.maintenance) if open_ else "",
        "notionalUsd": show(notional(world, of, position.lots, mark)) if open_ else "",
        "pendingCloseOrdLiabVal": "0",
        "pnl": show(position.realized),
        "pos": of.size_text(position.lots),
        "posId": world.shown_id(position.pos_id),
        "posSide": "net",
        "realizedPnl": show(realized),
        "tradeId": str(position.trade_id),
        "uTime": str(position.updated_ms),
        "upl": show(position.gain(mark)),
        "uplLastPx": show(position.gain(last)),
        "uplRatio": ratio(position.gain(mark), base) if open_ else "",
        "uplRatioLastPx": ratio(position.gain(last), base) if open_ else "",
        "usdPx": show(dollars(world, of.settle)),
    }


_POSITION_EMPTY = (
    "availPos",
    "baseBal",
    "baseBorrowed",
    "baseInterest",
    "bizRefId",
    "bizRefType",
    "clSpotInUseAmt",
    "deltaBS",
    "deltaPA",
    "gammaBS",
    "gammaPA",
    "hedgedPos",
    "interest",
    "liab",
    "liabCcy",
    "maxSpotInUseAmt",
    "nonSettleAvgPx",
    "optVal",
    "posCcy",
    "quoteBal",
    "quoteBorrowed",
    "quoteInterest",
    "settledPnl",
    "spotInUseAmt",
    "spotInUseCcy",
    "thetaBS",
    "thetaPA",
    "vegaBS",
    "vegaPA",
)


def _break_even(account: Account, position: Position) -> int:
    """The price at which closing pays for what opening and closing cost."""
    rate = account.fees.rate(contract=True, maker=False)
    average = position.average()
    return average * (10**6 + (2 * rate if position.lots > 0 else -2 * rate)) // 10**6


def warning_row(world: World, account: Account, position: Position, now_ms: int) -> Json:
    """A warning of liquidation."""
    row = position_row(world, account, position)
    kept = "instType instId mgnMode posId posSide pos posCcy lever markPx mgnRatio ccy cTime uTime"
    shown: Json = {name: row[name] for name in kept.split()}
    return shown | {"instFamily": position.instrument.family, "pTime": str(now_ms)}
