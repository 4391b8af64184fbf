"""The log over REST: pages, and server-sent events that resume over every kind of end."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, closing, suppress
from typing import Any, NamedTuple

import aiohttp
import grpc
import httpx
import httpx_sse
import psutil
import pytest
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent

from launcher import temporary
from tests.control.edge import MANAGE, READ, digest
from tests.control.requests import subscription_body
from tests.events.edge import Listening, listening
from tests.money_path.world import eventually
from tradingtools.rpc import callers
from tradingtools.v1 import event_service_pb2 as pb
from tradingtools.v1 import event_service_pb2_grpc as rpc
from tradingtools_client.api import Client
from tradingtools_client.session import Session

_SECONDS = 60.0
_ODD = 'é\u2028\u2029\x85 \r\n: "data: "\n\nid: 0'
"""What some take for the end of a line, and what is one."""


@pytest.fixture(scope="module")
def world(
    postgres_server: str,
    migrated_template: str,
    redis_url: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Listening]:
    """One edge for all tests of this file."""
    with (
        temporary.temporary_database(postgres_server, template=migrated_template) as url,
        listening(
            tmp_path_factory.mktemp("rest"),
            url,
            redis_url,
            TT_EVENTS_STREAM_HEARTBEAT_SECONDS="1",
            TT_EVENTS_STREAM_STALLED_SECONDS="2",
            # All readers of a test have one token.
            TT_EVENTS_STREAMS_PER_TOKEN="2000",
        ) as made,
    ):
        yield made


class Told(NamedTuple):
    """One event of a stream."""

    id: int
    event: str
    data: str


class Stream:
    """A stream that is read as a browser reads it."""

    def __init__(self, answer: aiohttp.ClientResponse) -> None:
        self.answer = answer

    async def read(self) -> AsyncIterator[Told]:
        """Yield its events until it ends; comments have no event."""
        fields: dict[str, str] = {}
        async for raw in self.answer.content:
            line = raw.decode().rstrip("\n")
            if line:
                name, _, value = line.partition(":")
                fields[name] = value.removeprefix(" ")
            elif "id" in fields:
                yield Told(int(fields["id"]), fields.get("event", ""), fields.get("data", ""))
                fields = {}

    async def events(self, count: int) -> list[Told]:
        """The next events."""
        found: list[Told] = []
        async with asyncio.timeout(_SECONDS):
            async for reported in self.read():
                if reported.event:
                    found.append(reported)
                if len(found) >= count:
                    break
        return found


@asynccontextmanager
async def opened(
    world: Listening, query: str = "", token: str = READ, **headers: str
) -> AsyncIterator[Stream]:
    """A stream that has begun."""
    timeout = aiohttp.ClientTimeout(total=None, sock_read=_SECONDS)
    async with (
        aiohttp.ClientSession(timeout=timeout) as session,
        session.get(
            f"{world.url}/events/stream{query}",
            headers={"Authorization": f"Bearer {token}", **headers},
        ) as answer,
    ):
        assert answer.status == 200, await answer.text()
        assert answer.content_type == "text/event-stream"
        yield Stream(answer)


def newest(world: Listening) -> int:
    """The number of the newest event, once the log has caught up."""
    mark = secrets.token_hex(8)
    world.happen(word=mark)
    while True:
        for event in reversed(listed(world)):
            if event["data"].get("consumer") == mark:
                return int(event["sequence"])


def listed(world: Listening, query: str = "") -> list[dict[str, Any]]:
    """All events that a reader asks for, page by page."""
    found: list[dict[str, Any]] = []
    after: str | None = "0"
    while after is not None:
        answer = world.call("GET", f"/events?limit=50&after={after}{query}", READ)
        assert answer.status_code == 200, answer.text
        found += answer.json()["events"]
        after = answer.json().get("nextAfter")
    return found


def test_pages_have_every_event_in_order_once(world: Listening) -> None:
    world.happen(120)
    newest(world)
    events = listed(world)
    assert [int(e["sequence"]) for e in events] == list(range(1, len(events) + 1))
    assert len({e["id"] for e in events}) == len(events)
    for event in events:
        # Not ours: it refuses what CloudEvents does not allow.
        read = JSONFormat().read(CloudEvent, json.dumps(event))
        assert (read.get_id(), read.get_data()) == (event["id"], event["data"])
        # An extension that says nothing is left out, as in the stream and in webhooks.
        assert "" not in event.values()


async def test_a_token_of_one_follower_follows_his_events_alone(world: Listening) -> None:
    his, other, token = f"0x{21:040x}", f"0x{22:040x}", "e9" * 32
    with world.tokens_file.open("a") as tokens:
        tokens.write(f"one:read:{digest(token)};followers={his}\n")
    for wallet in (his, other):
        made = world.call("POST", "/subscriptions", json=subscription_body(wallet))
        assert made.status_code == 201, made.text
    newest(world)

    async def known() -> bool:
        return world.call("GET", f"/events?wallet={his}", token).status_code == 200

    await eventually(known)
    events = world.call("GET", f"/events?wallet={his}", token).json()["events"]
    assert [event["type"] for event in events] == ["subscription.created"]
    for path in ("/events", "/events/stream"):
        for query in ("", f"?wallet={other}"):
            refused = world.call("GET", f"{path}{query}", token)
            assert (refused.status_code, "wallet" in refused.json()["message"]) == (403, True)
    shown = {"Authorization": f"Bearer {token}"}
    async with opened(world, f"?after=0&wallet={his}", **shown) as stream:
        (reported,) = await stream.events(1)
        assert json.loads(reported.data)["id"] == events[0]["id"]


def test_a_filter_takes_kinds_types_and_subscriptions(world: Listening) -> None:
    made = world.call("POST", "/subscriptions", json=subscription_body(f"0x{7:040x}"))
    assert made.status_code == 201, made.text
    subscription = made.json()["id"]
    newest(world)
    for query in (
        "&types=subscription.*",
        "&types=subscription.created,order.*",
        f"&subscription={subscription}",
        f"&wallet={made.json()['follower']['followerProxy'].upper().replace('X', 'x')}",
    ):
        found = listed(world, query)
        assert {e["type"] for e in found} == {"subscription.created"}, query
    assert listed(world, "&types=order.*") == []


@pytest.mark.parametrize(
    "path",
    [
        "/events?types=order.eaten",
        "/events?types=eaten.*",
        "/events?types=*",
        "/events?after=-1",
        "/events?after=x",
        "/events?wallet=0x1",
        "/events?limit=1001",
        "/events?type=order.filled",
        "/events/stream?after=999999999",
        "/events/stream?types=order.eaten",
    ],
)
def test_a_bad_question_is_refused_by_name(world: Listening, path: str) -> None:
    answer = world.call("GET", path, READ)
    assert answer.status_code == 400, answer.text
    said = answer.json()["details"][0]
    wrong = path.partition("?")[2].partition("=")[0]
    assert wrong in json.dumps(said) or said["reason"] == "CURSOR_OUT_OF_RANGE"


@pytest.mark.parametrize("given", ["x", "1 2", "9" * 30, "\xff"])
def test_a_garbled_last_event_id_is_refused_by_name(world: Listening, given: str) -> None:
    answer = world.call("GET", "/events/stream", READ, headers={b"Last-Event-ID": given.encode()})
    assert answer.status_code == 400
    assert "Last-Event-ID" in answer.text


def test_nobody_reads_without_a_token(world: Listening) -> None:
    for path in ("/events", "/events/stream"):
        assert world.call("GET", path, None).status_code == 401
        assert world.call("GET", path, "c3" * 32).status_code == 401
        assert world.call("POST", path, MANAGE).status_code == 405


async def test_each_event_comes_at_once_and_a_comment_when_none_does(world: Listening) -> None:
    async with opened(world, "?types=message.*") as stream:
        beats = stream.read()
        first = await anext(beats)
        assert first.event == ""
        # A heartbeat has no event, and the number to resume after.
        assert (await anext(beats)).id >= first.id
        for _ in range(3):
            world.happen()
            reported = await anext(beats)
            while not reported.event:
                reported = await anext(beats)
            event = json.loads(reported.data)
            assert reported.event == event["type"] == "message.quarantined"
            assert str(reported.id) == event["sequence"]


async def test_a_stream_may_become_longer_than_an_answer_of_the_edge(world: Listening) -> None:
    """The transcoder bounds answers at 4 MiB."""
    after = newest(world)
    world.happen(60, reason="x" * 100_000)
    async with opened(world, f"?after={after}") as stream:
        found = await stream.events(60)
    assert [reported.id for reported in found] == list(range(after + 1, after + 61))
    assert sum(len(reported.data) for reported in found) > 5 * 1024 * 1024


async def test_reader_resumes_over_kill_9_without_loss_or_double(
    world: Listening,
) -> None:
    after = newest(world)
    seen: list[int] = []
    ended = asyncio.Event()

    async def follow() -> None:
        last = after
        while not ended.is_set():
            try:
                async with opened(
                    world, f"?after={after}", **{"Last-Event-ID": str(last)}
                ) as stream:
                    async for reported in stream.read():
                        if reported.event:
                            seen.append(reported.id)
                        last = reported.id
            except (aiohttp.ClientError, AssertionError, OSError):
                await asyncio.sleep(0.05)

    reader = asyncio.create_task(follow())
    for name in ("events", "envoy", "events", "envoy"):
        await asyncio.to_thread(world.happen, 40)
        world.kill(name)
        await asyncio.to_thread(world.happen, 10)
        world.start(name)
        await asyncio.to_thread(world.happen, 10)
    await asyncio.to_thread(world.wait_until_ready)
    last = await asyncio.to_thread(newest, world)

    async def reported() -> bool:
        return bool(seen) and seen[-1] >= last

    await eventually(reported)
    ended.set()
    reader.cancel()
    assert seen == list(range(after + 1, last + 1))


async def test_slow_reader_is_cut_and_resumes_without_loss(world: Listening) -> None:
    before = newest(world)
    world.happen(100, reason="x" * 100_000)
    reader, writer = await asyncio.open_connection("127.0.0.1", world.ports["rest"], limit=1024)
    writer.write(
        b"GET /events/stream?after=%d HTTP/1.1\r\nHost: e\r\n"
        b"Authorization: Bearer %b\r\n\r\n" % (before, READ.encode())
    )
    await writer.drain()
    # What is told, and what of it waits in memory for readers near the end, is bounded.
    memory = psutil.Process(world.processes["events"].pid).memory_info().rss
    raw = b""

    async def cut() -> bool:
        return "a reader is cut" in world.log

    try:
        async with asyncio.timeout(_SECONDS):
            await eventually(cut)
            # What had left before the cut is still to be read.
            while piece := await reader.read(65536):
                raw += piece
    finally:
        writer.close()
    assert psutil.Process(world.processes["events"].pid).memory_info().rss < memory + 64e6
    ids = [int(line[4:]) for line in raw.split(b"\n") if line.startswith(b"id: ")]
    assert ids[:2] == [before, before + 1]
    assert ids == sorted(ids)
    async with opened(world, **{"Last-Event-ID": str(ids[-1])}) as stream:
        assert (await stream.events(1))[0].id == ids[-1] + 1


@pytest.fixture(scope="module")
def narrow(
    postgres_server: str,
    migrated_template: str,
    redis_url: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Listening]:
    """An edge whose streams are few and short."""
    with (
        temporary.temporary_database(postgres_server, template=migrated_template) as url,
        listening(
            tmp_path_factory.mktemp("narrow"),
            url,
            redis_url,
            TT_EVENTS_STREAM_LIFE_SECONDS="8",
            TT_EVENTS_STREAMS="3",
            TT_EVENTS_STREAMS_PER_TOKEN="2",
        ) as made,
    ):
        yield made


async def test_one_token_leaves_streams_to_the_others(narrow: Listening) -> None:
    async def refused(token: str) -> str:
        answer = await asyncio.to_thread(narrow.call, "GET", "/events/stream", token)
        assert answer.status_code == 429, answer.text
        return answer.text

    async def opens() -> bool:
        try:
            async with opened(narrow), opened(narrow):
                return True
        except AssertionError:
            return False

    async with AsyncExitStack() as streams:
        for _ in range(2):
            await streams.enter_async_context(opened(narrow))
        assert "with this token" in await refused(READ)
        await streams.enter_async_context(opened(narrow, token=MANAGE))
        assert "with this token" not in await refused(MANAGE)
    # What has ended is counted no more.
    await eventually(opens)


async def test_an_ended_token_ends_the_stream(narrow: Listening) -> None:
    async with opened(narrow) as stream:
        lines = narrow.tokens_file.read_text().splitlines()
        narrow.tokens_file.write_text(
            "\n".join(line for line in lines if not line.startswith("viewer:")) + "\n"
        )
        async with asyncio.timeout(_SECONDS):
            async for _ in stream.read():
                pass

        async def gone() -> bool:
            return narrow.call("GET", "/events", READ).status_code == 401

        await eventually(gone)
        assert narrow.call("GET", "/events/stream", READ).status_code == 401


def test_the_client_reads_what_some_take_for_the_end_of_a_line(world: Listening) -> None:
    after = newest(world)
    world.happen(2, reason=_ODD)
    with closing(Session(world.url, READ)) as session:
        found = Client(session).follow_events(after=after)
        reported = [json.loads(next(found).data) for _ in range(2)]
    assert [event["data"]["reason"] for event in reported] == [_ODD, _ODD]


def test_foreign_reader_resumes_over_kill_9_of_the_edge(world: Listening) -> None:
    """httpx-sse judges the frames, and which id is the last one."""
    first = after = newest(world)
    world.happen(40, reason=_ODD)
    last = newest(world)
    seen: list[int] = []
    while after < last:
        headers = {"Authorization": f"Bearer {READ}", "Last-Event-ID": str(after)}
        with (
            suppress(httpx.TransportError),
            httpx.Client(base_url=world.url, headers=headers, trust_env=False) as http,
            httpx_sse.connect_sse(http, "GET", "/events/stream") as source,
        ):
            for reported in source.iter_sse():
                after = int(reported.id)
                # A heartbeat has no data; a browser tells nobody of it.
                if reported.data:
                    event = json.loads(reported.data)
                    assert (reported.event, reported.id) == (event["type"], event["sequence"])
                    assert event["data"]["reason"] in (_ODD, "r")
                    seen.append(after)
                if len(seen) == 20 and "envoy" in world.processes:
                    world.kill("envoy")
                if after >= last:
                    break
        if "envoy" not in world.processes:
            world.start("envoy")
            world.wait_until_ready()
    assert seen == list(range(first + 1, last + 1))


def test_the_client_follows_over_the_ends_of_streams(world: Listening) -> None:
    after = newest(world)
    world.happen(3)
    session = Session(world.url, READ, sleep=lambda _seconds: None)
    found = Client(session).follow_events(after=after, types="message.*")
    assert [int(next(found).id) for _ in range(2)] == [after + 1, after + 2]
    world.kill("events")
    world.start("events")
    assert int(next(found).id) == after + 3
    world.happen()
    assert int(next(found).id) == after + 4
    session.close()


def test_nobody_but_the_edge_calls_the_port_behind_it(world: Listening) -> None:
    """Around the edge there is no gate: a token of REST, or another process's, opens nothing."""
    with grpc.insecure_channel(f"127.0.0.1:{world.ports['events']}") as channel:
        stub = rpc.EventFeedServiceStub(channel)
        for metadata in (
            (),
            (("authorization", f"Bearer {MANAGE}"),),
            ((callers.HEADER, world.environment["TT_ROUTER_ENGINE_TOKEN"]),),
        ):
            with pytest.raises(grpc.RpcError) as refused:
                stub.ListEventPage(pb.ListEventPageRequest(), metadata=metadata)
            assert refused.value.code() in (
                grpc.StatusCode.UNAUTHENTICATED,
                grpc.StatusCode.PERMISSION_DENIED,
            )
        spoofed = httpx.get(
            f"{world.url}/events",
            headers={callers.HEADER: world.environment["ENGINE_TOKEN"]},
            trust_env=False,
        )
        assert spoofed.status_code == 401


