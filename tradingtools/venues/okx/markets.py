"""The address's limits, clock, instruments and books of OKX, which the wallets of a process share.

OKX counts what everybody may ask, and connections, by address: wallets that each counted for
themselves were refused when many began at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

import aiohttp

from tradingtools.tasks import run_in_background
from tradingtools.venues.okx.catalogue import OkxInstruments
from tradingtools.venues.okx.connection import Endpoint
from tradingtools.venues.okx.instruments import Directory
from tradingtools.venues.okx.market_feed import OkxMarketFeed
from tradingtools.venues.okx.rate_gate import RateGate, RateGates
from tradingtools.venues.okx.rest_client import OkxRest, open_session
from tradingtools.venues.okx.spares import SpareConnections
from tradingtools.venues.okx.venue_clock import VenueClock
from tradingtools.venues.shared_feed import SharedFeed

TIMEOUT_MS = 5_000
CONNECTIONS = 256
"""The most of one process at once: each wallet's requests keep within its limits by themselves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OkxVenue:
    """The venue's addresses."""

    rest_url: str
    """``https://www.okx.com``, of demo trading too."""
    sockets: Endpoint
    """``wss://ws.okx.com:8443/ws/v5``; of demo trading ``wss://wspap.okx.com:8443/ws/v5``."""

    def path(self, name: str) -> Endpoint:
        """Return the sockets' path public or private."""
        return replace(self.sockets, url=f"{self.sockets.url.rstrip('/')}/{name}")


@dataclass(frozen=True, slots=True, kw_only=True)
class OkxMarkets:
    """The venue's markets, and what a process knows of the venue itself."""

    address: RateGate
    """The limits of the process's address."""
    venue_clock: VenueClock
    learning: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held while the venue's clock is read."""
    instruments: OkxInstruments
    feed: SharedFeed
    rest: OkxRest
    session: aiohttp.ClientSession
    """Has connections open that any wallet's requests may go over."""
    spares: SpareConnections


@asynccontextmanager
async def open_markets(
    venue: OkxVenue, *, timeout_ms: int = TIMEOUT_MS
) -> AsyncIterator[OkxMarkets]:
    """Open what wallets share for the length of the block; the venue's clock is kept meanwhile.

    Args:
        venue: its addresses.
        timeout_ms: for an answer.
    """
    address, venue_clock, directory = RateGate(), VenueClock(), Directory()
    learning = asyncio.Lock()
    opening = open_session(timeout_ms=timeout_ms, connections=CONNECTIONS, tls=venue.sockets.tls)
    async with opening as session:
        rest = OkxRest(
            session,
            venue.rest_url,
            gates=RateGates(address=address),
            venue_clock=venue_clock,
            learning=learning,
            demo=venue.sockets.demo,
        )
        feed = OkxMarketFeed(venue.path("public"), rest=rest, address=address, directory=directory)
        async with run_in_background(rest.keep_clock_synced()):
            yield OkxMarkets(
                address=address,
                venue_clock=venue_clock,
                learning=learning,
                instruments=OkxInstruments(rest, directory),
                feed=SharedFeed(feed),
                rest=rest,
                session=session,
                spares=SpareConnections(venue.path("private"), address),
            )
