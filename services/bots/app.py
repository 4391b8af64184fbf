"""Composition of an engine of bots: wishes and leases in, orders at exchanges out."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from urllib.parse import urlsplit

from services.bots.engine import Engine
from services.bots.settings import Settings
from services.bots.store import Row, Store, WalletLease
from services.bots.wallet_run import Venue
from tradingtools.domain.signing import Travelling
from tradingtools.rpc.signer_client import SignerClient
from tradingtools.rpc.tls import is_loopback
from tradingtools.runtime.composition import composed
from tradingtools.runtime.process import Startup
from tradingtools.venues.okx.connection import Endpoint
from tradingtools.venues.okx.remote_signer import RemoteSigner
from tradingtools.venues.okx.requests import Terms
from tradingtools.venues.okx.signing import ApiKey, Credentials
from tradingtools.venues.okx.wallet import OkxVenue, open_wallet

VENUES = ("okx",)
"""Exchanges that an engine can trade at."""
VERSION = "0.1.0"
TAG = "tradingtools"


async def run(settings: Settings, stop: asyncio.Event) -> None:
    """Run bots until ``stop``.

    Raises:
        Startup: a setting is wrong.
    """
    unknown = sorted(set(settings.venues) - set(VENUES))
    if unknown:
        raise Startup(f"TT_BOTS_VENUES: there is no {unknown[0]!r}; there are {', '.join(VENUES)}")
    _refuse_real_orders(settings)
    okx = _okx(settings)
    async with composed("bots", settings) as parts:
        pool = await parts.pool(size=6)
        signer = SignerClient(settings.signer_socket)
        parts.stack.push_async_callback(signer.aclose)

        @asynccontextmanager
        async def open_venue(wallet: Row, lease: WalletLease) -> AsyncIterator[Venue]:
            credentials = await _credentials(signer, lease)
            venue = _demo(okx) if wallet["environment"] == "demo" else okx
            async with open_wallet(venue, credentials, Terms(tag=TAG)) as opened:
                yield Venue(
                    gateway=opened.orders,
                    accounts=opened.accounts,
                    instruments=opened.instruments,
                    feed=opened.markets,
                )

        engine = Engine(
            Store(pool, settings.name, settings.lease_ms),
            open_venue,
            venues=settings.venues,
            capacity=settings.capacity,
            version=VERSION,
            lease_ms=settings.lease_ms,
            poll_ms=settings.poll_ms,
            write_ms=settings.write_ms,
        )
        await parts.serve(settings.listen, [], lambda _: None)
        await parts.run(stop, engine.keep())


def _refuse_real_orders(settings: Settings) -> None:
    """Let nobody trade for real by mistake."""
    if settings.real_orders or not settings.venues:
        return
    for name, url in (
        ("TT_BOTS_OKX_URL", settings.okx_url),
        ("TT_BOTS_OKX_SOCKET_URL", settings.okx_socket_url),
    ):
        if not _here(url):
            raise Startup(
                f"{name}: {url} is not on this machine, and TT_BOTS_REAL_ORDERS is not true"
            )


def _here(url: str) -> bool:
    split = urlsplit(url)
    return is_loopback(f"{split.hostname}:{split.port or 0}")


def _okx(settings: Settings) -> OkxVenue:
    for name, url in (
        ("TT_BOTS_OKX_URL", settings.okx_url),
        ("TT_BOTS_OKX_SOCKET_URL", settings.okx_socket_url),
    ):
        scheme = urlsplit(url).scheme
        if scheme in ("http", "ws") and not _here(url):
            raise Startup(f"{name}: plain {scheme} is for this machine alone")
    url = f"{settings.okx_socket_url.rstrip('/')}/ws/v5"
    secure = url.startswith("wss://")
    sockets = Endpoint(url=url, tls=ssl.create_default_context() if secure else None)
    return OkxVenue(rest_url=settings.okx_url, sockets=sockets)


def _demo(venue: OkxVenue) -> OkxVenue:
    return replace(venue, sockets=replace(venue.sockets, demo=True))


async def _credentials(signer: SignerClient, lease: WalletLease) -> Credentials:
    travel = await signer.travelling(Travelling(wallet=lease.wallet_id, epoch=lease.epoch))
    api_key = ApiKey(travel.key, travel.passphrase)
    return Credentials(api_key=api_key, signer=RemoteSigner(signer, lease.wallet_id, lease.epoch))
