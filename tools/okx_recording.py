"""Recorded frames of OKX, read by the adapter and by an independent reading, and compared.

`python -m tools.okx_recording INSTRUMENTS FRAMES`: the first file has answers of
`/public/instruments`, the second one frames of public sockets, one a line, each behind what the
recorder wrote before its first brace. Books, their checksums where they are sent, and prints agree
to the last digit; the reading to compare with shares nothing with the adapter.
"""

from __future__ import annotations

import json
import sys
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from tradingtools.domain.instrument import Instrument
from tradingtools.venues.okx.book_frames import read_changes
from tradingtools.venues.okx.book_states import OkxBook, Outcome
from tradingtools.venues.okx.instruments import Directory, UnsupportedInstrument, listing
from tradingtools.venues.okx.market_frames import read_instrument_rows, read_prints
from tradingtools.venues.okx.wire import Push, WireError, decode_answer, decode_frame
from tradingtools.venues.trading import Level

Sides = tuple[dict[Decimal, tuple[str, str]], dict[Decimal, tuple[str, str]]]


class Differs(Exception):
    """The adapter reads something else; the text says what."""


class Comparison:
    """Two readings of one recording."""

    def __init__(self) -> None:
        self.seen: Counter[str] = Counter()
        self._directory = Directory()
        self._books: dict[str, OkxBook] = {}
        self._sides: dict[str, Sides] = {}

    def instruments(self, body: str) -> None:
        """Compare an answer of instruments. Raises Differs."""
        answer = decode_answer(body.encode())
        for row, raw in zip(
            read_instrument_rows(answer.data), json.loads(body)["data"], strict=True
        ):
            try:
                found = listing(row)
            except UnsupportedInstrument:
                self.seen[f"refused {raw['instType']}"] += 1
                continue
            _same_instrument(found.instrument, raw)
            self._directory.put([found])
            self.seen[f"instruments {raw['instType']}"] += 1

    def frame(self, text: str) -> None:
        """Compare a frame. Raises Differs."""
        try:
            push = decode_frame(text.encode())
        except WireError as error:
            raise Differs(f"not read: {error}") from None
        found = self._directory.get(push.arg.inst_id) if isinstance(push, Push) else None
        if not isinstance(push, Push) or found is None:
            self.seen["other frames"] += 1
            return
        raw = json.loads(text)
        if push.arg.channel == "books":
            self._book(push, raw, found.instrument)
        elif push.arg.channel == "trades":
            self._prints(push, raw["data"], found.instrument)
        else:
            self.seen["other frames"] += 1

    def _book(self, push: Push, raw: Mapping[str, Any], instrument: Instrument) -> None:
        book = self._books.setdefault(instrument.symbol, OkxBook(instrument, check=True))
        for change, row in zip(read_changes(push, instrument), raw["data"], strict=True):
            if raw["action"] == "snapshot":
                self._sides[instrument.symbol] = ({}, {})
            sides = self._sides[instrument.symbol]
            for side, levels in zip(sides, (row["bids"], row["asks"]), strict=True):
                for price, size, *_ in levels:
                    side.pop(Decimal(price), None)
                    if Decimal(size):
                        side[Decimal(price)] = price, size
            if book.apply(change) is Outcome.LOST:
                raise Differs(f"{instrument.id}: the adapter has lost the book")
            if row.get("checksum") and _checksum(sides) != row["checksum"]:
                raise Differs(f"{instrument.id}: the recording does not fit its checksum")
            reported = book.book()
            for mine, side, best in (
                (reported.bids, sides[0], max),
                (reported.asks, sides[1], min),
            ):
                _same_levels(instrument, mine, side, best_is_high=best is max)
            self.seen["changes of books"] += 1

    def _prints(
        self, push: Push, rows: Sequence[Mapping[str, str]], instrument: Instrument
    ) -> None:
        for one, row in zip(read_prints(push.data, instrument), rows, strict=True):
            mine = (instrument.price_text(one.price), instrument.size_text(one.size))
            theirs = (row["px"], row["sz"])
            same = [Decimal(a) == Decimal(b) for a, b in zip(mine, theirs, strict=True)]
            if not all(same) or one.side.lower() != row["side"] or str(one.venue_ms) != row["ts"]:
                raise Differs(f"print {row['tradeId']}: {one}")
            self.seen["prints"] += 1


def _same_instrument(mine: Instrument, raw: Mapping[str, str]) -> None:
    reported = {
        "tickSz": mine.price_text(mine.tick_size),
        "lotSz": mine.size_text(mine.lot_size),
        "minSz": mine.size_text(mine.minimum_size),
    }
    differing = [name for name, text in reported.items() if Decimal(text) != Decimal(raw[name])]
    if raw["ctVal"] and mine.contract != Decimal(raw["ctVal"]) * Decimal(raw["ctMult"]):
        differing.append("ctVal")
    if mine.inverse != (raw["ctType"] == "inverse"):
        differing.append("ctType")
    if mine.ends_ms != (int(raw["expTime"]) if raw["expTime"] else None):
        differing.append("expTime")
    if differing:
        raise Differs(f"{mine.id}: {', '.join(differing)}")


def _same_levels(
    instrument: Instrument,
    mine: Sequence[Level],
    side: Mapping[Decimal, tuple[str, str]],
    *,
    best_is_high: bool,
) -> None:
    reported = [
        (Decimal(instrument.price_text(price)), Decimal(instrument.size_text(size)))
        for price, size in mine
    ]
    if reported != [(at, Decimal(side[at][1])) for at in sorted(side, reverse=best_is_high)]:
        raise Differs(f"{instrument.id}: levels")


def _checksum(sides: Sides) -> int:
    best = sorted(sides[0], reverse=True)[:25], sorted(sides[1])[:25]
    words = [
        word
        for at in range(25)
        for prices, side in zip(best, sides, strict=True)
        if at < len(prices)
        for word in side[prices[at]]
    ]
    unsigned = zlib.crc32(":".join(words).encode())
    return unsigned - (1 << 32) if unsigned >= 1 << 31 else unsigned


def _texts(path: Path, member: str) -> Iterator[str]:
    """Yield each line's JSON that has a member."""
    for line in path.read_text().splitlines():
        text = line[line.find("{") :] if "{" in line else ""
        if f'"{member}"' in text:
            yield text


def compare(instruments: Path, frames: Path) -> Counter[str]:
    """Return what was compared, by kind. Raises Differs."""
    comparison = Comparison()
    for text in _texts(instruments, "instType"):
        comparison.instruments(text)
    for text in _texts(frames, "arg"):
        comparison.frame(text)
    return comparison.seen


if __name__ == "__main__":
    for kind, count in sorted(compare(Path(sys.argv[1]), Path(sys.argv[2])).items()):
        print(f"{count:>8}  {kind}")  # noqa: T201
