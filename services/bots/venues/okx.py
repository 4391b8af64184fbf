"""The way of a wallet to OKX."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

from services.bots.engine import OpenVenue
from services.bots.settings import Settings
from services.bots.store import Row, WalletLease
from services.bots.venues.addresses import checked, is_here
from services.bots.wallet.shared import Venue
from tradingtools.domain.signing import Travelling
from tradingtools.rpc.signer_client import SignerClient
from tradingtools.runtime.process import Startup
from tradingtools.venues.okx.connection import Endpoint
from tradingtools.venues.okx.remote_signer import RemoteSigner
from tradingtools.venues.okx.requests import Terms
from tradingtools.venues.okx.signing import ApiKey, Credentials
from tradingtools.venues.okx.wallet import OkxVenue, open_wallet

TAG = "tradingtools"
LEAST_SECONDS = 10
"""OKX takes no shorter time for its dead man's switch."""


def opening(settings: Settings, signer: SignerClient) -> OpenVenue:
    """Return what opens a wallet's way. Raises Startup."""
    venue = _venue(settings)
    if 0 < settings.okx_cancel_after_s < LEAST_SECONDS:
        raise Startup(f"TT_BOTS_OKX_CANCEL_AFTER_S: 0, or {LEAST_SECONDS} at least")

    @asynccontextmanager
    async def opened(wallet: Row, lease: WalletLease) -> AsyncIterator[Venue]:
        credentials = await _credentials(signer, lease)
        at = _demo(venue) if wallet["environment"] == "demo" else venue
        async with open_wallet(
            at, credentials, Terms(tag=TAG), cancel_after_seconds=settings.okx_cancel_after_s
        ) as way:
            yield Venue(
                gateway=way.orders,
                accounts=way.accounts,
                instruments=way.instruments,
                feed=way.markets,
                free=way.limits.free,
                live=wallet["environment"] == "live" and not is_here(settings.okx_url),
            )

    return opened


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
    travel = await signer.travelling(Travelling(wallet=lease.wallet_id, epoch=lease.epoch))
    api_key = ApiKey(travel.key, travel.passphrase)
    return Credentials(api_key=api_key, signer=RemoteSigner(signer, lease.wallet_id, lease.epoch))
