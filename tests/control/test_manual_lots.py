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


def test_manual_lot_needs_one_origin_and_its_market(edge: RunningEdge, wallet: Wallet) -> None:
    proxy = wallet()
    body = body_of(proxy, "5")
    del body["manualLot"]
    assert error_of(edge.call("POST", "/triggers", json=body))[2]["field"] == "subscriptionId"
    assert edge.call("POST", "/triggers", json=body_of(proxy, "5")).status_code == 201
    other = body_of(proxy, "5", conditionId="0x" + "1" * 64)
    assert error_of(edge.call("POST", "/triggers", json=other))[2]["field"] == "conditionId"


def exit_of(database: Database, proxy: str) -> str:
    """The key of an exit that sells nine shares of a wallet's lot."""
    key = secrets.token_hex(32)
    database.execute(
        "insert into orders (order_key, copy_key, ordinal, purpose, subscription_version,"
        " follower_user_id, follower_wallet_id, follower_proxy, partition, condition_id, asset_id,"
        " side, size_micros, limit_micros, time_in_force, not_after_ms, body, body_hash,"
        " journal_seq, control_seq, state, chain_head) values (%s, %s, 0, 'GUARD_EXIT', 0, 'u',"
        " 'w', %s, 0, %s, %s, 'SELL', 9000000, 500000, 'FAK', 0, '', '', 0, 0, 'CLAIMED', '')",
        [key, f"copy {key}", proxy, CONDITION, ASSET],
    )
    database.execute(
        "insert into reservation (order_key, follower_proxy, condition_id, asset_id, money_micros,"
        " shares_micros) values (%s, %s, %s, %s, 0, 9000000)",
        [key, proxy, CONDITION, ASSET],
    )
    return key


def test_less_than_exits_are_selling_is_refused(
    edge: RunningEdge, database: Database, wallet: Wallet
) -> None:
    proxy = wallet()
    assert edge.call("POST", "/triggers", json=body_of(proxy, "20")).status_code == 201
    key = exit_of(database, proxy)
    refused = error_of(edge.call("POST", "/triggers", json=body_of(proxy, "8.99")))
    assert (refused[0], refused[2]["field"]) == (400, "manualLot.heldSize")
    assert edge.call("POST", "/triggers", json=body_of(proxy, "9")).status_code == 201
    # What is sold has left the lot, settled or not, and the caller does not count it.
    database.execute("update orders set filled_size_micros = 6000000 where order_key = %s", [key])
    assert edge.call("POST", "/triggers", json=body_of(proxy, "2.99")).status_code == 400
    assert edge.call("POST", "/triggers", json=body_of(proxy, "3")).status_code == 201


def sold(database: Database, key: str, proxy: str) -> None:
    """All nine are matched, as confirm books it; the chain has not settled them."""
    database.execute(
        "update orders set state = 'SUBMITTED', filled_size_micros = 9000000 where order_key = %s",
        [key],
    )
    database.execute(
        "insert into fill (order_key, trade_id, status, size_micros, notional_micros, fee_micros)"
        " values (%s, 't', 'MATCHED', 9000000, 1, 0)",
        [key],
    )
    database.execute(
        "update lot set shares_micros = shares_micros - 9000000 where follower_proxy = %s", [proxy]
    )


def test_a_lot_does_not_grow_by_what_was_sold_and_is_not_settled(
    edge: RunningEdge, database: Database, wallet: Wallet
) -> None:
    """Test that whoever asks the chain is told of sold shares as well; a stop of them could not
    sell."""
    proxy = wallet()
    assert edge.call("POST", "/triggers", json=body_of(proxy, "20")).status_code == 201
    key = exit_of(database, proxy)
    sold(database, key, proxy)
    for reported in ("20", "11.01"):
        refused = error_of(edge.call("POST", "/triggers", json=body_of(proxy, reported)))
        assert (refused[0], refused[2]["field"]) == (400, "manualLot.heldSize")
        assert refused[2]["expected"] == "at most 11: 9 that exits have sold are not settled yet"
    # A trigger of what is left can be made at any time, and less can be told.
    assert edge.call("POST", "/triggers", json=body_of(proxy, "11")).status_code == 201
    assert edge.call("POST", "/triggers", json=body_of(proxy, "10")).status_code == 201
    assert lot_of(database, proxy)[0] == 10_000_000
    database.execute("update fill set status = 'CONFIRMED' where order_key = %s", [key])
    assert edge.call("POST", "/triggers", json=body_of(proxy, "20")).status_code == 201


def test_unreported_settlement_blocks_no_lot_for_long(
    edge: RunningEdge, database: Database, wallet: Wallet
) -> None:
    proxy = wallet()
    assert edge.call("POST", "/triggers", json=body_of(proxy, "20")).status_code == 201
    key = exit_of(database, proxy)
    sold(database, key, proxy)
    assert edge.call("POST", "/triggers", json=body_of(proxy, "30")).status_code == 400
    database.execute(
        "update fill set matched_at = now() - interval '11 minutes' where order_key = %s", [key]
    )
    assert edge.call("POST", "/triggers", json=body_of(proxy, "30")).status_code == 201


def test_sales_of_copies_block_no_manual_lot(
    edge: RunningEdge, database: Database, wallet: Wallet
) -> None:
    """A stop of it could not be made then, while copies are sold again and again."""
    proxy = wallet()
    assert edge.call("POST", "/triggers", json=body_of(proxy, "20")).status_code == 201
    key = exit_of(database, proxy)
    sold(database, key, proxy)
    database.execute(
        "update orders set subscription_id = %s where order_key = %s",
        ["sub_" + secrets.token_hex(16), key],
    )
    assert edge.call("POST", "/triggers", json=body_of(proxy, "30")).status_code == 201
