"""Frames of the channel `books` and the answer of `/market/books`, read into an instrument's units.

Levels are `[price, size, "0", orders]`; older ones had three members.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import msgspec

from tradingtools.domain.instrument import Instrument
from tradingtools.venues.okx import numbers
from tradingtools.venues.okx.numbers import NumberError
from tradingtools.venues.okx.wire import Push, WireError
from tradingtools.venues.trading import Level

CHECKED_LEVELS = 25


class BookChange(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A whole book, or the levels of it that have changed: a size of 0 removes one."""

    snapshot: bool
    bids: Sequence[Level]
    asks: Sequence[Level]
    venue_ms: int
    seq_id: int | None
    """None: not told, by REST and by old recordings."""
    prev_seq_id: int | None
    checksum: int
    """0: not sent, as in production since June 2026."""


class _WireLevel(msgspec.Struct, frozen=True, array_like=True, gc=False):
    px: str
    sz: str


class _WireBook(msgspec.Struct, frozen=True, rename="camel", gc=False):
    asks: list[_WireLevel]
    bids: list[_WireLevel]
    ts: str
    seq_id: int | None = None
    prev_seq_id: int | None = None
    checksum: int = 0


_BOOKS = msgspec.json.Decoder(list[_WireBook])


def read_changes(push: Push, instrument: Instrument) -> list[BookChange]:
    """Return the changes of a push of the channel, in order. Raises WireError."""
    if push.action not in ("snapshot", "update"):
        raise WireError(f"action of a book is {push.action!r}")
    return _read(push.data, instrument, snapshot=push.action == "snapshot")


def read_rest_book(data: msgspec.Raw, instrument: Instrument) -> BookChange:
    """Return the book of an answer of `/market/books`. Raises WireError."""
    books = _read(data, instrument, snapshot=True)
    if len(books) != 1:
        raise WireError(f"an answer has {len(books)} books")
    return books[0]


def _read(data: msgspec.Raw, instrument: Instrument, *, snapshot: bool) -> list[BookChange]:
    try:
        return [_change(one, instrument, snapshot=snapshot) for one in _BOOKS.decode(data)]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, NumberError) as error:
        raise WireError(f"book of {instrument.id}: {error}") from None


def _change(book: _WireBook, instrument: Instrument, *, snapshot: bool) -> BookChange:
    return BookChange(
        snapshot=snapshot,
        bids=_levels(book.bids, instrument),
        asks=_levels(book.asks, instrument),
        venue_ms=numbers.whole("ts", book.ts),
        seq_id=book.seq_id,
        prev_seq_id=book.prev_seq_id,
        checksum=book.checksum,
    )


def _levels(levels: list[_WireLevel], instrument: Instrument) -> list[Level]:
    price_digits, size_digits = instrument.price_digits, instrument.size_digits
    scaled = numbers.scaled
    return [
        (scaled("price", level.px, price_digits), scaled("size", level.sz, size_digits))
        for level in levels
    ]


def checksum(bids: Sequence[Level], asks: Sequence[Level], instrument: Instrument) -> int:
    """Return the checksum of a book, levels best first, as old recordings carry it."""
    words: list[str] = []
    for at in range(CHECKED_LEVELS):
        for side in (bids, asks):
            if at < len(side):
                price, size = side[at]
                words += (instrument.price_text(price), instrument.size_text(size))
    # The wire has it as a signed 32-bit integer.
    unsigned = zlib.crc32(":".join(words).encode())
    return unsigned - (1 << 32) if unsigned >= 1 << 31 else unsigned
