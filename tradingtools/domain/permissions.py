"""Permissions of each RPC of every port, and who has them: tokens by scope, people by role.

An RPC without an entry is refused everywhere. Servers judge by the table before any handler
(`runtime/grpc_permissions`), control's gate before any transcoding. Tests demand an entry for each
RPC of the contracts.
"""

from __future__ import annotations

import re
from enum import StrEnum

from tradingtools.domain.exchanges import BY_NAME


class Permission(StrEnum):
    """The permission that a call demands. The names in :data:`REACH` are scopes of tokens,
    too."""

    PUBLIC = "public"
    """Nothing; at the edge."""
    READ = "read"
    MANAGE = "manage"
    """Change what followers have; includes READ."""
    OBSERVE = "observe"
    """Look at the engine as an operator."""
    OPERATE = "operate"
    """Halt, resume and decide as an operator; includes OBSERVE."""
    INTERNAL = "internal"
    """What the product's own processes do inside: funding, performance actions."""
    ENGINE = "engine"
    """Streams between the processes of the engine; :data:`CALLERS` says which process may call."""
    PERSON = "person"
    """What everybody who has logged in may do about himself; no token of a program reaches it."""
    ADMINISTER = "administer"
    """Make users and say what they may do; no token of a program reaches it."""


EDGE_PORT = frozenset(
    {
        Permission.PUBLIC,
        Permission.READ,
        Permission.MANAGE,
        Permission.PERSON,
        Permission.ADMINISTER,
    }
)
"""Permissions of control's edge port, behind the gate."""
INSIDE_PORT = frozenset({Permission.OBSERVE, Permission.OPERATE, Permission.INTERNAL})
"""Permissions of control's internal port; no cluster of the edge knows it."""
ENGINE_PORT = frozenset({Permission.ENGINE})
"""Permissions of every other process."""
BEHIND_EDGE = frozenset({Permission.ENGINE, Permission.READ, Permission.MANAGE})
"""Permissions of processes with routes at the edge, too; they know the edge by its engine token."""

REACH: dict[Permission, frozenset[Permission]] = {
    Permission.READ: frozenset({Permission.READ}),
    Permission.MANAGE: frozenset({Permission.READ, Permission.MANAGE}),
    Permission.OBSERVE: frozenset({Permission.OBSERVE}),
    Permission.OPERATE: frozenset({Permission.OBSERVE, Permission.OPERATE}),
    Permission.INTERNAL: frozenset({Permission.INTERNAL}),
}
"""The scopes that a token may have, and what each of them may call."""


class Role(StrEnum):
    """The part of a person who has logged in: it decides what he may call."""

    ADMIN = "admin"
    OPERATOR = "operator"
    """On the exchanges of his list alone (`services/control/auth/exchanges.py`)."""
    VIEWER = "viewer"


def exchanges_of(reach: str) -> frozenset[str] | None:
    """Return the exchanges of a person, by ``role;exchanges;session``; None: he is of all."""
    role, exchanges, _ = reach.split(";")
    held = frozenset(name for name in exchanges.split(",") if name)
    return held if role == Role.OPERATOR else None


def some_of(exchanges: frozenset[str] | None) -> frozenset[str] | None:
    """Return exchanges; None: they are all that there are, and so is the whole engine."""
    return None if exchanges is None or exchanges >= BY_NAME.keys() else exchanges


_LOOKS = frozenset({Permission.READ, Permission.OBSERVE, Permission.PERSON})
_ACTS = _LOOKS | {Permission.MANAGE, Permission.OPERATE}
ROLES: dict[Role, frozenset[Permission]] = {
    Role.VIEWER: _LOOKS,
    Role.OPERATOR: _ACTS,
    Role.ADMIN: _ACTS | {Permission.ADMINISTER},
}
"""The roles that a person may have, and what each of them may call."""


def _of(service: str, **permissions: str) -> dict[str, Permission]:
    return {
        f"/tradingtools.v1.{service}/{rpc}": Permission(permission)
        for permission, rpcs in permissions.items()
        for rpc in rpcs.split()
    }


