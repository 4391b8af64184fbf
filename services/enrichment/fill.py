"""Fills the embedded form of the product's tables: from the Data API, Gamma, and recorded trades.

A product that has its tables in ClickHouse needs none of this.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from pathlib import Path

import msgspec
import structlog

from services.enrichment.source import MarketRow, Source
from tradingtools import clock
from tradingtools.domain.errors import Unavailable
from tradingtools.domain.money import to_text
from tradingtools.storage.analytics.embedded import Embedded
from tradingtools.venues.polymarket.clob_api import ClobApi
from tradingtools.venues.polymarket.data_api import DataApi, Trades
from tradingtools.venues.polymarket.instruments import GammaMarket
from tradingtools.venues.polymarket.trade_rows import decode_frame
from tradingtools.venues.ports import RowError, TradeRow

_OVERLAP_MS = 300_000
"""Rows may come late, and a second of which a part was read is read again."""
_WALKS = 50
"""Of one wallet: beyond them its record begins later."""
_AT_ONCE = 50
"""Markets of one question to Gamma."""
_MARKET_STANDS_MS = 600_000
_log = structlog.get_logger("enrichment.fill")
_Fetch = Callable[[str, int, int | None], Awaitable[Trades]]


class _Trade(msgspec.Struct, frozen=True, kw_only=True):
    wallet: str
    tx: str
    ordinal: int
    asset_id: str
    condition_id: str
    action: str
    side: str
    price: str
    size: str
    traded_ms: int
    role: str = ""


class _Line(msgspec.Struct, frozen=True):
    frame: msgspec.Raw


_LINE = msgspec.json.Decoder(_Line)


class Filler:
    """Fills the tables of one embedded store.

    Args:
        db: the store.
        source: reads it.
        data: of the venue.
        clob: of the venue.
    """

    def __init__(self, db: Embedded, source: Source, data: DataApi, clob: ClobApi) -> None:
        self._db = db
        self._source = source
        self._data = data
        self._clob = clob
        self._filled: dict[str, int] = {}

    async def begin(self, path: Path) -> None:
        """Take over recorded trades, if the store has none yet.

        Raises:
            OSError: the file cannot be read.
        """
        if await self._source.candidates(0, 1):
            return
        rows = await asyncio.to_thread(recorded, path)
        if not rows:
            return
        now_ms = clock.now_ms()
        moved = now_ms - max(row.traded_ms for row in rows)
        await self._db.fill("trades", list(_numbered(_moved(row, moved) for row in rows)))
        self._filled = dict.fromkeys((row.leader for row in rows), now_ms)
        _log.info("recorded trades taken over", file=path.name, rows=len(rows))

    async def wallet(self, wallet: str) -> int:
        """Fill in what a wallet has done since it was asked; return up to when it is known.

        Raises:
            Unavailable: the venue does not answer, and has never reported anything of the wallet.
        """
        try:
            return await self._fetched(wallet)
        except Unavailable as error:
            known_ms = self._filled.get(wallet)
            if known_ms is None:
                raise
            _log.warning("a wallet is known up to before", ms=known_ms, error=str(error)[:200])
            return known_ms

    async def _fetched(self, wallet: str) -> int:
        started_ms = clock.now_ms()
        since_ms = max(0, self._filled.get(wallet, 0) - _OVERLAP_MS)
        rows: list[TradeRow] = []
        for fetch in (self._data.trades, self._data.movements):
            rows += await self._walked(fetch, wallet, since_ms)
        await self._db.fill("trades", list(_numbered(rows)))
        self._filled[wallet] = started_ms
        return started_ms

    async def _walked(self, fetch: _Fetch, wallet: str, since_ms: int) -> list[TradeRow]:
        """All rows since an instant, newest first."""
        page = await fetch(wallet, since_ms, None)
        rows, reached_ms = list(page.rows), page.reached_ms
        for _ in range(_WALKS):
            if reached_ms is None:
                return rows
            # The second that it reached is read whole by the next one.
            rows = [row for row in rows if row.traded_ms // 1000 > reached_ms // 1000]
            page = await fetch(wallet, since_ms, reached_ms)
            rows += page.rows
            reached_ms = None if page.reached_ms == reached_ms else page.reached_ms
        _log.warning("a wallet's record begins later", wallet=wallet, ms=reached_ms)
        return rows

    async def markets(self, conditions: Iterable[str], now_ms: int) -> None:
        """Fill in markets that are missing, or have not resolved and were read a while ago."""
        desired = set(conditions)
        known = {row.condition_id: row for row in await self._source.market_rows(desired)}
        stand = {
            name
            for name, row in known.items()
            if row.payouts or now_ms - row.read_ms < _MARKET_STANDS_MS
        }
        missing = sorted(desired - stand)
        for start in range(0, len(missing), _AT_ONCE):
            try:
                found = await self._clob.gamma_of(missing[start : start + _AT_ONCE])
            except Unavailable as error:
                _log.warning("markets are not told", error=str(error))
                return
            rows = [_market(market, known.get(name)) for name, market in found.items()]
            await self._db.fill("markets", rows)


def _market(market: GammaMarket, before: MarketRow | None) -> MarketRow:
    assets, now_ms = tuple(market.outcomes), clock.now_ms()
    paid = [to_text(market.payouts[asset]) for asset in assets if asset in market.payouts]
    return MarketRow(
        condition_id=market.condition_id,
        asset_ids=",".join(assets),
        question=market.title,
        category=market.category,
        end_ms=market.end_ms or 0,
        payouts=",".join(paid),
        resolved_ms=_resolved_ms(market.end_ms, before, now_ms) if paid else 0,
        read_ms=now_ms,
    )


def _resolved_ms(end_ms: int | None, before: MarketRow | None, now_ms: int) -> int:
    """When a market has resolved: Gamma does not say it. After its end, not before it was last seen
    open."""
    seen_open = before.read_ms if before is not None else 0
    return min(now_ms, max(end_ms or now_ms, seen_open))


def recorded(path: Path) -> list[TradeRow]:
    """Return the trades of a file of recorded frames; lines that are none are left out."""
    rows = []
    for line in path.read_bytes().splitlines():
        try:
            rows.append(decode_frame(bytes(_LINE.decode(line).frame))[1])
        except (msgspec.DecodeError, RowError) as error:
            _log.warning("a recorded line is left out", error=str(error))
    return rows


def _moved(row: TradeRow, by_ms: int) -> TradeRow:
    """A recorded trade at a later time. What is played again of the same record is another one."""
    tx = "0x" + hashlib.sha256(f"recorded {row.tx}".encode()).hexdigest()
    return replace(row, tx=tx, traded_ms=row.traded_ms + by_ms)


def _numbered(rows: Iterable[TradeRow]) -> Iterable[_Trade]:
    """Rows of the table; equal ones of a transaction are told apart by their number."""
    seen: Counter[TradeRow] = Counter()
    for row in rows:
        seen[row] += 1
        yield _Trade(
            wallet=row.leader,
            tx=row.tx,
            ordinal=seen[row],
            asset_id=row.asset_id,
            condition_id=row.condition_id,
            action=row.action,
            side=row.side,
            price=to_text(row.price_micros),
            size=to_text(row.size_micros),
            traded_ms=row.traded_ms,
        )
