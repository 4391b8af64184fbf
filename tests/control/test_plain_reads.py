"""A read says the same whichever way it goes: past the transcoder, or through it.

A content type makes a read one that is asked about and transcoded, and changes nothing else.
"""

from __future__ import annotations

import http.client
import secrets
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import httpx
import pytest

from tests.control.edge import INTERNAL, MANAGE, READ, RunningEdge
from tests.control.requests import (
    Database,
    create_subscription,
    create_trigger,
    error_of,
    put_decision,
    put_fill,
    put_lot,
    put_order,
)

TRANSCODED = {"Content-Type": "application/json"}
_SAME = ("content-type", "etag", "www-authenticate", "retry-after")
_NOBODY = "sub_" + "0" * 32


@pytest.fixture
def told(edge: RunningEdge, database: Database, wallet: Callable[[], str]) -> dict[str, str]:
    """A subscription with something of everything; ids and the wallet by kind."""
    proxy = wallet()
    made = create_subscription(edge, proxy, shadow=True, triggers={"takeProfit": "0.1"})["id"]
    keys = [secrets.token_hex(32) for _ in range(3)]
    tx = put_decision(
        database, proxy, made, copied=True, reason="", detail='ünï <b>&\\"', order_keys=keys
    )
    for number in range(3):
        order = put_order(
            database, proxy, made, "CONFIRMED", leader_tx=tx, ordinal=number,
            order_key=keys[number],
            filled_size_micros=3_000_000, filled_notional_micros=1_000_000,
            received_ns=10**9, answered_ns=10**9 + 5_000_000 * number + 1,
        )  # fmt: skip
        put_fill(database, order, f"trade-{number}", final_at="2026-01-31T12:00:00.123456Z")
        put_decision(database, proxy, made)
    put_lot(database, proxy, made)
    trigger = create_trigger(edge, proxy, made)["id"]
    create_trigger(edge, proxy, made, triggerType="TRIGGER_TYPE_STOP_LOSS", triggerPrice="0.1")
    return {"subscription": made, "trigger": trigger, "wallet": proxy, "tx": tx}


def _both(edge: RunningEdge, target: str, token: str | None = READ) -> list[httpx.Response]:
    return [edge.call("GET", target, token, headers=headers) for headers in ({}, TRANSCODED)]


def _passed(edge: RunningEdge) -> int:
    """How many reads have gone past the transcoder."""
    transport = httpx.HTTPTransport(uds=str(edge.admin_socket))
    with httpx.Client(transport=transport, base_url="http://envoy", timeout=15.0) as admin:
        said = admin.get("/stats?filter=^cluster.control-reads.upstream_rq_total$").text
    return int(said.split(": ")[1])


def test_both_ways_give_the_same_answer(edge: RunningEdge, told: dict[str, str]) -> None:
    one, trigger = f"/subscriptions/{told['subscription']}", f"/triggers/{told['trigger']}"
    for target in (
        one,
        f"{one}/fills",
        f"{one}/fills?pageSize=1",
        f"{one}/decisions?pageSize=2",
        f"{one}/decisions?reason=TOO_OLD&copied=false&fromMs=0",
        f"{one}/decisions?leaderTx={told['tx']}",
        f"{one}/positions?open=true",
        f"{one}/drift",
        f"{one}/resyncs",
        f"/subscriptions?followerProxy={told['wallet']}",
        f"/subscriptions?followerProxy=0x{'9' * 40}",
        trigger,
        f"{trigger}/history",
        f"/triggers?wallet={told['wallet']}",
        f"/simple-triggers?walletAddress={told['wallet']}",
        "/health",
        "/ready",
        "/openapi.json",
    ):
        before = _passed(edge)
        plain, transcoded = _both(edge, target)
        assert _passed(edge) == before + 1, target
        assert plain.status_code == transcoded.status_code == 200, target
        assert plain.json() == transcoded.json(), target
        for name in _SAME:
            assert plain.headers.get(name) == transcoded.headers.get(name), (target, name)
    assert edge.call("GET", one).headers["etag"] == '"1"'


