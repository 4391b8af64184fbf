"""The product backend's shape of a trigger, through the real edge."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.control.edge import READ, RunningEdge
from tests.control.requests import (
    ASSET,
    CONDITION,
    Database,
    count,
    create_subscription,
    create_trigger,
    error_of,
)

Wallet = Callable[[], str]
PATH = "/simple-triggers"


def body_of(wallet: str, subscription: str, **changes: Any) -> dict[str, Any]:
    """A create that is valid unless changed."""
    return {
        "walletAddress": wallet,
        "conditionId": CONDITION,
        "assetId": ASSET,
        "side": "sell",
        "triggerType": "stop_loss",
        "triggerPrice": 0.35,
        "size": 25,
        "subscriptionId": subscription,
    } | changes


def test_numbers_become_exact_amounts_and_numbers_again(edge: RunningEdge, wallet: Wallet) -> None:
    proxy = wallet()
    subscription = create_subscription(edge, proxy)["id"]
    response = edge.call("POST", PATH, json=body_of(proxy, subscription))
    assert response.status_code == 201, response.text
    made = response.json()
    assert made.pop("createdAt")
    identifier = made.pop("id")
    # 25 USDC at 0.35 are 71.42 shares, which bring 24.997 there.
    assert made == body_of(proxy, subscription, size=24.997, status="pending")

    ours = edge.call("GET", f"/triggers/{identifier}", READ).json()
    assert (ours["triggerType"], ours["triggerPrice"], ours["size"]) == (
        "TRIGGER_TYPE_STOP_LOSS", "0.35", "71.42",
    )  # fmt: skip
    # As a backend that reckons in doubles sends it.
    whole = body_of(proxy, subscription, triggerPrice=0.1 + 0.2)
    del whole["size"]
    lot = edge.call("POST", PATH, json=whole).json()
    assert lot["triggerPrice"] == 0.3
    assert "size" not in lot
    assert "size" not in edge.call("GET", f"/triggers/{lot['id']}", READ).json()


def test_the_same_create_twice_makes_one(
    edge: RunningEdge, database: Database, wallet: Wallet
) -> None:
    proxy = wallet()
    body = body_of(proxy, create_subscription(edge, proxy)["id"])
    before = count(database, "trigger")
    headers = {"Idempotency-Key": f"simple-{proxy}"}
    first, again = (edge.call("POST", PATH, json=body, headers=headers) for _ in range(2))
    assert (first.status_code, first.json()) == (201, again.json())
    assert count(database, "trigger") == before + 1


@pytest.mark.parametrize(
    ("status", "sold", "shown"),
    [
        ("WAITING", 0, "pending"),
        ("ARMED", 0, "pending"),
        ("SUSPENDED", 0, "pending"),
        ("TRIGGERED", 0, "triggered"),
        ("NEEDS_CONFIRM", 0, "triggered"),
        ("CLOSING", 0, "triggered"),
        ("DONE", 5, "triggered"),
        ("DONE", 0, "failed"),
        ("CANCELLED", 0, "cancelled"),
        ("RESOLVED", 0, "cancelled"),
    ],
)
def test_four_statuses_and_two_kinds_are_listed(
    edge: RunningEdge, database: Database, wallet: Wallet, status: str, sold: int, shown: str
) -> None:
    proxy = wallet()
    subscription = create_subscription(edge, proxy)["id"]
    made = edge.call("POST", PATH, json=body_of(proxy, subscription)).json()
    create_trigger(
        edge, proxy, subscription,
        triggerType="TRIGGER_TYPE_TIME_STOP", triggerPrice="", fireAtMs=1_900_000_000_000,
    )  # fmt: skip
    database.execute(
        "update trigger set status = %s, sold_micros = %s where id = %s", [status, sold, made["id"]]
    )
    listed = edge.call("GET", PATH, READ, params={"walletAddress": proxy}).json()
    assert [(t["id"], t["status"]) for t in listed["triggers"]] == [(made["id"], shown)]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("triggerPrice", "0.35"),
        ("triggerPrice", 0),
        ("triggerPrice", 1),
        ("triggerPrice", 0.9999999),
        ("triggerPrice", True),
        ("triggerPrice", None),
        ("size", 0),
        ("size", "25"),
        ("size", 1e12),
        ("side", "buy"),
        ("assetId", ""),
        ("triggerType", "trailing"),
        ("walletAddress", "0x1"),
    ],
)
def test_a_wrong_field_is_named(
    edge: RunningEdge, wallet: Wallet, field: str, value: object
) -> None:
    body = body_of(wallet(), "sub_" + "0" * 32) | {field: value}
    status, reason, metadata = error_of(edge.call("POST", PATH, json=body))
    assert (status, reason, metadata["field"]) == (400, "INVALID_FIELD", field)


def test_no_more_shares_are_sold_than_can_be_told_in_shares(
    edge: RunningEdge, wallet: Wallet
) -> None:
    proxy = wallet()
    subscription = create_subscription(edge, proxy)["id"]
    for size, price, expected in ((1e8, 1e-6, 400), (1000, 1e-6, 400), (999.99, 1e-6, 201)):
        body = body_of(proxy, subscription, size=size, triggerPrice=price)
        answer = edge.call("POST", PATH, json=body)
        assert answer.status_code == expected, answer.text
        if expected == 400:
            _, reason, metadata = error_of(answer)
            assert (reason, metadata["field"]) == ("INVALID_FIELD", "size")


def test_a_missing_asset_is_named_and_no_number_is_not_json(
    edge: RunningEdge, wallet: Wallet
) -> None:
    body = body_of(wallet(), "sub_" + "0" * 32)
    del body["assetId"]
    assert error_of(edge.call("POST", PATH, json=body))[2]["field"] == "assetId"
    text = '{"triggerPrice": NaN}'
    headers = {"Content-Type": "application/json"}
    refused = edge.call("POST", PATH, content=text, headers=headers)
    assert error_of(refused)[:2] == (400, "MALFORMED_BODY")


def test_shares_that_were_bought_by_hand(edge: RunningEdge, wallet: Wallet) -> None:
    proxy = wallet()
    body = body_of(proxy, "")
    del body["subscriptionId"]
    refused = error_of(edge.call("POST", PATH, json=body))
    assert (refused[0], refused[2]["field"]) == (400, "subscriptionId")
    reported = {"followerUserId": "u", "followerWalletId": "w", "heldSize": "80"}
    made = edge.call("POST", PATH, json=body | {"manualLot": reported})
    assert made.status_code == 201, made.text
    shown = made.json()
    assert (shown["status"], shown["subscriptionId"], shown["size"]) == ("pending", "", 24.997)
    ours = edge.call("GET", f"/triggers/{shown['id']}", READ).json()
    assert (ours["status"], ours["size"]) == ("TRIGGER_STATUS_ARMED", "71.42")
