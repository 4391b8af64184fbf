"""Test that accounts, positions and orders outlive the process."""

from __future__ import annotations

from pathlib import Path

import pytest

from paper.okx import state
from tests.paper_okx.harness import okx
from tests.paper_okx.raw import Rest
from tradingtools.runtime.process import Startup

SWAP = "BTC-USDT-SWAP"


def test_what_an_account_has_outlives_the_process(tmp_path: Path) -> None:
    with okx(tmp_path) as live:
        live.account("ann")
        live.tell("/marks", instId=SWAP, px="50000")
        live.book(SWAP, "49990", "50010", "1000")
        with (rest := Rest(live, "ann")).http:
            rest.order(ordType="market", px="", sz="3")
            waiting = rest.order(clOrdId="waits", px="49000")["data"][0]["ordId"]
            before = [rest.get(f"account/{one}")["data"] for one in ("balance", "positions")]
    with okx(tmp_path) as live:
        live.tell("/marks", instId=SWAP, px="50000")
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
            live.tell("/prints", instId=SWAP, side="sell", px="48999", sz="9")
            order = rest.get(f"trade/order?instId={SWAP}&ordId={waiting}")["data"][0]
            assert order["state"] == "filled"
            assert rest.order(px="48000")["data"][0]["ordId"] > waiting
        assert live.conserved()


def test_a_file_of_something_else_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / state.FILE).write_bytes(b"nothing")
    with pytest.raises(Startup, match="not written by this version"), okx(tmp_path):
        pass
