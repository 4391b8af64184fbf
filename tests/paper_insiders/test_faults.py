"""Every misbehaviour, as a client meets it, and what the journal says of it."""

from __future__ import annotations

import asyncio
import json
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from paper.insiders.core.faults import Fault, FaultPlan, Kind, Where, plan
from paper.insiders.misbehave import OVERSIZED_BYTES
from paper.insiders.wire import show_time
from tests.paper_insiders.harness import OTHER_ASSET, Paper, body, book, key, served, until

BOTH: tuple[Where, ...] = ("before_accept", "after_accept")


async def orders(paper: Paper) -> int:
    return int((await paper.state())["counts"]["orders"])


async def last(paper: Paper) -> dict[str, Any]:
    return (await paper.journal())[-1]


@pytest.mark.parametrize("where", BOTH)
async def test_status(paper: Paper, where: Where) -> None:
    await paper.fault("status", where, status=503, code="TRADING_DISABLED", times=1)
    reply = await paper.post("s")
    assert (reply.status, reply.code) == (503, "TRADING_DISABLED")
    accepted = where == "after_accept"
    assert await orders(paper) == accepted
    entry = await last(paper)
    assert (entry["accepted"], entry["status"], entry["code"], entry["fault"]) == (
        accepted,
        503,
        "TRADING_DISABLED",
        f"{where}:status",
    )
    again = await paper.post("s")
    assert ("Idempotent-Replay" in again.headers) == accepted


@pytest.mark.parametrize("where", BOTH)
async def test_reset(paper: Paper, where: Where) -> None:
    await paper.fault("reset", where, times=1)
    with pytest.raises(aiohttp.ClientError):
        await paper.post("r")
    assert await orders(paper) == (where == "after_accept")
    assert (await last(paper))["status"] is None


@pytest.mark.parametrize("where", BOTH)
async def test_hang(paper: Paper, where: Where) -> None:
    await paper.fault("hang", where, times=1)
    with pytest.raises(TimeoutError):
        await paper.post("h", timeout_s=0.3)
    assert await orders(paper) == (where == "after_accept")
    await paper.fault("hang", where, ms=50, times=1)
    with pytest.raises(aiohttp.ClientError):
        await paper.post("h2")


async def test_malformed_is_a_200_that_is_no_json(paper: Paper) -> None:
    await paper.fault("malformed", "after_accept", times=1)
    reply = await paper.post("m")
    assert reply.status == 200
    with pytest.raises(json.JSONDecodeError):
        json.loads(reply.raw)
    assert await orders(paper) == 1


async def test_oversized_goes_on_for_ever(paper: Paper) -> None:
    await paper.fault("oversized", "after_accept", times=1)
    reply = await paper.post("o")
    assert len(reply.raw) > OVERSIZED_BYTES
    await paper.fault("oversized", "after_accept", times=1)
    url = f"http://127.0.0.1:{paper.port}/api/trade/buy"
    async with paper.session.post(url, data=body(), headers={"Idempotency-Key": key("o2")}) as some:
        assert len(await some.content.readexactly(1000)) == 1000
        some.close()
    assert (await paper.post("still alive")).status == 200


async def test_drip_is_slow_but_whole(paper: Paper) -> None:
    await paper.fault("drip", "after_accept", ms=200, times=1)
    reply = await paper.post("d")
    assert reply.json["status"] == "MATCHED"


async def test_a_duplicate_answer_is_on_the_wire_twice(paper: Paper) -> None:
    await paper.fault("duplicate_answer", "after_accept", times=1)
    reader, writer = await asyncio.open_connection("127.0.0.1", paper.port)
    data = body()
    head = f"POST /api/trade/buy HTTP/1.1\r\nHost: x\r\nIdempotency-Key: {key('twice')}\r\n"
    writer.write(f"{head}Content-Length: {len(data)}\r\n\r\n".encode() + data)

    async def both() -> bytes:
        got = b""
        while got.count(key("twice").encode()) < 2:
            got += await reader.read(4096)
        return got

    got = await asyncio.wait_for(both(), 10)
    assert got.count(b"HTTP/1.1 200") == 2
    writer.close()
    assert await orders(paper) == 1


