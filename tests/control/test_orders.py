"""One order over REST: what became of it, and when it passed each hop."""

from __future__ import annotations

import secrets
from collections.abc import Callable

from tests.control.edge import READ, RunningEdge
from tests.control.requests import (
    ASSET,
    CONDITION,
    Database,
    create_subscription,
    create_trigger,
    error_of,
    put_lot,
    put_order,
)

Wallet = Callable[[], str]
_NS = 1_770_000_000_000_000_000
"""2026-02-02T02:40:00Z."""


def test_each_hop_has_its_instant_and_missing_ones_are_left_out(
    edge: RunningEdge, wallet: Wallet, database: Database
) -> None:
    proxy = wallet()
    made = create_subscription(edge, proxy)["id"]
    key = put_order(
        database, proxy, made, "UNKNOWN", received_ns=_NS + 1_234_567, routed_ns=_NS + 2_000_000,
        claimed_ns=_NS + 3_000_999, submitting_ns=_NS + 4_000_000, first_byte_ns=_NS + 5_000_000,
    )  # fmt: skip
    (order,) = database.execute("select * from orders where order_key = %s", [key]).fetchall()
    # A transaction of two rows, and a later one of his.
    for traded_ms, leader_tx in (
        (-700, order["leader_tx"]),
        (-500, order["leader_tx"]),
        (-900, "0x1"),
    ):
        database.execute(
            "insert into leader_row (leader_tx, leader, asset_id, side, price_text, size_micros,"
            " source, count, price_micros, condition_id, traded_ms)"
            " values (%s, %s, %s, 'BUY', %s, 1, 'FEED', 1, 500000, %s, %s)",
            [leader_tx, order["leader"], ASSET, f"0.{-traded_ms}", CONDITION,
             _NS // 1_000_000 + traded_ms],
        )  # fmt: skip
    answer = edge.call("GET", f"/orders/{key}", READ)
    assert answer.status_code == 200, answer.text
    reported = answer.json()
    assert reported["times"] == {
        "tradedAt": "2026-02-02T02:39:59.300Z",
        "receivedAt": "2026-02-02T02:40:00.001234Z",
        "decidedAt": "2026-02-02T02:40:00.002Z",
        "claimedAt": "2026-02-02T02:40:00.003Z",
        "submittingAt": "2026-02-02T02:40:00.004Z",
        "sentAt": "2026-02-02T02:40:00.005Z",
    }
    assert (reported["id"], reported["state"], reported["size"]) == (
        key,
        "ORDER_STATE_UNKNOWN",
        "10",
    )
    assert reported["follower"]["followerProxy"] == proxy
    assert "triggerId" not in reported
    assert "reason" not in reported


def test_an_order_that_is_not_there_is_not_found(edge: RunningEdge) -> None:
    assert error_of(edge.call("GET", f"/orders/{secrets.token_hex(32)}", READ))[:2] == (
        404, "NOT_FOUND",
    )  # fmt: skip
    assert error_of(edge.call("GET", "/orders/nonsense", READ))[0] == 400


def _listed(edge: RunningEdge, **query: object) -> list[str]:
    """Return the ids of all pages of two."""
    found: list[str] = []
    token = ""
    while True:
        page = {"pageSize": 2, "pageToken": token} if token else {"pageSize": 2}
        answer = edge.call("GET", "/orders", READ, params={**query, **page})
        assert answer.status_code == 200, answer.text
        found += [order["id"] for order in answer.json()["orders"]]
        token = answer.json().get("nextPageToken", "")
        if not token:
            return found


def test_orders_by_wallet_and_subscription_come_newest_first(
    edge: RunningEdge, wallet: Wallet, database: Database
) -> None:
    one, other = wallet(), wallet()
    made = {proxy: create_subscription(edge, proxy)["id"] for proxy in (one, other)}
    keys = [
        put_order(database, proxy, made[proxy], state)
        for proxy, state in (
            (one, "UNKNOWN"), (other, "UNKNOWN"), (one, "SUBMITTED"), (one, "UNKNOWN"),
        )
    ]  # fmt: skip
    newest = keys[::-1]
    assert [key for key in _listed(edge) if key in keys] == newest
    assert _listed(edge, followerProxy=one.upper().replace("0X", "0x")) == [
        keys[3], keys[2], keys[0],
    ]  # fmt: skip
    assert _listed(edge, subscription=made[other]) == [keys[1]]
    assert _listed(edge, subscription=made[other], followerProxy=one) == []
    assert _listed(edge, followerProxy=one, state="ORDER_STATE_UNKNOWN") == [keys[3], keys[0]]


def test_subscriptions_and_triggers_of_all_wallets_are_listed(
    edge: RunningEdge, wallet: Wallet, database: Database
) -> None:
    proxies = [wallet(), wallet()]
    made = [create_subscription(edge, proxy)["id"] for proxy in proxies]
    listed = edge.call("GET", "/subscriptions", READ, params={"pageSize": 200}).json()
    assert [one["id"] for one in listed["subscriptions"] if one["id"] in made] == made
    for proxy, one in zip(proxies, made, strict=True):
        put_lot(database, proxy, one)
    pairs = zip(proxies, made, strict=True)
    armed = [create_trigger(edge, proxy, one)["id"] for proxy, one in pairs]
    listed = edge.call("GET", "/triggers", READ, params={"pageSize": 200}).json()
    assert [one["id"] for one in listed["triggers"] if one["id"] in armed] == armed
    statuses = {"pageSize": 200, "status": "TRIGGER_STATUS_CANCELLED"}
    listed = edge.call("GET", "/triggers", READ, params=statuses).json()
    assert not [one["id"] for one in listed.get("triggers", []) if one["id"] in armed]
