"""Correcting a lot as operators call it: over gRPC on the internal port; confirm carries it out."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import grpc
import psycopg
import pytest

from tests.control.edge import RunningEdge
from tests.control.requests import Database, create_subscription
from tradingtools.v1 import operator_service_pb2 as pb
from tradingtools.v1 import operator_service_pb2_grpc

SUB = "sub_" + "a" * 32


def _lot(database: Database, proxy: str) -> None:
    database.execute(
        "insert into lot (follower_proxy, asset_id, origin, condition_id, shares_micros,"
        " bought_size_micros) values (%s, '7', %s, '0xc', 10000000, 10000000)",
        [proxy, SUB],
    )


def _requested(proxy: str, **changes: Any) -> pb.CorrectLotRequest:
    return pb.CorrectLotRequest(
        **{
            "follower_proxy": proxy, "asset_id": "7", "subscription_id": SUB,
            "shares_micros": 4_000_000, "evidence": "the chain says 4", "operator": "ann",
            "request_id": f"ticket-{secrets.token_hex(8)}", **changes,
        }
    )  # fmt: skip


@contextmanager
def _stub(edge: RunningEdge) -> Iterator[operator_service_pb2_grpc.OperatorServiceStub]:
    with edge.inside() as channel:
        yield operator_service_pb2_grpc.OperatorServiceStub(channel)


@contextmanager
def _confirm(database: Database, refused: str = "") -> Iterator[None]:
    """Carries out what is asked, as confirm does, as far as control sees it."""
    over = threading.Event()

    def carry_out() -> None:
        with psycopg.connect(database.info.dsn, password=database.info.password,
                             autocommit=True) as own:  # fmt: skip
            while not over.wait(0.02):
                own.execute(
                    "update lot_request set done_at = now(), refused = %s where done_at is null",
                    [refused],
                )

    thread = threading.Thread(target=carry_out, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(30)


def test_a_correction_is_recorded_once_with_its_audit(
    edge: RunningEdge, database: Database, wallet: Callable[[], str]
) -> None:
    proxy = wallet()
    _lot(database, proxy)
    requested = _requested("0x" + proxy[2:].upper())
    with _stub(edge) as stub, _confirm(database):
        first = stub.CorrectLot(requested, timeout=60, wait_for_ready=True)
        again = stub.CorrectLot(requested, timeout=60, wait_for_ready=True)
        with pytest.raises(grpc.RpcError) as other:
            stub.CorrectLot(
                _requested(proxy, request_id=requested.request_id, shares_micros=1),
                timeout=60,
                wait_for_ready=True,
            )
        audit = stub.ListAudit(
            pb.ListAuditRequest(subject_kind="lot", subject_id=f"{proxy}/7/{SUB}"), timeout=60
        )
    assert first == again
    assert other.value.code() is grpc.StatusCode.ABORTED
    (entry,) = audit.entries
    assert (entry.seq, entry.action) == (first.control_seq, "correct")
    assert '"shares_micros": 10000000' in entry.before_json
    assert "the chain says 4" in entry.after_json
    rows = database.execute(
        "select shares_micros, operator from lot_request where follower_proxy = %s", [proxy]
    ).fetchall()
    assert [tuple(row.values()) if isinstance(row, dict) else row for row in rows] == [
        (4_000_000, "ann")
    ]


def test_what_confirm_refuses_is_told(
    edge: RunningEdge, database: Database, wallet: Callable[[], str]
) -> None:
    proxy = wallet()
    _lot(database, proxy)
    with (
        _stub(edge) as stub,
        _confirm(database, "orders are under way"),
        pytest.raises(grpc.RpcError) as refused,
    ):
        stub.CorrectLot(_requested(proxy), timeout=60, wait_for_ready=True)
    assert refused.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert "orders are under way" in (refused.value.details() or "")


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"asset_id": "8"}, grpc.StatusCode.NOT_FOUND),
        ({"subscription_id": ""}, grpc.StatusCode.NOT_FOUND),
        ({"shares_micros": None}, grpc.StatusCode.INVALID_ARGUMENT),
        ({"shares_micros": -1}, grpc.StatusCode.INVALID_ARGUMENT),
        ({"evidence": "so"}, grpc.StatusCode.INVALID_ARGUMENT),
        ({"operator": ""}, grpc.StatusCode.INVALID_ARGUMENT),
        ({"request_id": ""}, grpc.StatusCode.INVALID_ARGUMENT),
        ({"follower_proxy": "0x1"}, grpc.StatusCode.INVALID_ARGUMENT),
    ],
)
def test_what_cannot_be_corrected_is_refused(
    edge: RunningEdge,
    database: Database,
    wallet: Callable[[], str],
    changes: dict[str, Any],
    code: grpc.StatusCode,
) -> None:
    proxy = wallet()
    _lot(database, proxy)
    with _stub(edge) as stub, pytest.raises(grpc.RpcError) as refused:
        stub.CorrectLot(_requested(proxy, **changes), timeout=60, wait_for_ready=True)
    assert refused.value.code() is code
    rows = database.execute("select 1 from lot_request where follower_proxy = %s", [proxy])
    assert rows.fetchall() == []


def test_shares_are_adopted_into_a_lot_that_is_made_for_them(
    edge: RunningEdge, database: Database, wallet: Callable[[], str]
) -> None:
    proxy = wallet()
    sub = create_subscription(edge, proxy)["id"]
    requested = pb.AdoptLotRequest(
        subscription_id=sub, condition_id="0x" + "C" * 64, asset_id="7", shares_micros=5_000_000,
        cost_micros=2_000_000, evidence="balance at block 7", operator="ann",
        request_id=secrets.token_hex(8),
    )  # fmt: skip
    with _stub(edge) as stub, _confirm(database):
        first = stub.AdoptLot(requested, timeout=60, wait_for_ready=True)
        assert stub.AdoptLot(requested, timeout=60) == first
        for changes, code in (
            ({"condition_id": "0x" + "d" * 64, "request_id": "other"}, "INVALID_ARGUMENT"),
            ({"cost_micros": 1}, "ABORTED"),
            ({"shares_micros": 0, "request_id": "none"}, "INVALID_ARGUMENT"),
            ({"subscription_id": "sub_" + "0" * 32}, "NOT_FOUND"),
        ):
            other = pb.AdoptLotRequest()
            other.CopyFrom(requested)
            other.MergeFrom(pb.AdoptLotRequest(**changes))
            with pytest.raises(grpc.RpcError) as refused:
                stub.AdoptLot(other, timeout=60)
            assert refused.value.code().name == code, changes
        edge.call("DELETE", f"/subscriptions/{sub}")
        requested.request_id = "late"
        with pytest.raises(grpc.RpcError) as refused:
            stub.AdoptLot(requested, timeout=60)
        assert refused.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    (request,) = database.execute(
        "select shares_micros, cost_micros, origin from lot_request where follower_proxy = %s",
        [proxy],
    ).fetchall()
    assert list(dict(request).values()) == [5_000_000, 2_000_000, sub]
    (entry,) = database.execute(
        "select action, seq from control_change where subject_id = %s", [f"{proxy}/7/{sub}"]
    ).fetchall()
    assert (entry["action"], entry["seq"]) == ("adopt", first.control_seq)
