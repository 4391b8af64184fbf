"""What a stranger tried with some success: each attempt, and that it gets him nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from tests.control.edge import RunningEdge
from tests.control.requests import Database, count, error_of, subscription_body
from tradingtools.v1 import common_pb2 as common
from tradingtools.v1 import operator_service_pb2 as operator
from tradingtools.v1 import operator_service_pb2_grpc as operator_grpc

Wallet = Callable[[], str]
JSON = {"Content-Type": "application/json"}


def test_a_list_far_too_long_is_refused_by_its_count(
    edge: RunningEdge, database: Database, wallet: Wallet
) -> None:
    """Each of its elements was judged, for many times the ten seconds that a request has."""
    before = count(database, "control_change")
    body = subscription_body(wallet(), sizing={"tiers": {"tiers": [{}] * 21_000}})
    expected = {"field": "sizing.tiers.tiers", "expected": "at most 20 elements"}
    assert error_of(edge.call("POST", "/subscriptions", json=body)) == (
        400, "INVALID_FIELD", expected,
    )  # fmt: skip
    assert count(database, "control_change") == before


def test_a_parameter_far_too_often_is_refused_by_its_count(edge: RunningEdge) -> None:
    query = "&".join(["status=TRIGGER_STATUS_ARMED"] * 300)
    found = error_of(edge.call("GET", f"/triggers?wallet=0x{'a' * 40}&{query}"))
    assert found == (400, "INVALID_FIELD", {"field": "status", "expected": "at most 9 elements"})


def test_states_far_too_many_are_refused_by_their_count(edge: RunningEdge) -> None:
    with grpc.insecure_channel(f"127.0.0.1:{edge.internal_port}") as port:
        stub = operator_grpc.OperatorServiceStub(port)
        with pytest.raises(grpc.RpcError) as refused:
            stub.ListOrders(operator.ListOrdersRequest(states=[common.ORDER_STATE_DEAD] * 20_000))
    status = rpc_status.from_call(cast("grpc.Call", refused.value))
    assert status is not None
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    assert (info.reason, dict(info.metadata)) == (
        "INVALID_FIELD", {"field": "states", "expected": "at most 9 elements"},
    )  # fmt: skip
