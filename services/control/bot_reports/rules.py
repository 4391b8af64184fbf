"""All bots' positions as one portfolio. Pure.

Paper and live are never summed, nor are different currencies: without a rate there is no sum.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

_NONE = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class BotBook:
    """The holdings and gains of one bot."""

    bot_id: str
    exchange: str
    live: bool
    positions: Mapping[str, Mapping[str, Any]]
    """By instrument, as its engine wrote them: decimal texts."""
    today: Decimal | None
    """What it has made today; None: its marks were never fresh."""
    today_currency: str
    """Of the instrument that a bot's result is measured in."""


@dataclass(slots=True)
class Sums:
    """Sums over positions."""

    result: Decimal = _NONE
    gross: Decimal = _NONE
    net: Decimal = _NONE

    def add(self, position: Mapping[str, Any]) -> None:
        """Add a position; what has no mark counts as worth nothing."""
        made = Decimal(position["realised"]) - Decimal(position["fees"])
        self.result += made + Decimal(position["funding"]) + _amount(position["unrealised"])
        worth = _amount(position["notional"])
        self.gross += abs(worth)
        self.net += worth


@dataclass(slots=True)
class Part:
    """All bots of one kind of money, in one currency."""

    live: bool
    currency: str
    whole: Sums = field(default_factory=Sums)
    today: Decimal = _NONE
    bots: set[str] = field(default_factory=set)
    by_exchange: dict[str, Sums] = field(default_factory=dict)
    by_instrument: dict[str, Sums] = field(default_factory=dict)
    oldest_mark_ms: int | None = None
    """Of what is held, milliseconds since the epoch."""
    unmarked: int = 0


def portfolio(books: Iterable[BotBook]) -> list[Part]:
    """Return the parts, live before paper, by currency."""
    parts: dict[tuple[bool, str], Part] = {}
    for book in books:
        for instrument, position in book.positions.items():
            _add(parts, book, instrument, position)
        if book.today is not None:
            _part(parts, book.live, book.today_currency).today += book.today
    return [parts[key] for key in sorted(parts, key=lambda key: (not key[0], key[1]))]


def _part(parts: dict[tuple[bool, str], Part], live: bool, currency: str) -> Part:
    return parts.setdefault((live, currency), Part(live, currency))


def _add(
    parts: dict[tuple[bool, str], Part],
    book: BotBook,
    instrument: str,
    position: Mapping[str, Any],
) -> None:
    part = _part(parts, book.live, position["currency"])
    part.bots.add(book.bot_id)
    for sums in (
        part.whole,
        part.by_exchange.setdefault(book.exchange, Sums()),
        part.by_instrument.setdefault(instrument, Sums()),
    ):
        sums.add(position)
    if not Decimal(position["size"]):
        return
    if position["mark_ms"] is None:
        part.unmarked += 1
        return
    oldest = part.oldest_mark_ms
    mark_ms = int(position["mark_ms"])
    part.oldest_mark_ms = mark_ms if oldest is None else min(oldest, mark_ms)


def _amount(text: str | None) -> Decimal:
    return _NONE if text is None else Decimal(text)
