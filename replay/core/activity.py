"""Make a leader's trades of the rows of his activity. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from tradingtools.domain.leader_trade import LeaderRow, LeaderTrade, Side, Source, TradeKey, merge
from tradingtools.domain.money import AmountError, parse_rounded

MAX_TRADES = 5_000
"""Trades that are copied on paper, the newest."""


class Row(msgspec.Struct, frozen=True):
    tx: str
    condition_id: str
    asset_id: str
    side: str
    size: str
    price: str
    traded_ms: int
    action: str


@dataclass(frozen=True, slots=True)
class ActivityTrade:
    """A row of a trade, and what the leader held before it."""

    row: Row
    size_micros: int
    before_micros: int


def traded(rows: Sequence[Row], since_ms: int) -> tuple[list[ActivityTrade], Counter[str]]:
    """Return rows of trades from an instant on, and what else moved shares from then on."""
    held: defaultdict[str, int] = defaultdict(int)
    found: list[ActivityTrade] = []
    moves: Counter[str] = Counter()
    for row in rows:
        within = row.traded_ms >= since_ms
        size = micros("size", row.size)
        if row.action != "TRADE" or row.side not in ("BUY", "SELL"):
            moves[row.action] += within
            _move(held, row, size)
            continue
        before = held[row.asset_id]
        held[row.asset_id] = max(before + (size if row.side == Side.BUY else -size), 0)
        if within and size > 0:
            found.append(ActivityTrade(row, size, before))
    return found, +moves


def newest(
    traded: Sequence[ActivityTrade], wallet: str
) -> tuple[int, dict[TradeKey, list[ActivityTrade]]]:
    """Return how many trades there are, and the rows of the newest in their order."""
    by_trade: dict[TradeKey, list[ActivityTrade]] = {}
    for one in traded:
        row = one.row
        key = TradeKey(leader_tx=row.tx, leader=wallet, asset_id=row.asset_id, side=Side(row.side))
        by_trade.setdefault(key, []).append(one)
    return len(by_trade), dict(list(by_trade.items())[-MAX_TRADES:])


def trade(key: TradeKey, rows: Sequence[ActivityTrade], *, whole: bool) -> LeaderTrade:
    """Return a trade of its rows.

    Args:
        key: of the trade.
        rows: in their order.
        whole: the record reaches back to the leader's beginning: what he held is known.
    """
    counts: Counter[tuple[str, int]] = Counter()
    trade: LeaderTrade | None = None
    for one in rows:
        row = one.row
        counts[row.price, one.size_micros] += 1
        fact = LeaderRow(
            key=key,
            condition_id=row.condition_id,
            price_text=row.price,
            price_micros=micros("price", row.price),
            size_micros=one.size_micros,
            count=counts[row.price, one.size_micros],
            source=Source.FEED,
            traded_ms=row.traded_ms,
            received_ns=row.traded_ms * 1_000_000,
            held_before_micros=(
                one.before_micros if whole and one.before_micros >= one.size_micros else None
            ),
        )
        trade = merge(trade, fact) or trade
    assert trade is not None  # noqa: S101 - a trade has a row
    return trade


def _move(held: dict[str, int], row: Row, size: int) -> None:
    if not row.asset_id:
        return
    gained = size if row.action == "SPLIT" else -size
    held[row.asset_id] = max(held.get(row.asset_id, 0) + gained, 0)


def micros(field_name: str, text: str) -> int:
    """Return an amount of a row. Raises AmountError: it is none."""
    try:
        return parse_rounded(text)
    except AmountError as error:
        raise AmountError(f"{field_name}: {text!r} {error}") from None
