"""One wallet at Polymarket, put together: its orders, its account, its instruments and markets."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Protocol

from tradingtools.tasks import run_in_background
from tradingtools.venues.polymarket.clob_api import ClobApi
from tradingtools.venues.polymarket.clob_auth import ApiKey
from tradingtools.venues.polymarket.data_api import DataApi
from tradingtools.venues.polymarket.engine_watch import EngineWatch
from tradingtools.venues.polymarket.heartbeats import keep_beating
from tradingtools.venues.polymarket.http import Http, open_client
from tradingtools.venues.polymarket.market_feed import PolymarketFeed
from tradingtools.venues.polymarket.order_index import OrderIndex, TradingWallet
from tradingtools.venues.polymarket.order_limits import CANCELS, ORDERS
from tradingtools.venues.polymarket.order_transport import ClobSigner, PrivateClob
from tradingtools.venues.polymarket.relayer import CallSigner, PolymarketSets, RelayerKey
from tradingtools.venues.polymarket.relayer_requests import RELAYED
from tradingtools.venues.polymarket.trading_accounts import PolymarketAccounts
from tradingtools.venues.polymarket.trading_gateway import PolymarketGateway
from tradingtools.venues.polymarket.trading_instruments import PolymarketInstruments
from tradingtools.venues.polymarket.user_socket import UserSocket

TIMEOUT_MS = 10_000
_READING = 10
"""Connections for questions, beside those of orders and cancels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PolymarketVenue:
    """The venue's addresses."""

    clob_url: str = "https://clob.polymarket.com"
    gamma_url: str = "https://gamma-api.polymarket.com"
    data_url: str = "https://data-api.polymarket.com"
    sockets_url: str = "wss://ws-subscriptions-clob.polymarket.com/ws"
    relayer_url: str = "https://relayer-v2.polymarket.com"


@dataclass(frozen=True, slots=True, kw_only=True)
class PolymarketWallet:
    """The ports of one wallet, and of its venue's markets."""

    orders: PolymarketGateway
    accounts: PolymarketAccounts
    instruments: PolymarketInstruments
    markets: PolymarketFeed
    sets: PolymarketSets | None = None
    """None: nothing changes the wallet's sets."""


class WalletSigner(ClobSigner, CallSigner, Protocol):
    """Signs all that a wallet sends."""


@asynccontextmanager
async def open_wallet(
    venue: PolymarketVenue,
    wallet: TradingWallet,
    *,
    api_key: ApiKey,
    signer: WalletSigner,
    timeout_ms: int = TIMEOUT_MS,
    heartbeats: bool = False,
    relayer_key: RelayerKey | None = None,
) -> AsyncIterator[PolymarketWallet]:
    """Open the connections of one wallet for the length of the block.

    Args:
        venue: its addresses.
        wallet: whose money it is.
        api_key: travels in headers and in the first frame of the user channel.
        signer: has the wallet's private key, or asks who has it.
        timeout_ms: for an answer.
        heartbeats: arm the account's dead man's switch; the key is used by nothing else.
        relayer_key: opens the relayer, which changes sets; None: nothing does.
    """
    connections = ORDERS.on_their_way + CANCELS.on_their_way + _READING
    async with open_client(timeout_ms=timeout_ms, connections=connections) as client:
        api = ClobApi(
            Http(client, venue.clob_url, name="clob"), Http(client, venue.gamma_url, name="gamma")
        )
        instruments = PolymarketInstruments(api)
        index, engine = OrderIndex(), EngineWatch()
        clob = PrivateClob(
            client, venue.clob_url, signer=signer, address=wallet.signer, api_key=api_key
        )
        sockets = venue.sockets_url.rstrip("/")
        sets = None
        if relayer_key is not None and wallet.signature_type in RELAYED:
            sets = PolymarketSets(
                client,
                venue.relayer_url,
                key=relayer_key,
                signer=signer,
                wallet=wallet,
                facts=instruments.facts,
            )
        opened = PolymarketWallet(
            orders=PolymarketGateway(
                clob,
                wallet=wallet,
                api_key=api_key.key,
                facts=instruments.facts,
                index=index,
                engine=engine,
            ),
            accounts=PolymarketAccounts(
                clob,
                DataApi(Http(client, venue.data_url, name="data api")),
                UserSocket(f"{sockets}/user", api_key),
                wallet=wallet,
                api_key=api_key.key,
                facts=instruments.facts,
                index=index,
            ),
            instruments=instruments,
            markets=PolymarketFeed(
                f"{sockets}/market", api, engine=engine, game_start=instruments.game_start_ms
            ),
            sets=sets,
        )
        if not heartbeats:
            yield opened
            return
        async with run_in_background(keep_beating(clob)):
            yield opened
