"""Read a leader's trades, his markets and recorded books out of the analytical store."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from replay.analytics import Analytics
from replay.core import activity
from replay.core.activity import MAX_TRADES, Row, micros
from replay.core.values import ObservedTrade, Resolved
from tradingtools.domain.book import Book, BookStatus, Level, Market
from tradingtools.domain.leader_trade import LeaderTrade, Side, TradeKey
from tradingtools.domain.money import MICROS, AmountError
from tradingtools.storage.analytics.port import Values, WrongTypes
from tradingtools.storage.postgres.sql import load_queries

_QUERIES = load_queries(Path(__file__).parent / "analytics.sql")
MAX_ROWS = 50_000
"""Rows of a leader that are read; what he held before them is not known."""
_TOGETHER = 500
_COARSE, _FINE = 10_000, 1_000
"""Ticks, USDC micros."""
_MIN_SIZE_MICROS = 5_000_000
"""Shares of the smallest order, as most markets have it."""


class _Market(msgspec.Struct, frozen=True):
    condition_id: str
    asset_ids: str
    category: str
    end_ms: int
    prices: str
    payouts: str
    resolved_ms: int


class _Mark(msgspec.Struct, frozen=True):
    asset_id: str
    micros: int


class _Books(msgspec.Struct, frozen=True):
    leader_tx: str
    asset_id: str
    asks: str


@dataclass(slots=True, kw_only=True)
class History:
    """The trades and results of a leader within a time."""

    events: list[ObservedTrade | Resolved] = field(default_factory=list)
    marks: dict[str, int] = field(default_factory=dict)
    """The price that a market reported last, by asset."""
    trades: int = 0
    first_ms: int | None = None
    """Of all that is known of him."""
    unknown: list[str] = field(default_factory=list)
    """Gaps of the record, in sentences for a person."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryRequest:
    """A part of a leader's past."""

    wallet: str
    since_ms: int
    until_ms: int
    delay_seconds: int
    fee_rate_micros: int
    """Of markets, which nobody has recorded."""


def load(product: Analytics, own: Analytics | None, desired: HistoryRequest) -> History:
    """Return a leader's history.

    Args:
        product: the store with everybody's trades.
        own: the store with recorded books; None: there are none.
        desired: what of it.

    Raises:
        Unavailable: a store does not answer.
        WrongTypes: rows are not as they are expected.
    """
    try:
        return _loaded(product, own, desired)
    except AmountError as error:
        raise WrongTypes(str(error)) from None


def _loaded(product: Analytics, own: Analytics | None, desired: HistoryRequest) -> History:
    values: Values = {"wallet": desired.wallet, "until": desired.until_ms, "most": MAX_ROWS}
    rows = product.rows(_QUERIES["activity"], values, Row)[::-1]
    found = History(first_ms=rows[0].traded_ms if rows else None)
    traded, moves = activity.traded(rows, desired.since_ms)
    found.trades, newest = activity.newest(traded, desired.wallet)
    whole = len(rows) < MAX_ROWS
    trades = [activity.trade(key, of, whole=whole) for key, of in newest.items()]
    markets = _markets(product, sorted({trade.condition_id for trade in trades}))
    books = _books(own, desired, newest) if own is not None else {}
    found.events += [_seen(trade, markets, books, desired) for trade in trades]
    _ends(found, trades, markets, desired)
    _mark(found, trades, own, desired)
    found.events.sort(key=lambda event: event.at_ms)
    if moves:
        moves_text = ", ".join(f"{n} {action}" for action, n in moves.most_common())
        found.unknown.append(f"moves of shares without a trade are not followed: {moves_text}")
    if not whole:
        found.unknown.append(f"of his rows the newest {MAX_ROWS} are read")
    if found.trades > MAX_TRADES:
        found.unknown.append(
            f"of {found.trades} trades within the time the newest {MAX_TRADES} are followed"
        )
    buys = [t for t in trades if t.key.side is Side.BUY]
    observed = sum((t.key.leader_tx, t.key.asset_id) in books for t in buys)
    found.unknown.append(
        f"{observed} of {len(buys)} buys have a book recorded {desired.delay_seconds} s after them;"
        " of sales nobody records the bids"
    )
    missing = len({t.condition_id for t in trades} - {m.condition_id for m in markets.values()})
    if missing:
        found.unknown.append(f"of {missing} markets neither category nor result is known")
    return found


def _markets(product: Analytics, ids: Sequence[str]) -> dict[str, _Market]:
    """Return markets by asset."""
    found: dict[str, _Market] = {}
    for at in range(0, len(ids), _TOGETHER):
        for market in product.rows(_QUERIES["markets"], {"ids": ids[at : at + _TOGETHER]}, _Market):
            found.update(dict.fromkeys(_split(market.asset_ids), market))
    return found


