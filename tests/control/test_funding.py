"""Budgets as the product's backend moves them: over gRPC on the internal port, with its scope."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator

import grpc
import pytest

from tests.control.edge import INTERNAL, MANAGE, READ, RunningEdge
from tests.control.requests import Database
from tradingtools.v1 import control_internal_service_pb2 as pb
from tradingtools.v1 import control_internal_service_pb2_grpc as pb_grpc

Fund = Callable[..., tuple[int, int]]


@pytest.fixture
def fund(edge: RunningEdge) -> Iterator[Fund]:
    """Moves a budget and returns the sum and the audit's number."""
    with grpc.insecure_channel(f"127.0.0.1:{edge.internal_port}") as channel:
        stub = pb_grpc.ControlInternalServiceStub(channel)

        def call(wallet: str, operation: str, amount: int, *, token: str | None = INTERNAL,
                 reason: str = "deposit") -> tuple[int, int]:  # fmt: skip
            answer = stub.Fund(
                pb.FundRequest(
                    follower_proxy=wallet, operation_id=operation, amount_micros=amount,
                    reason=reason,
                ),
                metadata=() if token is None else (("authorization", f"Bearer {token}"),),
                timeout=60,
            )  # fmt: skip
            return answer.funded_micros, answer.control_seq

        yield call


def test_a_movement_happens_once_and_is_audited(
    fund: Fund, database: Database, wallet: Callable[[], str]
) -> None:
    proxy = wallet()
    first = fund(proxy, f"in-{proxy}", 100)
    assert fund(proxy, f"in-{proxy}", 100, reason="asked again") == first
    assert first[0] == 100
    assert fund(proxy, f"out-{proxy}", -30)[0] == 70
    changes = database.execute(
        "select actor, action, subject_kind, after from control_change where subject_id = %s"
        " order by seq",
        (proxy,),
    ).fetchall()
    assert [(c["actor"], c["action"], c["subject_kind"]) for c in changes] == [
        ("inside", "fund", "funding")
    ] * 2
    assert changes[1]["after"] == {
        "funded_micros": 70, "operation_id": f"out-{proxy}", "reason": "deposit",
    }  # fmt: skip
    row = database.execute("select * from funding where follower_proxy = %s", (proxy,)).fetchone()
    assert row is not None
    assert (row["funded_micros"], row["before_micros"]) == (70, 0)


def test_a_wallet_has_one_budget_however_it_is_spelt(fund: Fund, database: Database) -> None:
    proxy = "0xAbCdEf" + secrets.token_hex(17)
    assert fund(proxy, f"a-{proxy}", 100)[0] == 100
    assert fund(proxy.lower(), f"b-{proxy}", 20)[0] == 120
    assert fund(proxy, f"a-{proxy}", 100)[0] == 100, "the same movement"
    kept = database.execute(
        "select follower_proxy from funding where lower(follower_proxy) = %s", (proxy.lower(),)
    ).fetchall()
    assert [row["follower_proxy"] for row in kept] == [proxy.lower()]


def test_trades_before_the_first_movement_do_not_count(
    fund: Fund, database: Database, wallet: Callable[[], str]
) -> None:
    proxy = wallet()
    database.execute(
        "insert into lot (follower_proxy, asset_id, origin, condition_id, bought_notional_micros,"
        " sold_notional_micros, fee_micros) values (%s, '7', 'manual', 'c', 50, 20, 1)",
        (proxy,),
    )
    fund(proxy, f"first-{proxy}", 5)
    database.execute("update lot set sold_notional_micros = 30 where follower_proxy = %s", (proxy,))
    fund(proxy, f"second-{proxy}", 5)
    row = database.execute("select * from funding where follower_proxy = %s", (proxy,)).fetchone()
    assert row is not None
    assert (row["funded_micros"], row["before_micros"]) == (10, -31)


@pytest.mark.parametrize(
    ("token", "code"),
    [
        (None, grpc.StatusCode.UNAUTHENTICATED),
        ("e5" * 32, grpc.StatusCode.UNAUTHENTICATED),
        (READ, grpc.StatusCode.PERMISSION_DENIED),
        (MANAGE, grpc.StatusCode.PERMISSION_DENIED),
    ],
)
def test_only_the_internal_scope_moves_money(
    fund: Fund, database: Database, wallet: Callable[[], str], token: str | None,
    code: grpc.StatusCode,
) -> None:  # fmt: skip
    proxy = wallet()
    with pytest.raises(grpc.RpcError) as refused:
        fund(proxy, f"x-{proxy}", 100, token=token)
    assert refused.value.code() is code
    kept = database.execute("select 1 from funding where follower_proxy = %s", (proxy,))
    assert kept.fetchone() is None


def test_the_internal_scope_opens_nothing_at_the_edge(
    edge: RunningEdge, wallet: Callable[[], str]
) -> None:
    path = f"/subscriptions?followerProxy={wallet()}"
    assert edge.call("GET", path, token=INTERNAL).status_code == 403
    assert edge.call("GET", path, token=READ).status_code == 200
    body = {"followerProxy": wallet(), "operationId": "x", "amountMicros": "1", "reason": "r"}
    for token in (INTERNAL, MANAGE):
        answer = edge.call("POST", "/subscriptions/funding", token=token, json=body)
        assert answer.status_code == 404


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"amount": 0}, grpc.StatusCode.INVALID_ARGUMENT),
        ({"amount": -1}, grpc.StatusCode.INVALID_ARGUMENT),
        ({"reason": ""}, grpc.StatusCode.INVALID_ARGUMENT),
        ({"operation": ""}, grpc.StatusCode.INVALID_ARGUMENT),
        ({"wallet": "0xAA"}, grpc.StatusCode.INVALID_ARGUMENT),
    ],
)
def test_what_is_wrong_is_refused(
    fund: Fund, wallet: Callable[[], str], changes: dict[str, object], code: grpc.StatusCode
) -> None:
    requested: dict[str, object] = {"wallet": wallet(), "operation": "op", "amount": 1, **changes}
    with pytest.raises(grpc.RpcError) as refused:
        fund(**requested)
    assert refused.value.code() is code


def test_an_operation_id_is_of_one_movement(fund: Fund, wallet: Callable[[], str]) -> None:
    proxy, other = wallet(), wallet()
    fund(proxy, f"one-{proxy}", 10)
    for who, amount in ((proxy, 11), (other, 10)):
        with pytest.raises(grpc.RpcError) as refused:
            fund(who, f"one-{proxy}", amount)
        assert refused.value.code() is grpc.StatusCode.ALREADY_EXISTS, refused.value.code()
