"""Test what a repeat, a late request, a read and a void do in all sixteen combinations."""

from __future__ import annotations

import asyncio
import time
from itertools import count, product

import pytest

from paper.insiders.wire import show_time
from tests.paper_insiders.harness import ASSET, OTHER_PROXY, Paper, Reply, body, key, until

COMBINATIONS = list(product([False, True], repeat=4))
PAST = "2020-01-01T00:00:00.000Z"
FUTURE = "2999-01-01T00:00:00.000Z"


@pytest.mark.parametrize(("a", "b", "c", "d"), COMBINATIONS)
async def test_each_combination(paper: Paper, a: bool, b: bool, c: bool, d: bool) -> None:
    switches = {"idempotency": a, "notAfter": b, "getByKey": c, "void": d}
    await paper.notify("PUT", "/capabilities", switches)
    reported = (await paper.ask("GET", "/api/capabilities")).json
    assert reported == {**switches, "longestProcessingMs": 5000}
    first_id = await _repeat(paper, a)
    await _late(paper, b)
    await _read(paper, c, first_id)
    await _void(paper, c, d)
    shared = (await paper.state())["ordersPerKey"]
    assert shared == ({} if a else {key("repeat"): 3})


async def _repeat(paper: Paper, a: bool) -> str:
    first = await paper.post("repeat")
    assert (first.status, first.json["status"]) == (200, "MATCHED")
    assert "Idempotent-Replay" not in first.headers
    again = await paper.post("repeat")
    other = await paper.post("repeat", body(size="11"))
    if a:
        assert again.headers["Idempotent-Replay"] == "true"
        assert again.json["orderId"] == first.json["orderId"]
        assert (other.status, other.code) == (422, "KEY_REUSED")
        assert (await paper.post("repeat", b"{")).code == "KEY_REUSED"
        assert (await paper.post("repeat", side="sell")).code == "KEY_REUSED"
        assert await paper.positions() == {ASSET: "10"}
    else:
        assert again.json["orderId"] != first.json["orderId"]
        assert other.status == 200
        assert await paper.positions() == {ASSET: "31"}
    return str(first.json["orderId"])


async def _late(paper: Paper, b: bool) -> None:
    late = await paper.post("late", body(notAfter=PAST))
    assert (late.status, late.code) == ((400, "TOO_LATE") if b else (200, None))
    assert (await paper.post("in time", body(notAfter=FUTURE))).status == 200
    nonsense = await paper.post("nonsense", body(notAfter="tomorrow"))
    assert nonsense.code == ("INVALID_REQUEST" if b else None)


async def _read(paper: Paper, c: bool, first_id: str) -> None:
    found, missing = await paper.get("repeat"), await paper.get("nobody")
    if c:
        assert (found.status, found.json["orderId"]) == (200, first_id)
        assert (missing.status, missing.code) == (404, "ORDER_NOT_FOUND")
    else:
        assert (found.status, found.code) == (501, "NOT_SUPPORTED")
        assert (missing.status, missing.code) == (501, "NOT_SUPPORTED")


async def _void(paper: Paper, c: bool, d: bool) -> None:
    for _ in range(2):
        unused = await paper.void("unused")
        used = await paper.void("repeat")
        if d:
            assert (unused.status, unused.json["status"]) == (200, "VOIDED")
            assert (used.status, used.code) == (409, "KEY_USED")
            assert used.json["order"]["idempotencyKey"] == key("repeat")
        else:
            assert (unused.code, used.code) == ("NOT_SUPPORTED", "NOT_SUPPORTED")
    after = await paper.post("unused", body(followerProxy=OTHER_PROXY))
    assert (after.status, after.code) == ((400, "VOIDED") if d else (200, None))
    if c and d:
        mark = await paper.get("unused")
        assert (mark.status, mark.json["status"], mark.json["closed"]) == (200, "VOIDED", True)


async def test_a_void_holds_after_the_capability_was_switched_off(paper: Paper) -> None:
    await paper.void("gone")
    await paper.notify("PUT", "/capabilities", {"void": False, "idempotency": False})
    assert (await paper.post("gone")).code == "VOIDED"


async def test_a_replay_comes_before_the_deadline_and_shows_the_order_as_it_is_now(
    paper: Paper,
) -> None:
    soon = show_time(time.time_ns() // 1_000_000 + 1000)
    data = body(notAfter=soon)
    first = await paper.post("soon", data)
    assert first.json["trades"][0]["status"] == "MATCHED"

    attempts = count()

    async def too_late() -> bool:
        return (await paper.post(next(attempts), data)).code == "TOO_LATE"

    await until(too_late)
    await until(lambda: _confirmed(paper, "soon"))
    replay = await paper.post("soon", data)
    assert replay.headers["Idempotent-Replay"] == "true"
    assert replay.json["trades"][0]["status"] == "CONFIRMED"
    assert replay.json["trades"][0]["transactionHash"].startswith("0x")


async def _confirmed(paper: Paper, name: str) -> bool:
    order = (await paper.get(name)).json
    return all(trade["status"] == "CONFIRMED" for trade in order["trades"])


async def test_a_repeat_of_a_request_in_progress_is_told_so(paper: Paper) -> None:
    await paper.fault("delay", ms=1000, times=1)
    first = asyncio.create_task(paper.post("slow"))

    async def arrived() -> bool:
        return any(entry["key"] == key("slow") for entry in await paper.journal())

    await until(arrived)
    second = await paper.post("slow")
    assert (second.status, second.code) == (409, "IN_PROGRESS")
    assert (await first).status == 200
    assert (await paper.post("slow")).headers["Idempotent-Replay"] == "true"


async def test_many_at_once_with_one_key_make_one_order(paper: Paper) -> None:
    replies: list[Reply] = await asyncio.gather(*(paper.post("crowd") for _ in range(30)))
    assert {reply.status for reply in replies} <= {200, 409}
    assert sum(entry["accepted"] for entry in await paper.journal()) == 1
    assert len((await paper.state())["orders"]) == 1


async def test_a_definitive_rejection_does_not_use_the_key(paper: Paper) -> None:
    assert (await paper.post("twice", body(size="1"))).code == "MIN_SIZE"
    assert (await paper.get("twice")).status == 404
    assert (await paper.post("twice")).status == 200
