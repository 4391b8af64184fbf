"""Keep a list of all markets that take orders, with the rules of each.

Gamma's list, read page by page over and over. Copies for a market that nobody watches leave by it:
the venue is asked for their book behind them. It never says that a market is closed, only what was
true a few minutes ago; an order that comes too late for it is refused by the venue. What is not in
it, or an old one, is asked for as ever. Kept in a file, so that a start has it at once.
"""

from __future__ import annotations

import asyncio
import heapq
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import msgspec
import structlog

from services.bookfeed import metrics
from services.bookfeed.settings import Settings
from tradingtools import clock
from tradingtools.domain import errors
from tradingtools.v1 import bookfeed_service_pb2 as pb
from tradingtools.venues.polymarket.clob_api import ClobApi
from tradingtools.venues.polymarket.instruments import HIGHEST_FEE_RATE_MICROS
from tradingtools.venues.polymarket.market_listing import ListedMarket

_PAUSE_SECONDS = 0.1
"""Between two pages: Gamma's limit for markets is three times as many."""
_RETRY_SECONDS = 1.0
_FAILURES_MAX = 5
"""A page that was refused so often in a row: its cursor may stand no more, and a list of which one
part is much older than the other is none."""
_PAGES_MAX = 5_000
_FEE_STANDS_SECONDS = 600.0
"""In a list that is older than this, a fee may have risen: the highest one is reserved."""
_RETENTION_SECONDS = 300.0
_BEST = 2_500
"""Markets of the highest volume that are known by name: two assets each."""
_AT_ONCE = 500
"""Markets of one line of the file, written between two turns of the event loop."""
_log = structlog.get_logger("bookfeed.catalogue")
_LINE = msgspec.json.Decoder(list[ListedMarket])
_FIRST = msgspec.json.Decoder(int)


class Catalogue:
    """The list as it is known now.

    Args:
        stands_ms: how old it may be.
    """

    def __init__(self, stands_ms: int) -> None:
        self._stands_ms = stands_ms
        self._by_asset: Mapping[str, ListedMarket] = {}
        self._best: Sequence[ListedMarket] = ()
        self._read_ms = 0
        self._read_at = float("-inf")
        """The same by the clock that nobody sets."""

    def __len__(self) -> int:
        return len(self._by_asset)

    @property
    def read_ms(self) -> int:
        """Return when its reading began, milliseconds since 1970; 0: there is none."""
        return self._read_ms

    def market(self, asset_id: str, believed: str = "") -> pb.MarketInfo | None:
        """Return an asset's market; None: the catalogue does not know it for sure.

        Args:
            asset_id: of the outcome.
            believed: the condition that whoever asks believes it to have; empty: no belief. Where
                the catalogue has another one, the venue is to be asked.
        """
        listed, age_s = self._by_asset.get(asset_id), clock.monotonic() - self._read_at
        if listed is None or age_s * 1000 > self._stands_ms:
            return None
        if believed not in ("", listed.condition_id):
            return None
        rate = listed.fee_rate_micros if age_s <= _FEE_STANDS_SECONDS else None
        return pb.MarketInfo(
            asset_id=asset_id,
            condition_id=listed.condition_id,
            tick_micros=listed.tick_micros,
            min_size_micros=listed.min_size_micros,
            fee_rate_micros=HIGHEST_FEE_RATE_MICROS if rate is None else rate,
            category=listed.category,
            end_ms=listed.end_ms,
            title=listed.title,
            outcome=dict(zip(listed.assets, listed.outcomes, strict=False)).get(asset_id, ""),
            neg_risk=listed.neg_risk,
        )

    def max_traded(self, count: int) -> list[str]:
        """Return so many assets of the markets with the highest volume."""
        return [asset_id for listed in self._best for asset_id in listed.assets][:count]

    def markets(self) -> Iterator[ListedMarket]:
        """Yield each market once."""
        return (one for asset_id, one in self._by_asset.items() if asset_id == one.assets[0])

    def begin(self) -> Reading:
        """Return a list that is about to be read."""
        return Reading(self._by_asset)

    def replace(self, reading: Reading, read_ms: int) -> None:
        """Take over a list whose reading began at an instant, milliseconds since 1970."""
        self._by_asset, self._best = reading.by_asset, reading.best
        self._read_ms = read_ms
        self._read_at = clock.monotonic() - (clock.now_ms() - read_ms) / 1000


