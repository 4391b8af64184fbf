"""Composition of control's process of the internal port: operators, money, performance actions.

It has an event loop and connections of its own: whatever clients send to the edge, an operator's
halt waits for none of it.
"""

from __future__ import annotations

import asyncio

import grpc
import structlog

from services.control.auth.interceptor import TokenInterceptor
from services.control.auth.rotation import follow
from services.control.funding.service import InternalServicer
from services.control.funding.store import Fundings
from services.control.operators.approvals import Approvals
from services.control.operators.audit import Audit
from services.control.operators.catalogue import catalogue
from services.control.operators.corrections import Corrections
from services.control.operators.dead_letters import DeadLetters
from services.control.operators.resolutions import Resolutions
from services.control.operators.service import OperatorServicer
from services.control.operators.store import Operators
from services.control.performance.store import Actions
from services.control.settings import Settings
from services.control.startup import (
    deployment_of,
    limiter_of,
    open_pools,
    open_wake_ups,
    tokens_of,
)
from services.control.store import Store
from services.control.store_health import unknown, watch
from services.control.users.first_admin import FirstAdmin, FirstAdminServicer
from services.control.users.passwords import Passwords
from services.control.users.people import People
from services.control.users.store import Users
from services.control.wallet_owners import Identities
from tradingtools.domain.permissions import INSIDE_PORT, Permission
from tradingtools.rpc.transport import serving
from tradingtools.runtime.process import until_stopped
from tradingtools.v1 import (
    control_internal_service_pb2_grpc,
    operator_service_pb2_grpc,
    user_service_pb2_grpc,
)

OPERATOR_SERVICE = "tradingtools.v1.OperatorService"
SERVICES = (
    OPERATOR_SERVICE,
    "tradingtools.v1.ControlInternalService",
    "tradingtools.v1.FirstAdminService",
)
_log = structlog.get_logger("control")
_CONNECTIONS = 2
"""To PostgreSQL for what operators read, and as many for what they change."""
CALLS_AT_ONCE = 8
"""Of one connection: a halt on another one stands in line behind so many, and not behind all that
a stranger has to say."""


async def run(settings: Settings, stop: asyncio.Event) -> None:
    """Serve until stopped."""
    tokens = tokens_of(settings)
    if not any(token.scope is Permission.OPERATE for token in tokens):
        _log.error("no token of the scope operate: nobody can halt", alert=True)
    deployment = deployment_of(settings)
    pools = open_pools(settings)
    async with (
        pools(size=_CONNECTIONS) as pool,
        pools(size=_CONNECTIONS) as changing,
        open_wake_ups(settings) as client,
        catalogue(settings.bookfeed_target) as markets,
    ):
        store = Store(pool, client, changes=changing)
        inside = TokenInterceptor(tokens, limiter_of(settings), People(store, deployment))
        approvals = Approvals(store, desired=settings.two_persons)
        operators = OperatorServicer(
            Operators(store),
            Resolutions(store),
            Corrections(store, markets),
            Audit(store),
            DeadLetters(store),
            Identities(store),
            inside,
            approvals,
        )
        first_admin = FirstAdminServicer(FirstAdmin(Users(store), Passwords()), inside)
        internal = InternalServicer(Fundings(store), Actions(store), inside, approvals)

        def register(server: grpc.aio.Server) -> None:
            operator_service_pb2_grpc.add_OperatorServiceServicer_to_server(operators, server)
            control_internal_service_pb2_grpc.add_ControlInternalServiceServicer_to_server(
                internal, server
            )
            user_service_pb2_grpc.add_FirstAdminServiceServicer_to_server(first_admin, server)

        async with serving(
            settings.internal_listen,
            SERVICES,
            register,
            interceptors=[inside],
            permissions=INSIDE_PORT,
            calls_at_once=CALLS_AT_ONCE,
        ) as port:
            await unknown(port)
            await port.set_serving(True)
            await until_stopped(
                stop,
                follow(settings.tokens, settings.tokens_file, tokens, inside.use),
                watch(store, port),
            )
