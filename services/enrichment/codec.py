"""Statistics of leaders, and facts of markets, as documents of the contract."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from google.protobuf.json_format import ParseDict

from services.enrichment.core.values import LeaderStatistics, Market
from services.enrichment.source import MarketRow, amount, split
from tradingtools.domain.book import Book
from tradingtools.domain.money import notional_floor
from tradingtools.v1 import enrichment_pb2 as pb

_NEAR = 50_000
"""Five cents: how far from the best price depth counts."""


def document(statistics: LeaderStatistics, version: str) -> pb.LeaderStatistics:
    """Return statistics as the document of a snapshot; what is not known stays absent."""
    fields = {
        **msgspec.to_builtins(statistics),
        "version": version,
        "latency_class": f"LATENCY_CLASS_{statistics.latency_class}",
        "gaps": [f"EVIDENCE_GAP_{gap}" for gap in statistics.gaps],
    }
    return ParseDict(fields, pb.LeaderStatistics())


def market_document(
    market: Market, row: MarketRow, books: Mapping[str, Book], as_of_ms: int, version: str
) -> pb.MarketFacts:
    """Return what is known of a market as the document of a snapshot.

    Args:
        market: as statistics see it.
        row: as the source has it.
        books: on the board, by asset; of the first outcome one says spread and depth.
        as_of_ms: when that was read.
        version: of the snapshot.
    """
    facts = pb.MarketFacts(
        condition_id=market.condition_id,
        as_of_ms=as_of_ms,
        version=version,
        asset_ids=market.asset_ids,
        question=row.question,
        category=market.category,
        tags=split(row.tags),
        payout_micros=market.payout_micros,
    )
    if row.end_ms:
        facts.end_ms = row.end_ms
    volume, volume_day = amount(row.volume), amount(row.volume_day)
    if volume is not None:
        facts.volume_micros = volume
    if volume_day is not None:
        facts.volume_day_micros = volume_day
    if market.resolved_ms is not None:
        facts.resolved_ms = market.resolved_ms
    book = books.get(market.asset_ids[0]) if market.asset_ids else None
    if book is not None and book.usable and book.bids and book.asks:
        bid, ask = book.bids[0][0], book.asks[0][0]
        facts.spread_micros = ask - bid
        facts.bid_depth_micros = sum(notional_floor(s, p) for p, s in book.bids if p >= bid - _NEAR)
        facts.ask_depth_micros = sum(notional_floor(s, p) for p, s in book.asks if p <= ask + _NEAR)
    return facts
