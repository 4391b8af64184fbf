"""Read the analytical store as what statistics are computed of."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from services.enrichment.core.values import Activity, Books, Market
from tradingtools.domain import money
from tradingtools.domain.book import Level
from tradingtools.storage.analytics.port import Reader, WrongTypes
from tradingtools.storage.postgres.sql import load_queries
from tradingtools.venues.ports import Action, Side

SOURCE = Path(__file__).parent / "source.sql"
QUERIES = load_queries(Path(__file__).parent / "analysis.sql")
RELATIONS = ("trades", "markets", "wallets")
_AT_ONCE = 300
"""Ids of one question: they go into its URL."""
_BOUGHT = {"MAKER": True, "TAKER": False, "": None}


class SourceError(Exception):
    """The file of selects cannot be used; the message says why."""


class MarketRow(msgspec.Struct, frozen=True, kw_only=True):
    """A market as the source has it."""

    condition_id: str
    asset_ids: str
    question: str = ""
    category: str = ""
    tags: str = ""
    event: str = ""
    end_ms: int = 0
    volume: str = ""
    volume_day: str = ""
    prices: str = ""
    payouts: str = ""
    resolved_ms: int = 0
    read_ms: int = 0


class _Trade(msgspec.Struct, frozen=True):
    tx: str
    condition_id: str
    asset_id: str
    side: Side
    size: str
    price: str
    traded_ms: int
    action: Action
    role: str


class _Candidate(msgspec.Struct, frozen=True):
    wallet: str
    last_ms: int


class _Mark(msgspec.Struct, frozen=True):
    asset_id: str
    hour: int
    last_ms: int
    micros: int


class _Book(msgspec.Struct, frozen=True):
    leader_tx: str
    asset_id: str
    delay_seconds: int
    asks: str


def relations(path: Path) -> Mapping[str, str]:
    """Return the selects of a file by name.

    Raises:
        SourceError: one is missing, or the file cannot be read.
    """
    try:
        found = load_queries(path)
    except (OSError, ValueError) as error:
        raise SourceError(str(error)) from None
    missing = [name for name in RELATIONS if name not in found]
    if missing:
        raise SourceError(f"{path.name}: no select named {', '.join(missing)}")
    return found


class Source:
    """Asks for what statistics are computed of. Every call may raise Unavailable or WrongTypes.

    Args:
        product: whose role reads the product's tables.
        own: where our own tables are.
        selects: by the names of `RELATIONS`.
    """

    def __init__(self, product: Reader, own: Reader, selects: Mapping[str, str]) -> None:
        self._product = product
        self._own = own
        self._with = ", ".join(f"{name} as ({selects[name]}\n)" for name in RELATIONS)

    def _with_relations(self, name: str) -> str:
        """Return a query with the relations that it reads before it."""
        return f"with {self._with}\n{QUERIES[name]}"

    async def activity(self, wallet: str, until_ms: int) -> list[Activity]:
        """Return what a wallet did, in time."""
        rows = await self._product.rows(
            self._with_relations("activity"), {"wallet": wallet, "until": until_ms}, _Trade
        )
        return [_activity(row) for row in rows]

    async def candidates(self, since_ms: int, most: int) -> list[str]:
        """Return wallets that trade, the highest volume first."""
        values = {"since": since_ms, "most": most}
        rows = await self._product.rows(self._with_relations("candidates"), values, _Candidate)
        return [row.wallet for row in rows]

    async def market_rows(self, conditions: Iterable[str]) -> list[MarketRow]:
        """Return markets by their conditions; those that the source does not have are missing."""
        found: list[MarketRow] = []
        for ids in _pieces(conditions):
            found += await self._product.rows(
                self._with_relations("markets_of"), {"ids": ids}, MarketRow
            )
        return found

    async def marks(self, assets: Iterable[str]) -> dict[str, list[tuple[int, int]]]:
        """Return recorded marks by asset: instant and micros, the last of each hour."""
        found: dict[str, list[tuple[int, int]]] = defaultdict(list)
        for ids in _pieces(assets):
            for row in await self._own.rows(QUERIES["marks_of"], {"ids": ids}, _Mark):
                found[row.asset_id].append((row.last_ms, row.micros))
        return found

    async def books(self, wallet: str) -> Books:
        """Return the asks that were recorded after a leader's buys."""
        found: dict[tuple[str, str], dict[int, Sequence[Level]]] = defaultdict(dict)
        for row in await self._own.rows(QUERIES["books_of"], {"wallet": wallet}, _Book):
            found[row.leader_tx, row.asset_id][row.delay_seconds] = _levels(row.asks)
        return found


def market_of(row: MarketRow) -> Market:
    """Return a market as statistics see it.

    Raises:
        WrongTypes: its payouts are not those of its outcomes.
    """
    assets = split(row.asset_ids)
    payouts = tuple(_micros("payouts", text) for text in split(row.payouts))
    if payouts and len(payouts) != len(assets):
        raise WrongTypes(f"{row.condition_id}: {len(payouts)} payouts of {len(assets)} outcomes")
    return Market(
        condition_id=row.condition_id,
        asset_ids=assets,
        category=row.category or "other",
        group=row.event,
        payout_micros=payouts,
        resolved_ms=(row.resolved_ms or row.read_ms) if payouts else None,
    )


def prices_of(row: MarketRow) -> dict[str, tuple[int, int]]:
    """Return what the outcomes of a market cost when it was read: instant and micros, by asset."""
    prices = split(row.prices)
    assets = split(row.asset_ids)
    if len(prices) != len(assets):
        return {}
    return {
        asset: (row.read_ms, _micros("prices", text))
        for asset, text in zip(assets, prices, strict=True)
    }


def split(text: str) -> tuple[str, ...]:
    """Return what commas part."""
    return tuple(part for part in text.split(",") if part)


def amount(text: str) -> int | None:
    """Return micros of decimal text; None: there is none."""
    return _micros("volume", text) if text else None


def _activity(row: _Trade) -> Activity:
    if row.role not in _BOUGHT:
        raise WrongTypes(f"role: {row.role!r} is neither MAKER nor TAKER nor empty")
    return Activity(
        tx=row.tx,
        condition_id=row.condition_id,
        asset_id=row.asset_id,
        side=row.side,
        size_micros=_micros("size", row.size),
        price_micros=_micros("price", row.price),
        at_ms=row.traded_ms,
        action=row.action,
        maker=_BOUGHT[row.role],
    )


def _micros(name: str, text: str) -> int:
    try:
        return money.parse_rounded(text)
    except money.AmountError as error:
        raise WrongTypes(f"{name}: {text[:40]!r} {error}") from None


def _levels(text: str) -> list[Level]:
    try:
        pairs = [line.split(" ") for line in text.splitlines()]
        return [(int(price), int(size)) for price, size in pairs]
    except ValueError:
        raise WrongTypes("asks: not price and size by line") from None


def _pieces(ids: Iterable[str]) -> Iterator[list[str]]:
    known = sorted(set(ids))
    for start in range(0, len(known), _AT_ONCE):
        yield known[start : start + _AT_ONCE]
