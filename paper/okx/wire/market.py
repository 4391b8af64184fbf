"""Public data as rows: instruments, books, trades, tickers, marks, funding, candles."""

from __future__ import annotations

from paper.matching.values import Side
from paper.okx.core.admission import price_limits
from paper.okx.core.amounts import ONE, show
from paper.okx.core.happenings import Liquidated, PublicTrade
from paper.okx.core.instruments import Instrument
from paper.okx.core.world import Funding, World
from paper.okx.stats import Candle, Day
from paper.okx.wire.envelope import Json
from paper.okx.wire.orders import index_of

Levels = list[list[str]]


def levels(world: World, inst_id: str, side: Side, count: int) -> Levels:
    """The first levels of a side: price, size, 0, number of orders."""
    of = world.instruments[inst_id]
    return [
        [of.price_text(price), of.size_text(lots), "0", str(orders)]
        for price, lots, orders in world.books[inst_id].depth(side, count)
    ]


def level(world: World, inst_id: str, side: Side, price: int) -> list[str]:
    """One level as it is now; size 0: gone."""
    of = world.instruments[inst_id]
    lots, orders = world.books[inst_id].shown(side, price)
    return [of.price_text(price), of.size_text(lots), "0", str(orders)]


def book_row(world: World, inst_id: str, count: int, seq: int, now_ms: int) -> Json:
    """A whole book as REST shows it."""
    return {
        "asks": levels(world, inst_id, "sell", count),
        "bids": levels(world, inst_id, "buy", count),
        "ts": str(now_ms),
        "seqId": seq,
    }


def trade_row(of: Instrument, trade: PublicTrade) -> Json:
    """A public trade as REST shows it."""
    return {
        "instId": of.inst_id,
        "side": trade.side,
        "sz": of.size_text(trade.lots),
        "px": of.price_text(trade.price),
        "tradeId": str(trade.trade_id),
        "source": "0",
        "ts": str(trade.at_ms),
    }


def pushed_trade(of: Instrument, trade: PublicTrade, seq: int) -> Json:
    """A public trade as the channel `trades` pushes it."""
    return trade_row(of, trade) | {"count": "1", "seqId": seq}


def ticker_row(world: World, of: Instrument, day: Day, now_ms: int) -> Json:
    """A ticker; a side without orders has no price."""
    book = world.books[of.inst_id]
    sides: Json = {}
    for side, name in (("sell", "ask"), ("buy", "bid")):
        best = book.depth(side, 1)  # type: ignore[arg-type]
        sides[f"{name}Px"] = of.price_text(best[0][0]) if best else ""
        sides[f"{name}Sz"] = of.size_text(best[0][1]) if best else ""
    base = day.lots * of.lot * (of.contract if of.is_contract and not of.inverse else ONE) // ONE
    quote = show(day.coins)
    return sides | {
        "instType": of.kind,
        "instId": of.inst_id,
        "last": of.price_text(day.last) if day.last else "",
        "lastSz": of.size_text(day.last_lots),
        "open24h": of.price_text(day.open) if day.open else "",
        "high24h": of.price_text(day.high) if day.high else "",
        "low24h": of.price_text(day.low) if day.low else "",
        "volCcy24h": quote if not of.is_contract or of.inverse else show(base),
        "vol24h": of.size_text(day.lots),
        "sodUtc0": of.price_text(day.open) if day.open else "",
        "sodUtc8": of.price_text(day.open) if day.open else "",
        "ts": str(now_ms),
    }


def mark_row(of: Instrument, mark: int, now_ms: int) -> Json:
    """A mark price."""
    return {
        "instType": of.kind,
        "instId": of.inst_id,
        "markPx": of.price_text(mark),
        "ts": str(now_ms),
    }


def index_row(world: World, name: str, now_ms: int) -> Json:
    """An index and, for want of a history, itself as its day."""
    price = show(world.indexes[name])
    days = ("high24h", "low24h", "open24h", "sodUtc0", "sodUtc8")
    return {"instId": name, "idxPx": price, "ts": str(now_ms), **dict.fromkeys(days, price)}


def funding_row(of: Instrument, funding: Funding, now_ms: int) -> Json:
    """A swap's funding."""
    settled = funding.settled[-1][1] if funding.settled else 0
    return {
        "formulaType": "withRate",
        "fundingRate": _rate(funding.rate),
        "fundingTime": str(funding.at_ms),
        "impactValue": "",
        "instId": of.inst_id,
        "instType": of.kind,
        "interestRate": "0.0001",
        "maxFundingRate": "0.00375",
        "method": "current_period",
        "minFundingRate": "-0.00375",
        "nextFundingRate": "",
        "nextFundingTime": str(funding.at_ms + funding.interval_ms),
        "premium": _rate(funding.rate),
        "prevFundingTime": str(funding.at_ms - funding.interval_ms),
        "settFundingRate": _rate(settled),
        "settState": "settled",
        "ts": str(now_ms),
    }


def settled_row(of: Instrument, at_ms: int, rate: int) -> Json:
    """A funding that was settled."""
    return {
        "formulaType": "withRate",
        "fundingRate": _rate(rate),
        "fundingTime": str(at_ms),
        "instId": of.inst_id,
        "instType": of.kind,
        "method": "current_period",
        "realizedRate": _rate(rate),
    }


def limit_row(of: Instrument, mark: int, now_ms: int) -> Json:
    """The price limits of a contract."""
    high, low = price_limits(mark)
    return {
        "instType": of.kind,
        "instId": of.inst_id,
        "buyLmt": of.price_text(high) if of.is_contract else "",
        "sellLmt": of.price_text(low) if of.is_contract else "",
        "ts": str(now_ms),
        "enabled": of.is_contract,
    }


def liquidation_row(of: Instrument, one: Liquidated) -> Json:
    """A liquidation as the public is told of it."""
    detail: Json = {
        "bkLoss": "0",
        "bkPx": of.price_text(one.price),
        "ccy": "",
        "posSide": "short" if one.side == "buy" else "long",
        "side": one.side,
        "sz": of.size_text(one.lots),
        "ts": str(one.at_ms),
    }
    return {
        "details": [detail],
        "instFamily": of.family,
        "instId": of.inst_id,
        "instType": of.kind,
        "totalLoss": "0",
        "uly": index_of(of),
    }


def candle_row(of: Instrument, candle: Candle) -> list[str]:
    """A candle: start, open, high, low, close, contracts, base, quote, finished."""
    prices = (candle.open, candle.high, candle.low, candle.close)
    base = candle.lots * of.lot * (of.contract if of.is_contract and not of.inverse else ONE)
    return [
        str(candle.start_ms),
        *(of.price_text(price) for price in prices),
        of.size_text(candle.lots),
        show(base // ONE),
        show(candle.coins),
        "1" if candle.finished else "0",
    ]


def _rate(rate: int) -> str:
    return show(rate * ONE // 10**9)
