"""Compose control's process of the edge; `internal_app` is the other one."""

from __future__ import annotations

import asyncio
import re
import secrets
from contextlib import aclosing
from pathlib import Path

import grpc

from ext_authz import external_auth_pb2_grpc
from services.control.auth.rotation import follow
from services.control.bot_engines.service import BotEngineServicer
from services.control.bot_engines.store import Engines
from services.control.bot_metrics import watch as bot_metrics
from services.control.bot_reports.service import BotReportServicer
from services.control.bot_reports.store import BotReports
from services.control.bots.service import BotServicer
from services.control.bots.signals import Signals
from services.control.bots.store import Bots
from services.control.edge.admission import Gate
from services.control.edge.contract import public_routes
from services.control.edge.ext_authz import Gateway
from services.control.edge.interceptors import EtagInterceptor, SealInterceptor
from services.control.edge.reach import StoredOwners
from services.control.engine_health.watch import EngineWatch, targets_of
from services.control.leaders.service import LeaderServicer
from services.control.leaders.store import Leaders
from services.control.orders.store import Orders
from services.control.positions.drift import Drift
from services.control.positions.service import HoldingServicer
from services.control.positions.store import Holdings
from services.control.processes import InternalProcess
from services.control.quality import keeping
from services.control.quality.service import QualityServicer
from services.control.quality.store import Quality
from services.control.resyncs.store import Resyncs
from services.control.risk.service import RiskServicer
from services.control.risk.store import Risk
from services.control.settings import Settings
from services.control.simulations.runner import Runner
from services.control.simulations.service import SimulationServicer
from services.control.startup import (
    deployment_of,
    limiter_of,
    open_pools,
    open_wake_ups,
    require_urls,
    tokens_of,
)
from services.control.statistics import compaction
from services.control.statistics.marks import marks
from services.control.store import Store
from services.control.subscriptions.service import ControlServicer
from services.control.subscriptions.store import Subscriptions
from services.control.triggers.service import TriggerServicer
from services.control.triggers.store import Triggers
from services.control.users.access import Deployment
from services.control.users.logins import Logins
from services.control.users.passwords import Passwords
from services.control.users.people import People
from services.control.users.service import LoginServicer, UserServicer
from services.control.users.store import Users
from services.control.wallets.service import WalletServicer
from services.control.wallets.store import Wallets
from tradingtools.domain.permissions import EDGE_PORT
from tradingtools.rpc.public_services import CONTROL_SERVICES
from tradingtools.rpc.signer_client import SignerClient
from tradingtools.rpc.transport import serving
from tradingtools.runtime.process import Startup, until_stopped
from tradingtools.v1 import (
    bot_engine_service_pb2_grpc,
    bot_report_service_pb2_grpc,
    bot_service_pb2_grpc,
    control_service_pb2_grpc,
    holding_service_pb2_grpc,
    leader_service_pb2_grpc,
    quality_service_pb2_grpc,
    risk_service_pb2_grpc,
    simulation_service_pb2_grpc,
    trigger_service_pb2_grpc,
    user_service_pb2_grpc,
    wallet_service_pb2_grpc,
)

_OPENAPI = Path(__file__).resolve().parents[2] / "docs" / "openapi.json"


