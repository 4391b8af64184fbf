"""A pause or a halt that has answered is final: no SUBMITTING that it forbids commits after it."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import psycopg
import pytest

from tests.control.edge import RunningEdge
from tests.control.requests import (
    CONDITION,
    Database,
    create_subscription,
    error_of,
    put_journal,
    put_order,
)
from tradingtools.v1 import operator_service_pb2 as pb
from tradingtools.v1 import operator_service_pb2_grpc

Wallet = Callable[[], str]
LEADER = "0x" + "be" * 20


@pytest.fixture
def operators(edge: RunningEdge) -> Iterator[operator_service_pb2_grpc.OperatorServiceStub]:
    """OperatorService on the internal port; lifts the global halt afterwards."""
    with edge.inside() as channel:
        stub = operator_service_pb2_grpc.OperatorServiceStub(channel)
        yield stub
        stub.ClearHalt(pb.ClearHaltRequest(scope=pb.HALT_SCOPE_GLOBAL), timeout=60)


@pytest.fixture
def lease(database: Database) -> None:
    """The executor's lease on partition 0."""
    database.execute(
        "insert into partition_lease (role, partition, owner, epoch, expires_at)"
        " values ('executor', 0, 'test', 1, now() + interval '1 hour') on conflict do nothing"
    )


def submit(
    database: Database, subscription: str, wallet: str, *, control_seq: int, purpose: str = "ENTRY"
) -> dict[str, Any]:
    """Return what the executor asks before it sends: one order of this subscription."""
    key = secrets.token_hex(32)
    payload = json.dumps({"orders": [{"order_key": key, "body_hash": "h", "epoch": 1}]})
    gated = {
        "order_key": key, "purpose": purpose, "subscription_id": subscription, "version": 1,
        "wallet": wallet, "leader": LEADER, "condition_id": CONDITION,
        "not_after_ms": 2_000_000_000_000,
    }  # fmt: skip
    row = database.execute(
        "select submit_batch(%s, 0, 1, %s, %s, %s, 2000000000000, %s) as answer",
        [f"batch-{key}", payload.encode(), control_seq, [key], json.dumps([gated])],
    ).fetchone()
    assert row is not None
    answer: dict[str, Any] = row["answer"]
    return answer


def last_change(database: Database) -> int:
    row = database.execute("select max(seq) as seq from control_change").fetchone()
    assert row is not None
    return int(row["seq"])


def _waits_for_a_lock(database: Database) -> bool:
    waiting = "select 1 from pg_locks where locktype = 'advisory' and not granted"
    return bool(database.execute(waiting).fetchall())


