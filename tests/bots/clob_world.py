"""An engine of bots on real parts beside a paper CLOB: REST, user and market sockets."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import httpx
from py_clob_client_v2.client import ClobClient
from py_clob_client_v2.clob_types import OrderArgs

from paper.clob.app import PORTS, run
from paper.clob.settings import Settings
from tests.bots.world import BotWorld
from tests.paper_clob.harness import CONDITION, KEYS, NO, WALLETS, YES
from tests.signer import world as signers
from tests.signer.world import World
from tests.support.running import running
from tradingtools.domain.credentials import PolymarketCredentials
from tradingtools.settings import load

MICROS = 10**6
OUTCOMES = (YES, NO)


@dataclass
class ClobBots(BotWorld):
    """All that a test of bots at Polymarket needs."""

    url: str
    control: httpx.Client
    holder: str = WALLETS[0]
    """The wallet; another address than its key's where a contract holds what it has."""

    def bot(self, bot_id: str, **more: Any) -> None:
        """Create a market maker on both outcomes of a market, and want it to run."""
        config = {
            "instrument_id": f"polymarket:{YES}",
            "complement_id": f"polymarket:{NO}",
            "order_size": 10 * MICROS,
            "max_position": 50 * MICROS,
            "max_half_spread": 30_000,
            **more.pop("config", {}),
        }
        self.made(bot_id, config, {"max_position": "60", **more.pop("limits", {})})

    def notify(self, path: str, /, **body: Any) -> None:
        """Tell the exchange what to do."""
        answer = self.control.post(path, json=body)
        assert answer.status_code == 200, answer.text

    def prints(self) -> None:
        """Let strangers take what rests up to five cents beside the mid of 0.50."""
        for side, price in (("SELL", "0.45"), ("BUY", "0.55")):
            self.notify("/prints", condition=CONDITION, side=side, price=price, size="4")

    def far(self) -> Any:
        """Return the exchange as it is."""
        return self.control.get("/state").json()

    def journal(self) -> list[dict[str, Any]]:
        """Return what the exchange was asked."""
        found: list[dict[str, Any]] = self.control.get("/journal").json()
        return found

    def held(self) -> dict[str, int]:
        """Return the shares that the exchange says the wallet holds, by asset, in micros."""
        rows = self.far()["shares"]
        mine = {one["asset"]: one["size"] for one in rows if one["wallet"] == self.holder.lower()}
        return {asset: round(float(mine.get(asset, "0")) * MICROS) for asset in OUTCOMES}

    def booked(self) -> dict[str, int]:
        """Return the shares that the fills of all bots make, by asset, in micros."""
        signed = "case when (side = 'BUY') = not undone then size else -size end"
        rows = self.rows(
            f"select instrument_id, sum({signed}) from bot_fill group by instrument_id"
        )
        sums = {name.partition(":")[2]: int(size) for name, size in rows}
        return {asset: sums.get(asset, 0) for asset in OUTCOMES}

    def cash(self) -> int:
        """Return the wallet's USDC by what is booked, in micros."""
        got = "case when (side = 'SELL') <> undone then price * size else -price * size end"
        ((total,),) = self.rows(f"select sum({got}) / 1000000 - sum(fee) from bot_fill")
        return 1_000 * MICROS + int(total)

    def usdc(self) -> int:
        """Return the wallet's USDC as the exchange has it, in micros."""
        return round(float(self.far()["usdc"][self.holder.lower()]) * MICROS)

    def placed(self) -> list[str]:
        """Return the ids of all orders that the exchange took, one for each order."""
        answers = [
            json.loads(one["answer"])
            for one in self.journal()
            if one["path"] == "/order" and one["method"] == "POST" and one["status"] == 200
            if one["answer"] and one["signer"].lower() == WALLETS[0].lower()
        ]
        return [one["orderID"] for one in answers if one.get("success") and one["orderID"]]

    def stranger(self) -> str:
        """Let somebody else with the wallet's key place an order; return its id."""
        client = ClobClient(self.url, 137, key=KEYS[0])
        client.set_api_creds(client.create_or_derive_api_key())
        desired = OrderArgs(token_id=YES, price=0.01, size=7, side="BUY")
        found: str = client.create_and_post_order(desired)["orderID"]
        return found


@contextmanager
def exchange(
    directory: Path, usdc: str = "1000", safe: str = ""
) -> Iterator[tuple[str, httpx.Client]]:
    """Run a paper CLOB with one market and one wallet; yield its address and its control.

    Args:
        directory: of its state.
        usdc: of the wallet.
        safe: address of the Safe that is the wallet; empty: it is the key's own.
    """
    market = {"condition": CONDITION, "assets": OUTCOMES, "fee_bps": 500}
    (directory / "markets").write_text(json.dumps(market))
    owned = {"owner": WALLETS[0], "signature_type": 2} if safe else {}
    wallet = {"wallet": safe or WALLETS[0], "usdc": usdc, **owned}
    (directory / "wallets").write_text(json.dumps(wallet))
    environ = {
        "STATE_DIR": str(directory), "SETTLES_MS": "200",
        "MARKETS": str(directory / "markets"), "WALLETS": str(directory / "wallets"),
    }  # fmt: skip
    named = {f"TT_PAPER_CLOB_{name}": value for name, value in environ.items()}
    settings = load(Settings, "paper_clob", named)
    with running(partial(run, settings), directory / PORTS):
        ports = json.loads((directory / PORTS).read_text())
        control_url = f"http://127.0.0.1:{ports['control_port']}"
        with httpx.Client(base_url=control_url, timeout=60) as control:
            yield f"http://127.0.0.1:{ports['port']}", control


def at_clob(url: str) -> dict[str, str]:
    """Return an engine's settings to trade there."""
    return {
        "TT_BOTS_VENUES": "polymarket",
        "TT_BOTS_POLYMARKET_URL": url,
        "TT_BOTS_POLYMARKET_GAMMA_URL": f"{url}/gamma",
        "TT_BOTS_POLYMARKET_DATA_URL": f"{url}/data-api",
        "TT_BOTS_POLYMARKET_SOCKET_URL": f"{url.replace('http', 'ws')}/ws",
    }


@contextmanager
def clob_bots(database_url: str, directory: Path, safe: str = "") -> Iterator[ClobBots]:
    """Run a paper CLOB and a signer, with one wallet of 1,000 USDC, the key's own or a Safe."""
    clob, signer_directory = directory / "clob", directory / "signer"
    for one in (clob, signer_directory):
        one.mkdir(mode=0o700)
    with (
        exchange(clob, safe=safe) as (url, control),
        signers.running(database_url, signer_directory, TT_SIGNER_CLOB_URL=url) as signer,
    ):
        wallet = signers.run(added(signer, safe))
        holder = safe or WALLETS[0]
        world = ClobBots(signer, directory, url, control, holder, wallet=wallet, venue=at_clob(url))
        levels(world)
        yield world


def levels(world: ClobBots, size: str = "100") -> None:
    """Let strangers quote around a half."""
    for side, price in (("BUY", "0.49"), ("SELL", "0.51")):
        world.notify("/levels", condition=CONDITION, side=side, price=price, size=size)


async def added(signer: World, safe: str = "") -> str:
    kind = {"signature_type": 2, "funder": safe} if safe else {"signature_type": 0}
    credentials = PolymarketCredentials(private_key=KEYS[0], **kind)
    async with signers.client(signer, "control") as control:
        return await signers.added(control, credentials)
