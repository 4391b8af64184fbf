"""Lots of what a follower has bought by hand, told over REST."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

import pytest

from tests.control.edge import READ, RunningEdge
from tests.control.requests import ASSET, CONDITION, Database, error_of, trigger_body

Wallet = Callable[[], str]


def body_of(wallet: str, held: str, **changes: Any) -> dict[str, Any]:
    """A create for a manual lot that is valid unless changed."""
    body = trigger_body(wallet, "") | {
        "manualLot": {"followerUserId": "u", "followerWalletId": "w", "heldSize": held}
    }
    del body["subscriptionId"]
    return body | changes


def lot_of(database: Database, wallet: str) -> tuple[Any, ...]:
    row = database.execute(
        "select l.shares_micros, l.cost_micros, l.bought_size_micros, l.by_hand_micros,"
        " (select sum(size_micros) from lot_entry e where e.follower_proxy = l.follower_proxy) as n"
        " from lot l where follower_proxy = %s and origin = 'manual'",
        [wallet],
    ).fetchone()
    assert row is not None
    return tuple(int(value) for value in row.values())


def test_a_lot_is_as_large_as_the_caller_says(
    edge: RunningEdge, database: Database, wallet: Wallet
) -> None:
    proxy = wallet()
    made = edge.call("POST", "/triggers", json=body_of(proxy, "20.5"))
    assert made.status_code == 201, made.text
    assert (made.json()["status"], made.json()["subscriptionId"]) == ("TRIGGER_STATUS_ARMED", "")
    assert edge.call("GET", f"/triggers/{made.json()['id']}", READ).json() == made.json()
    assert lot_of(database, proxy) == (20_500_000, 0, 20_500_000, 20_500_000, 20_500_000)
    for held, micros in (("30", 30_000_000), ("12", 12_000_000), ("12", 12_000_000)):
        assert edge.call("POST", "/triggers", json=body_of(proxy, held)).status_code == 201
        assert lot_of(database, proxy) == (micros, 0, micros, micros, micros)
    none = edge.call("POST", "/triggers", json=body_of(proxy, "0")).json()
    assert none["status"] == "TRIGGER_STATUS_WAITING"
    assert lot_of(database, proxy) == (0, 0, 0, 0, 0)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"subscriptionId": "sub_" + "0" * 32}, "subscriptionId"),
        ({"manualLot": {"followerUserId": "u", "heldSize": "5"}}, "manualLot.followerWalletId"),
        (
            {"manualLot": {"followerUserId": "u", "followerWalletId": "w", "heldSize": "-1"}},
            "manualLot.heldSize",
        ),
    ],
)
def test_what_does_not_fit_is_named(
    edge: RunningEdge, wallet: Wallet, changes: dict[str, Any], field: str
) -> None:
    refused = edge.call("POST", "/triggers", json=body_of(wallet(), "5", **changes))
    assert error_of(refused)[0::2] == (400, error_of(refused)[2] | {"field": field})


def test_one_of_both_origins_is_needed_and_the_market_has_to_be_the_lots(
    edge: RunningEdge, wallet: Wallet
) -> None:
    proxy = wallet()
    body = body_of(proxy, "5")
    del body["manualLot"]
    assert error_of(edge.call("POST", "/triggers", json=body))[2]["field"] == "subscriptionId"
    assert edge.call("POST", "/triggers", json=body_of(proxy, "5")).status_code == 201
    other = body_of(proxy, "5", conditionId="0x" + "1" * 64)
    assert error_of(edge.call("POST", "/triggers", json=other))[2]["field"] == "conditionId"


def test_less_than_exits_are_selling_is_refused(
    edge: RunningEdge, database: Database, wallet: Wallet
) -> None:
    proxy = wallet()
    assert edge.call("POST", "/triggers", json=body_of(proxy, "20")).status_code == 201
    key = secrets.token_hex(32)
    database.execute(
        "insert into orders (order_key, copy_key, ordinal, purpose, subscription_version,"
        " follower_user_id, follower_wallet_id, follower_proxy, partition, condition_id, asset_id,"
        " side, size_micros, limit_micros, time_in_force, not_after_ms, body, body_hash,"
        " journal_seq, control_seq, state, chain_head) values (%s, 'c', 0, 'GUARD_EXIT', 0, 'u',"
        " 'w', %s, 0, %s, %s, 'SELL', 9000000, 500000, 'FAK', 0, '', '', 0, 0, 'CLAIMED', '')",
        [key, proxy, CONDITION, ASSET],
    )
    database.execute(
        "insert into reservation (order_key, follower_proxy, condition_id, asset_id, money_micros,"
        " shares_micros) values (%s, %s, %s, %s, 0, 9000000)",
        [key, proxy, CONDITION, ASSET],
    )
    refused = error_of(edge.call("POST", "/triggers", json=body_of(proxy, "8.99")))
    assert (refused[0], refused[2]["field"]) == (400, "manualLot.heldSize")
    assert edge.call("POST", "/triggers", json=body_of(proxy, "9")).status_code == 201
    # What is sold has left the lot, settled or not, and the caller does not count it.
    database.execute("update orders set filled_size_micros = 6000000 where order_key = %s", [key])
    assert edge.call("POST", "/triggers", json=body_of(proxy, "2.99")).status_code == 400
    assert edge.call("POST", "/triggers", json=body_of(proxy, "3")).status_code == 201