async def test_wrong_key_answers_for_another(paper: Paper) -> None:
    await paper.fault("wrong_key", "after_accept", times=1)
    assert (await paper.post("w")).json["idempotencyKey"] != key("w")
    assert (await paper.get("w")).json["idempotencyKey"] == key("w")


async def test_a_late_request_is_executed_after_its_error(paper: Paper) -> None:
    await paper.fault("late_accept", ms=150, status=504, code="UPSTREAM", times=1)
    reply = await paper.post("late")
    assert (reply.status, reply.code) == (504, "UPSTREAM")

    async def there() -> bool:
        return (await paper.get("late")).status == 200

    await until(there)
    entry = next(e for e in await paper.journal() if e["key"] == key("late"))
    assert (entry["accepted"], entry["status"]) == (True, 504)


@pytest.mark.parametrize("idempotency", [True, False])
async def test_a_retry_that_overtakes_a_late_request(paper: Paper, idempotency: bool) -> None:
    await paper.notify("PUT", "/capabilities", {"idempotency": idempotency})
    await paper.fault("late_accept", ms=700, times=1)
    await paper.post("race")
    retry = await paper.post("race")
    assert retry.status == 200
    assert "Idempotent-Replay" not in retry.headers
    desired = 1 if idempotency else 2

    async def landed() -> bool:
        entries = await paper.journal()
        return sum(bool(e["orderId"]) for e in entries if e["method"] == "POST") == 2

    await until(landed)
    assert await orders(paper) == desired


