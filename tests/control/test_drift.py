"""Drift over REST: what would be held, what is held, what the wallet is said to hold, and why."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.control.edge import READ, RunningEdge
from tests.control.requests import (
    ASSET,
    CONDITION,
    Database,
    create_subscription,
    error_of,
    put_decision,
    put_lot,
    put_order,
)

Wallet = Callable[[], str]
MICROS = 1_000_000


def _drift(edge: RunningEdge, identifier: str, **query: Any) -> dict[str, Any]:
    answer = edge.call("GET", f"/subscriptions/{identifier}/drift", READ, params=query)
    assert answer.status_code == 200, answer.text
    page: dict[str, Any] = answer.json()
    return page


def _decide(database: Database, proxy: str, identifier: str, second: int, **values: Any) -> str:
    at = f"2026-01-01T00:00:{second:02}Z"
    return put_decision(database, proxy, identifier, decided_at=at, **values)


def test_the_reasons_make_the_difference(
    edge: RunningEdge, database: Database, wallet: Wallet
) -> None:
    """50 ordered, 40 bought; half of it left with the leader, 6 of that have not found a bid."""
    proxy = wallet()
    identifier = create_subscription(edge, proxy)["id"]
    copied: dict[str, Any] = {"copied": True, "reason": ""}
    _decide(database, proxy, identifier, 1, ordered_size_micros=30 * MICROS, **copied)
    _decide(database, proxy, identifier, 2, ordered_size_micros=20 * MICROS, **copied)
    _decide(database, proxy, identifier, 3)  # TOO_OLD
    tx = _decide(
        database, proxy, identifier, 4, side="SELL", leader_size_micros=2 * MICROS, **copied
    )
    database.execute(
        "insert into leader_row (leader_tx, leader, asset_id, side, price_text, size_micros,"
        " source, count, price_micros, condition_id, traded_ms, held_before_micros)"
        " values (%s, %s, %s, 'SELL', '0.5', 2, 'FEED', 1, 500000, %s, 1, %s)",
        [tx, "0x" + "be" * 20, ASSET, CONDITION, 4 * MICROS],
    )
    filled = {"filled_size_micros": 30 * MICROS, "size_micros": 30 * MICROS}
    put_order(database, proxy, identifier, "CONFIRMED", **filled)
    put_order(
        database, proxy, identifier, "CONFIRMED", size_micros=20 * MICROS,
        filled_size_micros=12 * MICROS,
    )  # fmt: skip
    copy = "e" * 64
    for number, (state, done) in enumerate([("FAILED", 0), ("CONFIRMED", 15), ("SUBMITTED", 0)]):
        put_order(
            database, proxy, identifier, state, purpose="COPY_EXIT", side="SELL", copy_key=copy,
            ordinal=number, size_micros=(21, 21, 6)[number] * MICROS,
            filled_size_micros=done * MICROS,
        )  # fmt: skip
    put_lot(database, proxy, identifier, shares_micros=27 * MICROS)
    put_lot(database, proxy, "manual", shares_micros=3 * MICROS)

    (drift,) = _drift(edge, identifier)["outcomes"]
    assert drift.pop("reasons") == [
        {"reason": "PARTLY_FILLED", "side": "SIDE_BUY", "number": "1", "size": "8"},
        {"reason": "TOO_OLD", "side": "SIDE_BUY", "number": "1"},
        {"reason": "SUBMITTED", "side": "SIDE_SELL", "number": "1", "size": "6"},
    ]
    assert drift == {
        "conditionId": CONDITION, "assetId": ASSET, "idealSize": "25", "size": "27",
        # Of the 8 that were not bought, half would have been sold again.
        "unexplainedSize": "-4", "lotsSize": "30",
    }  # fmt: skip


def test_the_wallet_is_shown_while_nothing_was_booked_since(
    edge: RunningEdge, database: Database, wallet: Wallet
) -> None:
    proxy = wallet()
    identifier = create_subscription(edge, proxy)["id"]
    put_lot(database, proxy, identifier)
    assert "walletSize" not in _drift(edge, identifier)["outcomes"][0]
    database.execute(
        "insert into follower_balance (follower_proxy, cash_micros, moves, polled_moves, polled_at)"
        " values (%s, 1, 7, 7, '2026-01-01')", [proxy],
    )  # fmt: skip
    database.execute(
        "insert into follower_position values (%s, %s, %s, 41500000)", [proxy, ASSET, CONDITION]
    )
    reported = _drift(edge, identifier)
    assert reported["walletToldAt"] == "2026-01-01T00:00:00Z"
    (drift,) = reported["outcomes"]
    assert (drift["walletSize"], drift["foreignSize"]) == ("41.5", "1.5")
    database.execute("update follower_balance set moves = 8 where follower_proxy = %s", [proxy])
    stale = _drift(edge, identifier)
    assert "walletToldAt" not in stale
    assert "foreignSize" not in stale["outcomes"][0]


def test_triggers_and_resolutions_are_no_drift(
    edge: RunningEdge, database: Database, wallet: Wallet
) -> None:
    proxy = wallet()
    identifier = create_subscription(edge, proxy)["id"]
    _decide(database, proxy, identifier, 1, copied=True, reason="", ordered_size_micros=10 * MICROS)
    done = {"filled_size_micros": 10 * MICROS}
    put_order(database, proxy, identifier, "CONFIRMED", **done)
    sold = {"filled_size_micros": 4 * MICROS, "size_micros": 4 * MICROS}
    put_order(
        database, proxy, identifier, "CONFIRMED", side="SELL", purpose="GUARD_EXIT", leader_tx="",
        **sold,
    )  # fmt: skip
    put_lot(database, proxy, identifier, shares_micros=6 * MICROS)
    (drift,) = _drift(edge, identifier)["outcomes"]
    assert (drift["idealSize"], drift["size"], drift["unexplainedSize"]) == ("6", "6", "0")
    # A sell that the subscription does not follow moves nothing.
    _decide(database, proxy, identifier, 9, side="SELL", reason="EXITS_OFF")
    assert _drift(edge, identifier)["outcomes"][0]["idealSize"] == "6"
    key = proxy[2:].rjust(64, "0")
    database.execute(
        "insert into redemption (redeem_key, follower_proxy, condition_id, round, body, state,"
        " expected_micros) values (%s, %s, %s, 0, '', 'CONFIRMED', 6)", [key, proxy, CONDITION],
    )  # fmt: skip
    database.execute(
        "insert into payout (redeem_key, follower_proxy, asset_id, origin, condition_id,"
        " size_micros, cost_micros, share_micros, paid_micros) values (%s, %s, %s, %s, %s, 6, 0, 0,"
        " 0)", [key, proxy, ASSET, identifier, CONDITION],
    )  # fmt: skip
    database.execute("update lot set shares_micros = 0 where follower_proxy = %s", [proxy])
    (drift,) = _drift(edge, identifier)["outcomes"]
    assert (drift["idealSize"], drift["unexplainedSize"]) == ("0", "0")


def test_a_resync_sets_right_what_was_missing_before_it(
    edge: RunningEdge, database: Database, wallet: Wallet
) -> None:
    proxy = wallet()
    identifier = create_subscription(edge, proxy)["id"]
    _decide(database, proxy, identifier, 1, copied=True, reason="", ordered_size_micros=70 * MICROS)
    _decide(database, proxy, identifier, 2)  # TOO_OLD
    long_ago = {"created_at": "2026-01-01T00:00:01Z"}
    put_order(
        database, proxy, identifier, "CONFIRMED", size_micros=70 * MICROS,
        filled_size_micros=40 * MICROS, **long_ago,
    )  # fmt: skip
    put_lot(database, proxy, identifier, shares_micros=97 * MICROS)
    # It finds 40 and buys 60 more, of which 3 do not come.
    shown = edge.call("POST", f"/subscriptions/{identifier}/resync").json()
    before = _drift(edge, identifier)["outcomes"][0]
    assert [reason["reason"] for reason in before["reasons"]] == ["PARTLY_FILLED", "TOO_OLD"]
    edge.call("POST", f"/resyncs/{shown['id']}/execution")
    put_order(
        database, proxy, identifier, "CONFIRMED", size_micros=60 * MICROS,
        filled_size_micros=57 * MICROS, leader_tx="",
    )  # fmt: skip
    (drift,) = _drift(edge, identifier)["outcomes"]
    assert [(r["reason"], r["size"]) for r in drift["reasons"]] == [("PARTLY_FILLED", "3")]
    assert (drift["idealSize"], drift["size"], drift["unexplainedSize"]) == ("100", "97", "0")


def test_drift_is_paged(edge: RunningEdge, database: Database, wallet: Wallet) -> None:
    proxy = wallet()
    identifier = create_subscription(edge, proxy)["id"]
    for asset in ("5", "3", "9"):
        put_lot(database, proxy, identifier, asset_id=asset)
    _decide(database, proxy, identifier, 1, asset_id="4")
    seen, token = [], None
    while token != "":
        page = _drift(edge, identifier, pageSize=1, pageToken=token or "")
        seen += [drift["assetId"] for drift in page["outcomes"]]
        token = page["nextPageToken"]
    assert seen == ["3", "4", "5", "9"]
    refused = edge.call("GET", f"/subscriptions/sub_{'0' * 32}/drift")
    assert error_of(refused)[:2] == (404, "NOT_FOUND")