@pytest.mark.parametrize(
    ("target", "token", "expected"),
    [
        (f"/subscriptions/{_NOBODY}", READ, (404, "NOT_FOUND")),
        (f"/subscriptions/{_NOBODY}/fills", MANAGE, (404, "NOT_FOUND")),
        (f"/subscriptions/{_NOBODY}", None, (401, "UNAUTHENTICATED")),
        (f"/subscriptions/{_NOBODY}", "c" * 64, (401, "UNAUTHENTICATED")),
        (f"/subscriptions/{_NOBODY}", INTERNAL, (403, "NOT_ALLOWED")),
        (f"/subscriptions/{_NOBODY}/fills?pageSize=100000", READ, (400, "INVALID_FIELD")),
        (f"/subscriptions/{_NOBODY}/fills?pageToken=x", READ, (400, "INVALID_FIELD")),
        (f"/subscriptions/{_NOBODY}/fills?pageSize=1&pageSize=2", READ, (400, "INVALID_FIELD")),
        ("/subscriptions?followerProxy=me", READ, (400, "INVALID_FIELD")),
        ("/triggers", READ, (400, "INVALID_FIELD")),
    ],
)
def test_both_ways_refuse_with_the_same_words(
    edge: RunningEdge, target: str, token: str | None, expected: tuple[int, str]
) -> None:
    before = _passed(edge)
    plain, transcoded = _both(edge, target, token)
    assert _passed(edge) == before + 1
    assert error_of(plain)[:2] == expected
    assert plain.json() == transcoded.json()
    for name in _SAME:
        assert plain.headers.get(name) == transcoded.headers.get(name), name


@pytest.mark.parametrize(
    ("target", "headers", "expected"),
    [
        ("/triggers?" + "&".join(["wallet=a"] * 1_000), {}, (401, "UNAUTHENTICATED")),
        (f"/subscriptions/{_NOBODY}/fills?pageToken={'a' * 9_000}", {}, (401, "UNAUTHENTICATED")),
        (f"/subscriptions/{_NOBODY}", {"Host": "h" * 9_000}, (401, "UNAUTHENTICATED")),
        (f"/subscriptions/{_NOBODY}", {"X-Request-Id": "r" * 9_000}, (401, "UNAUTHENTICATED")),
    ],
    ids=["a query of many", "a long value", "a long host", "a long id"],
)
def test_what_is_long_is_asked_about_and_refused_in_our_words(
    edge: RunningEdge, target: str, headers: dict[str, str], expected: tuple[int, str]
) -> None:
    before = _passed(edge)
    answer = edge.call("GET", target, None, headers=headers)
    assert error_of(answer)[:2] == expected
    assert _passed(edge) == before


