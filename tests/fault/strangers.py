"""What a stranger at the edge and on the machine tries, one by one, and that it gets him nothing.

Before it: `neighbour.py`, which has all of them made while money moves. An attempt raises
AssertionError when it got him something. He has addresses of his own, and once a token that is
withdrawn; who is refused because his share is full, or his allowance used up, has got nothing.
"""

from __future__ import annotations

import asyncio
import resource
import secrets
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import grpc
import httpx
import psycopg
import redis.asyncio as redis_client
from redis.exceptions import AuthenticationError
from redis.exceptions import ConnectionError as RedisAway

from ext_authz import external_auth_pb2, external_auth_pb2_grpc
from launcher.envoy_shares import CONNECTIONS
from tests.control.edge import READ, RunningEdge, digest
from tests.control.requests import subscription_body, trigger_body
from tests.fault.rig import Rig
from tests.money_path.test_forged_cursors import FAR, PORTS, STREAMS
from tests.money_path.world import SERVICES, eventually
from tradingtools.rpc import callers
from tradingtools.storage.redis.leader_log import STREAM
from tradingtools.v1 import common_pb2 as common
from tradingtools.v1 import control_service_pb2 as control
from tradingtools.v1 import operator_service_pb2 as operator
from tradingtools.v1.control_service_pb2_grpc import ControlServiceStub
from tradingtools.v1.operator_service_pb2_grpc import OperatorServiceStub

ANSWER_SECONDS = 30.0
"""How long an answer may take on a machine that does much else; before, some took for ever."""
RUDE = "5a" * 32
"""Of a client who may manage, and asks for what is too much."""
CLUMSY = "7c" * 32
"""Of an operator who does the same."""
GUEST = "6b" * 32
"""Of one whose token comes and goes."""
IDLE = CONNECTIONS + 50
"""Connections that say nothing, more than the edge has; an address has 256."""
REFUSED_AT_ONCE = 500
_IDLE_FROM, _ASKS_FROM, _RAW_FROM = "127.0.0.2", "127.0.0.3", "127.0.0.4"
_REFUSED = {"UNAUTHENTICATED", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "UNAVAILABLE"}
"""What a stranger is told; UNAVAILABLE, where the process has just died of another fault."""
_NO_PLACE = {0, 429, 503}
"""His share of the edge is used up; 0: he was not answered at all."""


@dataclass(frozen=True, slots=True)
class Place:
    """What he reaches."""

    rig: Rig
    edge: RunningEdge
    tokens: Path
    """The file with control's tokens."""
    wallet: str
    """Belongs to a user."""


Attempt = Callable[[Place], Coroutine[Any, Any, None]]


async def forge_cursors(place: Place) -> None:
    """Acknowledge what was never sent, and begin to read there."""
    for name in SERVICES:
        make, reader, request = PORTS[name]
        forged = common.AcknowledgeRequest(consumer=reader, cursor=FAR)
        begin = request(consumer=reader, cursor=FAR)
        async with grpc.aio.insecure_channel(place.rig.world.target(name)) as channel:
            stub: Any = make(channel)
            for metadata in ((), ((callers.HEADER, secrets.token_hex(32)),)):
                more = {"metadata": metadata, "timeout": ANSWER_SECONDS}
                reported = {
                    await _reported(stub.Acknowledge(forged, **more)),
                    await _reported(getattr(stub, STREAMS[name])(begin, **more)),
                }
                assert reported <= _REFUSED, f"{name} took a stranger's cursor: {reported}"


async def log_in_to_postgresql(place: Place) -> None:
    """Be the superuser, as whoever is on the machine."""
    url = _without_password(place.rig.world.database_url)
    with suppress(psycopg.OperationalError):
        connection = await psycopg.AsyncConnection.connect(url, connect_timeout=5)
        await connection.close()
        raise AssertionError("PostgreSQL believes a stranger")


async def write_to_valkey(place: Place) -> None:
    """Add a leader's trade to the log, and remove all that there is.

    Nothing here reads the log; `tests/ingest` forges entries of who could write them.
    """
    port = urlsplit(place.rig.redis_url).port or 0
    for password in (None, secrets.token_hex(32)):
        stranger: Any = redis_client.Redis(port=port, password=password)
        async with stranger as client:
            for words in (("PING",), ("XADD", STREAM, "*", "e", "forged"), ("FLUSHALL",)):
                with suppress(AuthenticationError, RedisAway):
                    reported = await client.execute_command(*words)
                    raise AssertionError(f"Valkey does what a stranger says: {words}: {reported!r}")


