"""A paper CLOB on port 0 inside the test's loop, with a market and wallets that have money."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import msgspec
from eth_account import Account

from paper.clob.app import PORTS, run
from paper.clob.settings import Settings
from tradingtools.settings import load

WAIT_S = 60.0
CONDITION = "0x" + "c1" * 32
YES = "71321045679252212594626385532706912750332728571942532289631379312455583992563"
NO = "52114319501245915516055106046884209969926127482827954674443846427813813222426"
KEYS = tuple("0x" + f"{n:02x}" * 32 for n in (0x11, 0x22, 0x33))
"""Of three traders; they own nothing elsewhere."""
WALLETS = tuple(Account.from_key(key).address for key in KEYS)


@dataclass(frozen=True)
class Live:
    """A running exchange."""

    url: str
    ws: str
    control: httpx.AsyncClient

    async def notify(self, path: str, /, **body: Any) -> Any:
        """POST to the control port; the answer."""
        answer = await self.control.post(path, json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def state(self) -> Any:
        return (await self.control.get("/state")).json()

    async def journal(self) -> Any:
        return (await self.control.get("/journal")).json()

    async def level(self, side: str, price: str, size: str) -> None:
        await self.notify("/levels", condition=CONDITION, side=side, price=price, size=size)

    async def until(self, holds: Callable[[Any], bool]) -> Any:
        """The first state that holds; fails after WAIT_S."""
        return await _until(self.state, holds)

    async def until_journal(self, holds: Callable[[Any], bool]) -> Any:
        """The first journal that holds; fails after WAIT_S."""
        return await _until(self.journal, holds)


async def _until(read: Callable[[], Awaitable[Any]], holds: Callable[[Any], bool]) -> Any:
    end = time.monotonic() + WAIT_S
    while True:
        found = await read()
        if holds(found):
            return found
        assert time.monotonic() < end, f"waited too long; last: {found}"
        await asyncio.sleep(0.01)


@asynccontextmanager
async def exchange(directory: Path, *, market: bool = True, **more: str) -> AsyncIterator[Live]:
    """An exchange that settles fast; in its market three wallets have 1,000 USDC and 100 sets."""
    environ = {"TT_PAPER_CLOB_STATE_DIR": str(directory), "TT_PAPER_CLOB_SETTLES_MS": "30"}
    environ |= {f"TT_PAPER_CLOB_{name.upper()}": value for name, value in more.items()}
    stop = asyncio.Event()
    task = asyncio.create_task(run(load(Settings, "paper_clob", environ), stop))
    ports = directory / PORTS
    try:
        end = time.monotonic() + WAIT_S
        while not (ports.exists() or task.done()):
            assert time.monotonic() < end, "waited too long"
            await asyncio.sleep(0.01)
        if task.done():
            await task
        found = msgspec.json.decode(ports.read_bytes())
        base = f"127.0.0.1:{found['port']}"
        url = f"http://127.0.0.1:{found['control_port']}"
        async with httpx.AsyncClient(base_url=url) as control:
            live = Live(f"http://{base}", f"ws://{base}", control)
            if market:
                await furnish(live)
            yield live
    finally:
        stop.set()
        await asyncio.wait_for(task, WAIT_S)
        ports.unlink(missing_ok=True)


async def furnish(live: Live) -> None:
    """Open the market, and give the wallets something."""
    await live.notify("/markets", condition=CONDITION, assets=[YES, NO], fee_bps=500)
    for wallet in WALLETS:
        await live.notify("/wallets", wallet=wallet, usdc="1100", sets={CONDITION: "100"})
