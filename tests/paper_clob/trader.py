"""The engine's adapter, trading at a paper CLOB."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import httpx
from eth_account import Account

from tests.paper_clob.harness import KEYS, NO, YES, Live
from tests.support.clob_signer import LocalSigner
from tradingtools import clock
from tradingtools.domain.instrument import Instrument
from tradingtools.venues.polymarket.clob_api import ClobApi
from tradingtools.venues.polymarket.clob_auth import ApiKey, ClobAuth, auth_digest, l1_headers
from tradingtools.venues.polymarket.data_api import DataApi
from tradingtools.venues.polymarket.http import Http
from tradingtools.venues.polymarket.order_index import OrderIndex, TradingWallet
from tradingtools.venues.polymarket.order_signing import SignatureType
from tradingtools.venues.polymarket.order_transport import PrivateClob
from tradingtools.venues.polymarket.trading_accounts import PolymarketAccounts
from tradingtools.venues.polymarket.trading_gateway import PolymarketGateway
from tradingtools.venues.polymarket.trading_instruments import PolymarketInstruments
from tradingtools.venues.polymarket.user_socket import UserSocket
from tradingtools.venues.trading import AccountEvent, CancelOrder, NewOrder, RestingTime

_numbers = count()


@dataclass
class Trader:
    """Gateway and account of one wallet, and all that its account was told."""

    gateway: PolymarketGateway
    accounts: PolymarketAccounts
    yes: Instrument
    no: Instrument
    clob: PrivateClob
    events: list[AccountEvent] = field(default_factory=list)

    def order(self, **changes: Any) -> NewOrder:
        """A post-only GTD order for 10 Yes at 0.40, but for the changes."""
        now = clock.now_ms()
        known: dict[str, Any] = {
            "order_id": f"trader{now}n{next(_numbers)}",
            "instrument": self.yes,
            "side": "BUY",
            "price": 400_000,
            "size": 10_000_000,
            "time_in_force": RestingTime.GTD,
            "post_only": True,
            "expires_ms": now + 300_000,
            "not_after_ms": now + 30_000,
            "created_ms": now,
        }
        return NewOrder(**(known | changes))

    def taker(self, **changes: Any) -> NewOrder:
        """An order that takes what is there."""
        rests: dict[str, Any] = {
            "time_in_force": RestingTime.IOC,
            "post_only": False,
            "expires_ms": None,
        }
        return self.order(**(rests | changes))

    def cancel(self, order: NewOrder) -> CancelOrder:
        return CancelOrder(
            order_id=order.order_id,
            instrument=order.instrument,
            not_after_ms=clock.now_ms() + 30_000,
        )

    async def reported(self, holds: Callable[[AccountEvent], bool]) -> AccountEvent:
        """The first event that holds; fails after a minute."""
        end = time.monotonic() + 60
        while True:
            for event in self.events:
                if holds(event):
                    return event
            assert time.monotonic() < end, f"waited too long; told: {self.events}"
            await asyncio.sleep(0.01)


@asynccontextmanager
async def trading(live: Live, key: str = KEYS[0]) -> AsyncIterator[Trader]:
    """The adapter with a wallet of the harness, its user channel connected."""
    address = Account.from_key(key).address
    limits = httpx.Limits(max_keepalive_connections=0)
    async with httpx.AsyncClient(timeout=30.0, limits=limits) as client:
        api_key = await derived_key(client, live, key, address)
        clob = PrivateClob(
            client,
            live.url,
            signer=LocalSigner(key, api_key),
            address=address,
            api_key=api_key,
        )
        wallet = TradingWallet(address=address, signer=address, signature_type=SignatureType.EOA)
        api = ClobApi(
            Http(client, live.url, name="clob"), Http(client, f"{live.url}/gamma", name="gamma")
        )
        instruments = PolymarketInstruments(api)
        yes, no = await instruments.find([YES, NO, "77"])
        index = OrderIndex()
        gateway = PolymarketGateway(
            clob, wallet=wallet, api_key=api_key.key, facts=instruments.facts, index=index
        )
        accounts = PolymarketAccounts(
            clob,
            DataApi(Http(client, f"{live.url}/data-api", name="data api")),
            UserSocket(f"{live.ws}/ws/user", api_key, ping_seconds=0.2, silent_seconds=1.0),
            wallet=wallet,
            api_key=api_key.key,
            facts=instruments.facts,
            index=index,
        )
        trader = Trader(gateway, accounts, yes, no, clob)
        listening = asyncio.create_task(_listen(trader))
        try:
            yield trader
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)


async def _listen(trader: Trader) -> None:
    async for event in trader.accounts.events():
        trader.events.append(event)


async def derived_key(client: httpx.AsyncClient, live: Live, key: str, address: str) -> ApiKey:
    """The API key of a wallet, new or as it was."""
    auth = ClobAuth(address=address, timestamp_s=clock.now_ms() // 1000)
    signature = bytes(Account.unsafe_sign_hash(auth_digest(auth), key).signature)
    headers = l1_headers(auth, signature)
    answer = await client.post(f"{live.url}/auth/api-key", headers=headers)
    if answer.status_code != 200:
        answer = await client.get(f"{live.url}/auth/derive-api-key", headers=headers)
    made = answer.json()
    return ApiKey(key=made["apiKey"], secret=made["secret"], passphrase=made["passphrase"])
