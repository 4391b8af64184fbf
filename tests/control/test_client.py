"""A client that knows the OpenAPI document alone drives the surface through the real edge."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.control.edge import MANAGE, RunningEdge
from tests.control.requests import (
    ASSET,
    CONDITION,
    Database,
    put_decision,
    put_fill,
    put_lot,
    put_order,
)
from tradingtools_client import ApiError, Client, Session
from tradingtools_client.models import CreateSubscriptionRequest

Wallet = Callable[[], str]


@pytest.fixture
def client(edge: RunningEdge) -> Iterator[Client]:
    """One with the right to change."""
    found = Client(Session(edge.url, MANAGE))
    yield found
    found.close()


def _body(wallet: str) -> CreateSubscriptionRequest:
    return {
        "follower": {"followerUserId": "u", "followerWalletId": "w", "followerProxy": wallet},
        "leader": "0x" + "be" * 20,
        "sizing": {"ratio": {"ratio": "0.1"}},
        "limits": {"maxPerTrade": "50"},
    }


def test_from_a_subscription_to_the_history_of_a_ladder(
    client: Client, database: Database, wallet: Wallet
) -> None:
    follower = wallet()
    made = client.create_subscription(_body(follower), idempotency_key=f"key-{follower}")
    assert client.create_subscription(_body(follower), idempotency_key=f"key-{follower}") == made
    order = put_order(database, follower, made["id"], "CONFIRMED")
    for number in range(3):
        put_fill(database, order, f"trade-{number}")
    skipped = put_decision(database, follower, made["id"])
    fills = list(client.all_subscription_fills(made["id"], page_size=2))
    assert {fill["tradeId"] for fill in fills} == {"trade-0", "trade-1", "trade-2"}
    assert [fill["size"] for fill in fills] == ["3"] * 3
    [decision] = client.all_subscription_decisions(made["id"])
    assert (decision["leaderTx"], decision["copied"], decision["reason"]) == (
        skipped, False, "TOO_OLD",
    )  # fmt: skip

    put_lot(database, follower, made["id"])
    trigger = client.create_trigger(
        {
            "wallet": follower,
            "conditionId": CONDITION,
            "assetId": ASSET,
            "triggerType": "TRIGGER_TYPE_LADDER",
            "rungs": [
                {"triggerPrice": "0.6", "fraction": "0.5"},
                {"triggerPrice": "0.8", "fraction": ""},
            ],
            "subscriptionId": made["id"],
        }
    )
    assert len(trigger["rungs"]) == 2
    assert [found["id"] for found in client.all_triggers(wallet=follower)] == [trigger["id"]]
    changed = client.update_trigger(
        trigger["id"], {"rungs": [{"triggerPrice": "0.7"}]}, if_match=trigger["version"]
    )
    assert [rung["triggerPrice"] for rung in changed["rungs"]] == ["0.7"]
    cancelled = client.delete_trigger(trigger["id"])["status"]
    entries = list(client.all_trigger_history(trigger["id"], page_size=1))
    reported = [entry["toStatus"] for entry in entries]
    assert (reported[0], reported[-1]) == (trigger["status"], cancelled)
    assert (trigger["status"], cancelled) == ("TRIGGER_STATUS_ARMED", "TRIGGER_STATUS_CANCELLED")


def test_somebody_else_was_first(client: Client, wallet: Wallet) -> None:
    made = client.create_subscription(_body(wallet()))
    client.pause_subscription(made["id"])
    with pytest.raises(ApiError) as refused:
        client.resume_subscription(made["id"], if_match=made["version"])
    assert (refused.value.status, refused.value.reason) == (412, "CONFLICT")


def test_who_has_no_token_learns_whether_it_is_up(edge: RunningEdge) -> None:
    stranger = Client(Session(edge.url, ""))
    assert (stranger.get_health(), stranger.get_readiness()) == (
        {"status": "ok"}, {"status": "ready"},
    )  # fmt: skip
    with pytest.raises(ApiError) as refused:
        stranger.get_open_api()
    assert refused.value.status == 401
    stranger.close()
