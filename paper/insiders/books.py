"""Where books come from: a source outside, and what the control port puts over it.

The exchange asks `Books`; behind it is `bookfeed_source.BookfeedSource`, or nothing when the
control port tells every book, as in tests.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, TypeVar, cast

from paper.insiders.core.amounts import ONE, format_amount, parse_amount
from paper.insiders.core.model import Level, MarketBook, Rejection
from paper.insiders.core.requests import Fields, invalid, parse_condition, parse_fields

T = TypeVar("T")


class BookSource(Protocol):
    """Anything that knows books."""

    async def book(self, asset_id: str) -> MarketBook | None:
        """The asset's book now; None when no such market exists.

        Raises BookUnavailable when that cannot be found out.
        """


class BookUnavailable(Exception):
    """The source does not answer; the message says why."""


class Books:
    """A source with books of the control port over it."""

    def __init__(self, source: BookSource | None) -> None:
        self._source = source
        self.reported: dict[str, MarketBook] = {}

    async def read(self, asset_id: str) -> MarketBook | Rejection | None:
        """The told book if there is one, else the source's; None when there is no such market.

        A source that does not answer is a Rejection, returned and not raised: whether it matters
        is decided after the key was looked up.
        """
        reported = self.reported.get(asset_id)
        if reported is not None:
            return reported
        if self._source is None:
            return None
        try:
            return await self._source.book(asset_id)
        except BookUnavailable as error:
            return Rejection(502, "UPSTREAM", f"the order book could not be read: {error}")


def parse_book(asset_id: str, given: Mapping[str, object]) -> MarketBook:
    """A book as `PUT /books/{asset}` gets it; raises Rejection naming the field that is wrong.

    Levels may come in any order; they are sorted best first. Prices must be on the tick.
    """
    values = parse_fields(given, _FIELDS, optional=frozenset(_FIELDS))
    tick = cast(int, values.get("tick", 10_000))
    bids = cast("list[Level]", values.get("bids", []))
    asks = cast("list[Level]", values.get("asks", []))
    for name, levels in (("bids", bids), ("asks", asks)):
        prices = [level.price for level in levels]
        if len(set(prices)) < len(prices):
            raise invalid(name, "has a price twice")
        if any(price % tick or not 0 < price < ONE for price in prices):
            raise invalid(name, "has a price off the tick or outside 0 and 1")
    return MarketBook(
        asset_id=asset_id,
        condition_id=cast("str | None", values.get("conditionId")),
        tick=tick,
        min_size=cast(int, values.get("minSize", 5 * ONE)),
        fee_rate=cast("int | None", values.get("feeRate")),
        category=cast(str, values.get("category", "other")),
        closed=cast(bool, values.get("closed", False)),
        payout=cast("int | None", values.get("payout")),
        delay_ms=cast(int, values.get("delayMs", 0)),
        bids=tuple(sorted(bids, key=lambda level: -level.price)),
        asks=tuple(sorted(asks, key=lambda level: level.price)),
    )


def show_book(book: MarketBook) -> dict[str, object]:
    """A book in the shape that `parse_book` reads."""
    shown: dict[str, object] = {
        "conditionId": book.condition_id,
        "tick": format_amount(book.tick),
        "minSize": format_amount(book.min_size),
        "feeRate": None if book.fee_rate is None else format_amount(book.fee_rate),
        "category": book.category,
        "closed": book.closed,
        "payout": None if book.payout is None else format_amount(book.payout),
        "delayMs": book.delay_ms,
        "bids": [_show_level(level) for level in book.bids],
        "asks": [_show_level(level) for level in book.asks],
    }
    return {name: value for name, value in shown.items() if value is not None}


def _show_level(level: Level) -> dict[str, object]:
    return {
        "price": format_amount(level.price),
        "size": format_amount(level.size),
        "changedMs": level.changed_ms,
    }


def _levels(value: object) -> list[Level]:
    return [_level(item) for item in _typed(value, list, "must be a list of levels")]


def _level(item: object) -> Level:
    if not isinstance(item, dict) or not {"price", "size"} <= item.keys():
        raise ValueError("must be a list of {price, size, changedMs?}")
    if item.keys() - {"price", "size", "changedMs"}:
        raise ValueError("has a level with an unknown field")
    return Level(
        price=parse_amount(item["price"]),
        size=parse_amount(item["size"]),
        changed_ms=_milliseconds(item.get("changedMs", 0)),
    )


def _milliseconds(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**53:
        raise ValueError("must be whole milliseconds")
    return value


def _tick(value: object) -> int:
    micros = parse_amount(value)
    if not 0 < micros < ONE:
        raise ValueError("must lie between 0 and 1")
    return micros


def _share_of_one(value: object) -> int:
    micros = parse_amount(value)
    if micros > ONE:
        raise ValueError("must be at most 1")
    return micros


def _typed(value: object, kind: type[T], rule: str) -> T:
    if isinstance(value, kind):
        return value
    raise ValueError(rule)


_FIELDS: Fields = {
    "conditionId": parse_condition,
    "tick": _tick,
    "minSize": parse_amount,
    "feeRate": _share_of_one,
    "category": lambda value: _typed(value, str, "must be a string"),
    "closed": lambda value: _typed(value, bool, "must be true or false"),
    "payout": _share_of_one,
    "delayMs": _milliseconds,
    "bids": _levels,
    "asks": _levels,
}
