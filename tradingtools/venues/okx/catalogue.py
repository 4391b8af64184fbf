"""The instruments of OKX, read over REST and kept by name."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence

import structlog

from tradingtools import clock
from tradingtools.domain.instrument import Instrument
from tradingtools.venues.okx import questions
from tradingtools.venues.okx.instruments import (
    Directory,
    Listing,
    UnsupportedInstrument,
    ended,
    listing,
)
from tradingtools.venues.okx.market_frames import read_instrument_rows
from tradingtools.venues.okx.rest_client import OkxRest
from tradingtools.venues.okx.wire import WireError
from tradingtools.venues.trading import ReadError

TYPES = ("SPOT", "FUTURES", "SWAP")
_OLD_MS = 60_000
_log = structlog.get_logger("okx")


class OkxInstruments:
    """The port of instruments.

    Args:
        rest: public questions.
        directory: filled with what is read.
    """

    def __init__(self, rest: OkxRest, directory: Directory) -> None:
        self._rest = rest
        self.directory = directory
        self._reading = asyncio.Lock()
        self._read_ms: int | None = None

    async def find(self, symbols: Sequence[str]) -> Sequence[Instrument]:
        """Return those that exist, as of at most a minute ago. Raises ReadError."""
        if self._read_ms is None or clock.monotonic_ms() - self._read_ms > _OLD_MS:
            await self.refresh()
        found = [self.directory.get(symbol) for symbol in symbols]
        return [one.instrument for one in found if one is not None]

    def restore(self, instruments: Iterable[Instrument]) -> None:
        """Know instruments that were traded once, as ended until the venue lists them."""
        unlisted = [one for one in instruments if one.symbol not in self.directory]
        self.directory.put(map(ended, unlisted))

    async def learn(self, symbol: str) -> None:
        """Read all instruments for one that is not known; if the venue lists it no more, what is
        told of it is a stranger's and left alone. Raises ReadError."""
        await self.refresh()
        if symbol not in self.directory:
            _log.warning("an instrument is listed no more", instrument=symbol)
            self.directory.refuse(symbol, "it is listed no more")

    async def refresh(self) -> None:
        """Read all instruments, once for all who ask meanwhile. Raises ReadError."""
        requested_ms = clock.monotonic_ms()
        async with self._reading:
            if self._read_ms is not None and self._read_ms > requested_ms:
                return
            for inst_type in TYPES:
                await self._read(inst_type)
            self._read_ms = clock.monotonic_ms()

    async def _read(self, inst_type: str) -> None:
        answer = await self._rest.ask(questions.instruments(inst_type))
        try:
            rows = read_instrument_rows(answer.data)
        except WireError as error:
            raise ReadError(f"instruments of {inst_type}: {error}") from None
        listings: list[Listing] = []
        for row in rows:
            try:
                listings.append(listing(row))
            except UnsupportedInstrument as error:
                self.directory.refuse(row.inst_id, str(error))
        if rows and not listings:
            # One instrument may be odd; all of them are a change of the venue's format.
            _log.error("no instrument of okx can be read", alert=True, inst_type=inst_type)
            raise ReadError(f"none of {len(rows)} instruments of {inst_type} can be read")
        self.directory.put(listings)
