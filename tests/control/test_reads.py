"""Reads as hostile or careless clients spell them: judged in our words, or ignored."""

from __future__ import annotations

import http.client
import socket
from collections.abc import Callable

import pytest

from tests.control.edge import READ, RunningEdge
from tests.control.requests import create_subscription, error_of

_NOBODY = "sub_" + "0" * 32


@pytest.fixture
def subscription(edge: RunningEdge, wallet: Callable[[], str]) -> str:
    """Its id."""
    made: str = create_subscription(edge, wallet())["id"]
    return made


@pytest.mark.parametrize(
    ("target", "headers", "expected"),
    [
        ("/triggers?" + "&".join(["wallet=a"] * 1_000), {}, (401, "UNAUTHENTICATED")),
        (f"/subscriptions/{_NOBODY}/fills?pageToken={'a' * 9_000}", {}, (401, "UNAUTHENTICATED")),
        (f"/subscriptions/{_NOBODY}", {"Host": "h" * 9_000}, (401, "UNAUTHENTICATED")),
        (f"/subscriptions/{_NOBODY}", {"X-Request-Id": "r" * 9_000}, (431, "MALFORMED_BODY")),
    ],
    ids=["a query of many", "a long value", "a long host", "a long id"],
)
def test_what_is_long_is_refused_in_our_words(
    edge: RunningEdge, target: str, headers: dict[str, str], expected: tuple[int, str]
) -> None:
    answer = edge.call("GET", target, None, headers=headers)
    assert error_of(answer)[:2] == expected


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
    edge: RunningEdge, subscription: str, more: str, expected: int
) -> None:
    """A body that nothing announces, and headers that an HTTP library has opinions about."""
    one = (
        f"GET /subscriptions/{subscription} HTTP/1.1\r\nHost: e\r\nAuthorization: Bearer {READ}\r\n"
    )
    answer = _raw(edge.port, one + more)
    assert int(answer.split(b" ")[1]) == expected
    if expected != 200:
        assert b"MALFORMED_BODY" in answer


def _raw(port: int, request: str) -> bytes:
    """Return the answer to a request, byte for byte, on a connection of its own."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as one:
        one.sendall(request.encode("latin-1"))
        answer = http.client.HTTPResponse(one)
        answer.begin()
        return b"HTTP/1.1 %d %s" % (answer.status, answer.read())


def test_a_client_that_leaves_leaves_nothing_behind(edge: RunningEdge, subscription: str) -> None:
    """Half a request, and a whole one whose answer nobody takes."""
    head = f"GET /subscriptions/{subscription} HTTP/1.1\r\nHost: x\r\n"
    for text in (head, f"{head}Authorization: Bearer {READ}\r\n\r\n") * 40:
        with socket.create_connection(("127.0.0.1", edge.port), timeout=15) as one:
            one.sendall(text.encode())
    assert edge.call("GET", f"/subscriptions/{subscription}").status_code == 200