async def run(settings: Settings, stop: asyncio.Event, *, internal: InternalProcess) -> None:
    """Serve until stopped.

    Args:
        settings: of the process.
        stop: says when.
        internal: the process of the internal port; begins when this one serves.

    Raises:
        Startup: a setting is wrong.
    """
    require_urls(settings)
    tokens = tokens_of(settings)
    openapi = _openapi()
    key = _identity_key(settings)
    deployment = deployment_of(settings)
    gate = Gate(public_routes(), tokens, limiter_of(settings))
    targets = _engine_targets(settings)
    pools = open_pools(settings)
    async with (
        pools() as pool,
        pools() as changing,
        # Who waits behind a slow one has to be answered, too, before the edge gives up (10 s).
        pools(planned_once=True, statement_seconds=5) as keyed,
        open_wake_ups(settings) as client,
        marks(settings.bookfeed_target) as books,
        aclosing(SignerClient(settings.signer_socket)) as signer,
    ):
        store = Store(pool, client, changes=changing, keyed=keyed)
        gateway = Gateway(gate, key, StoredOwners(store), People(store, deployment))
        subscriptions = Subscriptions(store, one_owner=settings.one_owner)
        holdings = Holdings(store, books.known)
        resyncs = Resyncs(store, wait_ms=settings.resync_wait_ms)

        engine = EngineWatch(store, targets)
        control = ControlServicer(store, subscriptions, books.known, openapi, engine)
        holding = HoldingServicer(subscriptions, holdings, Drift(store), resyncs, Orders(store))
        trigger = TriggerServicer(Triggers(store, one_owner=settings.one_owner))
        leader = LeaderServicer(Leaders(client))
        quality = QualityServicer(Quality(store, client, books.known), books.known)
        simulation = SimulationServicer(
            subscriptions, Runner(settings.shared, settings.simulation_ms / 1000)
        )
        wallet = WalletServicer(Wallets(store), signer)
        bot = BotServicer(Bots(store), Signals(store))
        report = BotReportServicer(BotReports(store), openapi)
        risks = Risk(store)
        risk = RiskServicer(risks)
        bot_engine = BotEngineServicer(Engines(store))
        login, user = _people(store, deployment)
        names = [service.full_name for service in CONTROL_SERVICES]

        def register_edge(server: grpc.aio.Server) -> None:
            control_service_pb2_grpc.add_ControlServiceServicer_to_server(control, server)
            holding_service_pb2_grpc.add_HoldingServiceServicer_to_server(holding, server)
            trigger_service_pb2_grpc.add_TriggerServiceServicer_to_server(trigger, server)
            leader_service_pb2_grpc.add_LeaderServiceServicer_to_server(leader, server)
            quality_service_pb2_grpc.add_QualityServiceServicer_to_server(quality, server)
            simulation_service_pb2_grpc.add_SimulationServiceServicer_to_server(simulation, server)
            wallet_service_pb2_grpc.add_WalletServiceServicer_to_server(wallet, server)
            bot_service_pb2_grpc.add_BotServiceServicer_to_server(bot, server)
            bot_report_service_pb2_grpc.add_BotReportServiceServicer_to_server(report, server)
            risk_service_pb2_grpc.add_RiskServiceServicer_to_server(risk, server)
            bot_engine_service_pb2_grpc.add_BotEngineServiceServicer_to_server(bot_engine, server)
            user_service_pb2_grpc.add_LoginServiceServicer_to_server(login, server)
            user_service_pb2_grpc.add_UserServiceServicer_to_server(user, server)
            external_auth_pb2_grpc.add_AuthorizationServicer_to_server(gateway, server)

        async with serving(
            settings.listen,
            names,
            register_edge,
            operators=False,
            interceptors=[SealInterceptor(key, gate), EtagInterceptor()],
            permissions=EDGE_PORT,
        ) as edge:
            await edge.set_serving(True)
            internal.begin()
            await until_stopped(
                stop,
                internal.ended(),
                follow(settings.tokens, settings.tokens_file, tokens, gate.use),
                books.keep(),
                compaction.keep(store),
                compaction.keep(store, keeping.FOLD),
                keeping.poll(store, books.known),
                engine.watch(),
                bot_metrics.keep(store, risks),
            )


def _people(store: Store, deployment: Deployment | None) -> tuple[LoginServicer, UserServicer]:
    users, passwords = Users(store), Passwords()
    logins = Logins(users, deployment, passwords)
    return LoginServicer(logins, users, deployment), UserServicer(users, passwords)


def _openapi() -> bytes:
    try:
        return _OPENAPI.read_bytes()
    except OSError as error:
        raise Startup(f"{_OPENAPI}: {error.strerror}") from None


def _engine_targets(settings: Settings) -> dict[str, str]:
    try:
        return targets_of(settings.engine_targets)
    except ValueError as error:
        raise Startup(f"TT_CONTROL_ENGINE_TARGETS: {error}") from None


def _identity_key(settings: Settings) -> bytes:
    if not settings.identity_key:
        return secrets.token_bytes(32)
    if not re.fullmatch("[0-9a-f]{64}", settings.identity_key):
        raise Startup("TT_CONTROL_IDENTITY_KEY: has to be 64 hex digits, lower case")
    return bytes.fromhex(settings.identity_key)
