"""Refusals of the edge itself look like those of control."""

from __future__ import annotations

import socket

import pytest

from tests.control.edge import MANAGE, READ, RunningEdge

_SECONDS = 60.0
_NOBODY = "0" * 32


def _reported(edge: RunningEdge, request: str) -> tuple[int, dict[str, str], str]:
    """Status, headers and body of the answer to bytes; the connection is left open."""
    with socket.create_connection(("127.0.0.1", edge.port), timeout=_SECONDS) as one:
        one.sendall(request.encode())
        with one.makefile("rb") as answer:
            status = int(answer.readline().split(b" ")[1])
            headers = {}
            while line := answer.readline().strip().decode():
                name, _, value = line.partition(": ")
                headers[name] = value
            return status, headers, answer.read(int(headers["content-length"])).decode()


@pytest.mark.parametrize("token", ["", f"Authorization: Bearer {MANAGE}\r\n"])
def test_a_tunnel_is_refused_and_not_waited_for(edge: RunningEdge, token: str) -> None:
    status, headers, body = _reported(edge, f"CONNECT e:443 HTTP/1.1\r\nHost: e:443\r\n{token}\r\n")
    assert (status, headers["content-type"]) == (403, "application/json")
    assert "NOT_ALLOWED" in body


def test_every_401_is_the_same(edge: RunningEdge) -> None:
    reads = f"GET /subscriptions/sub_{_NOBODY} HTTP/1.1\r\nHost: e\r\n"
    wrong = f"Authorization: Bearer {'c' * 64}\r\n"
    creates = "POST /subscriptions HTTP/1.1\r\nHost: e\r\nContent-Type: application/json\r\n"
    reported = [
        _reported(edge, f"{reads}\r\n"),
        _reported(edge, f"{reads}{wrong}\r\n"),
        _reported(edge, f"{reads}{wrong}{wrong}\r\n"),
        _reported(
            edge, f"{reads}Authorization: Bearer {READ}\r\nAuthorization: Bearer {READ}\r\n\r\n"
        ),
        _reported(edge, f"{reads}x-tt-identity: operator:operate:1:{'0' * 64}\r\n\r\n"),
        _reported(edge, f"{creates}Content-Length: 2\r\n\r\n{{}}"),
        _reported(edge, f"{creates}Content-Length: 2\r\n{wrong}\r\n{{}}"),
    ]
    assert [status for status, _, _ in reported] == [401] * len(reported)
    assert len({body for _, _, body in reported}) == 1
    assert {headers["www-authenticate"] for _, headers, _ in reported} == {"Bearer"}