class Reading:
    """A list while it is read: made page by page, since the whole takes tens of milliseconds.

    Args:
        known: the list of before; what has not changed is not kept twice.
    """

    def __init__(self, known: Mapping[str, ListedMarket]) -> None:
        self._known = known
        self.by_asset: dict[str, ListedMarket] = {}
        self._best: list[ListedMarket] = []
        """Those that may be among the best, in any order."""
        self._least = 0
        """The volume that it takes."""

    @property
    def best(self) -> list[ListedMarket]:
        """Return those with the highest volume, that first."""
        return heapq.nlargest(_BEST, self._best, key=_traded)

    def take(self, markets: Iterable[ListedMarket]) -> None:
        """Add those of a page."""
        same = [self._same(listed) for listed in markets if listed.assets]
        for listed in same:
            self.by_asset.update(dict.fromkeys(listed.assets, listed))
        self._best += [listed for listed in same if listed.traded >= self._least]
        if len(self._best) > 2 * _BEST:
            self._best = self.best
            self._least = self._best[-1].traded

    def _same(self, listed: ListedMarket) -> ListedMarket:
        known = self._known.get(listed.assets[0])
        return known if known == listed else listed


def _traded(listed: ListedMarket) -> int:
    return listed.traded


async def follow(catalogue: Catalogue, api: ClobApi, settings: Settings) -> None:
    """Read the list over and over, for ever, and keep it."""
    path, kept = settings.catalogue_file, -_RETENTION_SECONDS
    while True:
        started = clock.monotonic()
        await _renew(catalogue, api)
        metrics.listed(len(catalogue))
        if path is not None and clock.monotonic() - kept >= _RETENTION_SECONDS:
            await keep(catalogue, path)
            kept = clock.monotonic()
        rest = settings.catalogue_ms / 1000 - (clock.monotonic() - started)
        await asyncio.sleep(max(rest, _PAUSE_SECONDS))


async def _renew(catalogue: Catalogue, api: ClobApi) -> None:
    """Read the whole list, as often as it takes."""
    while True:
        # What its first page says is as old as this when the last one is there.
        reading, started_ms = catalogue.begin(), clock.now_ms()
        if await _read(reading, api):
            catalogue.replace(reading, started_ms)
            return


async def _read(reading: Reading, api: ClobApi) -> bool:
    """Read page by page; False: a page was not to be had, and the list is begun anew."""
    cursor, pages, failures = "", 0, 0
    while pages < _PAGES_MAX and failures < _FAILURES_MAX:
        try:
            page = await api.page(cursor)
        except errors.Unavailable as error:
            _log.warning("the list of markets is not to be had; trying again", error=str(error))
            failures += 1
            await asyncio.sleep(_RETRY_SECONDS)
            continue
        # Reading a page holds the event loop for some 2 ms: whoever waits is let in between.
        await asyncio.sleep(0)
        reading.take(page.markets)
        cursor, pages, failures = page.next_cursor, pages + 1, 0
        if not cursor:
            break
        await asyncio.sleep(_PAUSE_SECONDS)
    return failures < _FAILURES_MAX


async def keep(catalogue: Catalogue, path: Path) -> None:
    """Write the list to a file, whole or not at all; an error is logged."""
    lines = [msgspec.json.encode(catalogue.read_ms)]
    some: list[ListedMarket] = []
    for listed in list(catalogue.markets()):
        some.append(listed)
        if len(some) == _AT_ONCE:
            lines.append(msgspec.json.encode(some))
            some = []
            await asyncio.sleep(0)
    lines.append(msgspec.json.encode(some))
    try:
        await asyncio.to_thread(_write, path, b"\n".join(lines))
    except OSError as error:
        _log.warning("the list of markets is not kept", path=str(path), error=error.strerror)


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f"{path.name}.new")
    beside.write_bytes(data)
    os.replace(beside, path)


def restore(catalogue: Catalogue, path: Path) -> None:
    """Begin with the list that the life before has kept, if there is one and it can be read."""
    try:
        first, *lines = path.read_bytes().split(b"\n")
        reading = catalogue.begin()
        for line in lines:
            reading.take(_LINE.decode(line))
        read_ms = _FIRST.decode(first)
        if read_ms > clock.now_ms():
            raise ValueError("it is of the future: nobody knows how old it is")
        catalogue.replace(reading, read_ms)
    except FileNotFoundError:
        return
    except (OSError, ValueError) as error:
        _log.warning("the list that was kept cannot be read", path=str(path), error=str(error))
        return
    _log.info("list of markets taken back", assets=len(catalogue))
