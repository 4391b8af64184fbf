"""Operators see circuit breakers and close them, audited."""

from __future__ import annotations

from collections.abc import Iterator

import grpc
import pytest

from tests.control.edge import RunningEdge
from tests.control.requests import Database
from tradingtools.v1 import operator_service_pb2 as pb
from tradingtools.v1 import operator_service_pb2_grpc


@pytest.fixture
def operators(edge: RunningEdge) -> Iterator[operator_service_pb2_grpc.OperatorServiceStub]:
    """OperatorService on the internal port."""
    with edge.inside() as channel:
        yield operator_service_pb2_grpc.OperatorServiceStub(channel)


@pytest.fixture
def opened(database: Database) -> Iterator[None]:
    """An open breaker; other tests of this database meet none."""
    database.execute(
        "insert into breaker (dependency, state, version, openings, retry_at_ms, reason)"
        " values ('insiders-api', 'OPEN', 7, 2, 1000, '10 failures in a row')"
    )
    yield
    database.execute("delete from breaker")


@pytest.mark.usefixtures("opened")
def test_an_open_breaker_is_listed_and_closed_once(
    database: Database, operators: operator_service_pb2_grpc.OperatorServiceStub
) -> None:
    (listed,) = operators.ListBreakers(pb.ListBreakersRequest(), timeout=60).breakers
    assert (listed.dependency, listed.state, listed.openings, listed.reason) == (
        "insiders-api", pb.BREAKER_STATE_OPEN, 2, "10 failures in a row",
    )  # fmt: skip
    assert listed.retry_at.ToMilliseconds() == 1000
    request = pb.ResetBreakerRequest(dependency="insiders-api")
    for _ in range(2):
        closed = operators.ResetBreaker(request, timeout=60).breaker
        assert (closed.state, closed.reason) == (pb.BREAKER_STATE_CLOSED, "")
        assert not closed.HasField("retry_at")
    audit = database.execute(
        "select action, subject_id from control_change where subject_kind = 'breaker'"
    ).fetchall()
    assert audit == [{"action": "reset", "subject_id": "insiders-api"}]
    assert database.execute("select version from breaker").fetchone() == {"version": 8}


def test_a_breaker_that_is_none_is_named(
    operators: operator_service_pb2_grpc.OperatorServiceStub,
) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        operators.ResetBreaker(pb.ResetBreakerRequest(dependency="oracle"), timeout=60)
    assert refused.value.code() is grpc.StatusCode.NOT_FOUND