async def ask_too_much(place: Place) -> None:
    """Requests that are within every limit but that of counts, beside some without a token."""
    wallet = "0x" + secrets.token_hex(20)
    huge = subscription_body(wallet, sizing={"tiers": {"tiers": [{}] * 21_000}})
    markets = [f"0x{number:064x}" for number in range(501)]
    filtered = subscription_body(wallet, filters={"marketsAllowed": markets})
    statuses = "&".join(["status=TRIGGER_STATUS_ARMED"] * 300)
    long = {"Idempotency-Key": "k" * 14_000}
    requested: list[tuple[set[int], str, str, str, Any]] = [
        ({400}, "POST", "/subscriptions", RUDE, {"json": huge}),
        ({400}, "POST", "/subscriptions", RUDE, {"json": filtered}),
        ({400}, "GET", f"/triggers?wallet={wallet}&{statuses}", READ, {}),
        ({431}, "POST", "/subscriptions", RUDE, {"json": huge, "headers": long}),
        ({401}, "POST", "/subscriptions", "", {"json": huge}),
        ({401}, "GET", "/subscriptions", "0" * 64, {}),
    ]
    async with _asking(place) as ask:
        for expected, verb, path, token, more in requested:
            reported = await ask(verb, path, token, **more)
            assert reported in expected | _NO_PLACE, f"{verb} {path[:40]}: {reported}"


async def list_orders_of_20000_states(place: Place) -> None:
    """With an operator's token: a list that is far too long is refused by its count."""
    request = operator.ListOrdersRequest(states=[common.ORDER_STATE_DEAD] * 20_000)
    async with _internal(place) as stub:
        more: Any = {"metadata": shown(CLUMSY), "timeout": ANSWER_SECONDS}
        assert await _reported(stub.ListOrders(request, **more)) in {
            "INVALID_ARGUMENT",
            "UNAVAILABLE",
        }


async def use_a_seal_again(place: Place) -> None:
    """A seal is for one request; who has lost his token opens nothing with what it has made."""
    _give_guest_a_token(place, given=True)
    target = f"127.0.0.1:{place.edge.control_port}"
    async with grpc.aio.insecure_channel(target) as channel:
        seal = ""

        async def sealed() -> bool:
            nonlocal seal
            seal = await _seal(channel, f"/subscriptions?followerProxy={place.wallet}")
            return bool(seal)

        await eventually(sealed)
        stub: Any = ControlServiceStub(channel)
        more: Any = {"metadata": (("x-tt-identity", seal),), "timeout": ANSWER_SECONDS}
        mine = control.ListSubscriptionsRequest(follower_proxy=place.wallet)
        others = control.ListSubscriptionsRequest(follower_proxy="0x" + "0" * 40)
        assert await _reported(stub.ListSubscriptions(mine, **more)) == "OK", (
            "the seal itself is good"
        )
        create = control.CreateSubscriptionRequest(leader="0x" + "ab" * 20)
        reported = {
            await _reported(stub.ListSubscriptions(others, **more)),
            await _reported(stub.CreateSubscription(create, **more)),
        }
        _give_guest_a_token(place, given=False)

        async def withdrawn() -> bool:
            return not await _seal(channel, f"/subscriptions?followerProxy={place.wallet}")

        await eventually(withdrawn)
        reported.add(await _reported(stub.ListSubscriptions(mine, **more)))
        assert reported == {"UNAUTHENTICATED"}, (
            f"a seal opened more than it was made for: {reported}"
        )


async def take_a_wallet(place: Place) -> None:
    """Name another user, and another wallet id, for what belongs to one already."""
    mine = subscription_body(place.wallet)["follower"]
    bodies: list[tuple[str, Any]] = []
    for name in ("followerUserId", "followerWalletId"):
        other = {**mine, name: "another"}
        bodies.append(("/subscriptions", subscription_body(place.wallet, follower=other)))
        lot = {"manualLot": {**other, "heldSize": "9"}}
        del lot["manualLot"]["followerProxy"]
        trigger = trigger_body(place.wallet, "", **lot)
        del trigger["subscriptionId"]
        bodies.append(("/triggers", trigger))
    async with _asking(place) as ask:
        for path, body in bodies:
            reported = await ask("POST", path, RUDE, json=body)
            assert reported in {400} | _NO_PLACE, f"{path}: {reported}"


async def tunnel(place: Place) -> None:
    """CONNECT, and an encoding that nobody speaks: answered or hung up on, and never hanging."""
    texts = {
        "CONNECT example.org:443 HTTP/1.1\r\nHost: example.org:443\r\n\r\n": b"403",
        "POST /triggers HTTP/1.1\r\nHost: e\r\nTransfer-Encoding: xchunked\r\n\r\n5\r\n": b"501",
    }
    for text, expected in texts.items():
        received = b""
        async with asyncio.timeout(ANSWER_SECONDS):
            with suppress(ConnectionError):
                reader, writer = await asyncio.open_connection(
                    "127.0.0.1", place.edge.port, local_addr=(_RAW_FROM, 0)
                )
                try:
                    writer.write(text.encode())
                    received = await reader.read(65536)
                finally:
                    writer.close()
        if received:
            assert received.split(b" ")[1].startswith(expected), received
            assert b'"reason":' in received, "not in the one shape"