def until(found: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not found():
        assert time.monotonic() < deadline, "it did not happen within 60 s"
        time.sleep(0.01)


@pytest.mark.usefixtures("lease")
def test_after_a_pause_nothing_is_submitted(
    edge: RunningEdge, database: Database, wallet: Wallet
) -> None:
    proxy = wallet()
    subscription = create_subscription(edge, proxy)["id"]
    known = last_change(database)
    assert "seq" in submit(database, subscription, proxy, control_seq=known)

    assert edge.call("POST", f"/subscriptions/{subscription}/pause").status_code == 200

    refused = submit(database, subscription, proxy, control_seq=known)
    assert list(refused["denied"].values()) == ["PAUSED"]
    exit_goes_on = submit(database, subscription, proxy, control_seq=known, purpose="COPY_EXIT")
    assert "seq" in exit_goes_on
    edge.call("POST", f"/subscriptions/{subscription}/resume")
    resized = submit(database, subscription, proxy, control_seq=known)
    assert list(resized["denied"].values()) == ["SUBSCRIPTION_CHANGED"]


@pytest.mark.usefixtures("lease")
def test_a_pause_waits_for_a_submitting_that_was_first(
    edge: RunningEdge, database: Database, wallet: Wallet
) -> None:
    """Its answer comes after that commit, so what is sent afterwards was decided before."""
    proxy = wallet()
    subscription = create_subscription(edge, proxy)["id"]
    known = last_change(database)
    with ThreadPoolExecutor(1) as pool, psycopg.connect(edge.database_url) as executor:
        # It waits for three seconds; where the machine stood still for longer, it is asked again.
        for _ in range(5):
            executor.execute("select lock_control_shared()")
            pause = pool.submit(edge.call, "POST", f"/subscriptions/{subscription}/pause")
            until(lambda requested=pause: requested.done() or _waits_for_a_lock(database))  # type: ignore[misc]
            waited = not pause.done()
            executor.commit()
            if pause.result(timeout=60).status_code == 200:
                break
        assert waited
        assert pause.result().status_code == 200
    refused = submit(database, subscription, proxy, control_seq=known)
    assert list(refused["denied"].values()) == ["PAUSED"]


def test_a_pause_that_cannot_be_made_says_so(edge: RunningEdge, wallet: Wallet) -> None:
    """Behind a SUBMITTING that hangs it gives up, rather than block all others for long."""
    subscription = create_subscription(edge, wallet())["id"]
    path = f"/subscriptions/{subscription}"
    with psycopg.connect(edge.database_url) as executor:
        executor.execute("select lock_control_shared()")
        refused = edge.call("POST", f"{path}/pause")
    status, reason, metadata = error_of(refused)
    assert (status, reason, metadata["dependency"]) == (503, "UNAVAILABLE", "postgresql")
    assert edge.call("GET", path).json()["state"] == "SUBSCRIPTION_STATE_ACTIVE"
    assert edge.call("POST", f"{path}/pause").json()["state"] == "SUBSCRIPTION_STATE_PAUSED"


@pytest.mark.usefixtures("lease")
def test_a_pause_under_fire_is_final(edge: RunningEdge, database: Database, wallet: Wallet) -> None:
    """Batches are submitted all the time while the pause comes; none after its answer."""
    proxy = wallet()
    subscription = create_subscription(edge, proxy)["id"]
    known = last_change(database)
    for _ in range(5):
        assert "seq" in submit(database, subscription, proxy, control_seq=known)
    with ThreadPoolExecutor(1) as pool:
        # As above: where the machine stood still for too long nothing was promised.
        for _ in range(5):
            pause = pool.submit(edge.call, "POST", f"/subscriptions/{subscription}/pause")
            while not pause.done():
                submit(database, subscription, proxy, control_seq=known)
            if pause.result().status_code != 503:
                break
        assert pause.result().status_code == 200
    for _ in range(20):
        assert "denied" in submit(database, subscription, proxy, control_seq=known)


@pytest.mark.usefixtures("lease")
def test_a_halt_stops_what_its_mode_forbids(
    edge: RunningEdge,
    database: Database,
    wallet: Wallet,
    operators: operator_service_pb2_grpc.OperatorServiceStub,
) -> None:
    proxy = wallet()
    subscription = create_subscription(edge, proxy)["id"]
    scopes = [
        (pb.HALT_SCOPE_GLOBAL, ""),
        (pb.HALT_SCOPE_WALLET, proxy),
        (pb.HALT_SCOPE_LEADER, LEADER),
        (pb.HALT_SCOPE_MARKET, CONDITION),
    ]
    for scope, subject in scopes:
        for mode, exits_go in ((pb.HALT_MODE_REDUCING, True), (pb.HALT_MODE_HALTED, False)):
            known = last_change(database)
            request = pb.SetHaltRequest(scope=scope, subject=subject, mode=mode, reason="drill")
            assert operators.SetHalt(request, timeout=60).halt.mode == mode
            entry = submit(database, subscription, proxy, control_seq=known)
            leave = submit(database, subscription, proxy, control_seq=known, purpose="GUARD_EXIT")
            assert list(entry["denied"].values()) == ["HALTED"]
            assert ("seq" in leave) == exits_go
        halts = operators.ListHalts(pb.ListHaltsRequest(), timeout=60).halts
        assert [(halt.scope, halt.subject, halt.reason) for halt in halts] == [
            (scope, subject, "drill")
        ]
        for _ in range(2):
            operators.ClearHalt(pb.ClearHaltRequest(scope=scope, subject=subject), timeout=60)
        assert "seq" in submit(database, subscription, proxy, control_seq=last_change(database))
    actions = database.execute(
        "select action from control_change where subject_id = %s order by seq", [f"WALLET:{proxy}"]
    ).fetchall()
    assert [row["action"] for row in actions] == ["halt", "halt", "unhalt"]


def test_a_halt_lists_what_is_under_way(
    database: Database,
    wallet: Wallet,
    operators: operator_service_pb2_grpc.OperatorServiceStub,
) -> None:
    """Rows and journal records that are no rows yet, of the scope and of no other."""
    # What other tests submitted was never claimed; such orders are listed under every scope.
    database.execute("update journal set rows_built_at = now()")
    mine, other = wallet(), wallet()
    row = put_order(database, mine, "sub_" + "0" * 32, "SUBMITTING")
    put_order(database, mine, "sub_" + "0" * 32, "SUBMITTED")
    put_order(database, other, "sub_" + "0" * 32, "SUBMITTING")
    claimed_row = put_order(database, mine, "sub_" + "0" * 32, "CLAIMED")
    unbuilt, unbuilt_other = secrets.token_hex(32), secrets.token_hex(32)
    put_journal(
        database,
        "CLAIMED",
        [
            {"order_key": key, "follower_proxy": who, "leader": LEADER, "condition_id": CONDITION}
            for key, who in ((unbuilt, mine), (unbuilt_other, other))
        ],
    )
    keys = (claimed_row, unbuilt, unbuilt_other)
    put_journal(
        database,
        "SUBMITTING",
        [{"order_key": key, "body_hash": "h", "epoch": 1} for key in keys],
    )
    request = pb.SetHaltRequest(
        scope=pb.HALT_SCOPE_WALLET, subject=mine, mode=pb.HALT_MODE_HALTED, reason="drill"
    )
    first = operators.SetHalt(request, timeout=60)
    again = operators.SetHalt(request, timeout=60)
    operators.ClearHalt(pb.ClearHaltRequest(scope=pb.HALT_SCOPE_WALLET, subject=mine), timeout=60)
    assert sorted(first.in_flight_order_keys) == sorted([row, claimed_row, unbuilt])
    assert first == again


@pytest.mark.parametrize(
    ("scope", "subject"),
    [
        (pb.HALT_SCOPE_GLOBAL, LEADER),
        (pb.HALT_SCOPE_WALLET, ""),
        (pb.HALT_SCOPE_LEADER, CONDITION),
        (pb.HALT_SCOPE_MARKET, LEADER),
    ],
)
def test_a_halts_subject_has_to_fit_its_scope(
    operators: operator_service_pb2_grpc.OperatorServiceStub,
    scope: pb.HaltScope.ValueType,
    subject: str,
) -> None:
    request = pb.SetHaltRequest(
        scope=scope, subject=subject, mode=pb.HALT_MODE_HALTED, reason="drill"
    )
    with pytest.raises(grpc.RpcError) as refused:
        operators.SetHalt(request, timeout=60)
    assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT


def test_an_orders_history_is_told(
    database: Database,
    wallet: Wallet,
    operators: operator_service_pb2_grpc.OperatorServiceStub,
) -> None:
    key = put_order(database, wallet(), "sub_" + "0" * 32, "CLAIMED")
    database.execute(
        "select apply_transitions(%s::jsonb)",
        [
            json.dumps(
                [
                    {
                        "order_key": key, "from_state": "CLAIMED", "to_state": "FAILED",
                        "expected_epoch": 0, "reason": "EXPIRED", "failed_kind": "UNSENT",
                    }
                ]
            )
        ],
    )  # fmt: skip
    answer = operators.GetOrder(pb.GetOrderRequest(order_key=key), timeout=60)
    assert (answer.order.order_key, answer.order.size_micros) == (key, 10_000_000)
    assert answer.reason == "EXPIRED"
    assert len(answer.transitions) == 1
    assert len(answer.transitions[0].chain_hash) == 64
    with pytest.raises(grpc.RpcError) as unknown:
        operators.GetOrder(pb.GetOrderRequest(order_key="0" * 64), timeout=60)
    assert unknown.value.code() == grpc.StatusCode.NOT_FOUND
