"""The way of a wallet to Polymarket."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext

from services.bots.settings import Settings
from services.bots.store import Row, WalletLease
from services.bots.venues import relayer_keys
from services.bots.venues.addresses import checked, is_here
from services.bots.wallet.shared import Venue
from tradingtools.domain.signing import HeaderSecrets
from tradingtools.rpc.signer_client import SignerClient
from tradingtools.venues.polymarket.clob_auth import ApiKey
from tradingtools.venues.polymarket.order_index import TradingWallet
from tradingtools.venues.polymarket.order_signing import SignatureType
from tradingtools.venues.polymarket.relayer import RelayerKey
from tradingtools.venues.polymarket.remote_signer import RemoteSigner
from tradingtools.venues.polymarket.trading_wallet import PolymarketVenue, open_wallet


class PolymarketConnector:
    """The way of an engine to Polymarket.

    Args:
        settings: of the engine.
        signer: has the keys.
        venue: its addresses.
        relayer_keys_: of wallets whose sets the relayer changes, by address.
    """

    def __init__(
        self,
        settings: Settings,
        signer: SignerClient,
        venue: PolymarketVenue,
        relayer_keys_: Mapping[str, RelayerKey],
    ) -> None:
        self._settings = settings
        self._signer = signer
        self._venue = venue
        self._relayer_keys = relayer_keys_

    @asynccontextmanager
    async def opened(self, wallet: Row, lease: WalletLease) -> AsyncIterator[Venue]:
        """Open a wallet's way for the length of a block."""
        requested = HeaderSecrets(wallet=lease.wallet_id, epoch=lease.epoch)
        travel = await self._signer.header_secrets(requested)
        async with open_wallet(
            self._venue,
            TradingWallet(
                address=wallet["account"],
                signer=wallet["signer_address"],
                signature_type=SignatureType(wallet["signature_type"]),
            ),
            api_key=ApiKey(key=travel.key, secret=travel.secret, passphrase=travel.passphrase),
            signer=RemoteSigner(self._signer, lease.wallet_id, lease.epoch),
            heartbeats=self._settings.polymarket_heartbeats,
            relayer_key=relayer_keys.find(self._relayer_keys, wallet["signer_address"]),
        ) as way:
            yield Venue(
                gateway=way.orders,
                accounts=way.accounts,
                instruments=way.instruments,
                feed=way.markets,
                sets=way.sets,
                free=way.orders.free,
                live=not is_here(self._settings.polymarket_url),
            )

    @asynccontextmanager
    async def prepared(self, _environment: str, _instruments: Sequence[str]) -> AsyncIterator[None]:
        """Do nothing: a wallet's books here are opened with its account."""
        yield


def opening(
    settings: Settings, signer: SignerClient
) -> AbstractAsyncContextManager[PolymarketConnector]:
    """Return what opens the way of an engine. Raises Startup."""
    keys = relayer_keys.read(settings.polymarket_relayer_keys_file)
    return nullcontext(PolymarketConnector(settings, signer, _venue(settings), keys))


def _venue(settings: Settings) -> PolymarketVenue:
    def address(field: str, url: str) -> str:
        return checked(f"TT_BOTS_POLYMARKET_{field}", url, real_orders=settings.real_orders)

    return PolymarketVenue(
        clob_url=address("URL", settings.polymarket_url),
        gamma_url=address("GAMMA_URL", settings.polymarket_gamma_url),
        data_url=address("DATA_URL", settings.polymarket_data_url),
        sockets_url=address("SOCKET_URL", settings.polymarket_socket_url),
        relayer_url=(
            address("RELAYER_URL", settings.polymarket_relayer_url)
            if settings.polymarket_relayer_keys_file
            else ""
        ),
    )
