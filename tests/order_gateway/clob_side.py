"""Polymarket's far side of the contract: `paper.clob`."""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx
from eth_account import Account

from paper.clob.app import PORTS, run
from paper.clob.settings import Settings
from tests.order_gateway.sides import Misbehaviour, Wallet, listening, until
from tests.paper_clob.harness import CONDITION, NO, YES, Live
from tests.paper_clob.trader import derived_key
from tests.support.clob_signer import LocalSigner
from tests.support.running import running
from tradingtools.settings import load
from tradingtools.venues.polymarket.order_index import TradingWallet
from tradingtools.venues.polymarket.order_signing import SignatureType
from tradingtools.venues.polymarket.trading_wallet import PolymarketVenue, open_wallet
from tradingtools.venues.trading import NewOrder

_FAULTS: dict[Misbehaviour, dict[str, Any]] = {
    Misbehaviour.LOST: {"kind": "lose"},
    Misbehaviour.NEVER: {"kind": "drop"},
    Misbehaviour.LATE: {"kind": "hold"},
    Misbehaviour.LIMITED: {"kind": "status", "status": 429, "body": '{"error":"Too many"}'},
    Misbehaviour.BROKEN: {"kind": "status", "status": 502},
}


class ClobSide:
    """See the module."""

    name = "polymarket"

    def __init__(self, url: str, control: httpx.Client) -> None:
        self._url = url
        self._control = control
        self._addresses: dict[int, str] = {}

    def _notify(self, path: str, /, **body: Any) -> None:
        answer = self._control.post(path, json=body)
        assert answer.status_code == 200, answer.text

    def _state(self) -> Any:
        return self._control.get("/state").json()

    @asynccontextmanager
    async def wallet(self, name: str) -> AsyncIterator[Wallet]:
        key = "0x" + hashlib.sha256(name.encode()).hexdigest()
        address = Account.from_key(key).address
        self._notify("/wallets", wallet=address, usdc="1000")
        async with httpx.AsyncClient() as client:
            live = Live(self._url, "", client)
            api_key = await derived_key(client, live, key, address)
        venue = PolymarketVenue(
            clob_url=self._url,
            gamma_url=f"{self._url}/gamma",
            data_url=f"{self._url}/data-api",
            sockets_url=self._url.replace("http", "ws") + "/ws",
        )
        owner = TradingWallet(address=address, signer=address, signature_type=SignatureType.EOA)
        signer = LocalSigner(key, api_key)
        async with open_wallet(venue, owner, api_key=api_key, signer=signer) as opened:
            (yes,) = await opened.instruments.find([YES])
            made = Wallet(opened.orders, opened.accounts, yes, 400_000, 10_000_000)
            self._addresses[id(made)] = address.lower()
            async with listening(made):
                yield made

    async def misbehave(self, how: Misbehaviour) -> None:
        self._notify("/faults", path="/order", **_FAULTS[how])

    async def arrive(self, wallet: Wallet, orders: int) -> None:
        async def arrived() -> bool:
            return await self.orders(wallet) == orders

        self._notify("/release")
        await until(arrived, "what was late")

    async def orders(self, wallet: Wallet) -> int:
        found: int = self._state()["orders_of"].get(self._addresses[id(wallet)], 0)
        return found

    async def trade(self, wallet: Wallet, order: NewOrder, size: int) -> None:
        # Beyond its price: nothing of the market is left before it.
        price = wallet.instrument.price_text(order.price - 10_000)
        text = wallet.instrument.size_text(size)
        self._notify("/prints", condition=CONDITION, side="SELL", price=price, size=text)

    async def filled(self, wallet: Wallet, order: NewOrder) -> dict[str, int]:
        named = wallet.gateway.register_order(order)
        return {
            one["trade"]: wallet.instrument.size_of(one["size"])
            for one in self._state()["fills"]
            if one["order"] == named
        }

    async def drop(self, wallet: Wallet) -> None:
        self._notify("/drop")

    async def jumble(self, wallet: Wallet, *, holds: bool) -> None:
        self._notify("/switches", jumbled=holds)


@contextmanager
def clob_side(directory: Path) -> Iterator[ClobSide]:
    """Run the exchange with one market."""
    market = {"condition": CONDITION, "assets": (YES, NO)}
    (directory / "markets").write_text(json.dumps(market))
    environ = {"STATE_DIR": str(directory), "SETTLES_MS": "50"}
    environ["MARKETS"] = str(directory / "markets")
    named = {f"TT_PAPER_CLOB_{name}": value for name, value in environ.items()}
    settings = load(Settings, "paper_clob", named)
    with running(partial(run, settings), directory / PORTS):
        ports = json.loads((directory / PORTS).read_text())
        with httpx.Client(base_url=f"http://127.0.0.1:{ports['control_port']}") as control:
            yield ClobSide(f"http://127.0.0.1:{ports['port']}", control)
