"""kill -9 of the real process: what was answered or accepted is still there."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp

from tests.paper_insiders.harness import (
    ASSET,
    Paper,
    body,
    book,
    environment,
    has_ports,
    key,
    process,
    until,
)
from tests.support.prepared import run


async def test_killed_between_acceptance_and_answer(tmp_path: Path) -> None:
    async with process(tmp_path, settle_delay_ms=600_000) as paper:
        await paper.put_book(book(asks={"0.5": "12"}))
        before = (await paper.post("before")).json
        await paper.void("void")
        await paper.fault("hang", "after_accept")
        pending = asyncio.create_task(paper.post("under way", body(size="5")))

        async def accepted() -> bool:
            entries = await paper.journal()
            return any(e["key"] == key("under way") and e["accepted"] for e in entries)

        await until(accepted)
        _kill(paper)
        with contextlib.suppress(aiohttp.ClientError):
            await pending

    assert _age(tmp_path, "UPDATE trades SET due_ms = due_ms - 600000, matched_ms = 0") == 2
    async with process(tmp_path, settle_delay_ms=600_000) as paper:
        # The fault survived, too; it would swallow the answers that follow.
        assert [fault["kind"] for fault in (await paper.notify("GET", "/faults"))["faults"]] == [
            "hang"
        ]
        await paper.notify("DELETE", "/faults")
        found = (await paper.get("under way")).json
        assert (found["status"], found["filledSize"]) == ("MATCHED", "2")
        repeat = await paper.post("under way", body(size="5"))
        assert repeat.headers["Idempotent-Replay"] == "true"
        assert repeat.json["orderId"] == found["orderId"]
        assert (await paper.post("before")).json["orderId"] == before["orderId"]
        assert (await paper.post("void")).code == "VOIDED"
        # What the earlier life took from the book is still taken, what it paid is still paid.
        assert (await paper.post("dry", body(size="5"))).json["status"] == "KILLED"
        assert await paper.positions() == {ASSET: "12"}
        orders = (await paper.state())["orders"]
        paid = sum(Decimal(o["filledNotional"]) + Decimal(o["fee"]) for o in orders)
        assert Decimal(await paper.cash()) == 10_000 - paid
        # Settlement goes on where it was.
        await until(lambda: _all_confirmed(paper))
        entry = next(e for e in await paper.journal() if e["key"] == key("under way"))
        assert (entry["accepted"], entry["orderId"], entry["status"]) == (
            True,
            found["orderId"],
            None,
        )


async def test_killed_while_an_order_waits_for_its_match(tmp_path: Path) -> None:
    async with process(tmp_path, own_delay_ms=60_000) as paper:
        await paper.put_book(book(asks={"0.5": "100"}, delayMs=0))
        await paper.notify("PUT", "/capabilities", {"notAfter": False})
        assert (await paper.post("waits")).json["status"] == "ACCEPTED"
        _kill(paper)
    assert _age(tmp_path, "UPDATE orders SET match_due_ms = match_due_ms - 60000") == 1
    async with process(tmp_path) as paper:
        assert (await paper.notify("GET", "/capabilities"))["notAfter"] is False

        async def matched() -> Any:
            return (await paper.get("waits")).json["status"] == "MATCHED"

        await until(matched)
        assert await paper.positions() == {ASSET: "10"}


async def test_killed_at_any_instant_no_answered_order_is_lost(tmp_path: Path) -> None:
    answered: dict[str, str] = {}
    for life in range(3):
        async with process(tmp_path) as paper:
            await paper.put_book(book(asks={"0.5": "100000"}))

            async def order(paper: Paper, name: str) -> None:
                with contextlib.suppress(aiohttp.ClientError, OSError):
                    reply = await paper.post(name, body(size="5"))
                    if reply.status == 200:
                        answered[name] = reply.json["orderId"]

            burst = [asyncio.create_task(order(paper, f"{life}-{n}")) for n in range(150)]

            goal = len(answered) + 20

            async def enough(goal: int = goal) -> bool:
                return len(answered) >= goal

            await until(enough)
            _kill(paper)
            await asyncio.gather(*burst)
    async with process(tmp_path) as paper:
        state = await paper.state()
    ids = {order["idempotencyKey"]: order["orderId"] for order in state["orders"]}
    assert len(answered) >= 60
    for name, order_id in answered.items():
        assert ids[key(name)] == order_id
    assert state["ordersPerKey"] == {}
    filled = sum(Decimal(order["filledSize"]) for order in state["orders"])
    assert Decimal(state["balances"][0]["positions"][0]["size"]) == filled
    paid = sum(Decimal(o["filledNotional"]) + Decimal(o["fee"]) for o in state["orders"])
    assert Decimal(state["balances"][0]["cash"]) == 10_000 - paid


async def test_sigterm_ends_it_cleanly(tmp_path: Path) -> None:
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "paper.insiders", env={**os.environ, **environment(tmp_path)}
    )
    await until(lambda: _listens(tmp_path))
    child.send_signal(signal.SIGTERM)
    assert await asyncio.wait_for(child.wait(), 15) == 0


async def test_a_second_one_on_the_same_state_says_so_in_one_line(tmp_path: Path) -> None:
    async with process(tmp_path):
        second = await _ended(tmp_path)
    assert second.returncode == 2
    assert second.stderr.count("\n") == 1
    assert "TT_INSIDERS_STATE_DIR" in second.stderr


async def test_wrong_settings_and_a_taken_port_are_one_line(tmp_path: Path) -> None:
    async with process(tmp_path / "first") as paper:
        for changes, name in (
            ({"port": paper.port}, "TT_INSIDERS_PORT"),
            ({"prot": 1}, "TT_INSIDERS_PROT"),
            ({"settle_delay_ms": "soon"}, "TT_INSIDERS_SETTLE_DELAY_MS"),
        ):
            child = await _ended(tmp_path / "second", **changes)
            assert child.returncode == 2
            assert name in child.stderr
            assert child.stderr.count("\n") == 1


async def _ended(state_dir: Path, **settings: object) -> subprocess.CompletedProcess[str]:
    environ = {**os.environ, **environment(state_dir, **settings)}
    return await asyncio.to_thread(run, "paper.insiders", environ, 30)


async def _listens(state_dir: Path) -> bool:
    return has_ports(state_dir)


def _kill(paper: Paper) -> None:
    assert paper.pid is not None
    os.kill(paper.pid, signal.SIGKILL)


def _age(state_dir: Path, update: str) -> int:
    """Let time pass for what waits, without waiting for it; how many rows it touched."""
    db = sqlite3.connect(state_dir / "insiders.sqlite3")
    with db:
        touched = db.execute(update).rowcount
    db.close()
    return touched


async def _all_confirmed(paper: Paper) -> bool:
    trades = [t for order in (await paper.state())["orders"] for t in order["trades"]]
    return all(t["status"] == "CONFIRMED" and t["transactionHash"] for t in trades)
