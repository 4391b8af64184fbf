"""UNKNOWN -> SUBMITTING: what is wanted, once for each wish, under the gates of the first time."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.money_path.test_submitting_once import LEASE_MS, Database, claim, database, submit

__all__ = ["database"]
WALLET, MARKET = "0x" + "1" * 40, "c"
ONLY_EXITS = "insert into halt values ('GLOBAL', '', 'REDUCING', 'r')"


@pytest.fixture
def unanswered(database: Database) -> str:
    """An order that was sent and fenced: UNKNOWN at epoch 2, one attempt."""
    (key,) = claim(database, 1)
    submit(database, [key])
    database.execute("select build_rows(seq) from journal order by seq")
    step = {
        "order_key": key, "from_state": "SUBMITTING", "to_state": "UNKNOWN", "expected_epoch": 1,
        "epoch": 2,
    }  # fmt: skip
    database.execute("select * from apply_transitions(%s)", [json.dumps([step])])
    return key


def want(database: Database, key: str) -> None:
    database.execute("update orders set send_again_epoch = epoch where order_key = %s", [key])


def again(database: Database, key: str, *, lease: int = 1, epoch: int = 2) -> dict[str, Any]:
    row = database.execute(
        "select submit_again(0, %s, %s, %s, %s) as answer", [lease, key, epoch, LEASE_MS]
    ).fetchone()
    assert row is not None
    answer: dict[str, Any] = row["answer"]
    return answer


def stands(database: Database) -> tuple[str, int, int, bool]:
    row = database.execute(
        "select state, epoch, attempt, lease_until > clock_timestamp() as leased from orders"
    ).fetchone()
    assert row is not None
    return row["state"], row["epoch"], row["attempt"], bool(row["leased"])


def test_one_attempt_for_each_wish(database: Database, unanswered: str) -> None:
    assert again(database, unanswered) == {}, "nobody wants it"
    want(database, unanswered)
    assert again(database, unanswered) == {"epoch": 3, "attempt": 2}
    assert stands(database) == ("SUBMITTING", 3, 2, True)
    assert again(database, unanswered) == {}, "it is under way"
    back = {
        "order_key": unanswered, "from_state": "SUBMITTING", "to_state": "UNKNOWN",
        "expected_epoch": 3,
    }  # fmt: skip
    database.execute("select * from apply_transitions(%s)", [json.dumps([back])])
    assert again(database, unanswered, epoch=3) == {}, "a wish does not outlive its attempt"
    events = database.execute("select from_state, to_state from order_event").fetchall()
    assert {"from_state": "UNKNOWN", "to_state": "SUBMITTING"} in events


def test_only_the_owner_of_the_partition_sends(database: Database, unanswered: str) -> None:
    want(database, unanswered)
    assert again(database, unanswered, lease=2) == {"fenced": True}
    database.execute("update partition_lease set epoch = 2")
    assert again(database, unanswered) == {"fenced": True}
    assert stands(database)[0] == "UNKNOWN"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("update orders set not_after_ms = 1", "EXPIRED"),
        (f"insert into halt values ('WALLET', '{WALLET}', 'HALTED', 'r')", "HALTED"),
        (f"insert into halt values ('MARKET', '{MARKET}', 'HALTED', 'r')", "HALTED"),
        (ONLY_EXITS, None),
        (
            ONLY_EXITS + "; update orders set purpose = 'ENTRY'",
            "HALTED",
        ),
        ("update orders set purpose = 'ENTRY', subscription_id = 'gone'", "PAUSED"),
    ],
)
def test_the_gates_of_the_first_attempt_hold(
    database: Database, unanswered: str, change: str, reason: str | None
) -> None:
    want(database, unanswered)
    for statement in change.split(";"):
        database.execute(statement.encode())
    answer = again(database, unanswered)
    assert answer == ({"epoch": 3, "attempt": 2} if reason is None else {"denied": reason})
    assert stands(database)[0] == ("SUBMITTING" if reason is None else "UNKNOWN")
    if reason is not None:
        assert again(database, unanswered) == {}, "asked once"
