"""Frames of OKX's public sockets, read into events: for recordings and for the live feed.

Only whole books and updates that continue them are believed; a gap waits for the next snapshot.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec

from paper.matching.values import Side
from paper.okx.core.amounts import ONE, exact
from paper.okx.core.instruments import Instrument
from paper.okx.feed.events import (
    BookEvent,
    FeedEvent,
    FundingEvent,
    IndexEvent,
    LevelEvent,
    MarkEvent,
    TradeEvent,
)

CHANNELS = ("books", "trades", "mark-price", "funding-rate")
_DAY_PART_MS = 8 * 3600 * 1000

Row = Mapping[str, object]


class _Arg(msgspec.Struct):
    channel: str = ""
    instId: str = ""


class _Frame(msgspec.Struct):
    arg: _Arg | None = None
    action: str = ""
    data: list[dict[str, object]] = []
    event: str = ""


class Gap(Exception):
    """A book's update does not follow the one before it; whoever feeds has to subscribe again."""

    def __init__(self, inst_id: str) -> None:
        self.inst_id = inst_id
        super().__init__(f"{inst_id}: the book's updates have a gap")


class Frames:
    """Reads frames; it remembers each book's sequence number."""

    def __init__(self, listed: Mapping[str, Instrument]) -> None:
        self._listed = listed
        self._seq: dict[str, int] = {}

    def read(self, text: str | bytes) -> Iterator[FeedEvent]:
        """The events of a frame. Raises Gap, or ValueError for what is no frame."""
        try:
            frame = msgspec.json.decode(text, type=_Frame)
        except msgspec.DecodeError as error:
            raise ValueError(f"not a frame: {error}") from None
        if frame.arg is None or frame.event:
            return
        for row in frame.data:
            yield from self._row(frame.arg, frame.action, row)

    def _row(self, arg: _Arg, action: str, row: Row) -> Iterator[FeedEvent]:
        if arg.channel == "index-tickers":
            yield IndexEvent(arg.instId, exact(str(row["idxPx"])))
            return
        of = self._listed.get(str(row.get("instId", arg.instId)))
        if of is None:
            return
        match arg.channel:
            case "books":
                yield from self._book(of, action, row)
            case "trades":
                side: Side = "buy" if row["side"] == "buy" else "sell"
                yield TradeEvent(of.inst_id, side, _ticks(of, row["px"]), _lots(of, row["sz"]))
            case "mark-price":
                yield MarkEvent(of.inst_id, _ticks(of, row["markPx"]))
            case "funding-rate":
                yield _funding(of, row)

    def _book(self, of: Instrument, action: str, row: Row) -> Iterator[FeedEvent]:
        seq, before = int(str(row["seqId"])), int(str(row["prevSeqId"]))
        sides = {side: _levels(of, row[name]) for side, name in (("buy", "bids"), ("sell", "asks"))}
        if action == "snapshot":
            self._seq[of.inst_id] = seq
            yield BookEvent(of.inst_id, tuple(sides["buy"]), tuple(sides["sell"]))
            return
        if self._seq.get(of.inst_id) != before:
            self._seq.pop(of.inst_id, None)
            raise Gap(of.inst_id)
        self._seq[of.inst_id] = seq
        for side, changed in sides.items():
            for price, lots in changed:
                if not lots:
                    yield LevelEvent(of.inst_id, side, price, 0)  # type: ignore[arg-type]
        for side, changed in sides.items():
            for price, lots in changed:
                if lots:
                    yield LevelEvent(of.inst_id, side, price, lots)  # type: ignore[arg-type]


def _levels(of: Instrument, rows: object) -> list[tuple[int, int]]:
    if not isinstance(rows, list):
        raise ValueError("a book has levels")  # noqa: TRY004 - it is about what was sent
    return [(_ticks(of, row[0]), _lots(of, row[1])) for row in rows]


def _ticks(of: Instrument, text: object) -> int:
    """A price in ticks; a mark is finer than the tick and is rounded to it."""
    return max(1, (exact(str(text)) + of.tick // 2) // of.tick)


def _lots(of: Instrument, text: object) -> int:
    return exact(str(text)) // of.lot


def _funding(of: Instrument, row: Row) -> FundingEvent:
    at_ms, following = int(str(row["fundingTime"])), str(row.get("nextFundingTime", ""))
    rate = _rate(row["fundingRate"])
    reported = str(row.get("nextFundingRate", ""))
    return FundingEvent(
        of.inst_id,
        rate,
        _rate(reported) if reported else rate,
        at_ms,
        int(following) - at_ms if following else _DAY_PART_MS,
    )


def _rate(text: object) -> int:
    return exact(str(text)) * 10**9 // ONE
