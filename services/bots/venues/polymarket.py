"""The way of a wallet to Polymarket."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from services.bots.engine import OpenVenue
from services.bots.settings import Settings
from services.bots.store import Row, WalletLease
from services.bots.venues.addresses import checked, is_here
from services.bots.wallet.shared import Venue
from tradingtools.domain.signing import Travelling
from tradingtools.rpc.signer_client import SignerClient
from tradingtools.venues.polymarket.clob_auth import ApiKey
from tradingtools.venues.polymarket.order_index import TradingWallet
from tradingtools.venues.polymarket.order_signing import SignatureType
from tradingtools.venues.polymarket.remote_signer import RemoteSigner
from tradingtools.venues.polymarket.trading_wallet import PolymarketVenue, open_wallet


def opening(settings: Settings, signer: SignerClient) -> OpenVenue:
    """Return what opens a wallet's way. Raises Startup."""
    venue = _venue(settings)

    @asynccontextmanager
    async def opened(wallet: Row, lease: WalletLease) -> AsyncIterator[Venue]:
        travel = await signer.travelling(Travelling(wallet=lease.wallet_id, epoch=lease.epoch))
        async with open_wallet(
            venue,
            TradingWallet(
                address=wallet["account"],
                signer=wallet["signer_address"],
                signature_type=SignatureType(wallet["signature_type"]),
            ),
            api_key=ApiKey(key=travel.key, secret=travel.secret, passphrase=travel.passphrase),
            signer=RemoteSigner(signer, lease.wallet_id, lease.epoch),
            heartbeats=settings.polymarket_heartbeats,
        ) as way:
            yield Venue(
                gateway=way.orders,
                accounts=way.accounts,
                instruments=way.instruments,
                feed=way.markets,
                free=way.orders.free,
                live=not is_here(settings.polymarket_url),
            )

    return opened


def _venue(settings: Settings) -> PolymarketVenue:
    def address(field: str, url: str) -> str:
        return checked(f"TT_BOTS_POLYMARKET_{field}", url, real_orders=settings.real_orders)

    return PolymarketVenue(
        clob_url=address("URL", settings.polymarket_url),
        gamma_url=address("GAMMA_URL", settings.polymarket_gamma_url),
        data_url=address("DATA_URL", settings.polymarket_data_url),
        sockets_url=address("SOCKET_URL", settings.polymarket_socket_url),
    )
