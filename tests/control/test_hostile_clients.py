"""Clients that are slow, half-said, too large or too many: the others notice nothing.

Judged by what the others get: every call of theirs is answered, and rightly, while the hostile ones
hold on. Nothing here is timed.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager

import httpx
import pytest

from tests.control.edge import MANAGE, RunningEdge, StartEdge
from tests.control.requests import Database, count, create_subscription, subscription_body

Wallet = Callable[[], str]
_REQUESTED = 60
_READ = f"GET /openapi.json HTTP/1.1\r\nHost: e\r\nAuthorization: Bearer {MANAGE}\r\n"
_CREATE = (
    "POST /subscriptions HTTP/1.1\r\nHost: e\r\nContent-Type: application/json\r\n"
    f"Authorization: Bearer {MANAGE}\r\n"
)
SLOW = {
    "silent": "",
    "half a line": "GET /hea",
    "half the headers": _READ,
    "half the body": f'{_CREATE}Content-Length: 1000\r\n\r\n{{"follower"',
    "a chunk without an end": f'{_CREATE}Transfer-Encoding: chunked\r\n\r\n5\r\n{{"fol\r\n',
    "a read's chunk without an end": f"GET /subscriptions/sub_{'0' * 32} HTTP/1.1\r\n"
    f"Host: e\r\nAuthorization: Bearer {MANAGE}\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n",
    "a stranger's chunk without an end": "GET /health HTTP/1.1\r\nHost: e\r\n"
    "Transfer-Encoding: chunked\r\n\r\n5\r\n",
    "an answer never read": f"{_READ}\r\n" * 20,
}
LARGE = {
    "headers": f"GET /health HTTP/1.1\r\nHost: e\r\nX-Large: {'x' * 40_000}\r\n\r\n",
    "many headers": "GET /health HTTP/1.1\r\nHost: e\r\n"
    + "".join(f"X-{n}: 1\r\n" for n in range(200)) + "\r\n",
    "a path": f"GET /subscriptions/{'a' * 60_000} HTTP/1.1\r\nHost: e\r\n\r\n",
    "a body": f"{_CREATE}Content-Length: 200000\r\n\r\n{' ' * 200_000}",
    "a chunked body": f"{_CREATE}Transfer-Encoding: chunked\r\n\r\n"
    + f"10000\r\n{' ' * 0x10000}\r\n" * 4 + "0\r\n\r\n",
    "no HTTP": "\x16\x03\x01\x02\x00" + "\x00" * 500,
}  # fmt: skip


@pytest.fixture(scope="module")
def besieged(start_edge: StartEdge) -> Iterator[RunningEdge]:
    """An edge of their own: what they do must not disturb another test."""
    with start_edge("besieged", address_rate="100000") as running:
        yield running


@asynccontextmanager
async def _connections(edge: RunningEdge, texts: list[str]) -> AsyncIterator[list[socket.socket]]:
    """Sockets that have said so much and hold on. Their buffers are small: they read nothing."""
    loop = asyncio.get_running_loop()
    sockets: list[socket.socket] = []
    try:
        for text in texts:
            one = socket.socket()
            sockets.append(one)
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            one.setblocking(False)
            await loop.sock_connect(one, ("127.0.0.1", edge.port))
            await loop.sock_sendall(one, text.encode("latin-1"))
        yield sockets
    finally:
        for one in sockets:
            one.close()


async def _others_are_served(edge: RunningEdge, path: str, expected: object) -> None:
    """Reads on new connections and on a kept one, each answered and right."""
    headers = {"Authorization": f"Bearer {MANAGE}"}
    async with httpx.AsyncClient(
        base_url=edge.url, headers=headers, timeout=30, trust_env=False
    ) as kept:
        for number in range(_REQUESTED):
            if number % 2:
                answer = await kept.get(path)
            else:
                answer = await kept.get(path, headers={"Connection": "close"})
            assert (answer.status_code, answer.json()) == (200, expected)


def _counted(edge: RunningEdge, name: str) -> int:
    """One of Envoy's statistics."""
    transport = httpx.HTTPTransport(uds=str(edge.admin_socket))
    with httpx.Client(transport=transport, base_url="http://envoy", timeout=15.0) as admin:
        return int(admin.get(f"/stats?filter=^{name}$").text.split(": ")[1])


