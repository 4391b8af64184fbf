"""Test the whole under misbehaviour: after random clients on a moving market everything agrees."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import httpx
import pytest

from tests.paper_okx.harness import Live, okx
from tests.paper_okx.raw import Heard, Rest, socket

NAMES = ("ann", "bob", "cid")
MARKETS = (
    ("BTC-USDT-SWAP", ("0.5", "20", "200")),
    ("ETH-USDT-SWAP", ("1", "50")),
    ("BTC-USD-SWAP", ("1", "200")),
    ("BTC-USDT", ("0.001", "0.1")),
)
UNANSWERED = ("lose", "drop", "disconnect")


class Trader:
    """One account that does things at random."""

    def __init__(self, live: Live, name: str, rng: Random) -> None:
        self._live = live
        self._rng = rng
        self.rest = Rest(live, name)
        self._ids: list[tuple[str, str]] = []
        self._count = 0

    def act(self) -> None:
        """Do one thing; what misbehaves is expected to."""
        what = self._rng.choices((self._place, self._cancel, self._amend, self._set), (6, 2, 2, 1))
        with contextlib.suppress(httpx.RemoteProtocolError, httpx.ReadError):
            what[0]()

    def _place(self) -> None:
        rng = self._rng
        inst_id, sizes = rng.choice(MARKETS)
        contract = inst_id.endswith("SWAP")
        book = self.rest.get(f"market/books?instId={inst_id}&sz=5")["data"][0]
        side = rng.choice(("buy", "sell"))
        levels = book[rng.choice(("asks", "bids"))]
        self._count += 1
        name = f"{self.rest.name}{self._count}"
        self._ids.append((inst_id, name))
        self.rest.post(
            "trade/order",
            {
                "instId": inst_id,
                "tdMode": rng.choice(("cross", "isolated")) if contract else "cash",
                "side": side,
                "ordType": rng.choice(("limit", "limit", "post_only", "ioc", "fok", "market")),
                "sz": rng.choice(sizes),
                "px": rng.choice(levels)[0] if levels else "1",
                "clOrdId": name,
                "tgtCcy": "" if contract else "base_ccy",
                "reduceOnly": contract and rng.random() < 0.1,
            },
        )

    def _cancel(self) -> None:
        if self._ids:
            inst_id, name = self._rng.choice(self._ids)
            self.rest.post("trade/cancel-order", {"instId": inst_id, "clOrdId": name})

    def _amend(self) -> None:
        if self._ids:
            inst_id, name = self._rng.choice(self._ids)
            size = self._rng.choice(dict(MARKETS)[inst_id])
            row = {"instId": inst_id, "clOrdId": name, "newSz": size, "cxlOnFail": False}
            self.rest.post("trade/amend-order", row)

    def _set(self) -> None:
        inst_id = self._rng.choice(MARKETS)[0]
        mode, lever = self._rng.choice(("cross", "isolated")), self._rng.choice(("3", "20", "75"))
        row = {"instId": inst_id, "mgnMode": mode, "lever": lever}
        self.rest.post("account/set-leverage", row)


async def soak(directory: Path, seed: int, acts: int) -> None:
    rng = Random(seed)  # noqa: S311 - a test's dice
    with okx(directory, feed="seeded", step_ms="10", seed=str(seed), limits="false") as live:
        for name in NAMES:
            live.account(name, deposits={"USDT": "20000", "BTC": "0.5", "ETH": "5"})
        live.notify("/running", parts=2)
        async with contextlib.AsyncExitStack() as stack:
            received = {}
            for name in NAMES:
                one = await stack.enter_async_context(socket(live, "private", name))
                await one.say("subscribe", {"channel": "orders", "instType": "ANY"})
                await one.until(lambda message: message.get("event") == "subscribe")
                received[name] = one
            traders = [Trader(live, name, Random(f"{seed}{name}")) for name in NAMES]  # noqa: S311
            for number in range(acts):
                if rng.random() < 0.1:
                    kind = rng.choice(("delay", "late", "reject", "status", "lose", "drop"))
                    live.notify("/faults", kind=kind, ms=rng.randint(1, 30), code="51008")
                await asyncio.to_thread(traders[number % len(traders)].act)
            live.notify("/running", feed=False)
            live.control.delete("/faults")
            await _agree(live, received, traders)
            for trader in traders:
                trader.rest.http.close()


async def _agree(live: Live, received: dict[str, Heard], traders: list[Trader]) -> None:
    assert live.conserved()
    entries = live.journal()
    for entry in entries:
        assert entry["code"] not in ("50026", "500"), entry
        if entry["kind"] == "asked":
            assert (entry["code"] == "") == (entry["fault"] in UNANSWERED), entry
    for trader in traders:
        fills = await asyncio.to_thread(_all_fills, trader.rest)
        expected = {(fill["ordId"], fill["tradeId"], fill["fillSz"]) for fill in fills}
        one = received[trader.rest.name]
        await one.until(partial(_has_received, one, expected))
        sizes = Counter(fill["ordId"] for fill in fills)
        for ord_id in sizes:
            mine = [fill for fill in fills if fill["ordId"] == ord_id]
            order = trader.rest.get(f"trade/order?instId={mine[0]['instId']}&ordId={ord_id}")
            total = sum(float(fill["fillSz"]) for fill in mine)
            assert float(order["data"][0]["accFillSz"]) == pytest.approx(total)


def _has_received(received: Heard, fills: set[tuple[str, str, str]], _: object) -> bool:
    return _pushed(received) == fills


def _pushed(received: Heard) -> set[tuple[str, str, str]]:
    return {
        (row["ordId"], row["tradeId"], row["fillSz"])
        for one in received.messages
        if one.get("arg", {}).get("channel") == "orders" and "data" in one
        for row in one["data"]
        if row["tradeId"]
    }


def _all_fills(rest: Rest) -> list[Any]:
    found: list[Any] = []
    while page := rest.get(f"trade/fills?after={found[-1]['billId'] if found else ''}")["data"]:
        found += page
    return found


async def test_everything_agrees_after_misbehaviour(tmp_path: Path) -> None:
    await soak(tmp_path, 11, 60)


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", range(3))
async def test_everything_agrees_after_much_misbehaviour(tmp_path: Path, seed: int) -> None:
    await soak(tmp_path, seed, 3_000)
