"""Read leaders' trades and their books out of recordings, for copies on paper."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import msgspec
from msgspec import structs

from replay.core.values import ObservedTrade
from replay.recorded import Damaged
from services.router.core.judgement import Decoder, Judgement, RecordedBook, book_of, trade_of
from tradingtools.domain.book import Book, BookStatus, Level
from tradingtools.domain.leader_trade import Side
from tradingtools.storage import recordings

_USABLE = (BookStatus.FRESH, BookStatus.EMPTY)


@dataclass(slots=True, kw_only=True)
class Tape:
    """The recorded trades of leaders within a time."""

    seen: list[ObservedTrade] = field(default_factory=list)
    marks: dict[str, int] = field(default_factory=dict)
    """The last best bid, by asset."""
    first_ms: int | None = None
    last_ms: int | None = None
    """Of everything that was recorded on the days, whose leader it may be."""
    damaged: list[str] = field(default_factory=list)


def read(
    directory: Path, days: Iterable[date], leaders: Collection[str], since_ms: int, until_ms: int
) -> Tape:
    """Return what was recorded.

    Args:
        directory: of the recordings.
        days: UTC, in their order.
        leaders: whose trades are meant.
        since_ms: first instant, since 1970.
        until_ms: last instant.
    """
    tape = Tape()
    emitted: set[tuple[object, ...]] = set()
    for day in days:
        for at, judgement in _of(directory, day, leaders, tape.damaged.append):
            if not since_ms <= at <= until_ms:
                continue
            tape.first_ms = at if tape.first_ms is None else min(at, tape.first_ms)
            tape.last_ms = at if tape.last_ms is None else max(at, tape.last_ms)
            if judgement is None:
                continue
            # Parts of a fan-out, other partitions and repetitions tell the same again.
            name = (judgement.key, sum(row.count for row in judgement.rows), len(judgement.rows))
            if name not in emitted:
                emitted.add(name)
                tape.seen.append(_seen(judgement))
    tape.seen.sort(key=lambda seen: seen.at_ms)
    for seen in tape.seen:
        if seen.book is not None and seen.book.usable and seen.book.bids:
            tape.marks[seen.trade.key.asset_id] = seen.book.bids[0][0]
    return tape


def _of(
    directory: Path, day: date, leaders: Collection[str], damaged: Damaged
) -> Iterator[tuple[int, Judgement | None]]:
    """Yield when each judgement of a day was made; and it, if it is about one of these leaders."""
    glance = msgspec.msgpack.Decoder(_Glance).decode
    for path in recordings.files(directory, day):
        decoder = Decoder()
        try:
            for record in recordings.records(path):
                seen = glance(record)
                if seen.key is None or seen.key.leader in leaders:
                    judgement = decoder.read(record)
                    if judgement is not None:
                        yield judgement.now_ms, judgement
                else:
                    yield seen.now_ms, None
        except (OSError, ValueError, msgspec.MsgspecError) as error:
            damaged(f"{path.name}: {error}")


class _Key(msgspec.Struct):
    leader: str


class _Glance(msgspec.Struct):
    """A record as far as it says whether it is wanted: most of a day is somebody else's."""

    now_ms: int = 0
    key: _Key | None = None


def _seen(judgement: Judgement) -> ObservedTrade:
    return ObservedTrade(
        trade=trade_of(judgement),
        at_ms=judgement.now_ms,
        book=None if judgement.book is None else _whole(book_of(judgement.book)),
        levels=_levels(judgement.book, judgement.key.side),
        leader=judgement.leader,
    )


def _whole(book: Book) -> Book:
    """Return a book whose levels are pairs: they are looked at again and again."""
    return structs.replace(book, bids=tuple(book.bids), asks=tuple(book.asks))


def _levels(book: RecordedBook | None, side: Side) -> tuple[Level, ...] | None:
    if book is None or book.status not in _USABLE:
        return None
    return tuple(book.asks if side is Side.BUY else book.bids)
