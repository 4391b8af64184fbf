"""Listing and ending orders as operators call it: over gRPC on the internal port."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

import grpc
import pytest

from tests.control.edge import RunningEdge
from tests.control.requests import Database, put_order
from tradingtools.v1 import common_pb2 as common
from tradingtools.v1 import operator_service_pb2 as pb
from tradingtools.v1 import operator_service_pb2_grpc

DEAD, FAILED = common.ORDER_STATE_DEAD, common.ORDER_STATE_FAILED
CONFIRMED = common.ORDER_STATE_CONFIRMED


def test_orders_awaiting_a_person_are_listed_with_their_ends(
    edge: RunningEdge, database: Database, wallet: Callable[[], str]
) -> None:
    proxy = wallet()
    dead = sorted(put_order(database, proxy, "sub_1", "DEAD") for _ in range(2))
    put_order(database, proxy, "sub_1", "CONFIRMED")
    with edge.inside() as channel:
        stub = operator_service_pb2_grpc.OperatorServiceStub(channel)
        first = stub.ListOrders(pb.ListOrdersRequest(follower_proxy=proxy, page_size=1), timeout=60)
        last = stub.ListOrders(
            pb.ListOrdersRequest(follower_proxy=proxy, page_token=first.next_page_token), timeout=60
        )
        ended = stub.ListOrders(
            pb.ListOrdersRequest(follower_proxy=proxy, states=[CONFIRMED]), timeout=60
        )
    assert [o.order_key for o in [*first.orders, *last.orders]] == dead
    assert list(first.orders[0].operator_ends) == [CONFIRMED, FAILED]
    assert last.next_page_token == ""
    assert [list(o.operator_ends) for o in ended.orders] == [[]]


def test_orders_are_listed_by_a_wallet_in_any_case(edge: RunningEdge, database: Database) -> None:
    proxy = "0xAbCdEf" + secrets.token_hex(17)
    key = put_order(database, proxy.lower(), "sub_1", "DEAD")
    with edge.inside() as channel:
        stub = operator_service_pb2_grpc.OperatorServiceStub(channel)
        found = stub.ListOrders(pb.ListOrdersRequest(follower_proxy=proxy), timeout=60)
    assert [order.order_key for order in found.orders] == [key]


@pytest.mark.parametrize(
    ("state", "changes", "code"),
    [
        ("CONFIRMED", {}, grpc.StatusCode.FAILED_PRECONDITION),
        ("DEAD", {"evidence": ""}, grpc.StatusCode.INVALID_ARGUMENT),
        ("DEAD", {"operator": ""}, grpc.StatusCode.INVALID_ARGUMENT),
        ("DEAD", {"to_state": DEAD}, grpc.StatusCode.INVALID_ARGUMENT),
        (
            "DEAD",
            {"filled": pb.StandingFill(size_micros=1)},
            grpc.StatusCode.INVALID_ARGUMENT,
        ),
    ],
)
def test_an_end_that_cannot_be_is_refused_by_name(
    edge: RunningEdge,
    database: Database,
    wallet: Callable[[], str],
    state: str,
    changes: dict[str, Any],
    code: grpc.StatusCode,
) -> None:
    key = put_order(database, wallet(), "sub_1", state)
    requested: dict[str, Any] = {
        "order_key": key, "to_state": FAILED, "operator": "ann",
        "evidence": "support says it never came", **changes,
    }  # fmt: skip
    with edge.inside() as channel:
        stub = operator_service_pb2_grpc.OperatorServiceStub(channel)
        with pytest.raises(grpc.RpcError) as refused:
            stub.ResolveOrder(pb.ResolveOrderRequest(**requested), timeout=60)
    assert refused.value.code() is code
    rows = database.execute("select 1 from order_resolution where order_key = %s", [key]).fetchall()
    assert rows == []
