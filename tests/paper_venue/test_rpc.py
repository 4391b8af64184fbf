"""The node beside the replay: a leader's cash is on the chain, and in no value of the Data API."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from paper.venue.core.positions import cash
from paper.venue.rpc import PUSD
from tests.paper_venue.harness import LEADER, Live, settings, venue
from tradingtools.venues.polymarket.collateral import Collateral
from tradingtools.venues.polymarket.http import Http
from tradingtools.venues.polymarket.unreadable import Answers

USDC_E = "0x2791bca1f2de4661ed88a30c99a7a9449aa84174"


async def test_the_cash_is_what_the_engine_reads_and_the_value_has_none(tmp_path: Path) -> None:
    async with venue(tmp_path) as live:
        node = Http(live.http, f"{live.http.base_url}/rpc", name="polygon node")
        found = await Collateral(node, (PUSD, USDC_E), Answers()).of(LEADER)
        value = (await live.get("/data/v2/value", user=LEADER))["data"]
        held = (await live.get("/data/v2/positions", user=LEADER, limit=1000))["data"]
        total = sum(one["current_value"] for one in held)
        assert found == cash(LEADER, settings(tmp_path).seed)
        assert value["proxy_wallet"] == LEADER
        assert value["value"] == pytest.approx(total, rel=0.05, abs=1)


@pytest.mark.parametrize(
    ("requested", "code"),
    [
        ({"jsonrpc": "2.0", "id": 1, "method": "eth_mining"}, -32601),
        ({"jsonrpc": "2.0", "id": 1, "method": "eth_call", "params": [1]}, -32602),
        ({"jsonrpc": "2.0", "id": 1, "method": "eth_call",
          "params": [{"to": PUSD, "data": "0x"}, "latest"]}, 3),
        ({"id": 1}, -32600),
    ],
)  # fmt: skip
async def test_what_the_node_refuses_is_an_error_of_json_rpc(
    tmp_path: Path, requested: Any, code: int
) -> None:
    async with venue(tmp_path) as live:
        assert (await _rpc(live, requested))["error"]["code"] == code


async def test_an_address_without_a_contract_returns_nothing(tmp_path: Path) -> None:
    call = {"to": LEADER, "data": "0x70a08231" + "0" * 64}
    requested = {"jsonrpc": "2.0", "id": 7, "method": "eth_call", "params": [call, "latest"]}
    async with venue(tmp_path) as live:
        assert await _rpc(live, requested) == {"jsonrpc": "2.0", "id": 7, "result": "0x"}


async def _rpc(live: Live, requested: Any) -> Any:
    answer = await live.http.post("/rpc", json=requested)
    assert answer.status_code == 200
    return answer.json()