@pytest.mark.parametrize(
    "hostile",
    [
        pytest.param(1_500, id="short"),
        pytest.param(6_000, id="long", marks=[pytest.mark.long, pytest.mark.timeout(600)]),
    ],
)
async def test_thousands_of_slow_clients_keep_nobody_out(
    besieged: RunningEdge, wallet: Wallet, hostile: int
) -> None:
    path = f"/subscriptions/{create_subscription(besieged, wallet())['id']}"
    expected = besieged.call("GET", path).json()
    texts = [text for _, text in zip(range(hostile), list(SLOW.values()) * hostile, strict=False)]
    async with _connections(besieged, texts):
        await _others_are_served(besieged, path, expected)
        body = subscription_body(wallet())
        assert besieged.call("POST", "/subscriptions", json=body).status_code == 201


async def test_a_crowd_that_asks_at_once_waits_its_turn(besieged: RunningEdge) -> None:
    """Control stands still until all have asked; not all of them have a place there."""
    texts = [
        f"{line} HTTP/1.1\r\nHost: e\r\nConnection: close\r\n\r\n"
        for line in ("GET /health", "POST /triggers")
    ]

    async def answered(text: str) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", besieged.port)
        try:
            writer.write(text.encode())
            return (await reader.read()).split(b" ")[1]
        finally:
            writer.close()

    control = besieged.processes[0]
    async with asyncio.timeout(120), asyncio.TaskGroup() as crowd:
        os.kill(control, signal.SIGSTOP)
        try:
            asking = [crowd.create_task(answered(text)) for text in texts * 360]
            while not any(one.done() for one in asking):
                if _counted(besieged, "http.edge.downstream_rq_active") >= len(asking):
                    break
                await asyncio.sleep(0.01)
        finally:
            os.kill(control, signal.SIGCONT)
    assert [one.result() for one in asking] == [b"200", b"401"] * 360


async def test_what_is_too_large_is_refused_and_disturbs_nobody(
    besieged: RunningEdge, wallet: Wallet
) -> None:
    path = f"/subscriptions/{create_subscription(besieged, wallet())['id']}"
    expected = besieged.call("GET", path).json()

    async def hostile(text: str) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", besieged.port)
        try:
            writer.write(text.encode("latin-1"))
            return (await asyncio.wait_for(reader.readline(), 60)).strip()
        except ConnectionError:
            return b""
        finally:
            writer.close()

    found, _ = await asyncio.gather(
        asyncio.gather(*(hostile(text) for text in list(LARGE.values()) * 10)),
        _others_are_served(besieged, path, expected),
    )
    statuses = {line.split(b" ")[1] for line in found if line}
    # An answer may be lost when the connection is closed on somebody who is still sending.
    assert statuses <= {b"400", b"404", b"413", b"414", b"431"}, statuses
    assert {b"413", b"431"} <= statuses


async def test_a_create_that_was_said_by_half_does_nothing(
    besieged: RunningEdge, wallet: Wallet
) -> None:
    whole = httpx.Request("POST", besieged.url, json=subscription_body(wallet())).content.decode()
    with_length = f"{_CREATE}Content-Length: {len(whole)}\r\n\r\n"
    cut = [with_length + whole[:-n] for n in (1, 2, len(whole) // 2, len(whole))]
    cut += [f"{_CREATE}Transfer-Encoding: chunked\r\n\r\n{len(whole):x}\r\n{whole}\r\n"]
    with _database(besieged) as database:
        before = count(database, "control_change")
        async with _connections(besieged, cut) as sockets:
            for one in sockets[::2]:
                one.shutdown(socket.SHUT_WR)
            assert besieged.call("GET", "/ready", None).status_code == 200
        # They have hung up; whatever they might have caused has passed the gate before this one.
        assert besieged.call("GET", "/ready", None).status_code == 200
        assert count(database, "control_change") == before


def _database(edge: RunningEdge) -> Database:
    import psycopg
    from psycopg.rows import dict_row

    return psycopg.connect(edge.database_url, autocommit=True, row_factory=dict_row)