PERMISSIONS: dict[str, Permission] = {
    **_of(
        "ControlService",
        public="GetHealth GetReadiness",
        read="GetSubscription ListSubscriptions ListSubscriptionFills ListSubscriptionDecisions"
        " GetOpenApi GetEngineHealth GetCaller",
        manage="CreateSubscription UpdateSubscription PauseSubscription ResumeSubscription"
        " DeleteSubscription",
    ),
    **_of(
        "HoldingService",
        read="ListSubscriptionPositions GetSubscriptionDrift ListResyncs GetResync"
        " GetFollowerOrder ListFollowerOrders",
        manage="CreateResync ExecuteResync",
    ),
    **_of(
        "TriggerService",
        read="GetTrigger ListTriggers ListTriggerHistory ListSimpleTriggers",
        manage="CreateTrigger UpdateTrigger DeleteTrigger CreateSimpleTrigger",
    ),
    **_of(
        "QualityService",
        read="GetSubscriptionPerformance ListSubscriptionCopyQuality ListCopyQuality"
        " GetSubscriptionMissedCopies GetMissedCopies",
    ),
    **_of("LeaderService", read="ListLeaders GetLeader"),
    **_of("SimulationService", read="GetLeaderSimulation GetBacktest GetSettingsPreview"),
    **_of(
        "OperatorService",
        observe="GetOperator ListHalts ListBreakers GetOrder ListOrders ListFollowers ListDecisions"
        " ListAudit VerifyAudit ListDeadLetters",
        operate="SetHalt ClearHalt ResetBreaker ResolveOrder CorrectLot AdoptLot ReplayDeadLetter"
        " MoveWallet",
    ),
    **_of("ControlInternalService", internal="Fund PerfAction PerfActions"),
    **_of("IngestService", engine="StreamLeaderTrades Acknowledge"),
    **_of("BookfeedService", engine="StreamMarks GetBook Acknowledge"),
    **_of("RouterService", engine="StreamOrders Acknowledge PreviewRoute"),
    **_of("ExecutorService", engine="StreamOrderEvents Acknowledge"),
    **_of("ConfirmService", engine="StreamFills Acknowledge"),
    **_of("GuardService", engine="StreamExits Acknowledge"),
    **_of("EventService", engine="StreamEvents ListEvents"),
    **_of("EventFeedService", read="ListEventPage FollowEvents"),
    **_of(
        "WalletService",
        read="GetSealingKey ListWallets GetWallet ListExchanges",
        manage="CreateWallet DeleteWallet RotateWallet CheckWallet",
    ),
    **_of(
        "BotService",
        read="ListBots GetBot ListBotOrders ListBotFills ListSignals",
        manage="CreateBot UpdateBot StartBot StopBot PauseBot ResumeBot CreateSignal"
        " SettleBotOrder ExplainBotPosition",
    ),
    **_of(
        "BotReportService",
        read="ListBotPositions ListBotPnl ListBotEvents GetBotExplanation ListStrategies"
        " GetStrategy GetPortfolio",
    ),
    **_of(
        "RiskService",
        read="ListRiskLimits GetRiskUsage ListRiskBreaches ListKillSwitches GetKillSwitch",
        manage="SetRiskLimits SetKillSwitch ClearKillSwitch",
    ),
    **_of("FirstAdminService", operate="CreateFirstAdmin"),
    **_of(
        "LoginService",
        public="LogIn Refresh GetLoginKeys",
        person="LogOut ListSessions DeleteSession",
    ),
    **_of(
        "UserService",
        administer="CreateUser ListUsers GetUser UpdateUser ResetPassword ListUserEvents",
    ),
    **_of(
        "BotEngineService",
        read="ListBotEngines",
        manage="DrainBotEngine UndrainBotEngine",
    ),
    **_of(
        "WebhookService",
        read="ListWebhookEndpoints GetWebhookEndpoint ListWebhookDeliveries",
        manage="CreateWebhookEndpoint UpdateWebhookEndpoint DeleteWebhookEndpoint"
        " RotateWebhookSecret TestWebhookEndpoint ReplayWebhookEvents",
    ),
}
"""By full RPC path."""

EDGE = "edge"
"""Envoy, which hands on what control's gate has let through."""
OPERATOR = "operator"
"""A person who looks at streams and asks for previews; reads under no process's name."""
CALLERS: dict[str, frozenset[str]] = {
    f"tradingtools.v1.{service}": frozenset({OPERATOR, *callers.split()})
    for service, callers in {
        "IngestService": "router",
        "BookfeedService": "router executor confirm guard control insiders perfmon",
        "RouterService": "executor",
        "ExecutorService": "confirm",
        "ConfirmService": "router guard perfmon",
        "GuardService": "executor",
        "EventService": "control webhooks alerts enrichment",
        "EventFeedService": EDGE,
        "WebhookService": EDGE,
    }.items()
}
"""By full name of a service that is no port's of control: which processes may call it."""
_PROCESS = re.compile(r"([a-z]+)(-[0-9]{1,4})?")


def may_call(caller: str, method: str) -> bool:
    """Return whether a process may call an RPC of Permission.ENGINE, by its full path."""
    return caller in CALLERS.get(_service(method), ())


def knows_callers(method: str) -> bool:
    """Return whether the port that serves an RPC has to know which process calls."""
    return _service(method) in CALLERS


def _service(method: str) -> str:
    return method[1:].partition("/")[0]


def is_own_name(caller: str, consumer: str) -> bool:
    """Return whether a reader's name is its process's, with the partition or without."""
    return process_of(consumer) == caller


def process_of(name: str) -> str | None:
    """Return the process of ``router`` or ``router-3``; None: it is no process's name."""
    found = _PROCESS.fullmatch(name)
    return found[1] if found else None
