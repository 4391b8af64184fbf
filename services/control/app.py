"""What the control process is made of."""

from __future__ import annotations

import asyncio
import re
import secrets
from functools import partial
from pathlib import Path

import grpc
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from ext_authz import external_auth_pb2_grpc
from services.control import reads, statistics
from services.control.audit import Audit
from services.control.contract import PUBLIC_SERVICES, public_routes
from services.control.core.tokens import Token, TokenError
from services.control.dependencies import unknown, watch
from services.control.drift import Drift
from services.control.edge import EtagInterceptor, SealInterceptor
from services.control.funding import Fundings
from services.control.gate import Gate
from services.control.gateway import Gateway
from services.control.holding_server import HoldingServicer
from services.control.holdings import Holdings
from services.control.inside import TokenInterceptor
from services.control.internal_server import InternalServicer
from services.control.limiter import Limiter, Rates
from services.control.marks import marks
from services.control.operator_server import OperatorServicer
from services.control.operators import Operators
from services.control.poison import Poison
from services.control.reading import reading
from services.control.reads import Reads
from services.control.resolutions import Resolutions
from services.control.resyncs import Resyncs
from services.control.rotation import follow, read_tokens
from services.control.server import ControlServicer
from services.control.settings import Settings
from services.control.store import Store
from services.control.subscriptions import Subscriptions
from services.control.trigger_server import TriggerServicer
from services.control.triggers import Triggers
from tradingtools.adapters.postgres.pool import open_pool
from tradingtools.adapters.redis.client import open_redis
from tradingtools.domain.permissions import EDGE_PORT, INSIDE_PORT
from tradingtools.runtime.grpc_server import serving
from tradingtools.runtime.process import Startup, until_stopped
from tradingtools.v1 import (
    control_internal_service_pb2_grpc,
    control_service_pb2_grpc,
    holding_service_pb2_grpc,
    operator_service_pb2_grpc,
    trigger_service_pb2_grpc,
)

OPERATOR_SERVICE = "tradingtools.v1.OperatorService"
INTERNAL_SERVICES = (OPERATOR_SERVICE, "tradingtools.v1.ControlInternalService")
_REDIS_SECONDS = 1.0
_OPERATORS = 2
"""Connections for what operators change."""
_OPENAPI = Path(__file__).resolve().parents[2] / "docs" / "openapi.json"


async def run(settings: Settings, stop: asyncio.Event) -> None:
    """Serve until stopped.

    Raises:
        Startup: a setting is wrong.
    """
    _require_urls(settings)
    tokens = _tokens(settings)
    openapi = _openapi()
    key = _identity_key(settings)
    rates = Rates(
        token=settings.token_rate, address=settings.address_rate, refused=settings.refused_rate
    )
    inside = TokenInterceptor(tokens)
    gate = Gate(public_routes(), tokens, Limiter(rates))
    gateway = Gateway(gate, key)
    pools = partial(
        open_pool,
        settings.shared.database_url,
        name="control",
        size=settings.pool_size,
        silence_seconds=settings.shared.database_silence_seconds,
        prompt=True,
    )
    async with (
        pools() as pool,
        pools() as changing,
        # Whatever clients do, an operator's halt waits for no connection.
        pools(size=_OPERATORS) as operating,
        # Who waits behind a slow one has to be answered, too, before the edge gives up (10 s).
        pools(planned_once=True, statement_seconds=5) as keyed,
        reading(keyed) as found,
        open_redis(
            settings.shared.redis_url,
            socket_timeout=_REDIS_SECONDS,
            socket_connect_timeout=_REDIS_SECONDS,
            # A wake-up may be lost; an answer must not wait for several tries of it.
            retry=Retry(NoBackoff(), 0),
        ) as client,
        marks(settings.bookfeed_target) as books,
    ):
        store = Store(pool, found, client, changes=changing)
        desk = Store(pool, found, client, changes=operating)
        internal_servicer = InternalServicer(Fundings(store), inside)
        subscriptions, holdings = Subscriptions(store), Holdings(store, books.known)
        resyncs = Resyncs(store, wait_ms=settings.resync_wait_ms)

        control = ControlServicer(store, subscriptions, holdings, openapi)
        holding = HoldingServicer(subscriptions, holdings, Drift(store), resyncs)
        trigger = TriggerServicer(Triggers(store))
        names = [service.full_name for service in PUBLIC_SERVICES]
        plain = Reads(gate, dict(zip(names, (control, holding, trigger), strict=True)))

        def register_edge(server: grpc.aio.Server) -> None:
            control_service_pb2_grpc.add_ControlServiceServicer_to_server(control, server)
            holding_service_pb2_grpc.add_HoldingServiceServicer_to_server(holding, server)
            trigger_service_pb2_grpc.add_TriggerServiceServicer_to_server(trigger, server)
            external_auth_pb2_grpc.add_AuthorizationServicer_to_server(gateway, server)

        def register_internal(server: grpc.aio.Server) -> None:
            operator_service_pb2_grpc.add_OperatorServiceServicer_to_server(
                OperatorServicer(
                    Operators(desk), Resolutions(desk), Audit(desk), Poison(desk), inside
                ),
                server,
            )
            control_internal_service_pb2_grpc.add_ControlInternalServiceServicer_to_server(
                internal_servicer, server
            )

        def use_tokens(found: tuple[Token, ...]) -> None:
            gate.use(found)
            inside.use(found)

        async with (
            reads.serving(settings.reads_listen, plain, settings.shared),
            serving(
                settings.listen,
                names,
                register_edge,
                operators=False,
                interceptors=[SealInterceptor(key, gate), EtagInterceptor()],
                permissions=EDGE_PORT,
            ) as edge,
            serving(
                settings.internal_listen,
                INTERNAL_SERVICES,
                register_internal,
                interceptors=[inside],
                permissions=INSIDE_PORT,
            ) as internal,
        ):
            await unknown(internal)
            await edge.set_serving(True)
            await internal.set_serving(True)
            await until_stopped(
                stop,
                follow(settings.tokens, settings.tokens_file, tokens, use_tokens),
                books.keep(),
                watch(store, internal),
                statistics.keep(store),
            )


def _tokens(settings: Settings) -> tuple[Token, ...]:
    if not settings.tokens and not settings.tokens_file:
        raise Startup(
            "TT_CONTROL_TOKENS: required and not set; TT_CONTROL_TOKENS_FILE will do, too"
        )
    try:
        return read_tokens(settings.tokens, settings.tokens_file)
    except TokenError as error:
        both = "TT_CONTROL_TOKENS, TT_CONTROL_TOKENS_FILE"
        name = both if settings.tokens_file else "TT_CONTROL_TOKENS"
        raise Startup(f"{name}: {error}") from None


def _require_urls(settings: Settings) -> None:
    for name in ("database_url", "redis_url"):
        if not getattr(settings.shared, name):
            raise Startup(f"TT_{name.upper()}: required and not set")


def _openapi() -> bytes:
    try:
        return _OPENAPI.read_bytes()
    except OSError as error:
        raise Startup(f"{_OPENAPI}: {error.strerror}") from None


def _identity_key(settings: Settings) -> bytes:
    if not settings.identity_key:
        return secrets.token_bytes(32)
    if not re.fullmatch("[0-9a-f]{64}", settings.identity_key):
        raise Startup("TT_CONTROL_IDENTITY_KEY: has to be 64 hex digits, lower case")
    return bytes.fromhex(settings.identity_key)
