"""Copy quality over REST: beside the leader, by group, and what each reason has cost."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from typing import Any

import pytest

from tests.control.edge import READ, RunningEdge
from tests.control.marks import put_mark
from tests.control.requests import (
    CONDITION,
    Database,
    create_subscription,
    error_of,
    put_decision,
    put_order,
)
from tradingtools.domain.money import parse_exact, to_text
from tradingtools.storage.redis import documents
from tradingtools.storage.redis.client import open_redis
from tradingtools.v1 import enrichment_pb2 as enrichment

Wallet = Callable[[], str]
MICROS = 1_000_000
LEADER, OTHER = "0x" + "be" * 20, "0x" + "ad" * 20


def _resolve(edge: RunningEdge, condition_id: str, asset_id: str, payout: int) -> None:
    facts = enrichment.MarketFacts(
        condition_id=condition_id, asset_ids=[asset_id, "no"], payout_micros=[payout, 0]
    )

    async def write() -> None:
        async with open_redis(edge.redis_url) as client:
            await documents.publish(
                client, "markets", secrets.token_hex(8), {condition_id: facts.SerializeToString()},
                stands_ms=600_000,
            )  # fmt: skip

    asyncio.run(write())


def _asset() -> str:
    return str(10**40 + secrets.randbelow(10**39))


def _copied(database: Database, proxy: str, identifier: str, asset: str, **changes: Any) -> str:
    """An order of a leader's trade of 100 shares for 50 USDC."""
    tx = put_decision(
        database, proxy, identifier, asset_id=asset, copied=True, reason="",
        leader_size_micros=100 * MICROS, leader_notional_micros=50 * MICROS,
        side=changes.get("side", "BUY"),
    )  # fmt: skip
    values = {
        "asset_id": asset, "leader_tx": tx, "size_micros": 10 * MICROS,
        "filled_size_micros": 10 * MICROS, "filled_notional_micros": 5_200_000,
        "fee_micros": 10_000, "received_ns": 1_000_000_000, "answered_ns": 1_040_000_000,
    } | changes  # fmt: skip
    return put_order(database, proxy, identifier, "CONFIRMED", **values)


def _get(edge: RunningEdge, path: str, **query: Any) -> dict[str, Any]:
    answer = edge.call("GET", path, READ, params=query)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_a_copy_beside_its_leader(edge: RunningEdge, database: Database, wallet: Wallet) -> None:
    """0.20 of slippage, two ticks a share, a cent of fees; both have gained since."""
    proxy, asset = wallet(), _asset()
    identifier = create_subscription(edge, proxy)["id"]
    order = _copied(database, proxy, identifier, asset)
    put_mark(edge.redis_url, asset, 600_000)
    page = _get(edge, f"/subscriptions/{identifier}/copy-quality", by="order")
    (group,) = page["groups"]
    assert group == {
        "key": order, "orders": "1", "filledOrders": "1", "filledFraction": 1.0,
        "notional": "5.2", "fees": "0.01", "slippage": "0.2", "slippageTicks": 2.0,
        "delayP50Us": "40000", "delayP90Us": "40000", "made": "0.79", "leaderMade": "1",
        "trackingError": "0.21",
    }  # fmt: skip
    assert page["total"] == group | {"key": ""}
    statistics = _get(edge, f"/subscriptions/{identifier}")["statistics"]
    assert page["total"]["slippage"] == statistics["slippage"]


def test_groups_by_everything(edge: RunningEdge, database: Database, wallet: Wallet) -> None:
    """Two subscriptions of a wallet: groups add up, pages are the list."""
    proxy, assets = wallet(), [_asset(), _asset()]
    ids = [create_subscription(edge, proxy)["id"]]
    ids.append(create_subscription(edge, proxy, leader=OTHER)["id"])
    for number in range(6):
        _copied(
            database, proxy, ids[number % 2], assets[number % 2],
            filled_notional_micros=5_000_000 + number, leader=(LEADER, OTHER)[number % 2],
            condition_id=(CONDITION, "0x" + "c1" * 32)[number % 2],
        )  # fmt: skip
    database.execute("update decision set leader = %s where subscription_id = %s", [OTHER, ids[1]])
    for by, keys in (
        ("subscription", sorted(ids)),
        ("leader", sorted([LEADER, OTHER])),
        ("market", sorted([CONDITION, "0x" + "c1" * 32])),
    ):
        page = _get(edge, "/copy-quality", followerProxy=proxy.upper().replace("X", "x"), by=by)
        assert [group["key"] for group in page["groups"]] == keys
        assert page["total"]["orders"] == "6"
        # Nobody knows a book of these.
        assert "made" not in page["total"]
        for field in ("slippage", "fees", "notional", "trackingError"):
            whole = sum(parse_exact(group[field]) for group in page["groups"])
            assert page["total"][field] == to_text(whole)
    found, token = [], ""
    while True:
        page = _get(
            edge, f"/subscriptions/{ids[0]}/copy-quality", by="order", pageSize=2, pageToken=token
        )
        found += [group["key"] for group in page["groups"]]
        token = page["nextPageToken"]
        if not token:
            break
    assert len(found) == len(set(found)) == 3
    assert len(_get(edge, f"/subscriptions/{ids[0]}/copy-quality", by="hour")["groups"]) in (1, 2)


