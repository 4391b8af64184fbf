"""Statistics of public trades: the last day of an instrument, and its candles."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace

from paper.okx.core.happenings import PublicTrade
from paper.okx.core.instruments import Instrument

MINUTE_MS = 60_000
BARS = {
    "1m": 1,
    "3m": 3,
    "5m": 5,
    "15m": 15,
    "30m": 30,
    "1H": 60,
    "2H": 120,
    "4H": 240,
    "6H": 360,
    "12H": 720,
    "1D": 1440,
    "6Hutc": 360,
    "12Hutc": 720,
    "1Dutc": 1440,
}
"""Minutes of a candle by its name; all of them count from midnight UTC here."""


@dataclass(slots=True, kw_only=True)
class Candle:
    """Prices in ticks, volume in lots and in the settle currency."""

    start_ms: int
    open: int
    high: int
    low: int
    close: int
    lots: int
    coins: int
    finished: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """The last 24 hours; zeros without a trade."""

    last: int = 0
    last_lots: int = 0
    open: int = 0
    high: int = 0
    low: int = 0
    lots: int = 0
    coins: int = 0


class Stats:
    """Minute candles of one instrument, two days of them."""

    def __init__(self, of: Instrument) -> None:
        self._of = of
        self._minutes: deque[Candle] = deque(maxlen=2 * 1440)
        self._last_lots = 0

    def take(self, trade: PublicTrade) -> None:
        """Count a trade."""
        start = trade.at_ms // MINUTE_MS * MINUTE_MS
        coins = self._of.notional(trade.lots, trade.price)
        self._last_lots = trade.lots
        if not self._minutes or self._minutes[-1].start_ms < start:
            if self._minutes:
                self._minutes[-1].finished = True
            price = trade.price
            self._minutes.append(
                Candle(
                    start_ms=start,
                    open=price,
                    high=price,
                    low=price,
                    close=price,
                    lots=trade.lots,
                    coins=coins,
                )
            )
            return
        now = self._minutes[-1]
        now.high, now.low = max(now.high, trade.price), min(now.low, trade.price)
        now.close = trade.price
        now.lots += trade.lots
        now.coins += coins

    def day(self, now_ms: int) -> Day:
        """The last 24 hours."""
        kept = [one for one in self._minutes if one.start_ms > now_ms - 1440 * MINUTE_MS]
        if not kept:
            return Day()
        return Day(
            last=kept[-1].close,
            last_lots=self._last_lots,
            open=kept[0].open,
            high=max(one.high for one in kept),
            low=min(one.low for one in kept),
            lots=sum(one.lots for one in kept),
            coins=sum(one.coins for one in kept),
        )

    def candles(self, bar: str, now_ms: int) -> list[Candle]:
        """Candles of a length (a name of `BARS`), the latest first; none without trades."""
        width = BARS[bar] * MINUTE_MS
        found: list[Candle] = []
        for one in self._minutes:
            start = one.start_ms // width * width
            if not found or found[-1].start_ms != start:
                found.append(replace(one, start_ms=start))
                continue
            last = found[-1]
            last.high, last.low = max(last.high, one.high), min(last.low, one.low)
            last.close = one.close
            last.lots += one.lots
            last.coins += one.coins
        for last in found:
            last.finished = now_ms >= last.start_ms + width
        return found[::-1]
