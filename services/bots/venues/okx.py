"""The way of a wallet to OKX."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import replace

from services.bots.settings import Settings
from services.bots.store import Row, WalletLease
from services.bots.venues.addresses import checked, is_here
from services.bots.wallet.shared import Venue
from tradingtools.domain.instrument import Instrument
from tradingtools.domain.signing import HeaderSecrets
from tradingtools.rpc.signer_client import SignerClient
from tradingtools.runtime.process import Startup
from tradingtools.tasks import run_in_background
from tradingtools.venues.okx.connection import Endpoint
from tradingtools.venues.okx.markets import OkxMarkets, OkxVenue, open_markets
from tradingtools.venues.okx.remote_signer import RemoteSigner
from tradingtools.venues.okx.requests import Terms
from tradingtools.venues.okx.signing import ApiKey, Credentials
from tradingtools.venues.okx.wallet import open_wallet
from tradingtools.venues.trading import TradingBook

TAG = "tradingtools"
MIN_SECONDS = 10
"""OKX takes no shorter time for its dead man's switch."""


class OkxConnector:
    """The way of an engine to OKX: its wallets share what their address and markets are.

    Args:
        settings: of the engine.
        signer: has the keys.
        venue: its addresses.
        works: ends what is opened.
    """

    def __init__(
        self, settings: Settings, signer: SignerClient, venue: OkxVenue, works: AsyncExitStack
    ) -> None:
        self._settings = settings
        self._signer = signer
        self._venues = {"live": venue, "demo": _demo(venue)}
        self._works = works
        self._markets: dict[str, OkxMarkets] = {}
        self._opening = asyncio.Lock()

    @asynccontextmanager
    async def opened(self, wallet: Row, lease: WalletLease) -> AsyncIterator[Venue]:
        """Open a wallet's way for the length of a block."""
        environment, settings = wallet["environment"], self._settings
        markets = await self._shared(environment)
        credentials = await _credentials(self._signer, lease)
        async with open_wallet(
            self._venues[environment],
            credentials,
            Terms(tag=TAG),
            markets=markets,
            cancel_after_seconds=settings.okx_cancel_after_s,
        ) as way:
            yield Venue(
                gateway=way.orders,
                accounts=way.accounts,
                instruments=way.instruments,
                feed=way.markets,
                free=way.limits.free,
                live=environment == "live" and not is_here(settings.okx_url),
            )

    @asynccontextmanager
    async def prepared(self, environment: str, instruments: Sequence[str]) -> AsyncIterator[None]:
        """Follow the books of instruments for the length of a block, from when they are there.

        A connection for the wallet's own socket is open by then, and nobody has logged in over it.
        """
        markets = await self._shared(environment)
        symbols = [one.partition(":")[2] for one in instruments]
        found = await markets.instruments.find(symbols)
        there = asyncio.Event()
        async with markets.spares.kept(), run_in_background(_follow(markets, found, there)):
            await there.wait()
            yield

    async def _shared(self, environment: str) -> OkxMarkets:
        async with self._opening:
            if environment not in self._markets:
                opening = open_markets(self._venues[environment])
                markets = await self._works.enter_async_context(opening)
                self._markets[environment] = markets
        return self._markets[environment]


def opening(settings: Settings, signer: SignerClient) -> AbstractAsyncContextManager[OkxConnector]:
    """Return what opens the way of an engine. Raises Startup."""
    venue = _venue(settings)
    if 0 < settings.okx_cancel_after_s < MIN_SECONDS:
        raise Startup(f"TT_BOTS_OKX_CANCEL_AFTER_S: 0, or {MIN_SECONDS} at least")
    return _opened(settings, signer, venue)


@asynccontextmanager
async def _opened(
    settings: Settings, signer: SignerClient, venue: OkxVenue
) -> AsyncIterator[OkxConnector]:
    async with AsyncExitStack() as works:
        yield OkxConnector(settings, signer, venue, works)


async def _follow(
    markets: OkxMarkets, instruments: Sequence[Instrument], there: asyncio.Event
) -> None:
    missing = {one.id for one in instruments}
    if not missing:
        there.set()
    async for event in markets.feed.events(instruments):
        if isinstance(event, TradingBook):
            missing.discard(event.instrument_id)
        if not missing:
            there.set()


def _venue(settings: Settings) -> OkxVenue:
    real = settings.real_orders
    rest = checked("TT_BOTS_OKX_URL", settings.okx_url, real_orders=real)
    socket = checked("TT_BOTS_OKX_SOCKET_URL", settings.okx_socket_url, real_orders=real)
    url = f"{socket.rstrip('/')}/ws/v5"
    tls = ssl.create_default_context() if url.startswith("wss://") else None
    return OkxVenue(rest_url=rest, sockets=Endpoint(url=url, tls=tls))


def _demo(venue: OkxVenue) -> OkxVenue:
    return replace(venue, sockets=replace(venue.sockets, demo=True))


async def _credentials(signer: SignerClient, lease: WalletLease) -> Credentials:
    travel = await signer.header_secrets(HeaderSecrets(wallet=lease.wallet_id, epoch=lease.epoch))
    api_key = ApiKey(travel.key, travel.passphrase)
    return Credentials(api_key=api_key, signer=RemoteSigner(signer, lease.wallet_id, lease.epoch))
