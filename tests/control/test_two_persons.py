"""Nobody on the internal port without a token, and money by hand only when two ask for the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import grpc
import psycopg
import pytest
from psycopg.rows import dict_row

from tests.control.edge import INTERNAL, MANAGE, OPERATE, READ, RunningEdge, StartEdge, digest
from tests.control.requests import Database, put_order
from tradingtools.domain.permissions import PERMISSIONS, Permission
from tradingtools.v1 import common_pb2 as common
from tradingtools.v1 import control_internal_service_pb2 as internal_pb
from tradingtools.v1 import control_internal_service_pb2_grpc as internal_rpc
from tradingtools.v1 import operator_service_pb2 as pb
from tradingtools.v1 import operator_service_pb2_grpc as rpc
from tradingtools.v1 import user_service_pb2 as user_pb
from tradingtools.v1 import user_service_pb2_grpc as user_rpc

ANN, BOB, FUND_1, FUND_2 = OPERATE, "0b" * 32, INTERNAL, "0d" * 32
INSIDE = [
    method
    for method, needed in PERMISSIONS.items()
    if needed in (Permission.OBSERVE, Permission.OPERATE, Permission.INTERNAL)
]


@pytest.fixture(scope="module")
def two(start_edge: StartEdge) -> Iterator[RunningEdge]:
    tokens = {
        "backend": ("manage", MANAGE), "ann": ("operate", ANN), "bob": ("operate", BOB),
        "carl": ("internal", FUND_1), "dora": ("internal", FUND_2),
    }  # fmt: skip
    text = ",".join(f"{name}:{scope}:{digest(token)}" for name, (scope, token) in tokens.items())
    with start_edge(
        "two-persons", ("127.0.0.0/8",), tokens=text, two_persons="true",
        login_secret="5e" * 32, login_audience="test/edge",
    ) as running:  # fmt: skip
        yield running


@pytest.mark.parametrize("method", INSIDE)
@pytest.mark.parametrize("tokens", ["", None], ids=["no operator's configured", "configured"])
def test_internal_port_without_a_token_is_refused(
    edge: RunningEdge, bare: RunningEdge, method: str, tokens: str | None
) -> None:
    running = edge if tokens is None else bare
    with grpc.insecure_channel(f"127.0.0.1:{running.internal_port}") as channel:
        for metadata in ((), (("x-tt-operator", "ann"),), (("authorization", "Bearer x"),)):
            call: Any = channel.unary_unary(method)
            with pytest.raises(grpc.RpcError) as refused:
                call(b"", metadata=metadata, timeout=60, wait_for_ready=True)
            assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED


@pytest.fixture(scope="module")
def bare(start_edge: StartEdge) -> Iterator[RunningEdge]:
    """An edge whose settings know no operator, as before tokens were needed."""
    with start_edge("bare", tokens=f"viewer:read:{digest(READ)}") as running:
        running.logs("nobody can halt")
        yield running


@pytest.fixture(scope="module")
def rows(two: RunningEdge) -> Iterator[Database]:
    """The database of that edge."""
    with psycopg.connect(two.database_url, autocommit=True, row_factory=dict_row) as connection:
        yield connection


def _fund(edge: RunningEdge, token: str, wallet: str, amount: int) -> int:
    with grpc.insecure_channel(f"127.0.0.1:{edge.internal_port}") as channel:
        answer = internal_rpc.ControlInternalServiceStub(channel).Fund(
            internal_pb.FundRequest(
                follower_proxy=wallet, operation_id=f"in-{wallet}", amount_micros=amount, reason="x"
            ),
            metadata=(("authorization", f"Bearer {token}"),),
            timeout=60,
            wait_for_ready=True,
        )
    return int(answer.funded_micros)


def _needs_another(call: Callable[[], object]) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        call()
    assert refused.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert "second person" in str(refused.value.details())


def test_a_budget_moves_when_two_have_asked_for_the_same(
    two: RunningEdge, rows: Database, wallet: Callable[[], str]
) -> None:
    proxy = wallet()
    for _ in range(2):
        _needs_another(lambda: _fund(two, FUND_1, proxy, 100))
    _needs_another(lambda: _fund(two, FUND_2, proxy, 101))
    assert _fund(two, FUND_2, proxy, 100) == 100
    assert _fund(two, FUND_1, proxy, 100) == 100, "the answer may have been lost"
    reported = rows.execute(
        "select actor, action from control_change where subject_id = %s order by seq", (proxy,)
    ).fetchall()
    assert [(row["actor"], row["action"]) for row in reported] == [
        ("carl", "ask"), ("dora", "ask"), ("dora", "approve"), ("dora", "fund"),
    ]  # fmt: skip


def test_what_was_asked_for_long_ago_is_asked_for_again(
    two: RunningEdge, rows: Database, wallet: Callable[[], str]
) -> None:
    proxy = wallet()
    _needs_another(lambda: _fund(two, FUND_1, proxy, 100))
    rows.execute("update approval set asked_at = asked_at - interval '61 minutes'")
    _needs_another(lambda: _fund(two, FUND_2, proxy, 100))
    assert _fund(two, FUND_1, proxy, 100) == 100


def test_an_order_is_ended_when_two_have_asked_for_the_same(
    two: RunningEdge, rows: Database, wallet: Callable[[], str]
) -> None:
    key = put_order(rows, wallet(), "sub_1", "DEAD")

    def recorded() -> list[str]:
        found = rows.execute(
            "select operator from order_resolution where order_key = %s", (key,)
        ).fetchall()
        return [row["operator"] for row in found]

    for who in ("ann", "bob"):
        assert "FAILED_PRECONDITION" in _resolve(two, key, ANN, who)
    assert recorded() == []
    # Nobody books here: it is recorded, and confirm is waited for.
    assert "UNAVAILABLE" in _resolve(two, key, BOB, "bob")
    assert recorded() == ["bob"]


def test_a_lot_is_corrected_when_two_have_asked_for_the_same(
    two: RunningEdge, rows: Database, wallet: Callable[[], str]
) -> None:
    proxy, origin = wallet(), "sub_" + "a" * 32
    rows.execute(
        "insert into lot (follower_proxy, asset_id, origin, condition_id, shares_micros,"
        " bought_size_micros) values (%s, '7', %s, '0xc', 10000000, 10000000)",
        (proxy, origin),
    )

    def correct(token: str, who: str) -> str:
        request = pb.CorrectLotRequest(
            follower_proxy=proxy, asset_id="7", subscription_id=origin, shares_micros=4_000_000,
            evidence="the chain says 4", operator=who, request_id="ticket-two",
        )  # fmt: skip
        with (
            grpc.insecure_channel(f"127.0.0.1:{two.internal_port}") as channel,
            pytest.raises(grpc.RpcError) as refused,
        ):
            rpc.OperatorServiceStub(channel).CorrectLot(
                request,
                metadata=(("authorization", f"Bearer {token}"),),
                timeout=60,
                wait_for_ready=True,
            )
        return str(refused.value.code().name)

    def recorded() -> list[str]:
        found = rows.execute(
            "select operator from lot_request where follower_proxy = %s", (proxy,)
        ).fetchall()
        return [row["operator"] for row in found]

    assert [correct(ANN, "ann"), correct(ANN, "bob")] == ["FAILED_PRECONDITION"] * 2
    assert recorded() == []
    # Nobody books here: it is recorded, and confirm is waited for.
    assert correct(BOB, "bob") == "UNAVAILABLE"
    assert recorded() == ["bob"]


def test_an_admin_cannot_make_his_own_second_person(
    two: RunningEdge, rows: Database, wallet: Callable[[], str]
) -> None:
    key = put_order(rows, wallet(), "sub_2", "DEAD")
    with grpc.insecure_channel(f"127.0.0.1:{two.internal_port}") as channel:
        made = user_rpc.FirstAdminServiceStub(channel).CreateFirstAdmin(
            user_pb.CreateFirstAdminRequest(name="root"),
            metadata=(("authorization", f"Bearer {ANN}"),),
            timeout=60,
        )
    root = _log_in(two, "root", made.one_time_password)

    def age(hours: int) -> None:
        rows.execute("set session_replication_role = replica")
        rows.execute(
            "update user_event set occurred_at = occurred_at - make_interval(hours => %s)", (hours,)
        )
        rows.execute("set session_replication_role = origin")

    assert "within a day" in _resolve(two, key, root, "root")
    age(25)
    said = two.call("POST", "/users", root, json={"name": "mate", "role": "ROLE_ADMIN"}).json()
    mate = _log_in(two, "mate", said["oneTimePassword"])
    assert "second person" in _resolve(two, key, root, "root")
    assert "within a day" in _resolve(two, key, mate, "mate")
    age(25)
    again = two.call("POST", f"/users/{said['id']}/reset-password", root, json={}).json()
    mate = _log_in(two, "mate", again["oneTimePassword"])
    assert "within a day" in _resolve(two, key, mate, "mate")
    age(25)
    assert "second person" in _resolve(two, key, BOB, "bob"), "root may hold that token"
    # Nobody books here: it is recorded, and confirm is waited for.
    assert "UNAVAILABLE" in _resolve(two, key, mate, "mate")


def _log_in(edge: RunningEdge, name: str, once: str) -> str:
    body = {"user": name, "password": once, "newPassword": f"the own one of this user {once[:4]}"}
    answer = edge.call("POST", "/auth/login", None, json=body)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["accessToken"])


def _resolve(edge: RunningEdge, key: str, token: str, who: str) -> str:
    request = pb.ResolveOrderRequest(
        order_key=key,
        to_state=common.ORDER_STATE_FAILED,
        evidence="seen at the venue, nothing was filled",
        operator=who,
    )
    with (
        grpc.insecure_channel(f"127.0.0.1:{edge.internal_port}") as channel,
        pytest.raises(grpc.RpcError) as refused,
    ):
        rpc.OperatorServiceStub(channel).ResolveOrder(
            request,
            metadata=(("authorization", f"Bearer {token}"),),
            timeout=60,
            wait_for_ready=True,
        )
    return f"{refused.value.code().name} {refused.value.details()}"
