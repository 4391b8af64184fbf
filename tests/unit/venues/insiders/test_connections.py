"""Test what an order's connection says it knows, against a server that says whatever a test
wants."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.simulation.insiders import SimulatedClient
from tradingtools import clock
from tradingtools.tasks import cancel_all
from tradingtools.venues.insiders import connections
from tradingtools.venues.insiders.connections import Answer, ConnectionGone, NotSent, Unanswered
from tradingtools.venues.insiders.order_gateway import InsidersClient, open_client
from tradingtools.venues.insiders.schemas import BODY_LIMIT_BYTES

TIMEOUT_MS = 5_000
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
Speak = Callable[["Far", asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Far:
    """The other end: every request that came whole, and the connections it came over."""

    requests: list[bytes] = field(default_factory=list)
    connections: int = 0
    open_now: int = 0

    async def request(self, reader: asyncio.StreamReader) -> bytes:
        head = await reader.readuntil(b"\r\n\r\n")
        length = 0
        for line in head.split(b"\r\n"):
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        whole = head + await reader.readexactly(length)
        self.requests.append(whole)
        return whole


@asynccontextmanager
async def far_side(speak: Speak) -> AsyncIterator[tuple[Far, str]]:
    far = Far()
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        far.connections += 1
        far.open_now += 1
        try:
            with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
                await speak(far, reader, writer)
        finally:
            far.open_now -= 1
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield far, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.wait_closed()


def when_let(answers: asyncio.Semaphore) -> Speak:
    """Every request gets an answer when there is one."""

    async def speak(far: Far, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await far.request(reader)
            await answers.acquire()
            writer.write(OK)

    return speak


def always(*parts: bytes, end: bool = False) -> Speak:
    """Every request gets these bytes, a part at a time; then the connection ends or goes on."""

    async def speak(far: Far, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await far.request(reader)
            for part in parts:
                writer.write(part)
                await writer.drain()
                await asyncio.sleep(0)
            if end:
                return

    return speak


async def submit(client: InsidersClient, timeout_ms: int = TIMEOUT_MS) -> Answer:
    return await client.submit("buy", "a" * 64, b'{"size":"1"}', timeout_ms)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - what is waited for is on the other side
            await asyncio.sleep(0.005)


async def test_the_request_is_what_the_contract_says() -> None:
    async with far_side(always(OK)) as (far, url), open_client(url + "/x/", "token") as client:
        await submit(client)
        await client.order_by_key("b" * 64, TIMEOUT_MS)
        await client.void("c" * 64, TIMEOUT_MS)
        await client.capabilities(TIMEOUT_MS)
    host = url.removeprefix("http://").encode()
    common = b"Host: " + host + b"\r\nAuthorization: Bearer token\r\n"
    assert far.requests == [
        b"POST /x/api/trade/buy HTTP/1.1\r\n" + common + b"Idempotency-Key: " + b"a" * 64
        + b"\r\nContent-Type: application/json\r\nContent-Length: 12\r\n\r\n" + b'{"size":"1"}',
        b"GET /x/api/trade/orders/by-key/" + b"b" * 64 + b" HTTP/1.1\r\n" + common + b"\r\n",
        b"POST /x/api/trade/orders/by-key/" + b"c" * 64 + b"/void HTTP/1.1\r\n" + common
        + b"Content-Length: 0\r\n\r\n",
        b"GET /x/api/capabilities HTTP/1.1\r\n" + common + b"\r\n",
    ]  # fmt: skip
    assert far.connections == 1


CHUNKED = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nTrailer: t\r\n\r\n"
)
ANSWERS = [
    (OK, 200, b"{}"),
    (b"HTTP/1.1 503 Away\r\nRetry-After: 9\r\nContent-Length: 3\r\n\r\nabc", 503, b"abc"),
    (b"HTTP/1.1 204 No\r\n\r\n", 204, b""),
    (CHUNKED, 200, b"abcde"),
    (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nLink: x\r\n\r\n" + OK, 200, b"{}"),
    (b"HTTP/1.1 302 Found\r\nLocation: /y\r\nContent-Length: 0\r\n\r\n", 302, b""),
]


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(ANSWERS), st.lists(st.integers(0, 120), max_size=6))
def test_an_answer_is_the_same_however_it_is_cut(
    answer: tuple[bytes, int, bytes], cuts: Sequence[int]
) -> None:
    raw, status, body = answer
    places = [0, *sorted({min(c, len(raw)) for c in cuts}), len(raw)]
    parts = [raw[a:b] for a, b in pairwise(places) if b > a]

    async def run() -> None:
        async with far_side(always(*parts)) as (far, url), open_client(url) as client:
            for _ in range(2):
                got = await submit(client)
                assert (got.status, got.body) == (status, body)
                assert got.first_byte_ns <= got.answered_ns
            assert len(far.requests) == 2
            assert far.connections == 1

    asyncio.run(run())


@pytest.mark.parametrize(
    "raw",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.9\r\n",
        b"HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{} ",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70_000,
        b"",
    ],
)
async def test_what_is_no_whole_answer_is_unanswered(raw: bytes) -> None:
    async with far_side(always(raw, end=True)) as (far, url), open_client(url) as client:
        started_ns = clock.now_ns()
        with pytest.raises(Unanswered) as unanswered:
            await submit(client)
        assert started_ns <= unanswered.value.first_byte_ns <= clock.now_ns()
        assert len(far.requests) == 1


async def test_an_answer_without_a_length_ends_with_its_connection() -> None:
    raw = b"HTTP/1.1 200 OK\r\n\r\n{}"
    async with far_side(always(raw, end=True)) as (far, url), open_client(url) as client:
        for _ in range(2):
            assert (await submit(client)).body == b"{}"
        assert far.connections == 2


@pytest.mark.parametrize("more", [b"", OK, b"noise"])
async def test_a_connection_that_is_to_close_or_talks_out_of_turn_is_not_used_again(
    more: bytes,
) -> None:
    raw = OK + more if more else OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    async with far_side(always(raw)) as (far, url), open_client(url) as client:
        for _ in range(3):
            with contextlib.suppress(Unanswered):
                assert (await submit(client)).body == b"{}"
        assert far.connections == len(far.requests) == 3


async def test_bytes_that_nobody_asked_for_are_no_answer_to_the_next_request() -> None:
    written = asyncio.Event()

    async def speak(far: Far, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await far.request(reader)
        writer.write(OK)
        if far.connections == 1:
            await asyncio.sleep(0.05)
            writer.write(OK.replace(b"200", b"500"))
            await writer.drain()
            written.set()
        await reader.read()

    async with far_side(speak) as (far, url), open_client(url) as client:
        assert (await submit(client)).status == 200
        await written.wait()
        await until(lambda: far.open_now == 0)
        assert (await submit(client)).status == 200


async def test_more_than_the_limit_is_not_read() -> None:
    size = 50 * BODY_LIMIT_BYTES
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size
    async with far_side(always(head, b"x" * size)) as (far, url), open_client(url) as client:
        answer = await submit(client)
        assert answer.body == b"x" * (BODY_LIMIT_BYTES + 1)
        await until(lambda: far.open_now == 0)


async def test_silence_is_unanswered_and_its_connection_is_given_up() -> None:
    async with far_side(always()) as (far, url), open_client(url) as client:
        with pytest.raises(Unanswered):
            await submit(client, 50)
        await until(lambda: far.open_now == 0)
        assert len(far.requests) == 1


def begin(client: InsidersClient, timeout_ms: int = TIMEOUT_MS) -> asyncio.Future[Answer] | None:
    return client.begin("buy", "a" * 64, b'{"size":"1"}', timeout_ms)


def started(client: InsidersClient, timeout_ms: int = TIMEOUT_MS) -> asyncio.Future[Answer]:
    answer = begin(client, timeout_ms)
    assert answer is not None
    return answer


async def test_what_is_begun_has_left_before_anything_else_runs() -> None:
    with socket.create_server(("127.0.0.1", 0)) as there:
        there.settimeout(20)
        url = f"http://127.0.0.1:{there.getsockname()[1]}"
        async with open_client(url, warm=1) as client, asyncio.timeout(60):
            other_end, _ = await asyncio.to_thread(there.accept)
            other_end.settimeout(20)
            with other_end:
                while (answer := begin(client)) is None:  # noqa: ASYNC110 - made ready over there
                    await asyncio.sleep(0.005)
                # The loop has not turned since: no task of ours could run.
                assert other_end.recv(1_000).startswith(b"POST /api/trade/buy HTTP/1.1\r\n")
                other_end.sendall(OK)
                assert (await answer).body == b"{}"


async def test_without_a_connection_that_is_ready_nothing_is_begun() -> None:
    async with far_side(always(OK)) as (far, url), open_client(url) as client:
        assert begin(client) is None
        await submit(client)
        assert (await started(client)).status == 200
        assert far.connections == 1
        assert len(far.requests) == 2


async def test_silence_after_what_was_begun_is_unanswered_and_ends_its_connection() -> None:
    silent = False

    async def speak(far: Far, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await far.request(reader)
            if not silent:
                writer.write(OK)

    async with far_side(speak) as (far, url), open_client(url, limit=1) as client:
        await submit(client)
        silent = True
        with pytest.raises(Unanswered, match="within the time"):
            await started(client, 50)
        await until(lambda: far.open_now == 0)
        silent = False
        assert (await submit(client)).status == 200, "its place is free again"


async def test_what_is_begun_counts_as_under_way() -> None:
    answer_now = asyncio.Event()

    async def speak(far: Far, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await far.request(reader)
            if len(far.requests) > 1:
                await answer_now.wait()
            writer.write(OK)

    async with far_side(speak) as (far, url), open_client(url, limit=1) as client:
        await submit(client)
        first = started(client)
        assert begin(client) is None
        second = asyncio.ensure_future(submit(client))
        await until(lambda: len(far.requests) == 2)
        answer_now.set()
        assert (await first).status == (await second).status == 200
        assert far.connections == 1


async def test_what_is_begun_ends_with_its_future_and_with_the_client() -> None:
    async def speak(far: Far, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await far.request(reader)
        writer.write(OK)
        await far.request(reader)
        await reader.read()

    async with far_side(speak) as (far, url):
        async with open_client(url) as client:
            await submit(client)
            started(client).cancel()
            await until(lambda: far.open_now == 0)
            await submit(client)
            last = started(client)
        with pytest.raises(Unanswered):
            await last
        await until(lambda: far.open_now == 0)


async def test_a_connection_that_takes_nothing_any_more_is_unanswered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with far_side(always(OK)) as (far, url), open_client(url, limit=1) as client:
        await submit(client)
        (connection,) = client._connections._idle
        there = cast(asyncio.Transport, connection._transport)

        class ConnectionGone(asyncio.Transport):
            def write(self, data: bytes | bytearray | memoryview) -> None:
                raise RuntimeError("unable to perform operation; the handler is closed")

            def is_closing(self) -> bool:
                return False

            def abort(self) -> None:
                there.abort()

        monkeypatch.setattr(connection, "_transport", ConnectionGone())
        with pytest.raises(Unanswered, match="gone"):
            await started(client)
        assert (await submit(client)).status == 200, "its place is free again"
        assert far.connections == 2


async def test_a_connection_that_begins_to_close_takes_no_order() -> None:
    async with far_side(always(OK)) as (far, url), open_client(url) as client:
        await submit(client)
        (connection,) = client._connections._idle
        # As after an error of the socket: it tells its end in a later turn of the loop.
        cast(asyncio.Transport, connection._transport).abort()
        assert begin(client) is None
        assert (await submit(client)).status == 200
        assert far.connections == 2


async def test_what_is_kept_back_with_a_connection_at_hand_leaves_it_to_the_next() -> None:
    async def keep_back() -> None:
        raise LookupError("a halt")

    async with far_side(always(OK)) as (far, url), open_client(url, limit=1) as client:
        with pytest.raises(LookupError, match="a halt"):
            await client.submit("buy", "b" * 64, b"{}", TIMEOUT_MS, keep_back)
        await until(lambda: far.open_now == 1)
        assert (await submit(client)).status == 200
        assert (far.connections, len(far.requests)) == (1, 1)


async def test_a_connection_that_ends_while_it_waits_for_a_look_is_not_written_to() -> None:
    async with far_side(always(OK)) as (far, url), open_client(url, limit=1) as client:
        await submit(client)
        (connection,) = client._connections._idle

        async def meanwhile() -> None:
            cast(asyncio.Transport, connection._transport).abort()

        with pytest.raises(ConnectionGone, match="before anything left"):
            await client.submit("buy", "b" * 64, b"{}", TIMEOUT_MS, meanwhile)
        assert (await submit(client)).status == 200, "its place is free again"
        assert (far.connections, len(far.requests)) == (2, 2)


async def test_a_connection_on_which_nothing_left_has_been_idle_all_the_while() -> None:
    async def keep_back() -> None:
        raise LookupError("a halt")

    async with far_side(always(OK)) as (far, url), open_client(url, limit=1) as client:
        await submit(client)
        (connection,) = client._connections._idle
        until = connection.idle_until
        for _ in range(2):
            with pytest.raises(LookupError):
                await client.submit("buy", "b" * 64, b"{}", TIMEOUT_MS, keep_back)
        assert connection.idle_until == until
        await submit(client)
        assert connection.idle_until > until
        assert far.connections == 1


async def test_a_look_that_takes_too_long_is_not_sent() -> None:
    async def for_ever() -> None:
        await asyncio.Event().wait()

    async with far_side(always(OK)) as (far, url), open_client(url, limit=1) as client:
        with pytest.raises(ConnectionGone, match="no look"):
            await client.submit("buy", "b" * 64, b"{}", 50, for_ever)
        assert (await submit(client)).status == 200
        assert len(far.requests) == 1


async def test_what_cannot_leave_in_time_is_not_sent_and_what_has_left_has_all_its_time() -> None:
    answers = asyncio.Semaphore(0)
    async with far_side(when_let(answers)) as (far, url), open_client(url, limit=1) as client:
        first = asyncio.ensure_future(
            client.submit("buy", "a" * 64, b"{}", TIMEOUT_MS, leave_ms=300)
        )
        await until(lambda: len(far.requests) == 1)
        with pytest.raises(ConnectionGone, match="too late to leave"):
            await client.submit("buy", "b" * 64, b"{}", TIMEOUT_MS, leave_ms=400)
        answers.release()
        assert (await first).status == 200
        assert len(far.requests) == 1


@asynccontextmanager
async def busy() -> AsyncIterator[InsidersClient]:
    """A client whose only connection has a request on it that nobody answers."""
    async with far_side(always()) as (far, url), open_client(url, limit=1) as client:
        first = asyncio.ensure_future(submit(client))
        await until(lambda: len(far.requests) == 1)
        try:
            yield client
        finally:
            await cancel_all([first])


@asynccontextmanager
async def simulated() -> AsyncIterator[SimulatedClient]:
    """One whose connections come after three seconds."""
    late = SimpleNamespace(
        hits=lambda kind: kind == "connection late", rng=SimpleNamespace(random=lambda: 1.0)
    )
    machine = SimpleNamespace(perhaps_killed=lambda *_: None)
    yield SimulatedClient(cast(Any, SimpleNamespace(storm=late, machine=machine)), cast(Any, None))


@pytest.mark.parametrize("made", [busy, simulated])
@pytest.mark.parametrize(
    ("timeout_ms", "leave_ms", "fair"),
    [(TIMEOUT_MS, 200, True), (TIMEOUT_MS, 50, False), (50, None, True), (50, 20, False)],
)
async def test_no_connection_in_a_fair_time_is_the_other_ends_failure(
    made: Any, timeout_ms: int, leave_ms: int | None, fair: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though the order had less than the whole time-out: the circuit breaker is to hear of it."""
    monkeypatch.setattr(connections, "_FAIR_MS", 100)

    async def ready() -> None:
        raise AssertionError("there is no connection")

    async with made() as client:
        with pytest.raises(NotSent) as caught:
            await client.submit("buy", "b" * 64, b"{}", timeout_ms, ready, leave_ms=leave_ms)
        assert isinstance(caught.value, ConnectionGone) is not fair


