"""Twins of `tradingtools/storage/postgres/money_path.sql` and `dead_letters.sql`."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

import msgspec

from tradingtools.testing.memory_database import building, functions
from tradingtools.testing.memory_database.schema import Row
from tradingtools.testing.memory_database.transactions import Transaction, Twin, nanoseconds


def acquire_lease(tx: Transaction, values: Row) -> list[Row]:
    """Take a partition over: free, expired, or ours from an earlier life."""
    expires_at = tx.now + timedelta(seconds=values["ttl_seconds"])
    row = tx.insert_unless_there(
        "partition_lease",
        {
            "role": values["role"],
            "partition": values["partition"],
            "owner": values["owner"],
            "epoch": 1,
            "expires_at": expires_at,
        },
    )
    if row is not None:
        return [{"epoch": 1, "now_ns": tx.now_us * 1000}]
    known = tx.get("partition_lease", values["role"], values["partition"])
    if known is None or not (known["expires_at"] < tx.now or known["owner"] == values["owner"]):
        return []
    epoch = known["epoch"] + 1
    tx.update("partition_lease", known, owner=values["owner"], epoch=epoch, expires_at=expires_at)
    return [{"epoch": epoch, "now_ns": tx.now_us * 1000}]


def renew_lease(tx: Transaction, values: Row) -> list[Row]:
    """Keep it, also a little late, as long as nobody took it over."""
    row = tx.get("partition_lease", values["role"], values["partition"])
    if row is None or row["epoch"] != values["epoch"]:
        return []
    expires_at = tx.now + timedelta(seconds=values["ttl_seconds"])
    tx.update("partition_lease", row, expires_at=expires_at, backlog_ms=values["backlog_ms"])
    return [{"epoch": row["epoch"], "now_ns": tx.now_us * 1000}]


def holds_lease(tx: Transaction, values: Row) -> list[Row]:
    """Return whether an owner may write."""
    held = functions.holds_lease(tx, values["role"], values["partition"], values["epoch"])
    return [{"held": held}]


def claim(tx: Transaction, values: Row) -> list[Row]:
    """One journal record, unless it is there or the lease is not held."""
    if not functions.holds_lease(tx, values["role"], values["partition"], values["epoch"]):
        return []
    row = tx.insert_unless_there("journal", {**values, "kind": "CLAIMED"}, ("record_key",))
    if row is None:
        return []
    return [{"seq": row["seq"], "claimed_ns": nanoseconds(row["committed_at"])}]


def claim_new(tx: Transaction, values: Row) -> list[Row]:
    """One of several journal records that are new, all of them."""
    if not functions.holds_lease(tx, values["role"], values["partition"], values["epoch"]):
        return []
    row = tx.insert("journal", {**values, "kind": "CLAIMED"})
    return [{"seq": row["seq"], "claimed_ns": nanoseconds(row["committed_at"])}]


def record_exists(tx: Transaction, values: Row) -> list[Row]:
    """Return whether a record is there."""
    found = any(True for _ in tx.where("journal", record_key=values["record_key"]))
    return [{"found": 1}] if found else []


def build_rows(tx: Transaction, values: Row) -> list[Row]:
    """Turn a record into rows."""
    return [{"build_rows": building.build_rows(tx, values["seq"])}]


def set_aside(tx: Transaction, values: Row) -> list[Row]:
    """Leave a record to a person."""
    building.set_aside_record(tx, values["seq"], values["reason"])
    return [{"set_aside_record": ""}]


def _claimed(tx: Transaction, values: Row) -> list[Row]:
    role, partition = values["role"], values["partition"]
    return list(tx.where("journal", kind="CLAIMED", role=role, partition=partition))


def last_claimed(tx: Transaction, values: Row) -> list[Row]:
    """Where a tail of claimed records starts."""
    return [{"seq": max((row["seq"] for row in _claimed(tx, values)), default=0)}]


def claimed_after(tx: Transaction, values: Row) -> list[Row]:
    """Claimed records of one writer that have orders."""
    found = [
        {
            "seq": row["seq"],
            "payload": row["payload"],
            "claimed_ns": nanoseconds(row["committed_at"]),
        }
        for row in _claimed(tx, values)
        if row["seq"] > values["after"] and row["order_count"] > 0
    ]
    return sorted(found, key=lambda row: row["seq"])[: values["limit"]]


def open_records(tx: Transaction, values: Row) -> list[Row]:
    """Records whose rows were not built yet, oldest first."""
    seconds = values["older_than_seconds"]
    found = [
        {"seq": row["seq"], "kind": row["kind"]}
        for row in tx.where(
            "journal", rows_built_at=None, set_aside=None, partition=values["partition"]
        )
        if seconds is None or row["committed_at"] < tx.now - timedelta(seconds=seconds)
    ]
    return sorted(found, key=lambda row: row["seq"])


def acknowledge(tx: Transaction, values: Row) -> list[Row]:
    """Cursors of integers only go forward."""
    if tx.insert_unless_there("consumer_cursor", values) is not None:
        return []
    known = tx.get("consumer_cursor", values["stream"], values["consumer"])
    if known is not None and known["cursor"].rjust(20, "0") <= values["cursor"].rjust(20, "0"):
        tx.update("consumer_cursor", known, cursor=values["cursor"], updated_at=tx.now)
    return []


def cursor(tx: Transaction, values: Row) -> list[Row]:
    """Return what a reader has acknowledged."""
    row = tx.get("consumer_cursor", values["stream"], values["consumer"])
    return [] if row is None else [{"cursor": row["cursor"]}]


def begin_again(tx: Transaction, values: Row) -> list[Row]:
    """Nothing is acknowledged."""
    known = tx.get("consumer_cursor", values["stream"], values["consumer"])
    if known is not None:
        tx.update("consumer_cursor", known, cursor="0", updated_at=tx.now)
    return []


def newest_record(tx: Transaction, _values: Row) -> list[Row]:
    """The newest record of the journal, whoever wrote it."""
    return [{"seq": max((row["seq"] for row in tx.where("journal")), default=0)}]


def apply_transitions(tx: Transaction, values: Row) -> list[Row]:
    """Compare-and-set each order."""
    return functions.apply_transitions(tx, msgspec.json.decode(values["transitions"]))


def quarantine(tx: Transaction, values: Row) -> list[Row]:
    """Put a message away with its reason."""
    return [{"id": tx.insert("dead_letter", values)["id"]}]


def to_replay(tx: Transaction, values: Row) -> list[Row]:
    """Messages that an operator wants handled again."""
    found = [
        {"id": row["id"], "cursor": row["cursor"], "payload": row["payload"]}
        for row in tx.where("dead_letter", consumer=values["consumer"], stream=values["stream"])
        if row["replay_requested_at"] is not None and row["replayed_at"] is None
    ]
    return sorted(found, key=lambda row: row["id"])[:100]


def replayed(tx: Transaction, values: Row) -> list[Row]:
    """Note that it was handled again."""
    row = tx.get("dead_letter", values["id"])
    if row is not None:
        tx.update("dead_letter", row, replayed_at=tx.now)
    return []


_LISTED = (
    "id", "stream", "consumer", "cursor", "reason", "quarantined_at", "replay_requested_at",
    "replayed_at",
)  # fmt: skip


def list_dead_letters(tx: Transaction, _values: Row) -> list[Row]:
    """Return what lies in quarantine, newest first."""
    rows = [{name: row[name] for name in _LISTED} for row in tx.rows("dead_letter")]
    return sorted(rows, key=lambda row: -row["id"])[:200]


def request_replay(tx: Transaction, values: Row) -> list[Row]:
    """Ask for one message to be handled again."""
    row = tx.get("dead_letter", values["id"])
    if row is None:
        return []
    tx.update("dead_letter", row, replay_requested_at=tx.now, replayed_at=None)
    return [{"id": row["id"]}]


MONEY_PATH: Final[dict[str, Twin]] = {
    twin.__name__: twin
    for twin in (
        acquire_lease, renew_lease, holds_lease, claim, claim_new, record_exists, build_rows,
        set_aside, last_claimed, claimed_after, open_records, acknowledge, cursor,
        begin_again, newest_record,
        apply_transitions,
    )
}  # fmt: skip
DEAD_LETTERS: Final[dict[str, Twin]] = {
    "quarantine": quarantine,
    "to_replay": to_replay,
    "replayed": replayed,
    "list": list_dead_letters,
    "request_replay": request_replay,
}