async def test_a_late_request_meets_void_and_deadline(paper: Paper) -> None:
    await paper.fault("late_accept", ms=700, times=2)
    await paper.post("voided")
    soon = show_time(time.time_ns() // 1_000_000 + 20)
    await paper.post("too late", body(notAfter=soon))
    assert (await paper.void("voided")).json["status"] == "VOIDED"
    await paper.fault("late_accept", ms=800, times=1)
    await paper.post("marker", body())

    async def marker() -> bool:
        return (await paper.get("marker")).status == 200

    await until(marker)
    assert (await paper.get("voided")).json["status"] == "VOIDED"
    assert (await paper.get("too late")).status == 404
    assert await orders(paper) == 1


async def test_a_request_that_takes_longer_than_promised_is_given_up(tmp_path: Path) -> None:
    async with served(tmp_path, longest_processing_ms=50) as paper:
        await paper.put_book(book(asks={"0.5": "100"}))
        await paper.fault("delay", ms=100, times=1)
        slow = await paper.post("slow")
        assert (slow.status, slow.code) == (504, "UPSTREAM")
        assert (await paper.get("slow")).status == 404
        assert (await paper.post("slow")).status == 200


async def test_faults_and_books_outlive_the_process(tmp_path: Path) -> None:
    async with served(tmp_path) as paper:
        await paper.put_book(book(asks={"0.5": "100"}))
        await paper.fault("status", times=2)
        reported = await paper.notify("GET", "/faults")
    async with served(tmp_path) as paper:
        assert await paper.notify("GET", "/faults") == reported
        assert [(await paper.post(n)).status for n in range(3)] == [500, 500, 200]


async def test_it_stops_although_a_request_hangs(tmp_path: Path) -> None:
    async with served(tmp_path) as paper:
        await paper.fault("hang", path="get")
        pending = asyncio.create_task(paper.get("x"))

        async def arrived() -> bool:
            return bool(await paper.journal())

        await until(arrived)
    with pytest.raises(aiohttp.ClientError):
        await pending


async def test_balance_lag_hides_shares_that_are_not_settled(tmp_path: Path) -> None:
    async with served(tmp_path, settle_delay_ms=600_000) as paper:
        await paper.put_book(book(asks={"0.5": "100"}, bids={"0.4": "100"}))
        await paper.post("fresh", body(size="20"))
        sell = body(size="5", limitPrice="0.4")
        assert (await paper.post("no lag", sell, side="sell")).status == 200
        await paper.fault("balance_lag", path="sell", times=1)
        assert (await paper.post("lag", sell, side="sell")).code == "INSUFFICIENT_BALANCE"
        assert (await paper.post("lag", sell, side="sell")).status == 200


async def test_balance_lag_leaves_settled_shares_alone(paper: Paper) -> None:
    await paper.post("old")

    async def settled() -> bool:
        return bool((await paper.get("old")).json["trades"][0]["status"] == "CONFIRMED")

    await until(settled)
    await paper.fault("balance_lag", path="sell")
    assert (await paper.post("sell", body(limitPrice="0.4"), side="sell")).status == 200


async def test_retrying_trades_confirm_in_the_end(paper: Paper) -> None:
    await paper.fault("retrying_trade", times=1)
    await paper.post("t")
    seen: list[str] = []

    async def confirmed() -> bool:
        status = (await paper.get("t")).json["trades"][0]["status"]
        if not seen or seen[-1] != status:
            seen.append(status)
        return bool(status == "CONFIRMED")

    await until(confirmed)
    path = ["MATCHED", "RETRYING", "MINED", "CONFIRMED"]
    assert all(path.index(one) < path.index(two) for one, two in pairwise(seen))


async def test_faults_keep_to_their_path_and_their_number(paper: Paper) -> None:
    await paper.fault("status", path="sell", times=2)
    await paper.fault("status", path="get", status=502)
    assert (await paper.post("buy")).status == 200
    for n in range(3):
        reply = await paper.post(n, body(limitPrice="0.4", size="5"), side="sell")
        assert reply.status == (500 if n < 2 else 200)
    assert (await paper.get("buy")).status == 502
    assert (await paper.ask("GET", "/health")).status == 200
    await paper.notify("DELETE", "/faults")
    assert (await paper.get("buy")).status == 200


async def test_a_fault_about_an_asset_waits_for_it(paper: Paper) -> None:
    await paper.put_book(book(asks={"0.5": "100"}), OTHER_ASSET)
    await paper.fault("status", path="buy", times=1, asset=OTHER_ASSET)
    assert (await paper.post("this")).status == 200
    assert (await paper.post("that", body(assetId=OTHER_ASSET))).status == 500
    assert (await paper.post("that again", body(assetId=OTHER_ASSET))).status == 200


@pytest.mark.parametrize(
    ("given_fault", "field"),
    [
        ({"kind": "status", "where": "before_accept"}, "seed"),
        ({"kind": "boom", "where": "before_accept", "seed": 1}, "kind"),
        ({"kind": "status", "where": "never", "seed": 1}, "where"),
        ({"kind": "status", "where": "before_accept", "seed": 1, "status": 99}, "status"),
        ({"kind": "status", "where": "before_accept", "seed": 1, "time": 1}, "time"),
        ({"kind": "status", "where": "before_accept", "seed": 1, "asset": "none"}, "asset"),
        ({"kind": "late_accept", "where": "after_accept", "seed": 1}, "where"),
        ({"kind": "wrong_key", "where": "before_accept", "seed": 1}, "where"),
    ],
)
async def test_a_wrong_fault_is_refused_by_field(
    paper: Paper, given_fault: dict[str, object], field: str
) -> None:
    data = json.dumps(given_fault).encode()
    reply = await paper.ask("POST", "/faults", data=data, control=True)
    assert (reply.status, reply.json["error"]["field"]) == (400, field)
    assert (await paper.notify("GET", "/faults"))["faults"] == []


def draws(seed: int, ppm: int, count: int, *, kind: Kind = "status") -> list[bool]:
    """Return which of `count` requests a fault hits."""
    faults: tuple[Fault, ...] = (
        Fault(fault_id=1, where="before_accept", kind=kind, seed=seed, probability_ppm=ppm),
    )
    hits = []
    for _ in range(count):
        chosen, faults = plan(faults, "buy")
        hits.append(chosen != FaultPlan())
    return hits


@given(st.integers(0, 2**63 - 1), st.integers(0, 1_000_000))
def test_the_same_seed_gives_the_same_faults(seed: int, ppm: int) -> None:
    first = draws(seed, ppm, 20)
    assert first == draws(seed, ppm, 20)
    assert ppm not in (0, 1_000_000) or first == [ppm > 0] * 20


def test_probability_is_about_right_and_seeds_differ() -> None:
    assert 400 < sum(draws(1, 250_000, 2000)) < 600
    assert draws(1, 500_000, 64) != draws(2, 500_000, 64)