def test_what_each_reason_has_cost(edge: RunningEdge, database: Database, wallet: Wallet) -> None:
    """A filter that cost 41.20 and one that saved 20; sells are counted and in no sum."""
    proxy, rose, fell, unknown = wallet(), _asset(), _asset(), _asset()
    won = "0x" + secrets.token_hex(32)
    identifier = create_subscription(edge, proxy, sizing={"fixed": {"amount": "20"}})["id"]
    database.execute(
        "update subscription set max_per_trade_micros = null where id = %s", [identifier]
    )
    half = {"leader_size_micros": 100 * MICROS, "leader_notional_micros": 50 * MICROS}
    put_mark(edge.redis_url, rose, 515_000)
    _resolve(edge, won, fell, 0)
    for _ in range(2):
        put_decision(
            database, proxy, identifier, asset_id=rose, reason="PRICE_BAND",
            leader_size_micros=200 * MICROS, leader_notional_micros=50 * MICROS,
        )  # fmt: skip
    put_decision(database, proxy, identifier, asset_id=fell, condition_id=won, reason="NEAR_END",
                 **half)  # fmt: skip
    put_decision(database, proxy, identifier, asset_id=unknown, reason="NEAR_END", **half)
    put_decision(database, proxy, identifier, asset_id=rose, reason="NEAR_END", side="SELL", **half)
    _copied(database, proxy, identifier, rose, filled_size_micros=4 * MICROS,
            filled_notional_micros=2 * MICROS)  # fmt: skip
    report = _get(edge, f"/subscriptions/{identifier}/missed-copies")
    assert report["reasons"] == [
        # 2 x 80 shares for 20 each, now 41.20 each.
        {"reason": "PRICE_BAND", "number": "2", "unknown": "0", "cost": "40", "made": "42.4"},
        {"reason": "PARTLY_FILLED", "number": "1", "unknown": "0", "cost": "3", "made": "0.09"},
        {"reason": "NEAR_END", "number": "3", "unknown": "2", "cost": "20", "made": "-20"},
    ]
    assert report["total"] == {
        "reason": "", "number": "6", "unknown": "2", "cost": "63", "made": "22.49",
    }  # fmt: skip
    assert _get(edge, "/missed-copies", followerProxy=proxy) == report
    decided = _get(edge, f"/subscriptions/{identifier}")["statistics"]
    skipped = sum(int(r["number"]) for r in report["reasons"] if r["reason"] != "PARTLY_FILLED")
    assert str(skipped) == decided["skipped"]


@pytest.mark.parametrize("kind", ["copy-quality", "missed-copies"])
def test_only_of_the_time_that_is_asked_for(
    edge: RunningEdge, database: Database, wallet: Wallet, kind: str
) -> None:
    """Before it there was nothing."""
    proxy = wallet()
    identifier = create_subscription(edge, proxy)["id"]
    _copied(database, proxy, identifier, _asset())
    put_decision(database, proxy, identifier)
    old = _get(edge, f"/subscriptions/{identifier}/{kind}", fromMs=0, toMs=1_000_000_000_000)
    assert old["total"]["orders" if kind == "copy-quality" else "number"] == "0"


@pytest.mark.parametrize("kind", ["copy-quality", "missed-copies"])
def test_more_than_is_looked_at_is_refused(
    edge: RunningEdge, database: Database, wallet: Wallet, kind: str
) -> None:
    """And no part of it is shown as if it were the whole."""
    proxy = wallet()
    identifier = create_subscription(edge, proxy)["id"]
    key = _copied(database, proxy, identifier, _asset())
    database.execute(
        "insert into orders select (o).* from (select jsonb_populate_record(o, jsonb_build_object("
        " 'order_key', lpad(n::text, 64, '0'), 'copy_key', %s || n)) as o"
        " from orders o, generate_series(1, 10000) n where o.order_key = %s) many",
        [identifier, key],
    )
    answer = edge.call("GET", f"/subscriptions/{identifier}/{kind}", READ)
    status, reason, metadata = error_of(answer)
    assert (status, reason, metadata["field"]) == (400, "INVALID_FIELD", "fromMs")
    database.execute("delete from orders where subscription_id = %s", [identifier])


def test_of_nobody(edge: RunningEdge) -> None:
    """There is no such subscription; a wallet without any has copied nothing."""
    for kind in ("copy-quality", "missed-copies"):
        answer = edge.call("GET", f"/subscriptions/sub_{'9' * 32}/{kind}", READ)
        assert error_of(answer)[:2] == (404, "NOT_FOUND")
        assert edge.call("GET", f"/{kind}", READ).status_code == 400
        nobody = _get(edge, f"/{kind}", followerProxy="0x" + "9" * 40)
        assert nobody["total"]
