"""Requests as a client writes them, and rows as the other processes would have written them."""

from __future__ import annotations

import json
import secrets
from typing import Any

import httpx
import psycopg
from psycopg.rows import DictRow

from tests.control.edge import RunningEdge

CONDITION = "0x" + "c0" * 32
ASSET = "1" * 78
"""As long as the venue's get."""
ROUTER_STAND_IN = f"""
create function answer_resync() returns trigger language plpgsql as $$
begin
    if new.state = 'REQUESTED' and new.kind = 'ASKED' and tg_op = 'INSERT' then
        new.state := 'PREVIEWED';
        new.previewed_at := clock_timestamp();
        new.lines := jsonb_build_array(
            jsonb_build_object(
                'condition_id', '{CONDITION}', 'asset_id', '{ASSET}', 'leader_micros', 1000000000,
                'held_micros', 40000000, 'side', 'BUY', 'size_micros', 60000000,
                'limit_micros', 510000, 'money_micros', 30600000, 'order_key', repeat('a', 64)),
            jsonb_build_object(
                'condition_id', '{CONDITION}', 'asset_id', '8', 'leader_micros', null,
                'held_micros', 0, 'reason', 'HOLDING_UNKNOWN'));
    elsif new.state = 'EXECUTING' then
        new.state := 'EXECUTED';
        new.ended_at := clock_timestamp();
    end if;
    return new;
end $$;
create trigger answer_resync before insert or update on resync
    for each row execute function answer_resync();
"""
"""Answers resyncs at once where no router runs, with one buy and one outcome that is not known."""


class Nobodys:
    """Knows of no resource."""

    async def follower_of(self, _kind: str, _identifier: str) -> str | None:
        """No follower's."""
        return None

    async def exchange_of(self, _kind: str, _identifier: str) -> str | None:
        """Of no exchange."""
        return None


Database = psycopg.Connection[DictRow]


def subscription_body(wallet: str, **changes: Any) -> dict[str, Any]:
    """A create that is valid unless changed."""
    return {
        "follower": {
            "followerUserId": "user-1",
            "followerWalletId": "wallet-1",
            "followerProxy": wallet,
        },
        "leader": "0x" + "be" * 20,
        "sizing": {"fixed": {"amount": "25"}},
        "limits": {"maxPerTrade": "50", "maxSlippage": "0.02"},
    } | changes


def trigger_body(wallet: str, subscription: str, **changes: Any) -> dict[str, Any]:
    """A create that is valid unless changed."""
    return {
        "wallet": wallet,
        "conditionId": CONDITION,
        "assetId": ASSET,
        "side": "sell",
        "triggerType": "TRIGGER_TYPE_TAKE_PROFIT",
        "triggerPrice": "0.75",
        "size": "10.5",
        "subscriptionId": subscription,
    } | changes


def create_subscription(edge: RunningEdge, wallet: str, **changes: Any) -> dict[str, Any]:
    """A new subscription as answered."""
    response = edge.call("POST", "/subscriptions", json=subscription_body(wallet, **changes))
    assert response.status_code == 201, response.text
    answer: dict[str, Any] = response.json()
    return answer


def create_trigger(
    edge: RunningEdge, wallet: str, subscription: str, **changes: Any
) -> dict[str, Any]:
    """A new trigger as answered."""
    response = edge.call("POST", "/triggers", json=trigger_body(wallet, subscription, **changes))
    assert response.status_code == 201, response.text
    answer: dict[str, Any] = response.json()
    return answer


def error_of(response: httpx.Response) -> tuple[int, str, dict[str, str]]:
    """HTTP status, reason and metadata of an error, in the one shape that errors have."""
    body = response.json()
    assert set(body) == {"code", "message", "details"}, body
    info = body["details"][0]
    assert info["@type"] == "type.googleapis.com/google.rpc.ErrorInfo"
    assert info["domain"] == "tradingtools"
    return response.status_code, info["reason"], info.get("metadata", {})


