"""The audit and the messages set aside as operators call for them: over gRPC, internal port."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import grpc
import pytest

from tests.control.edge import RunningEdge
from tests.control.requests import Database, create_subscription, put_order
from tradingtools.v1 import operator_service_pb2 as pb
from tradingtools.v1 import operator_service_pb2_grpc

Stub = operator_service_pb2_grpc.OperatorServiceStub


@pytest.fixture
def stub(edge: RunningEdge) -> Iterator[Stub]:
    with grpc.insecure_channel(f"127.0.0.1:{edge.internal_port}") as channel:
        yield operator_service_pb2_grpc.OperatorServiceStub(channel)


def _quarantine(database: Database, consumer: str) -> int:
    (row,) = database.execute(
        "insert into poison (stream, consumer, cursor, reason, payload)"
        " values ('fills', %s, '7', 'ValueError: no', 'x') returning id",
        [consumer],
    ).fetchall()
    return int(row["id"])


def test_changes_are_listed_newest_first_with_what_was_and_is(
    edge: RunningEdge, stub: Stub, wallet: Callable[[], str]
) -> None:
    subscription = create_subscription(edge, wallet())["id"]
    edge.call("POST", f"/subscriptions/{subscription}/pause")
    first = stub.ListAudit(pb.ListAuditRequest(subject_id=subscription, page_size=1), timeout=10)
    last = stub.ListAudit(
        pb.ListAuditRequest(subject_id=subscription, page_token=first.next_page_token), timeout=10
    )
    (paused,), (created,) = first.entries, last.entries
    assert (paused.subject_kind, paused.seq > created.seq) == ("subscription", True)
    assert json.loads(paused.before_json) == json.loads(created.after_json)
    assert json.loads(paused.after_json)["state"] == "PAUSED"
    assert (created.before_json, last.next_page_token) == ("", "")
    nobody = stub.ListAudit(
        pb.ListAuditRequest(subject_id=subscription, actor="nobody"), timeout=10
    )
    assert list(nobody.entries) == []


def test_a_message_is_handed_to_its_reader_again_once_and_audited(
    stub: Stub, database: Database, wallet: Callable[[], str]
) -> None:
    consumer = f"reader-{wallet()}"
    older, newer = (_quarantine(database, consumer) for _ in range(2))
    page = stub.ListPoison(pb.ListPoisonRequest(consumer=consumer, page_size=1), timeout=10)
    rest = stub.ListPoison(
        pb.ListPoisonRequest(consumer=consumer, page_token=page.next_page_token), timeout=10
    )
    assert [m.id for m in [*page.messages, *rest.messages]] == [newer, older]
    request = pb.ReplayPoisonRequest(id=older, operator="ann")
    asked = stub.ReplayPoison(request, timeout=10).message
    assert asked.HasField("replay_requested_at")
    assert not asked.HasField("replayed_at")
    assert stub.ReplayPoison(request, timeout=10).message == asked, "it waits already"
    (entry,) = stub.ListAudit(
        pb.ListAuditRequest(subject_kind="message", subject_id=str(older)), timeout=10
    ).entries
    assert (entry.action, json.loads(entry.after_json)["operator"]) == ("replay", "ann")
    database.execute("update poison set replayed_at = now() where id = %s", [older])
    again = stub.ReplayPoison(request, timeout=10).message
    assert again.replay_requested_at != asked.replay_requested_at
    assert not again.HasField("replayed_at")


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (pb.ReplayPoisonRequest(id=2**62, operator="ann"), grpc.StatusCode.NOT_FOUND),
        (pb.ReplayPoisonRequest(id=1), grpc.StatusCode.INVALID_ARGUMENT),
        (pb.ReplayPoisonRequest(), grpc.StatusCode.INVALID_ARGUMENT),
    ],
)
def test_a_replay_that_cannot_be_is_refused(
    stub: Stub, request_: pb.ReplayPoisonRequest, code: grpc.StatusCode
) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        stub.ReplayPoison(request_, timeout=10)
    assert caught.value.code() is code


def test_a_verification_tells_its_parts_and_the_first_break(
    edge: RunningEdge, stub: Stub, database: Database, wallet: Callable[[], str]
) -> None:
    """These orders were put there past the engine, so they have no history, and it is seen."""
    create_subscription(edge, wallet())
    put_order(database, wallet(), "sub_1", "DEAD")
    (first,) = database.execute("select min(order_key) as key from orders").fetchall()
    ends = [step for step in stub.VerifyAudit(pb.VerifyAuditRequest(), timeout=30) if step.done]
    assert [step.part for step in ends] == [
        pb.AUDIT_PART_CHANGES, pb.AUDIT_PART_ORDERS, pb.AUDIT_PART_SEALS,
    ]  # fmt: skip
    changes, orders, _ = ends
    assert (changes.checked > 0, changes.broken_at) == (True, "")
    assert (orders.broken_at, orders.problem) == (f"order {first['key']}", "has no history")
