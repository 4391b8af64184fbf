"""Test that accounts, positions and orders outlive the process."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from paper.okx import journal, state
from paper.okx.core import world
from tests.paper_okx.crowd import START_MS as NOW
from tests.paper_okx.crowd import exchange
from tests.paper_okx.harness import okx
from tests.paper_okx.raw import Rest
from tests.paper_okx.test_orders import BUY
from tradingtools.runtime.process import Startup

SWAP = "BTC-USDT-SWAP"


def test_what_an_account_has_outlives_the_process(tmp_path: Path) -> None:
    with okx(tmp_path) as live:
        live.account("ann")
        live.notify("/marks", instId=SWAP, px="50000")
        live.book(SWAP, "49990", "50010", "1000")
        with (rest := Rest(live, "ann")).http:
            rest.order(ordType="market", px="", sz="3")
            waiting = rest.order(clOrdId="waits", px="49000")["data"][0]["ordId"]
            before = [rest.get(f"account/{one}")["data"] for one in ("balance", "positions")]
    with okx(tmp_path) as live:
        live.notify("/marks", instId=SWAP, px="50000")
        live.book(SWAP, "49990", "50010", "1000")
        with (rest := Rest(live, "ann")).http:
            position = rest.get("account/positions")["data"][0]
            assert (position["pos"], position["avgPx"]) == ("3", "50010")
            assert position["posId"] == before[1][0]["posId"]
            balance = rest.get("account/balance")["data"][0]["details"]
            was = before[0][0]["details"]
            assert [one["cashBal"] for one in balance] == [one["cashBal"] for one in was]
            assert [one["ordId"] for one in rest.get("trade/orders-pending")["data"]] == [waiting]
            assert rest.order(clOrdId="waits", px="49000")["data"][0]["sCode"] == "51016"
            live.notify("/prints", instId=SWAP, side="sell", px="48999", sz="9")
            order = rest.get(f"trade/order?instId={SWAP}&ordId={waiting}")["data"][0]
            assert order["state"] == "filled"
            assert rest.order(px="48000")["data"][0]["ordId"] > waiting
        assert live.conserved()


def test_a_file_of_something_else_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / state.FILE).write_bytes(b"nothing")
    with pytest.raises(Startup, match="not written by this version"), okx(tmp_path):
        pass


def test_the_journals_file_does_not_grow_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "FILE_BYTES", 2_000)
    path = tmp_path / "journal.jsonl"
    made = journal.Journal(path)
    for number in range(100):
        made.requested(at_ns=number, account="ann", via="rest", what="GET /", body={"n": number})
    made.close()
    assert len(made.after(0, 1_000)) == 100
    files = sorted(tmp_path.iterdir())
    assert [file.name for file in files] == ["journal.before.jsonl", "journal.jsonl"]
    assert all(file.stat().st_size < 2_500 for file in files)
    lines = b"".join(file.read_bytes() for file in files).splitlines()
    assert json.loads(lines[-1])["seq"] == 100


def test_an_account_keeps_its_latest_orders_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(world, "_RETAINED", 3)
    at = exchange("ann")
    ids = []
    for name in ("a", "b", "a", "c", "d"):
        order = at.place("ann", replace(BUY, px="40000", cl_ord_id=name), NOW)
        at.cancel("ann", SWAP, order.ord_id, "", NOW)
        ids.append(order.ord_id)
    found = [at.world.find("ann", one, "", NOW) is not None for one in ids]
    assert found == [False, False, True, True, True]
    latest = at.world.find("ann", "", "a", NOW)
    assert latest is not None
    assert latest.ord_id == ids[2]
    assert at.world.find("ann", "", "b", NOW) is None