def count(database: Database, table: str) -> int:
    """Return how many rows a table has."""
    row = database.execute(f"select count(*) as n from {table}".encode()).fetchone()
    assert row is not None
    return int(row["n"])


def put_lot(database: Database, wallet: str, subscription: str, **changes: Any) -> None:
    """A lot as confirm would book it."""
    values = {
        "follower_proxy": wallet, "asset_id": ASSET, "origin": subscription,
        "condition_id": CONDITION, "shares_micros": 40_000_000, "cost_micros": 20_000_000,
        "bought_notional_micros": 20_000_000, "sold_notional_micros": 5_500_000,
        "fee_micros": 120_000, "realised_micros": -380_000,
    } | changes  # fmt: skip
    _insert(database, "lot", values)


def put_order(
    database: Database, wallet: str, subscription: str, state: str, **changes: Any
) -> str:
    """An order's row as the executor would write it; returns its key."""
    key = secrets.token_hex(32)
    values = {
        "order_key": key, "copy_key": secrets.token_hex(32), "ordinal": 0, "purpose": "ENTRY",
        "subscription_id": subscription, "subscription_version": 1,
        "follower_user_id": "user-1", "follower_wallet_id": "wallet-1", "follower_proxy": wallet,
        "partition": 0, "leader": "0x" + "be" * 20, "leader_tx": "0x" + secrets.token_hex(32),
        "condition_id": CONDITION, "asset_id": ASSET, "side": "BUY", "size_micros": 10_000_000,
        "limit_micros": 510_000, "time_in_force": "FAK", "not_after_ms": 2_000_000_000_000,
        "body": b"{}", "body_hash": "h", "journal_seq": 1, "control_seq": 1, "state": state,
        "failed_kind": "KILLED" if state == "FAILED" else None, "chain_head": b"\x01",
    } | changes  # fmt: skip
    _insert(database, "orders", values)
    return str(values["order_key"])


def put_fill(database: Database, order: str, trade: str, **changes: Any) -> None:
    """A fill as confirm would write it."""
    values = {
        "order_key": order, "trade_id": trade, "status": "MATCHED", "size_micros": 3_000_000,
        "notional_micros": 1_000_000, "fee_micros": 20_000,
    } | changes  # fmt: skip
    of = database.execute("select subscription_id from orders where order_key = %s", [order])
    _insert(database, "fill", {**values, **(of.fetchone() or {})})


def put_decision(database: Database, wallet: str, subscription: str, **changes: Any) -> str:
    """A decision as the router would make it; returns the leader's transaction."""
    tx = "0x" + secrets.token_hex(32)
    values = {
        "leader_tx": tx, "leader": "0x" + "be" * 20, "asset_id": ASSET, "side": "BUY",
        "subscription_id": subscription, "condition_id": CONDITION, "follower_proxy": wallet,
        "copied": False, "reason": "TOO_OLD", "detail": "61000 ms > 60000 ms",
        "leader_size_micros": 1_500_000, "leader_notional_micros": 750_000,
    } | changes  # fmt: skip
    _insert(database, "decision", values)
    return tx


def put_journal(database: Database, kind: str, orders: list[dict[str, Any]]) -> None:
    """A journal record that is no rows yet."""
    payload = json.dumps({"orders": orders, "decisions": [], "rows": [], "lease_ms": 5000})
    values = {
        "kind": kind, "role": "executor", "record_key": secrets.token_hex(8), "partition": 0,
        "epoch": 1, "payload": payload.encode(), "order_count": len(orders),
    }  # fmt: skip
    _insert(database, "journal", values)


def _insert(database: Database, table: str, values: dict[str, Any]) -> None:
    names = ", ".join(values)
    places = ", ".join(f"%({name})s" for name in values)
    database.execute(f"insert into {table} ({names}) values ({places})".encode(), values)