async def test_nobody_there_is_not_sent() -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        async with open_client(f"http://127.0.0.1:{bound.getsockname()[1]}") as client:
            with pytest.raises(NotSent):
                await submit(client)


@asynccontextmanager
async def warm() -> AsyncIterator[InsidersClient]:
    """One that has a connection ready, and nobody at the other end who has heard of it."""
    async with far_side(always(OK)) as (far, url), open_client(url, warm=1) as client:
        await until(lambda: bool(client._connections._idle))
        yield client
        assert far.requests == []


@asynccontextmanager
async def calm() -> AsyncIterator[SimulatedClient]:
    """A simulated one whose connections come at once; it knows nobody at the other end."""
    storm = SimpleNamespace(hits=lambda _kind: False)
    machine = SimpleNamespace(perhaps_killed=lambda *_: None)
    yield SimulatedClient(cast(Any, SimpleNamespace(storm=storm, machine=machine)), cast(Any, None))


@pytest.mark.parametrize("made", [warm, calm])
async def test_nothing_leaves_when_its_time_to_leave_is_over_with_a_connection_ready(
    made: Any,
) -> None:
    async def ready() -> None:
        pass

    async with made() as client:
        for leave_ms in (0, -1):
            with pytest.raises(ConnectionGone):
                await client.submit("buy", "b" * 64, b"{}", TIMEOUT_MS, ready, leave_ms=leave_ms)


