"""Test what a stranger tried with some success: each attempt, and that it gets him nothing."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import grpc
import pytest
import structlog
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from ext_authz import external_auth_pb2, external_auth_pb2_grpc
from services.control.auth.security_log import SecurityLog
from tests.control.edge import MANAGE, READ, TOKENS, RunningEdge, StartEdge
from tests.control.requests import (
    Database,
    count,
    create_subscription,
    error_of,
    subscription_body,
    trigger_body,
)
from tradingtools.domain.errors import Unauthenticated
from tradingtools.v1 import common_pb2 as common
from tradingtools.v1 import control_service_pb2 as control
from tradingtools.v1 import control_service_pb2_grpc as control_grpc
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
    with edge.inside() as port:
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


def _seal(port: grpc.Channel, path: str, body: bytes = b"") -> str:
    """Return the seal that the authorization gives to a direct caller; empty: a refusal."""
    request = external_auth_pb2.CheckRequest()
    http = request.attributes.request.http
    http.method, http.path, http.raw_body = "POST", path, body
    http.headers["authorization"] = f"Bearer {MANAGE}"
    http.headers["content-type"] = "application/json"
    answer = external_auth_pb2_grpc.AuthorizationStub(port).Check(request, timeout=60)
    headers = answer.ok_response.headers
    return str(headers[0].header.value) if headers else ""


def _pause(port: grpc.Channel, identifier: str, seal: str) -> grpc.StatusCode:
    stub = control_grpc.ControlServiceStub(port)
    try:
        stub.PauseSubscription(
            control.PauseSubscriptionRequest(id=identifier),
            metadata=(("x-tt-identity", seal),),
            timeout=60,
        )
    except grpc.RpcError as refused:
        return cast("grpc.Call", refused).code()
    return grpc.StatusCode.OK


def test_a_seal_opens_nothing_but_what_it_was_made_for(edge: RunningEdge, wallet: Wallet) -> None:
    one, other = (create_subscription(edge, wallet())["id"] for _ in range(2))
    with grpc.insecure_channel(f"127.0.0.1:{edge.control_port}") as port:
        seal = _seal(port, f"/subscriptions/{one}/pause")
        assert _pause(port, other, seal) is grpc.StatusCode.UNAUTHENTICATED
        assert _pause(port, one, seal) is grpc.StatusCode.OK
    assert (
        edge.call("GET", f"/subscriptions/{other}").json()["state"] == "SUBSCRIPTION_STATE_ACTIVE"
    )


def test_a_seal_opens_no_other_body(edge: RunningEdge, database: Database, wallet: Wallet) -> None:
    body = json.dumps(subscription_body(wallet())).encode()
    before = count(database, "control_change")
    with grpc.insecure_channel(f"127.0.0.1:{edge.control_port}") as port:
        seal = _seal(port, "/subscriptions", body)
        stub = control_grpc.ControlServiceStub(port)
        with pytest.raises(grpc.RpcError) as refused:
            stub.CreateSubscription(
                control.CreateSubscriptionRequest(leader="0x" + "ab" * 20),
                metadata=(("x-tt-identity", seal),),
                timeout=60,
            )
    assert cast("grpc.Call", refused.value).code() is grpc.StatusCode.UNAUTHENTICATED
    assert count(database, "control_change") == before


def test_a_seal_ends_with_its_token(start_edge: StartEdge, tmp_path: Path, wallet: Wallet) -> None:
    file = tmp_path / "tokens"
    file.write_text(TOKENS.replace(",", "\n"))
    with start_edge("withdrawn", tokens="", tokens_file=str(file)) as edge:
        identifier = create_subscription(edge, wallet())["id"]
        with grpc.insecure_channel(f"127.0.0.1:{edge.control_port}") as port:
            seal = _seal(port, f"/subscriptions/{identifier}/pause")
            assert _pause(port, identifier, seal) is grpc.StatusCode.OK
            file.write_text(TOKENS.replace(",", "\n").partition("\n")[2])
            deadline = time.monotonic() + 60
            while _seal(port, f"/subscriptions/{identifier}/pause"):
                assert time.monotonic() < deadline
                time.sleep(0.02)
            assert _pause(port, identifier, seal) is grpc.StatusCode.UNAUTHENTICATED


def test_a_wallet_belongs_to_whom_it_was_first_seen_with(edge: RunningEdge, wallet: Wallet) -> None:
    """Another user would trade, and sell, what is not his."""
    one = wallet()
    mine = subscription_body(one)
    assert edge.call("POST", "/subscriptions", json=mine).status_code == 201
    expected = "what the wallet was first seen with; an operator may move it"
    for name, field in (("followerUserId", "UserId"), ("followerWalletId", "WalletId")):
        body = subscription_body(one, follower={**mine["follower"], name: "another"})
        assert error_of(edge.call("POST", "/subscriptions", json=body)) == (
            400, "INVALID_FIELD", {"field": f"follower.follower{field}", "expected": expected},
        )  # fmt: skip
    lot = {"followerUserId": "another", "followerWalletId": "wallet-1", "heldSize": "5"}
    body = trigger_body(one, "", manualLot=lot)
    del body["subscriptionId"]
    assert error_of(edge.call("POST", "/triggers", json=body)) == (
        400, "INVALID_FIELD", {"field": "manualLot.followerUserId", "expected": expected},
    )  # fmt: skip
    body["manualLot"]["followerUserId"] = "user-1"
    assert edge.call("POST", "/triggers", json=body).status_code == 201


def test_an_operator_moves_a_wallet_and_the_audit_says_so(
    edge: RunningEdge, wallet: Wallet
) -> None:
    one = wallet()
    create_subscription(edge, one)
    moved = operator.MoveWalletRequest(
        follower=common.FollowerIdentity(
            follower_proxy=one, follower_user_id="u2", follower_wallet_id="w2"
        ),
        reason="sold",
    )
    with edge.inside() as port:
        stub = operator_grpc.OperatorServiceStub(port)
        assert stub.MoveWallet(moved, timeout=60).follower.follower_user_id == "u2"
        stub.MoveWallet(moved, timeout=60)
        requested = operator.ListAuditRequest(subject_kind="wallet", subject_id=one)
        entries = stub.ListAudit(requested, timeout=60).entries
        moved.follower.follower_proxy = wallet()
        with pytest.raises(grpc.RpcError) as refused:
            stub.MoveWallet(moved, timeout=60)
    assert cast("grpc.Call", refused.value).code() is grpc.StatusCode.NOT_FOUND
    assert [entry.action for entry in entries] == ["move"]
    assert json.loads(entries[0].after_json)["reason"] == "sold"
    body = subscription_body(one)
    assert edge.call("POST", "/subscriptions", json=body).status_code == 400
    body["follower"] |= {"followerUserId": "u2", "followerWalletId": "w2"}
    assert edge.call("POST", "/subscriptions", json=body).status_code == 201


def test_create_with_an_upper_case_wallet_is_the_same_create(
    edge: RunningEdge, wallet: Wallet
) -> None:
    one, key = f"0xab{wallet()[4:]}", {"Idempotency-Key": "upper-case"}
    body = subscription_body(one)
    first = edge.call("POST", "/subscriptions", json=body, headers=key)
    body["follower"]["followerProxy"] = f"0x{one[2:].upper()}"
    again = edge.call("POST", "/subscriptions", json=body, headers=key)
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.json()["id"] == first.json()["id"]


def _line(edge: RunningEdge, *words: str) -> None:
    """Wait until a line of the log has all of them: lines go out behind what they are about."""
    deadline = time.monotonic() + 60
    while not any(
        all(word in line for word in words) for line in edge.log.read_text().splitlines()
    ):
        assert time.monotonic() < deadline, words
        time.sleep(0.02)


def test_who_was_refused_is_written_down_without_what_he_tried(start_edge: StartEdge) -> None:
    wrong = "c" * 64
    route = "/tradingtools.v1.ControlService/CreateSubscription"
    with start_edge("written-down", token_rate="1", address_rate="1000") as edge:
        edge.call("POST", "/subscriptions", wrong, json={})
        edge.call("POST", "/subscriptions", READ, json={})
        while edge.call("POST", "/subscriptions", json={}).status_code != 429:
            pass
        edge.call("POST", f"/subscriptions/{wrong}", wrong, json={})
        said = ("request refused", "port=edge", "address=127.0.0.1", f"route={route}")
        _line(edge, *said, "outcome=401", "token=none")
        _line(edge, *said, "outcome=403", "token=viewer")
        _line(edge, *said, "outcome=429", "token=backend")
        with grpc.insecure_channel(f"127.0.0.1:{edge.internal_port}") as port:
            call: Any = port.unary_unary("/tradingtools.v1.ControlInternalService/Fund")
            with pytest.raises(grpc.RpcError):
                call(b"", metadata=(("authorization", f"Bearer {wrong}"),), timeout=60)
        _line(edge, "request refused", "port=internal", "outcome=401", "token=none")
        edge.call("POST", "/subscriptions", content=b" " * 100_000, headers=JSON)
        _line(edge, "duration_ms", '"status":413', '"address":"127.0.0.1"')
    text = edge.log.read_text()
    assert wrong not in text
    assert MANAGE not in text


def test_the_access_log_names_the_token(edge: RunningEdge, wallet: Wallet) -> None:
    create_subscription(edge, wallet())
    _line(edge, '"verb":"POST"', '"status":201', '"token":"backend"', '"address":"127.0.0.1"')


def test_a_flood_writes_no_flood() -> None:
    log = SecurityLog("edge")
    with structlog.testing.capture_logs() as lines:
        for _ in range(1000):
            log.refused(Unauthenticated("no"), address="192.0.2.1", token="", route="")
    assert 0 < len(lines) < 100


@pytest.mark.parametrize("name", ["Idempotency-Key", "Authorization", "Cookie"])
@pytest.mark.parametrize("size", [9_000, 14_000, 70_000])
def test_headers_too_large_are_431(edge: RunningEdge, name: str, size: int) -> None:
    """gRPC refused them: try again later, and what its limits are."""
    token = None if name == "Authorization" else MANAGE
    answer = edge.call("POST", "/subscriptions", token, json={}, headers={name: "k" * size})
    assert error_of(answer) == (431, "MALFORMED_BODY", {})
    assert "retry-after" not in answer.headers


def test_headers_too_large_are_431_on_http2(edge: RunningEdge) -> None:
    """To a client of gRPC, which tells the answer of who does not speak it."""
    with grpc.insecure_channel(f"127.0.0.1:{edge.port}") as port:
        call: Any = port.unary_unary("/subscriptions")
        with pytest.raises(grpc.RpcError) as refused:
            call(b"", metadata=(("x-long", "k" * 9_000),), timeout=60)
    assert "the headers are too large" in str(cast("grpc.Call", refused.value).details())


def test_a_long_header_is_judged_by_whoever_reads_it(edge: RunningEdge, wallet: Wallet) -> None:
    headers = {"Idempotency-Key": "k" * 7_000}
    found = error_of(
        edge.call("POST", "/subscriptions", json=subscription_body(wallet()), headers=headers)
    )
    assert found[:2] == (400, "INVALID_FIELD")
    assert found[2]["field"] == "Idempotency-Key"


def test_who_shows_no_token_has_his_connection_for_one_answer(edge: RunningEdge) -> None:
    """Otherwise a question now and then would hold it, and his share of them all."""
    wrong, right = (f"Authorization: Bearer {token}\r\n" for token in ("c" * 64, MANAGE))
    closed = {}
    for shown in ("", wrong, right):
        with socket.create_connection(("127.0.0.1", edge.port), timeout=60) as one:
            one.sendall(f"GET /subscriptions/x HTTP/1.1\r\nHost: e\r\n{shown}\r\n".encode())
            head = one.recv(65536).partition(b"\r\n\r\n")[0]
            closed[shown] = b"\r\nconnection: close" in head
            if closed[shown]:
                while one.recv(65536):
                    pass
    assert closed == {"": True, wrong: True, right: False}


def test_reused_key_with_another_body_is_a_conflict(edge: RunningEdge, wallet: Wallet) -> None:
    headers = {"Idempotency-Key": "reused", "If-Match": '"1"'}
    first = edge.call("POST", "/subscriptions", json=subscription_body(wallet()), headers=headers)
    assert first.status_code == 201
    again = edge.call("POST", "/subscriptions", json=subscription_body(wallet()), headers=headers)
    assert error_of(again)[:2] == (409, "REQUEST_ID_REUSED")


def test_unknown_transfer_encoding_is_refused_in_one_shape(edge: RunningEdge) -> None:
    text = "POST /triggers HTTP/1.1\r\nHost: e\r\nTransfer-Encoding: xchunked\r\n\r\n"
    with socket.create_connection(("127.0.0.1", edge.port), timeout=60) as one:
        one.sendall(text.encode())
        # Envoy closes it after its answer; a client that closes first may get none.
        answer = b"".join(iter(lambda: one.recv(4096), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.split(b" ")[1] == b"501"
    assert json.loads(body)["details"][0]["reason"] == "MALFORMED_BODY"
