"""What following would have brought, over REST: a leader of the past, and other settings."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from replay import tasks
from services.control.simulations import requests
from tests.control.edge import RunningEdge
from tests.control.requests import error_of, subscription_body
from tests.replay import made
from tradingtools.domain.leader_trade import Side

Wallet = Callable[[], str]
LEADER = "0x" + "5e" * 20
NOW_MS = int(time.time() * 1000)
HOUR_MS = 3_600_000


@pytest.fixture(scope="module")
def known(edge: RunningEdge) -> Path:
    """The stores of the edge, with a leader in them."""
    then = NOW_MS - 48 * HOUR_MS
    rows = [
        ("0x01", "71", "BUY", "100", then, "0.5"),
        ("0x02", "71", "SELL", "50", then + HOUR_MS, "0.6"),
        ("0x03", "81", "BUY", "100", then + 2 * HOUR_MS, "0.25"),
    ]
    markets = [
        _market("0xc1", "71,72", payouts="1,0", resolved_ms=then + 3 * HOUR_MS),
        _market("0xc2", "81,82", prices="0.3,0.7"),
    ]
    trades = made.history(LEADER, rows)
    trades[2]["condition_id"] = "0xc2"
    asks = "500000 10000000\n510000 1000000000\n"
    made.analytics(
        edge.analytics,
        {
            "polymarket.trades": trades,
            "polymarket.markets": markets,
            "tradingtools.leader_books": [
                {"leader": LEADER, "leader_tx": "0x01", "asset_id": "71", "delay_seconds": 3,
                 "at_ms": then + 3000, "asks": asks},
            ],
        },
    )  # fmt: skip
    at = NOW_MS - 2 * HOUR_MS
    made.record(
        edge.recording,
        [
            made.traded(1, Side.BUY, 100, at_ms=at, leader=LEADER),
            made.traded(2, Side.BUY, 40, at_ms=at + 1000, leader=LEADER),
            made.traded(3, Side.SELL, 140, at_ms=at + 2000, leader=LEADER, held=140),
        ],
    )
    return edge.analytics


def _market(condition: str, assets: str, **changes: Any) -> dict[str, Any]:
    return {
        "condition_id": condition, "asset_ids": assets, "question": "?", "category": "Sports",
        "tags": "", "event": condition, "end_ms": 0, "volume": "", "volume_day": "", "prices": "",
        "payouts": "", "resolved_ms": 0, "read_ms": NOW_MS, **changes,
    }  # fmt: skip


def test_a_leader_is_followed_with_fees_delay_and_depth(edge: RunningEdge, known: Path) -> None:
    started = time.monotonic()
    query = "amount=20&delaySeconds=3&feeRate=0.02"
    answer = edge.call("GET", f"/leaders/{LEADER}/simulation?{query}")
    assert answer.status_code == 200, answer.text
    reported = answer.json()
    assert time.monotonic() - started < 30
    outcome = reported["outcome"]
    assert (reported["wallet"], reported["trades"], reported["delaySeconds"]) == (LEADER, 3, 3)
    assert (outcome["buys"], outcome["sells"], outcome["copied"]) == (2, 1, 3)
    # Ten shares at 0.5, the rest at 0.51: nobody recorded the other book, or any bids.
    assert (outcome["assumedBuys"], outcome["assumedSells"]) == (1, 1)
    spent, fees = float(outcome["spent"]), float(outcome["fees"])
    assert 35 < spent <= 40
    assert 0.1 < fees < 1
    # The resolved market paid a dollar a share; the other one is worth its price.
    assert float(outcome["received"]) > 25
    assert outcome["heldOutcomes"] == 1
    assert float(outcome["heldValue"]) == pytest.approx(
        float(outcome["heldCost"]) * 0.3 / 0.26, rel=0.1
    )
    whole = float(outcome["realised"]) + float(outcome["heldValue"]) - float(outcome["heldCost"])
    assert float(outcome["profit"]) == pytest.approx(whole, abs=1e-6)
    said = " ".join(reported["unknown"])
    assert "1 of 2 buys have a book recorded 3 s after them" in said
    assert "1 buys met no recorded book" in said
    assert "halts, stops, take-profits and performance rules are not part of it" in said


def test_a_leader_of_whom_nothing_is_known_is_told_so(edge: RunningEdge, known: Path) -> None:
    reported = edge.call("GET", f"/leaders/0x{'77' * 20}/simulation?ratio=0.1").json()
    assert reported["outcome"]["copied"] == 0
    assert reported["outcome"]["profit"] == "0"
    assert reported["unknown"][0] == "nothing is known of this leader"


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("", "amount"),
        ("amount=5&ratio=0.1", "amount"),
        ("amount=0", "amount"),
        ("amount=5&delaySeconds=2", "delaySeconds"),
        ("amount=5&fromMs=2000&toMs=1000", "fromMs"),
        ("amount=5&fromMs=0", "fromMs"),
        ("amount=5&feeRate=2", "feeRate"),
    ],
)
def test_a_wrong_question_names_its_field(edge: RunningEdge, query: str, field: str) -> None:
    refused = edge.call("GET", f"/leaders/{LEADER}/simulation?{query}")
    status, _, metadata = error_of(refused)
    assert (status, metadata.get("field")) == (400, field)


def test_other_settings_are_shown_beside_those_of_now(
    edge: RunningEdge, known: Path, wallet: Wallet
) -> None:
    body = subscription_body(wallet(), leader=LEADER, sizing={"fixed": {"amount": "10"}})
    created = edge.call("POST", "/subscriptions", json=body).json()
    path = f"/subscriptions/{created['id']}"
    answer = edge.call(
        "POST", f"{path}/settings-preview", json={"filters": {"minLeaderNotional": "30"}}
    )
    assert answer.status_code == 200, answer.text
    reported = answer.json()
    current, proposed = reported["current"], reported["proposed"]
    assert reported["trades"] == 3
    assert (current["buys"], current["copied"], proposed["copied"]) == (2, 3, 2)
    assert proposed["refused"] == [{"reason": "LEADER_TOO_SMALL", "count": 1}]
    assert float(proposed["spent"]) * 2 == pytest.approx(float(current["spent"]), abs=0.1)
    assert reported["recordedFrom"] < reported["recordedTo"]
    # Nothing was changed by it.
    assert edge.call("GET", path).json()["version"] == created["version"]
    nothing = edge.call("POST", f"{path}/settings-preview", json={})
    status, _, metadata = error_of(nothing)
    assert (status, metadata["field"]) == (400, "body")
    absent = edge.call(
        "POST", f"/subscriptions/sub_{'0' * 32}/settings-preview", json={"exits": {}}
    )
    assert absent.status_code == 404


def test_settings_are_tried_on_recorded_trades(edge: RunningEdge, known: Path) -> None:
    body = {"leader": LEADER, "sizing": {"fixed": {"amount": "10"}}, "budget": "12"}
    reported = edge.call("POST", "/backtests", json=body).json()
    assert reported["trades"] == 3
    assert {one["reason"] for one in reported["outcome"]["refused"]} == {"BUDGET"}
    early = edge.call("POST", "/backtests", json=body | {"toMs": str(NOW_MS - 9 * HOUR_MS)}).json()
    assert early["trades"] == 0
    assert early["unknown"][0] == "nothing is recorded of the leader within the time"


def test_one_is_computed_at_a_time_and_no_other_call_waits(edge: RunningEdge, known: Path) -> None:
    statuses: list[int] = []

    def ask() -> None:
        answer = edge.call("GET", f"/leaders/{LEADER}/simulation?amount=5")
        statuses.append(answer.status_code)

    asking = [threading.Thread(target=ask) for _ in range(4)]
    for each in asking:
        each.start()
    assert edge.call("GET", "/health").status_code == 200
    for each in asking:
        each.join(60)
    assert set(statuses) <= {200, 429}
    assert statuses.count(200) >= 1
    assert statuses.count(429) >= 1


def test_the_questions_are_those_that_the_tool_takes() -> None:
    for ours, its in (
        (requests.Simulation, tasks.Simulation),
        (requests.Comparison, tasks.Comparison),
    ):
        assert ours.__struct_fields__ == its.__struct_fields__
        assert ours.__annotations__ == its.__annotations__
