"""The far side of the contract at which nothing rests: the paper insiders-api."""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx

from paper.insiders.app import PORTS_FILE, run
from paper.insiders.settings import Settings
from tests.order_gateway.sides import Misbehaviour, Wallet, listening, until
from tests.paper_insiders.harness import ASSET, CONDITION, book, environment
from tests.support.running import running
from tradingtools.domain import ids
from tradingtools.domain.instrument import Instrument, InstrumentKind
from tradingtools.domain.order import Follower
from tradingtools.settings import load
from tradingtools.venues.insiders.order_gateway import open_client
from tradingtools.venues.insiders.schemas import parse_capabilities
from tradingtools.venues.insiders.trading import InsidersAccounts, InsidersGateway
from tradingtools.venues.trading import NewOrder

OUTCOME = Instrument(
    id=f"insiders:{ASSET}",
    kind=InstrumentKind.BINARY,
    base=ASSET,
    quote="USDC",
    settle="USDC",
    price_digits=6,
    size_digits=6,
    money_digits=6,
    tick_size=10_000,
    lot_size=10_000,
    minimum_size=5_000_000,
    group=CONDITION,
)
_FAULTS: dict[Misbehaviour, dict[str, Any]] = {
    Misbehaviour.LOST: {"kind": "reset", "where": "after_accept"},
    Misbehaviour.NEVER: {"kind": "reset"},
    Misbehaviour.LATE: {"kind": "late_accept", "ms": 500, "status": 504, "code": "UPSTREAM"},
    Misbehaviour.LIMITED: {"kind": "rate_limit", "ms": 100},
    Misbehaviour.BROKEN: {"kind": "status", "status": 502},
}


class InsidersSide:
    """See the module."""

    name = "insiders"

    def __init__(self, url: str, control: httpx.Client) -> None:
        self._url = url
        self._control = control
        self._proxies: dict[int, str] = {}
        self._notify("PUT", f"/books/{ASSET}", book({"0.5": "100000"}))

    def _notify(self, method: str, path: str, body: object) -> None:
        answer = self._control.request(method, path, json=body)
        assert answer.status_code < 300, answer.text

    @asynccontextmanager
    async def wallet(self, name: str) -> AsyncIterator[Wallet]:
        proxy = "0x" + hashlib.sha256(name.encode()).hexdigest()[:40]
        follower = Follower(user_id=name, wallet_id=name, proxy=proxy)
        async with open_client(self._url) as client:
            promised = parse_capabilities((await client.capabilities(5_000)).body)
            gateway = InsidersGateway(client, follower, promised)
            accounts = InsidersAccounts(client, follower, gateway, poll_seconds=0.05)
            made = Wallet(gateway, accounts, OUTCOME, 500_000, 10_000_000)
            self._proxies[id(made)] = proxy
            async with listening(made):
                yield made

    async def misbehave(self, how: Misbehaviour) -> None:
        self._notify(
            "POST",
            "/faults",
            {"where": "before_accept", "seed": 1, "times": 1, "path": "buy", **_FAULTS[how]},
        )

    async def arrive(self, wallet: Wallet, orders: int) -> None:
        async def arrived() -> bool:
            return await self.orders(wallet) == orders

        await until(arrived, "what was late")

    async def orders(self, wallet: Wallet) -> int:
        rows = self._control.get("/state").json()["orders"]
        return sum(one["followerProxy"] == self._proxies[id(wallet)] for one in rows)

    async def trade(self, wallet: Wallet, order: NewOrder, size: int) -> None:
        raise AssertionError("nothing rests here")

    async def filled(self, wallet: Wallet, order: NewOrder) -> dict[str, int]:
        key = ids.order_key(order.order_id, 0)
        rows = self._control.get("/state").json()["orders"]
        return {
            one["tradeId"]: OUTCOME.size_of(one["size"])
            for row in rows
            if row["idempotencyKey"] == key
            for one in row["trades"]
            if one["status"] != "FAILED"
        }

    async def drop(self, wallet: Wallet) -> None:
        """Cut nothing: there are no sockets."""

    async def jumble(self, wallet: Wallet, *, holds: bool) -> None:
        """Do nothing: nobody is told anything."""


@contextmanager
def insiders_side(directory: Path) -> Iterator[InsidersSide]:
    """Run insiders-api, at whose market shares are sold at 0.50."""
    settings = load(Settings, "insiders", environment(directory, settle_delay_ms=50))
    with running(partial(run, settings), directory / PORTS_FILE):
        ports = json.loads((directory / PORTS_FILE).read_text())
        with httpx.Client(base_url=f"http://127.0.0.1:{ports['control_port']}") as control:
            yield InsidersSide(f"http://127.0.0.1:{ports['port']}", control)
