"""OKX's far side of the contract: `paper.okx` over TLS."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

from tests.order_gateway.sides import Misbehaviour, Wallet, listening, until
from tests.paper_okx import harness
from tests.paper_okx.harness import PASSPHRASE, Live
from tests.paper_okx.raw import Rest
from tests.paper_okx.test_our_adapter import SWAP, Signer
from tradingtools.venues.okx.connection import Endpoint
from tradingtools.venues.okx.requests import Terms
from tradingtools.venues.okx.signing import ApiKey, Credentials
from tradingtools.venues.okx.wallet import OkxVenue, open_wallet
from tradingtools.venues.trading import NewOrder

_FAULTS: dict[Misbehaviour, dict[str, Any]] = {
    Misbehaviour.LOST: {"kind": "lose"},
    Misbehaviour.NEVER: {"kind": "drop"},
    Misbehaviour.LATE: {"kind": "late", "ms": 500},
    Misbehaviour.LIMITED: {"kind": "limit"},
    Misbehaviour.BROKEN: {"kind": "status", "status": 502},
}


class OkxSide:
    """See the module."""

    name = "okx"

    def __init__(self, live: Live) -> None:
        self._live = live
        self._rests: dict[int, Rest] = {}
        live.notify("/running", limits=False)  # the judge asks by the wallet's key, too
        live.notify("/marks", instId=SWAP, px="50000")
        live.book(SWAP, "49990", "50010", "1000")

    @asynccontextmanager
    async def wallet(self, name: str) -> AsyncIterator[Wallet]:
        live = self._live
        live.account(name)
        rest = Rest(live, name)
        venue = OkxVenue(
            rest_url=live.rest, sockets=Endpoint(url=live.socket("")[:-1], tls=live.tls)
        )
        credentials = Credentials(api_key=ApiKey(name, PASSPHRASE), signer=Signer())
        with rest.http:
            async with open_wallet(venue, credentials, Terms(tag="tt1", margin="cross")) as opened:
                (swap,) = await opened.instruments.find([SWAP])
                price, size = swap.price_of("49000"), swap.size_of("4")
                made = Wallet(opened.orders, opened.accounts, swap, price, size)
                self._rests[id(made)] = rest
                async with listening(made):
                    yield made

    async def misbehave(self, how: Misbehaviour) -> None:
        self._live.notify("/faults", op="order", **_FAULTS[how])

    async def arrive(self, wallet: Wallet, orders: int) -> None:
        async def arrived() -> bool:
            return await self.orders(wallet) == orders

        await until(arrived, "what was late")

    async def orders(self, wallet: Wallet) -> int:
        rest = self._rests[id(wallet)]
        pages = ("trade/orders-pending", "trade/orders-history?instType=SWAP")
        return sum(len(rest.get(page)["data"]) for page in pages)

    async def trade(self, wallet: Wallet, order: NewOrder, size: int) -> None:
        price = wallet.instrument.price_text(order.price - 10 * wallet.instrument.tick_size)
        text = wallet.instrument.size_text(size)
        self._live.notify("/prints", instId=SWAP, side="sell", px=price, sz=text)

    async def filled(self, wallet: Wallet, order: NewOrder) -> dict[str, int]:
        rows = self._rests[id(wallet)].get("trade/fills-history?instType=SWAP")["data"]
        return {
            one["tradeId"]: wallet.instrument.size_of(one["fillSz"])
            for one in rows
            if one["clOrdId"] == order.order_id
        }

    async def drop(self, wallet: Wallet) -> None:
        self._live.notify("/drop", account=self._rests[id(wallet)].name)

    async def jumble(self, wallet: Wallet, *, holds: bool) -> None:
        self._live.notify("/pushes", account=self._rests[id(wallet)].name, jumble=holds)


@contextmanager
def okx_side(directory: Path) -> Iterator[OkxSide]:
    """Run the exchange, its market standing at 49,990 and 50,010."""
    with harness.okx(directory) as live:
        yield OkxSide(live)