def _books(
    own: Analytics, desired: HistoryRequest, trades: Iterable[TradeKey]
) -> dict[tuple[str, str], tuple[Level, ...]]:
    """Return the asks that were recorded after these trades, by transaction and asset."""
    values: Values = {"wallet": desired.wallet, "delay": desired.delay_seconds}
    keys = {(key.leader_tx, key.asset_id) for key in trades}
    return {
        (row.leader_tx, row.asset_id): _levels(row.asks)
        for row in own.rows(_QUERIES["books"], values, _Books)
        if (row.leader_tx, row.asset_id) in keys
    }


def _seen(
    trade: LeaderTrade,
    markets: Mapping[str, _Market],
    books: Mapping[tuple[str, str], tuple[Level, ...]],
    desired: HistoryRequest,
) -> ObservedTrade:
    asset, market = trade.key.asset_id, markets.get(trade.key.asset_id)
    asks = books.get((trade.key.leader_tx, asset)) if trade.key.side is Side.BUY else None
    at_ms = trade.traded_ms + desired.delay_seconds * 1000
    rules = Market(
        asset_id=asset,
        condition_id=trade.condition_id,
        tick_micros=_tick(trade),
        min_size_micros=_MIN_SIZE_MICROS,
        fee_rate_micros=desired.fee_rate_micros,
        closed=False,
        payout_micros=None,
        category=(market.category.lower() if market is not None else "") or "other",
        end_ms=(market.end_ms or None) if market is not None else None,
    )
    book = Book(
        market=rules,
        # Spread and bids of then are not known: what asks for them is judged by onDoubtfulBook.
        status=BookStatus.UNSEEN,
        bids=(),
        asks=(),
        book_ms=at_ms,
    )
    return ObservedTrade(trade=trade, at_ms=at_ms, book=book, levels=asks)


def _tick(trade: LeaderTrade) -> int:
    """Return the tick that the leader's prices show."""
    prices = (trade.lowest_micros, trade.highest_micros)
    if any(price % _COARSE and price % _FINE == 0 for price in prices):
        return _FINE
    return _COARSE


def _ends(
    found: History,
    trades: Sequence[LeaderTrade],
    markets: Mapping[str, _Market],
    desired: HistoryRequest,
) -> None:
    """Add what outcomes paid within the time, and what the others are worth."""
    for asset in {trade.key.asset_id for trade in trades}:
        market = markets.get(asset)
        if market is None:
            continue
        payout = _of(market.payouts, asset, market)
        if payout is not None and market.resolved_ms <= desired.until_ms:
            at = max(market.resolved_ms, desired.since_ms)
            found.events.append(Resolved(asset_id=asset, at_ms=at, payout_micros=payout))
        elif (price := _of(market.prices, asset, market)) is not None:
            found.marks[asset] = price


def _mark(
    found: History, trades: Sequence[LeaderTrade], own: Analytics | None, desired: HistoryRequest
) -> None:
    """Add what outcomes are worth whose market tells no price: by the last mark that was recorded,
    or by the leader's last trade."""
    paid = {event.asset_id for event in found.events if isinstance(event, Resolved)}
    last = {trade.key.asset_id: trade for trade in trades}
    missing = sorted(last.keys() - paid - found.marks.keys())
    for at in range(0, len(missing) if own is not None else 0, _TOGETHER):
        assert own is not None  # noqa: S101 - asked just above
        values: Values = {"ids": missing[at : at + _TOGETHER], "until": desired.until_ms}
        found.marks |= {m.asset_id: m.micros for m in own.rows(_QUERIES["marks"], values, _Mark)}
    guessed = [asset for asset in missing if asset not in found.marks]
    for asset in guessed:
        trade = last[asset]
        found.marks[asset] = trade.notional_micros * MICROS // trade.size_micros
    if guessed:
        found.unknown.append(
            f"of {len(guessed)} outcomes nobody told a price: what is held of them is worth the"
            " leader's last one"
        )


def _of(texts: str, asset: str, market: _Market) -> int | None:
    """Return the number of an asset in a list by the order of its market's assets."""
    assets, numbers = _split(market.asset_ids), _split(texts)
    if len(assets) != len(numbers) or asset not in assets:
        return None
    return micros("prices", numbers[assets.index(asset)])


def _split(text: str) -> list[str]:
    return [part for part in text.split(",") if part]


def _levels(text: str) -> tuple[Level, ...]:
    try:
        pairs = [line.split(" ") for line in text.splitlines()]
        return tuple((int(price), int(size)) for price, size in pairs)
    except ValueError:
        raise WrongTypes("asks: not price and size by line") from None
