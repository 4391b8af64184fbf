"""Resyncs over REST: shown first, executed as shown, once. The router is a stand-in here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.control.edge import READ, RunningEdge
from tests.control.requests import (
    ASSET,
    CONDITION,
    Database,
    create_subscription,
    error_of,
    put_order,
    subscription_body,
)

Wallet = Callable[[], str]


def _preview(edge: RunningEdge, subscription: str, **more: Any) -> dict[str, Any]:
    answer = edge.call("POST", f"/subscriptions/{subscription}/resync", **more)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


def _changes(database: Database, subscription: str) -> list[str]:
    rows = database.execute(
        "select action from control_change where subject_id = %s order by seq", [subscription]
    ).fetchall()
    return [row["action"] for row in rows]


def test_preview_shows_the_orders_and_executes_once(
    edge: RunningEdge, database: Database, wallet: Wallet
) -> None:
    proxy = wallet()
    subscription = create_subscription(edge, proxy)["id"]
    shown = _preview(edge, subscription)
    assert (shown["state"], shown["subscriptionId"]) == ("RESYNC_STATE_PREVIEWED", subscription)
    assert shown["lines"] == [
        {
            "conditionId": CONDITION, "assetId": ASSET, "leaderSize": "1000", "heldSize": "40",
            "side": "SIDE_BUY", "size": "60", "limit": "0.51", "cost": "30.6", "reason": "",
            "detail": "",
        },
        {
            "conditionId": CONDITION, "assetId": "8", "heldSize": "0",
            "reason": "HOLDING_UNKNOWN", "detail": "",
        },
    ]  # fmt: skip
    target = f"/resyncs/{shown['id']}"
    assert edge.call("GET", target, READ).json() == shown

    etag = {"If-Match": f'"{shown["version"]}"'}
    done = edge.call("POST", f"{target}/execution", headers=etag)
    assert (done.status_code, done.json()["state"]) == (200, "RESYNC_STATE_EXECUTED")
    again = edge.call("POST", f"{target}/execution", headers=etag)
    assert again.json() == done.json()
    assert _changes(database, subscription) == ["create", "preview resync", "execute resync"]

    put_order(
        database, proxy, subscription, "CONFIRMED", order_key="a" * 64, leader_tx="",
        size_micros=60_000_000, filled_size_micros=55_000_000,
    )  # fmt: skip
    (line, _) = edge.call("GET", target, READ).json()["lines"]
    assert (line["orderId"], line["orderState"], line["filledSize"]) == (
        "a" * 64,
        "ORDER_STATE_CONFIRMED",
        "55",
    )


def test_what_is_stale_or_not_there_is_refused(
    edge: RunningEdge, database: Database, wallet: Wallet
) -> None:
    subscription = create_subscription(edge, wallet())["id"]
    made = _preview(edge, subscription)["id"]
    target = f"/resyncs/{made}/execution"
    refused = edge.call("POST", target, headers={"If-Match": '"9"'})
    assert error_of(refused)[:2] == (412, "CONFLICT")
    for state, expected in (("REQUESTED", (400, "WRONG_STATE")), ("STALE", (409, "CONFLICT"))):
        database.execute(
            "update resync set state = %s, detail = 'outcome 7: another order is under way'"
            " where id = %s", [state, made],
        )  # fmt: skip
        answer = edge.call("POST", target)
        assert error_of(answer)[:2] == expected
    assert "outcome 7: another order is under way" in answer.json()["message"]
    nowhere = f"/resyncs/rsy_{'0' * 32}"
    assert error_of(edge.call("GET", nowhere))[:2] == (404, "NOT_FOUND")
    assert error_of(edge.call("POST", f"{nowhere}/execution"))[:2] == (404, "NOT_FOUND")
    nobody = f"/subscriptions/sub_{'0' * 32}"
    assert error_of(edge.call("POST", f"{nobody}/resync"))[0] == 404
    assert error_of(edge.call("GET", f"{nobody}/resyncs"))[0] == 404
    edge.call("DELETE", f"/subscriptions/{subscription}")
    deleted = edge.call("POST", f"/subscriptions/{subscription}/resync")
    assert error_of(deleted)[:2] == (400, "WRONG_STATE")


def test_previews_are_made_once_per_key_newest_first(edge: RunningEdge, wallet: Wallet) -> None:
    subscription = create_subscription(edge, wallet())["id"]
    key = {"Idempotency-Key": f"key-{subscription}"}
    first, again, other = (
        _preview(edge, subscription, headers=headers) for headers in (key, key, {})
    )
    assert first["id"] == again["id"]
    seen, token = [], None
    while token != "":
        query = {"pageSize": 1, "pageToken": token or ""}
        page = edge.call("GET", f"/subscriptions/{subscription}/resyncs", READ, params=query).json()
        seen += [resync["id"] for resync in page["resyncs"]]
        token = page["nextPageToken"]
    assert seen == [other["id"], first["id"]]


@pytest.mark.parametrize("mode", ["MIRROR", "BASELINE", None])
def test_a_start_that_mirrors_is_asked_for_with_the_subscription(
    edge: RunningEdge, wallet: Wallet, mode: str | None
) -> None:
    start = {} if mode is None else {"start": f"START_MODE_{mode}"}
    made = create_subscription(edge, wallet(), **start)
    shown = edge.call("GET", f"/subscriptions/{made['id']}", READ).json()
    assert shown.get("start") == ("START_MODE_MIRROR" if mode == "MIRROR" else None)
    found = edge.call("GET", f"/subscriptions/{made['id']}/resyncs", READ).json()["resyncs"]
    expected = [(True, "RESYNC_STATE_REQUESTED")] if mode == "MIRROR" else []
    assert [(one["atStart"], one["state"]) for one in found] == expected


def test_a_shadow_mirrors_nothing(edge: RunningEdge, wallet: Wallet) -> None:
    body = subscription_body(wallet(), shadow=True, start="START_MODE_MIRROR")
    status, reason, metadata = error_of(edge.call("POST", "/subscriptions", json=body))
    assert (status, reason, metadata["field"]) == (400, "INVALID_FIELD", "start")
