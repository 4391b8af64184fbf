"""Rights of each process in the database: one table, granted anew by every migration.

A process logs in as a role of its own (:func:`role_of`), so that a mistake or a stranger in one of
them cannot do what only another one does. All may read all; what is not named here nobody but the
owner of the database may write. The audit is append-only for everybody, and control's part of it is
written by functions that run as the owner and keep the chain whole
(docs/adr/0021-database-roles.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, LiteralString

import psycopg
from psycopg import sql

_Rights = Mapping[str, LiteralString]

READER = "reader"
"""No process: whoever only looks."""

_STREAM: _Rights = {"consumer_cursor": "insert, update"}
_CONSUMER: _Rights = {**_STREAM, "dead_letter": "insert, update"}
_LEASE: _Rights = {"partition_lease": "insert, update"}
# Triggers of orders, decisions and lots write what control adds to the sums of subscriptions.
_SUMS: _Rights = {"statistics_delta": "insert", "slippage_due": "insert"}
_TRANSITIONS: _Rights = {
    **_SUMS,
    "orders": "update",
    "order_event": "insert",
    "reservation": "update",
}
# Whoever claims or submits writes the journal, and whoever is first builds its rows.
_JOURNAL: _Rights = {
    **_CONSUMER,
    **_LEASE,
    **_TRANSITIONS,
    "journal": "insert, update",
    "orders": "insert, update",
    "reservation": "insert, update",
    "decision": "insert, update",
    "leader_row": "insert, update",
}
# PostgreSQL lets nobody lock a row who may not change some column of it.
_LOT_LOCK: _Rights = {"lot": "update (updated_at)"}

EACH: _Rights = {"process_event": "insert"}
"""Rights of every process."""

RIGHTS: Mapping[str, _Rights] = {
    "ingest": {
        **_STREAM,
        "store_identity": "insert, update",
        "rejected_frame": "insert",
        "leader_account": "insert, update",
        "leader_holding": "insert, update, delete",
    },
    "bookfeed": _STREAM,
    "router": {**_JOURNAL, **_LOT_LOCK, "resync": "update"},
    "executor": {
        **_JOURNAL,
        "late_acceptance": "insert",
        "breaker": "insert, update",
        "breaker_event": "insert",
    },
    "confirm": {
        **_CONSUMER,
        **_LEASE,
        **_TRANSITIONS,
        "fill": "insert, update",
        "lot": "insert, update",
        "lot_entry": "insert, update",
        "booking": "insert",
        "redemption": "insert, update",
        "payout": "insert",
        "follower_balance": "insert, update",
        "follower_position": "insert, delete",
        "order_resolution": "update (done_at, refused)",
        "lot_request": "update (done_at, refused)",
        "lot_correction": "insert",
        "seal": "insert",
        # Default triggers, for a position that opens.
        "trigger": "insert",
        "trigger_event": "insert",
    },
    "guard": {
        **_JOURNAL,
        **_LOT_LOCK,
        "trigger": "update",
        "trigger_event": "insert",
        "peak_record": "insert, delete",
    },
    "control": {
        "statistics_delta": "insert, delete",
        "slippage_due": "delete",
        "statistics_sum": "insert, update",
        "slippage_kept": "insert, update",
        "slippage_sum": "insert, update",
        "lot_hour": "insert, update",
        "lot_hour_cursor": "insert, update",
        "mark_hour": "insert, update",
        # What followers say that they have bought by hand, and the lock on a lot.
        "lot": "insert (follower_proxy, asset_id, origin, condition_id), update (shares_micros,"
        " cost_micros, bought_size_micros, by_hand_micros, updated_at, condition_id)",
        "lot_entry": "insert (follower_proxy, asset_id, origin, trade_id, size_micros,"
        " cost_micros), update (size_micros, cost_micros)",
        "subscription": "insert, update",
        "idempotency": "insert",
        "halt": "insert, update, delete",
        "breaker": "update",
        "breaker_event": "insert",
        "funding": "insert, update",
        "approval": "insert, update",
        "funding_operation": "insert",
        "performance_action": "insert",
        "order_resolution": "insert",
        "follower_identity": "insert, update (follower_user_id, follower_wallet_id)",
        "lot_request": "insert",
        "dead_letter": "update (replay_requested_at, replayed_at)",
        "resync": "insert, update (state, version)",
        "trigger": "insert, update",
        "trigger_event": "insert",
        "bot": "insert, update (desired, version, from_state, state, reason, config, limits)",
        "bot_event": "insert",
        "bot_order_settlement": "insert, update",
        "position_gap": "update (explained)",
        "bot_engine": "update (draining, drain_actor, drain_at)",
        "risk_ledger": "insert, update",
        "risk_limit": "insert, update, delete",
        "risk_event": "insert",
        "kill_switch": "insert, update (cleared_at, cleared_by)",
        "kill_switch_wallet": "insert",
        "bot_signal": "insert, update (id)",
        "users": "insert, update (role, exchanges, disabled, changed_at)",
        "user_password": "select, insert, update (hash, one_time_until)",
        "login_session": "insert, update (used_at, expires_at, ended_at), delete",
        "refresh_token": "select, insert, update (used_at), delete",
        "user_event": "insert",
    },
    "events": {
        **_STREAM,
        **_LEASE,
        "event": "insert",
        "event_log_position": "update",
    },
    "alerts": {
        **_STREAM,
        **_LEASE,
        "alert": "insert, update, delete",
        "alert_group": "insert, update, delete",
        "alert_message": "insert",
        "alert_delivery": "insert, update",
    },
    "webhooks": {
        **_LEASE,
        "webhook_endpoint": "insert, update, delete",
        "webhook_secret": "select, insert, update, delete",
        "webhook_lane": "insert, update, delete",
        "webhook_delivery": "insert, delete",
        "webhook_event": "insert",
    },
    "enrichment": _LEASE,
    "perfmon": {
        **_LEASE,
        "performance": "insert, update, delete",
    },
    "signer": {
        **_LEASE,
        "trading_wallet": "insert, update",
        "trading_wallet_key": "select, insert, update, delete",
        "trading_wallet_secret": "select, insert, update, delete",
        "sealing_key": "select, insert, update",
        "wallet_signature": "insert",
        "wallet_event": "insert",
    },
    "bots": {
        "trading_wallet_lease": "insert, update",
        "bot": "update (state, from_state, reason, engine, epoch, desired, flattening)",
        "position_gap": "insert, update, delete",
        "bot_order_settlement": "update (done_at)",
        "bot_funding": "insert",
        "outcome_set_change": "insert, update",
        "bot_event": "insert",
        "bot_permit": "insert, update",
        "bot_order": "insert, update",
        "bot_order_event": "insert",
        "bot_fill": "insert",
        "bot_standing": "insert, update",
        "bot_pnl": "insert, delete",
        "bot_engine": "insert, update",
        "risk_ledger": "insert, update",
        "risk_limit": "update (day, day_start_micros, peak_micros, reached)",
        "risk_share": "insert, update",
        "risk_result": "insert, update",
        "risk_event": "insert",
        "kill_switch": "update (done_at)",
        "kill_switch_wallet": "insert, update",
    },
    READER: {},
}
"""By process, what it may do with a table beyond reading it."""

SECRET: tuple[LiteralString, ...] = (
    "webhook_secret",
    "trading_wallet_key",
    "trading_wallet_secret",
    "sealing_key",
    "user_password",
    "refresh_token",
)
"""Tables that nobody may read to whom the table above does not give it."""

OWNERS_HANDS: Mapping[LiteralString, tuple[str, ...]] = {
    "append_control_change(text, text, text, text, text, jsonb, jsonb)": ("control",),
    "audit_correction(bigint)": ("confirm",),
    "forget_signatures(integer)": ("signer",),
    "is_perfmon(integer, bigint)": ("control",),
    "halt_by_engine(text, text, text, text, text)": (
        "router",
        "executor",
        "confirm",
        "guard",
        "control",
    ),
}
"""Functions that run as the owner, and the processes that may call them."""


def role_of(process: str) -> str:
    """As whom a process logs in; without a password until the server's administrator sets one."""
    return f"tradingtools_{process}"