ATTEMPTS: tuple[Attempt, ...] = (
    forge_cursors, log_in_to_postgresql, write_to_valkey, ask_too_much,
    list_orders_of_20000_states, use_a_seal_again, take_a_wallet, tunnel,
)  # fmt: skip


@asynccontextmanager
async def besieged(place: Place) -> AsyncIterator[None]:
    """Have thousands of idle connections from one address, and refused calls without end."""
    floods = [asyncio.create_task(_flood(place)) for _ in range(2)]
    idle = await asyncio.to_thread(lambda: list(_idle(place)))
    try:
        yield
    finally:
        for one in idle:
            one.close()
        for flood in floods:
            flood.cancel()
        await asyncio.wait(floods)
        # A flood goes on until it is cancelled: one that has ended was told what it should not be.
        broken = [flood.exception() for flood in floods if not flood.cancelled()]
        assert not broken, broken


def allow_many_files() -> None:
    """Let this process, and those that it starts, have as many connections as there may be."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _idle(place: Place) -> Iterator[socket.socket]:
    for _ in range(IDLE):
        one = socket.socket()
        try:
            one.settimeout(ANSWER_SECONDS)
            one.bind((_IDLE_FROM, 0))
            one.connect(("127.0.0.1", place.edge.port))
        except OSError:
            one.close()
            continue
        yield one


async def _flood(place: Place) -> None:
    """So many refused calls at once, again and again, on the port of operators."""
    request = operator.SetHaltRequest(scope=operator.HALT_SCOPE_GLOBAL, reason="a stranger's")
    wrong = shown("e5" * 32)
    async with _internal(place) as stub:
        while True:
            calls = [
                _reported(stub.SetHalt(request, metadata=wrong, timeout=ANSWER_SECONDS))
                for _ in range(REFUSED_AT_ONCE)
            ]
            reported = set(await asyncio.gather(*calls))
            assert reported <= _REFUSED | {"DEADLINE_EXCEEDED"}, reported


@asynccontextmanager
async def _internal(place: Place) -> AsyncIterator[Any]:
    options = [("grpc.use_local_subchannel_pool", 1)]
    target = f"127.0.0.1:{place.edge.internal_port}"
    async with grpc.aio.insecure_channel(target, options=options) as channel:
        yield OperatorServiceStub(channel)


@asynccontextmanager
async def _asking(place: Place) -> AsyncIterator[Callable[..., Awaitable[int]]]:
    """Ask the edge; gives the status, or 0: no place was left for him."""
    transport = httpx.AsyncHTTPTransport(local_address=_ASKS_FROM)
    async with httpx.AsyncClient(
        base_url=place.edge.url, timeout=ANSWER_SECONDS, trust_env=False, transport=transport
    ) as client:

        async def ask(verb: str, path: str, token: str, **more: Any) -> int:
            headers = {**more.pop("headers", {}), **bearer(token)}
            try:
                return (await client.request(verb, path, headers=headers, **more)).status_code
            except (httpx.NetworkError, httpx.RemoteProtocolError):
                return 0

        yield ask


async def _seal(channel: grpc.aio.Channel, path: str) -> str:
    """Return the seal of a guest's read; empty: a refusal."""
    request = external_auth_pb2.CheckRequest()
    http = request.attributes.request.http
    http.method, http.path = "GET", path
    http.headers["authorization"] = f"Bearer {GUEST}"
    stub: Any = external_auth_pb2_grpc.AuthorizationStub(channel)
    answer = await stub.Check(request, timeout=ANSWER_SECONDS)
    return str(answer.ok_response.headers[0].header.value) if answer.ok_response.headers else ""


def _give_guest_a_token(place: Place, *, given: bool) -> None:
    lines = [line for line in place.tokens.read_text().splitlines() if "guest:" not in line]
    if given:
        lines.append(f"guest:read:{digest(GUEST)}")
    fresh = place.tokens.with_suffix(".fresh")
    fresh.write_text("\n".join(lines) + "\n")
    fresh.rename(place.tokens)


async def _reported(call: Any) -> str:
    """Return how a server answers, by the code; OK: it takes the call."""
    try:
        await (call.read() if hasattr(call, "read") else call)
    except grpc.aio.AioRpcError as error:
        return str(error.code().name)
    finally:
        call.cancel()
    return "OK"


def bearer(token: str) -> dict[str, str]:
    """Return the header that shows a token; none for no token."""
    return {"Authorization": f"Bearer {token}"} if token else {}


def shown(token: str) -> tuple[tuple[str, str], ...]:
    """Return the metadata that shows a token."""
    return (("authorization", f"Bearer {token}"),)


def _without_password(url: str) -> str:
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    user = f"{parts.username}@" if parts.username else ""
    return urlunsplit(parts._replace(netloc=f"{user}{host}"))
