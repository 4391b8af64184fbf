"""A gRPC server as each process runs it: health, reflection, channelz, errors, bounded messages."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import grpc
from grpc_channelz.v1 import channelz
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from tradingtools.domain.permissions import ENGINE_PORT, Permission
from tradingtools.rpc import callers, tls
from tradingtools.rpc.errors import ErrorInterceptor
from tradingtools.rpc.health import Health
from tradingtools.rpc.open_streams import OpenStreams
from tradingtools.rpc.permissions import PermissionInterceptor

MESSAGE_LIMIT_BYTES = 4 * 1024 * 1024

KEEPALIVE: tuple[tuple[str, int], ...] = (
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
    ("grpc.max_receive_message_length", MESSAGE_LIMIT_BYTES),
)

_METADATA: tuple[tuple[str, int], ...] = (
    ("grpc.max_metadata_size", 64 * 1024),
    ("grpc.absolute_max_metadata_size", 128 * 1024),
)
"""More than the edge lets in (8 KiB, which it answers with 431): gRPC's own refusal is a 429 that
asks to try again and names what is inside."""


class Server:
    """A started server: its port, and the switch that says whether it serves."""

    def __init__(
        self, server: grpc.aio.Server, health: Health, port: int, names: Sequence[str]
    ) -> None:
        self.port = port
        self._server = server
        self._health = health
        self._names = names

    async def set_serving(self, serving: bool) -> None:
        """Tell health checks (of every service and of the whole) whether work is done here."""
        for name in (*self._names, ""):
            await self.set_health(name, serving=serving)

    async def set_health(self, name: str, *, serving: bool) -> None:
        """Tell health checks about one name: a service, or what this process depends on."""
        status = (
            health_pb2.HealthCheckResponse.SERVING
            if serving
            else health_pb2.HealthCheckResponse.NOT_SERVING
        )
        await self._health.set(name, status)


@asynccontextmanager
async def serving(
    listen: str,
    services: Sequence[str],
    register: Callable[[grpc.aio.Server], None],
    *,
    operators: bool = True,
    interceptors: Sequence[Any] = (),
    permissions: frozenset[Permission] = ENGINE_PORT,
    calls_at_once: int = 0,
    grace_seconds: float = 1.0,
) -> AsyncIterator[Server]:
    """Run a server until the block ends; it starts as NOT_SERVING.

    Args:
        listen: ``host:port``; port 0 lets the system choose.
        services: full names, e.g. ``tradingtools.v1.RouterService``.
        register: adds the servicers.
        operators: reflection and channelz, for internal ports only.
        interceptors: run outside the error interceptor, outermost first.
        permissions: what calls on this port may demand; any other is refused.
        calls_at_once: of one connection, whose further ones wait at its client; 0: any number.
        grace_seconds: how long calls under way may take when the block ends.

    Raises:
        RuntimeError: the port is taken; the message names it.
        SettingError: other machines reach the address, and this process has no certificate; or it
            cannot know who calls.
    """
    tls.refuse_plaintext(listen)
    if Permission.ENGINE in permissions:
        callers.refuse_unknown_callers(listen)
    streams = OpenStreams()
    server = grpc.aio.server(
        interceptors=[*interceptors, PermissionInterceptor(permissions), ErrorInterceptor(streams)],
        options=[*KEEPALIVE, *_METADATA, *_bound(calls_at_once), ("grpc.so_reuseport", 0)],
    )
    register(server)
    health = Health()
    health_pb2_grpc.add_HealthServicer_to_server(health, server)
    if operators:
        reflection.enable_server_reflection(
            [
                *services,
                health_pb2.DESCRIPTOR.services_by_name["Health"].full_name,
                reflection.SERVICE_NAME,
            ],
            server,
        )
        channelz.add_channelz_servicer(server)
    try:
        port = _add_port(server, listen)
    except RuntimeError as error:
        raise RuntimeError(f"cannot listen on {listen}: the port is taken") from error
    started = Server(server, health, port, services)
    await started.set_serving(False)
    await server.start()
    try:
        yield started
    finally:
        await started.set_serving(False)
        streams.end()
        await server.stop(grace=grace_seconds)


def _bound(calls_at_once: int) -> tuple[tuple[str, int], ...]:
    if not calls_at_once:
        return ()
    return (
        ("grpc.max_concurrent_streams", calls_at_once),
        # It counts calls that have ended, too, and refuses a client that keeps to the bound.
        ("grpc.http.overload_protection", 0),
    )


def _add_port(server: grpc.aio.Server, listen: str) -> int:
    credentials = tls.server()
    if credentials is None:
        return server.add_insecure_port(listen)
    return server.add_secure_port(listen, credentials)


_CHANNEL = (
    *KEEPALIVE,
    ("grpc.enable_retries", 0),
    ("grpc.initial_reconnect_backoff_ms", 50),
    ("grpc.min_reconnect_backoff_ms", 50),
    ("grpc.max_reconnect_backoff_ms", 500),
)


_LITTLE_ON_THE_WAY = (("grpc.http2.bdp_probe", 0), ("grpc.http2.lookahead_bytes", 16 * 1024))


def channel(target: str, *, newest: bool = False) -> grpc.aio.Channel:
    """Return a channel to another process of the engine; no retries of its own: readers resume.

    Args:
        target: ``host:port``.
        newest: for streams of state, of which a slow reader wants the newest: little waits on the
            way, so that the other end notices and coalesces. Otherwise a reader on a busy machine
            is behind by what the transport has room for.
    """
    options = (*_CHANNEL, *_LITTLE_ON_THE_WAY) if newest else _CHANNEL
    identity = tls.identity()
    if identity is None:
        made = grpc.aio.insecure_channel(target, options=options)
    else:
        made = grpc.aio.secure_channel(target, identity.client(), options=options)
    return showing(made, callers.metadata())


def showing(made: grpc.aio.Channel, metadata: Sequence[tuple[str, str]]) -> grpc.aio.Channel:
    """Return the channel, with metadata on each of its calls; an interceptor would cost each
    message."""
    if metadata:
        for kind in ("unary_unary", "unary_stream"):
            setattr(made, kind, _showing(getattr(made, kind), metadata))
    return made


def _showing(multicallable: Any, metadata: Sequence[tuple[str, str]]) -> Any:
    def make(*arguments: Any, **options: Any) -> Any:
        return partial(multicallable(*arguments, **options), metadata=metadata)

    return make


def blocking_channel(target: str) -> grpc.Channel:
    """Return the same, for who is not asynchronous."""
    identity = tls.identity()
    if identity is None:
        return grpc.insecure_channel(target, options=_CHANNEL)
    return grpc.secure_channel(target, identity.client(), options=_CHANNEL)