def grant(connection: psycopg.Connection[Any]) -> None:
    """Make the roles where they are missing, and their rights in this database exactly the table's.

    Args:
        connection: of the owner of the database, in a transaction or not; he may create roles, or
            somebody who may has created them.

    Raises:
        psycopg.errors.InsufficientPrivilege: a role is missing, and the owner may not create it.
    """
    for process in RIGHTS:
        make_role(connection, role_of(process))
    roles = sql.SQL(", ").join(sql.Identifier(role_of(process)) for process in RIGHTS)
    for statement in (
        "revoke create on schema public from public",
        "revoke all on all tables in schema public from {roles}",
        "revoke all on all sequences in schema public from {roles}",
        "revoke all on all functions in schema public from {roles}",
        "grant usage on schema public to {roles}",
        "grant select on all tables in schema public to {roles}",
        *(f"revoke select on {table} from {{roles}}" for table in SECRET),
        "grant select on all sequences in schema public to {roles}",
        # Rows that events are made of share their numbers; to take one changes nothing else.
        "grant usage on sequence log_number_seq to {roles}",
    ):
        connection.execute(sql.SQL(statement).format(roles=roles))
    for process, own in RIGHTS.items():
        rights = own if process == READER else {**EACH, **own}
        for table, verbs in rights.items():
            connection.execute(
                sql.SQL("grant {verbs} on {table} to {role}").format(
                    verbs=sql.SQL(verbs),
                    table=sql.Identifier(table),
                    role=sql.Identifier(role_of(process)),
                )
            )
    for function, callers in OWNERS_HANDS.items():
        _run_as_owner(connection, function, callers)


def make_role(connection: psycopg.Connection[Any], role: str) -> None:
    """Make a role unless there is one.

    Roles belong to the whole server: another database of it may make the same one just now.
    """
    if connection.execute("select 1 from pg_roles where rolname = %s", [role]).fetchone():
        return
    try:
        with connection.transaction():
            connection.execute(sql.SQL("create role {} login").format(sql.Identifier(role)))
    except (psycopg.errors.DuplicateObject, psycopg.errors.UniqueViolation):
        return


def _run_as_owner(
    connection: psycopg.Connection[Any], function: LiteralString, callers: tuple[str, ...]
) -> None:
    for statement in (
        # Without a path of its own, a caller's temporary table could stand in for a real one.
        "alter function {function} security definer set search_path = public, pg_temp",
        "revoke all on function {function} from public",
        "grant execute on function {function} to {callers}",
    ):
        connection.execute(
            sql.SQL(statement).format(
                function=sql.SQL(function),
                callers=sql.SQL(", ").join(sql.Identifier(role_of(name)) for name in callers),
            )
        )