def test_what_walks_around_the_edge_reads_with_a_token_and_does_nothing_else(
    edge: RunningEdge, database: Database, told: dict[str, str]
) -> None:
    one = f"/subscriptions/{told['subscription']}"
    token = {"Authorization": f"Bearer {MANAGE}"}
    before = database.execute("select max(seq) as seq from control_change").fetchone()
    with httpx.Client(
        base_url=f"http://127.0.0.1:{edge.reads_port}", timeout=15.0, trust_env=False
    ) as around:
        assert around.get(one, headers=token).status_code == 200
        assert around.get(one).status_code == 401
        twice: Any = [("Authorization", token["Authorization"])] * 2
        assert around.get(one, headers=twice).status_code == 401
        for verb, path, body in (
            ("POST", f"{one}/pause", None),
            ("DELETE", one, None),
            ("POST", "/tradingtools.v1.ControlService/GetSubscription", b""),
        ):
            assert around.request(verb, path, headers=token, content=body).status_code == 401
        with_body = around.request("GET", one, headers=token, content=b'{"a": 1}')
        assert error_of(with_body)[:2] == (400, "MALFORMED_BODY")
        for path in (
            f"{one}/pause", f"{one}/perf-action", "/tradingtools.v1.OperatorService/ListHalts",
            f"{one}/", f"/{one}", one.replace("/", "%2F"),
        ):  # fmt: skip
            assert around.get(path, headers=token).status_code in (404, 405), path
        # More than any edge hands on, and in our words all the same.
        long = around.get(f"{one}/fills?pageToken={'a' * 40_000}", headers=token)
        assert error_of(long)[:2] == (400, "INVALID_FIELD")
        # What is no id of ours is none of a subscription's.
        assert around.get("/subscriptions/funding", headers=token).status_code == 400
    after = database.execute("select max(seq) as seq from control_change").fetchone()
    assert before == after


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ("Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 200),
        ("Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", 200),
        ("Transfer-Encoding: chunked\r\n\r\n7\r\n{\"a\":1}\r\n0\r\n\r\n", 400),
        ("Content-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n", 400),
        ("Transfer-Encoding: chunked\r\n\r\n" + f"4000\r\n{' ' * 0x4000}\r\n" * 5, 413),
        ("ETag: a\r\nETag: b\r\nContent-Encoding: br\r\nCookie: \xff\r\n\r\n", 200),
        ("Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\n\r\n", 200),
    ],
)  # fmt: skip
def test_what_comes_along_with_a_plain_read_is_judged_or_ignored(
    edge: RunningEdge, told: dict[str, str], more: str, expected: int
) -> None:
    """A body that nothing announces, and headers that an HTTP library has opinions about."""
    before = _passed(edge)
    one = f"GET /triggers/{told['trigger']} HTTP/1.1\r\nHost: e\r\nAuthorization: Bearer {READ}\r\n"
    answer = _raw(edge.port, one + more)
    assert int(answer.split(b" ")[1]) == expected
    if expected != 200:
        assert b"MALFORMED_BODY" in answer
    assert _passed(edge) == before + (expected != 413)


def _raw(port: int, request: str) -> bytes:
    """What is answered to a request, byte for byte; the connection is the request's alone."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as one:
        one.sendall(request.encode("latin-1"))
        answer = http.client.HTTPResponse(one)
        answer.begin()
        return b"HTTP/1.1 %d %s" % (answer.status, answer.read())


def test_the_port_of_reads_ends_whom_it_cannot_read(edge: RunningEdge) -> None:
    """Two requests at once, one without an end, and one that is none; the others are served."""
    one = "GET /health HTTP/1.1\r\nHost: e\r\n"
    for text in (f"{one}\r\n" * 2, one + "X: y\r\n" * 40_000, "no HTTP\r\n\r\n"):
        with (
            suppress(ConnectionError),
            socket.create_connection(("127.0.0.1", edge.reads_port), timeout=30) as hostile,
        ):
            hostile.sendall(text.encode())
            while hostile.recv(65536):
                pass
    with httpx.Client(timeout=15.0, trust_env=False) as around:
        health = f"http://127.0.0.1:{edge.reads_port}/health"
        assert around.get(health).json() == {"status": "ok"}
        ended = around.get(health, headers={"Connection": "close"})
        assert ended.json() == {"status": "ok"}


def test_a_client_that_leaves_leaves_nothing_behind(
    edge: RunningEdge, told: dict[str, str]
) -> None:
    """Half a request, and a whole one whose answer nobody takes."""
    head = f"GET /subscriptions/{told['subscription']} HTTP/1.1\r\nHost: x\r\n"
    for text in (head, f"{head}Authorization: Bearer {READ}\r\n\r\n") * 40:
        with socket.create_connection(("127.0.0.1", edge.port), timeout=15) as one:
            one.sendall(text.encode())
    assert edge.call("GET", f"/subscriptions/{told['subscription']}").status_code == 200
