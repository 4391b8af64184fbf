"""The journal has every request, once, with what became of it."""

from __future__ import annotations

import asyncio
import hashlib
import json
from pathlib import Path

import psycopg
import pytest

from tests.paper_insiders.harness import Paper, body, book, key, redeem_body, served


async def test_every_request_is_there_in_order_with_its_answer(paper: Paper) -> None:
    odd = b'{"followerUserId": "\xff"}'
    requested: list[tuple[str, str, bytes, str | None]] = [
        ("POST", "/api/trade/buy", body(), key("a")),
        ("POST", "/api/trade/buy", body(), key("a")),
        ("POST", "/api/trade/buy", body(size="1"), key("b")),
        ("POST", "/api/trade/sell", body(limitPrice="0.4"), key("c")),
        ("POST", "/api/trade/redeem", redeem_body(), key("d")),
        ("POST", "/api/trade/buy", odd, key("e")),
        ("POST", "/api/trade/buy", body(), None),
        ("GET", f"/api/trade/orders/by-key/{key('a')}", b"", None),
        ("POST", f"/api/trade/orders/by-key/{key('f')}/void", b"", None),
        ("GET", "/api/capabilities", b"", None),
        ("GET", "/nowhere", b"", None),
        ("PATCH", "/api/trade/buy", b"x", None),
    ]
    replies = []
    for method, path, data, header in requested:
        headers = {} if header is None else {"Idempotency-Key": header}
        replies.append(await paper.ask(method, path, data=data, headers=headers))
    entries = await paper.journal()
    assert [(e["method"], e["path"]) for e in entries] == [one[:2] for one in requested]
    for entry, (_, path, data, header), reply in zip(entries, requested, replies, strict=True):
        assert entry["bodySha256"] == hashlib.sha256(data).hexdigest()
        assert entry["status"] == reply.status
        assert entry["code"] == reply.code
        assert entry["key"] == (path.split("/")[5] if "by-key" in path else header)
        assert entry["arrivedNs"] < entry["answeredNs"]
        assert entry["ledger"] is None
    assert entries[0]["body"] == body().decode()
    assert entries[5]["body"] == odd.decode(errors="backslashreplace")
    first = replies[0].json["orderId"]
    assert [(e["accepted"], e["orderId"]) for e in entries[:3]] == [
        (True, first),
        (False, first),
        (False, None),
    ]
    assert sum(e["accepted"] for e in entries) == len((await paper.state())["orders"])


async def test_a_burst_is_journalled_completely_and_read_in_pages(paper: Paper) -> None:
    await asyncio.gather(*(paper.post(n, body(size="5")) for n in range(60)))
    pages = []
    after = 0
    while entries := (await paper.notify("GET", f"/journal?after={after}&limit=25"))["entries"]:
        pages.append(len(entries))
        after = entries[-1]["id"]
    assert pages == [25, 25, 10]
    assert {e["key"] for e in await paper.journal()} == {key(n) for n in range(60)}


@pytest.mark.parametrize("query", ["after=x", "after=-1", "limit=0.5", "limit=999999"])
async def test_a_wrong_page_is_refused(paper: Paper, query: str) -> None:
    reply = await paper.ask("GET", f"/journal?{query}", control=True)
    assert (reply.status, reply.code) == (400, "INVALID_REQUEST")


async def test_the_probe_asks_the_engines_database_at_each_order(
    tmp_path: Path, database_url: str
) -> None:
    committed = body(size="6")
    digest = hashlib.sha256(committed).hexdigest()
    record = {"orders": [{"order_key": key("committed"), "body_hash": digest}]}
    async with await psycopg.AsyncConnection.connect(database_url) as engine:
        await engine.execute(
            "insert into journal (kind, role, record_key, partition, epoch, payload, order_count)"
            " values ('SUBMITTING', 'executor', 'r', 0, 1, %s, 1)",
            (json.dumps(record).encode(),),
        )
    async with served(tmp_path, probe_database_url=database_url) as paper:
        await paper.put_book(book(asks={"0.5": "100"}))
        await paper.post("committed", committed)
        await paper.post("committed", body(size="7"))
        await paper.post("unknown", committed)
        await paper.get("committed")
        entries = await paper.journal()
    assert [entry["ledger"] for entry in entries] == [True, False, False, None]


async def test_a_dead_database_is_written_down_as_no_answer(tmp_path: Path) -> None:
    nobody = "postgresql://nobody@127.0.0.1:1/nothing?connect_timeout=1"
    async with served(tmp_path, probe_database_url=nobody) as paper:
        await paper.put_book(book(asks={"0.5": "100"}))
        assert (await paper.post("x")).status == 200
        assert (await paper.journal())[0]["ledger"] is None