async def test_nothing_leaves_when_the_loop_stood_still_until_it_was_too_late() -> None:
    """Test that whoever was woken before it did comes before the time that has run out
    meanwhile."""

    async def ready() -> None:
        await asyncio.sleep(0)
        threading.Event().wait(0.4)

    async with far_side(always(OK)) as (far, url), open_client(url, limit=1) as client:
        with pytest.raises(ConnectionGone, match="become too late"):
            await client.submit("buy", "b" * 64, b"{}", TIMEOUT_MS, ready, leave_ms=200)
        assert (await submit(client)).status == 200
        assert (len(far.requests), far.connections) == (1, 1)


async def test_a_wait_for_a_connection_that_is_too_long_is_not_sent() -> None:
    async with far_side(always()) as (far, url), open_client(url, limit=1) as client:
        first = asyncio.ensure_future(submit(client))
        await until(lambda: len(far.requests) == 1)
        with pytest.raises(NotSent):
            await submit(client, 50)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        assert len(far.requests) == 1


async def test_sells_have_the_next_connection_before_a_crowd_of_buys() -> None:
    answers = asyncio.Semaphore(0)
    async with far_side(when_let(answers)) as (far, url), open_client(url, limit=8) as client:
        buys = [asyncio.ensure_future(submit(client)) for _ in range(64)]
        await until(lambda: len(far.requests) == 8)
        sells = [
            asyncio.ensure_future(client.submit("sell", key * 64, b"{}", TIMEOUT_MS))
            for key in "bc"
        ]
        given_up = asyncio.ensure_future(client.submit("sell", "d" * 64, b"{}", TIMEOUT_MS))
        await asyncio.sleep(0)
        given_up.cancel()
        for came in (9, 10):
            answers.release()
            await until(lambda came=came: len(far.requests) == came)  # type: ignore[misc]
            assert b"/sell " in far.requests[-1]
        for _ in range(64):
            answers.release()
        await asyncio.gather(*buys, *sells)
        assert far.connections == 8
        assert len(far.requests) == 66