@pytest.mark.parametrize(
    ("idle", "busy"), [(60, 6), pytest.param(1_000, 100, marks=pytest.mark.long)]
)
async def test_many_readers_have_every_event_and_memory_stays_flat(
    world: Listening, idle: int, busy: int
) -> None:
    """Test that those who wait for what does not happen hear nothing but comments meanwhile."""
    after = await asyncio.to_thread(newest, world)
    connector = aiohttp.TCPConnector(limit=0)
    timeout = aiohttp.ClientTimeout(total=None, sock_read=_SECONDS)
    seen: list[list[int]] = [[] for _ in range(busy)]
    strange: list[Told] = []
    ready = 0

    async def read(session: aiohttp.ClientSession, query: str, into: list[int] | None) -> None:
        nonlocal ready
        last, started = after, False
        while True:
            headers = {"Authorization": f"Bearer {READ}", "Last-Event-ID": str(last)}
            url = f"{world.url}/events/stream{query}"
            async with session.get(url, headers=headers) as answer:
                assert answer.status == 200, await answer.text()
                async for reported in Stream(answer).read():
                    ready, started = ready + (not started), True
                    last = reported.id
                    if reported.event and into is None:
                        strange.append(reported)
                    elif reported.event and into is not None:
                        into.append(reported.id)

    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
        tasks = [
            asyncio.create_task(read(session, f"?wallet=0x{number:040x}", None))
            for number in range(1, idle + 1)
        ]
        tasks += [asyncio.create_task(read(session, "", into)) for into in seen]

        async def all_read() -> bool:
            assert not any(task.done() for task in tasks)
            return ready == len(tasks)

        await eventually(all_read)
        watched = [psutil.Process(world.processes[name].pid) for name in ("events", "envoy")]
        await asyncio.to_thread(world.happen, 300)
        before = [process.memory_info().rss for process in watched]
        await asyncio.to_thread(world.happen, 1_500)
        last = await asyncio.to_thread(newest, world)

        async def all_there() -> bool:
            return all(into and into[-1] >= last for into in seen)

        await eventually(all_there, 120)
        grown = [p.memory_info().rss - was for p, was in zip(watched, before, strict=True)]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for into in seen:
        assert into == list(range(after + 1, into[-1] + 1))
    assert strange == []
    # 1,500 events, once in memory and once as frames; not once a reader.
    assert max(grown) < 24e6