async def test_a_connection_is_kept_for_sells_where_buys_are_not_answered() -> None:
    async def speak(far: Far, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if b"/sell " in await far.request(reader):
            writer.write(OK)
        await reader.read()

    async with far_side(speak) as (far, url), open_client(url, limit=16, warm=16) as client:
        buys = [asyncio.ensure_future(submit(client)) for _ in range(20)]
        await until(lambda: len(far.requests) == 15)
        assert begin(client) is None
        async with asyncio.timeout(20):
            assert (await client.submit("sell", "b" * 64, b"{}", TIMEOUT_MS)).status == 200
        assert len(far.requests) == 16, "no buy has taken it meanwhile"
        for buy in buys:
            buy.cancel()
        await asyncio.gather(*buys, return_exceptions=True)


async def test_many_share_few_connections() -> None:
    async with far_side(always(OK)) as (far, url), open_client(url, limit=4) as client:
        answers = await asyncio.gather(*(submit(client) for _ in range(50)))
        assert [answer.status for answer in answers] == [200] * 50
        assert len(far.requests) == 50
        assert far.connections <= 4


async def test_a_cancelled_request_takes_its_connection_with_it() -> None:
    async with far_side(always()) as (far, url), open_client(url, limit=1) as client:
        task = asyncio.ensure_future(submit(client))
        await until(lambda: len(far.requests) == 1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await until(lambda: far.open_now == 0)


async def test_a_connection_that_was_closed_meanwhile_is_not_used() -> None:
    async def once(far: Far, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await far.request(reader)
        writer.write(OK)
        await writer.drain()

    async with far_side(once) as (far, url), open_client(url) as client:
        for number in range(3):
            assert (await submit(client)).status == 200
            await until(lambda: far.open_now == 0)
            # The end travels for a moment more.
            await asyncio.sleep(0.02)
            assert far.connections == number + 1


@pytest.mark.parametrize(
    ("header", "idle_ms", "expected"),
    [(b"", 600_000, 1), (b"", 0, 2), (b"Keep-Alive: timeout=1, max=9\r\n", 600_000, 2),
     (b"Keep-Alive: timeout=60\r\n", 0, 1), (b"Keep-Alive: timeout=soon\r\n", 600_000, 1)],
)  # fmt: skip
async def test_an_idle_connection_is_used_no_longer_than_the_other_end_keeps_it(
    header: bytes, idle_ms: int, expected: int
) -> None:
    raw = OK.replace(b"\r\n\r\n", b"\r\n" + header + b"\r\n", 1)
    async with far_side(always(raw)) as (far, url), open_client(url, idle_ms=idle_ms) as client:
        for _ in range(2):
            await submit(client)
        assert far.connections == expected


async def test_connections_are_there_before_they_are_needed_and_after_they_broke() -> None:
    async with far_side(always(OK)) as (far, url), open_client(url, warm=3) as client:
        await until(lambda: far.open_now == 3)
        await asyncio.gather(*(submit(client) for _ in range(3)))
        assert far.connections == 3
    async with far_side(always(OK, end=True)) as (far, url), open_client(url, warm=3) as client:
        await until(lambda: far.open_now == 3)
        await submit(client)
        await until(lambda: far.connections == 4 and far.open_now == 3)


async def test_connections_are_held_ready_whatever_went_wrong_with_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    connect, left = connections.Connections._connect, 1

    async def failing(self: connections.Connections) -> Any:
        nonlocal left
        if left:
            left -= 1
            raise RuntimeError("nobody has thought of this")
        return await connect(self)

    monkeypatch.setattr(connections.Connections, "_connect", failing)
    async with far_side(always(OK)) as (far, url), open_client(url, warm=3):
        await until(lambda: far.open_now == 3)


@pytest.mark.parametrize("url", ["ftp://h", "http://", "h:1", "http://u:p@h", "http://h:99999"])
async def test_a_wrong_url_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"URL|Port"):
        async with open_client(url):
            pass


async def test_a_token_cannot_bring_a_header_along() -> None:
    with pytest.raises(ValueError, match="token"):
        async with open_client("http://h", "a\r\nX: y"):
            pass
