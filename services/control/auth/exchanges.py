"""Operators of some exchanges: what is not of these does not exist for them.

One table says of every RPC that a person may call which exchange it is about; one without a row is
refused to an operator. Copies of followers are Polymarket's. Who is of all exchanges costs nothing
here. Before it: role and permission. After it: the handler, which leaves others out of lists.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from google.protobuf.message import Message

from services.control.auth.tokens import Caller
from tradingtools.domain.errors import NotAllowed, NotFound
from tradingtools.domain.exchanges import BY_NAME


@dataclass(frozen=True, slots=True)
class Nothing:
    """It is about no exchange, or the handler leaves out what is of others."""


@dataclass(frozen=True, slots=True)
class Only:
    """It is about one exchange."""

    exchange: str


@dataclass(frozen=True, slots=True)
class Everything:
    """It is about all exchanges at once."""


@dataclass(frozen=True, slots=True)
class Named:
    """A field names the exchange; empty: all."""

    field: str


@dataclass(frozen=True, slots=True)
class Instrument:
    """A field names an instrument, which begins with its exchange; empty: all."""

    field: str


@dataclass(frozen=True, slots=True)
class Of:
    """A field names what is of an exchange."""

    kind: str
    field: str = "id"


About: TypeAlias = Nothing | Only | Everything | Named | Instrument | Of
COPIES = Only("polymarket")


def _of(service: str, rows: Mapping[str, About]) -> dict[str, About]:
    return {
        f"/tradingtools.v1.{service}/{rpc}": about
        for names, about in rows.items()
        for rpc in names.split()
    }


ABOUT: dict[str, About] = {
    **_of("ControlService", {
        "GetHealth GetReadiness GetOpenApi GetEngineHealth GetCaller": Nothing(),
        "CreateSubscription ListSubscriptions GetSubscription UpdateSubscription PauseSubscription"
        " ResumeSubscription DeleteSubscription ListSubscriptionFills ListSubscriptionDecisions":
            COPIES,
    }),
    **_of("HoldingService", {
        "ListSubscriptionPositions GetSubscriptionDrift CreateResync ListResyncs GetResync"
        " ExecuteResync GetFollowerOrder ListFollowerOrders": COPIES,
    }),
    **_of("TriggerService", {
        "CreateTrigger CreateSimpleTrigger ListTriggers ListSimpleTriggers GetTrigger"
        " UpdateTrigger DeleteTrigger ListTriggerHistory": COPIES,
    }),
    **_of("QualityService", {
        "GetSubscriptionPerformance ListSubscriptionCopyQuality GetSubscriptionMissedCopies"
        " ListCopyQuality GetMissedCopies": COPIES,
    }),
    **_of("LeaderService", {"ListLeaders GetLeader": COPIES}),
    **_of("SimulationService", {"GetLeaderSimulation GetBacktest GetSettingsPreview": COPIES}),
    **_of("EventFeedService", {"ListEventPage FollowEvents": Nothing()}),
    **_of("WebhookService", {
        "CreateWebhookEndpoint ListWebhookEndpoints GetWebhookEndpoint UpdateWebhookEndpoint"
        " DeleteWebhookEndpoint RotateWebhookSecret TestWebhookEndpoint ListWebhookDeliveries"
        " ReplayWebhookEvents": Everything(),
    }),
    **_of("WalletService", {
        "GetSealingKey ListExchanges ListWallets": Nothing(),
        "CreateWallet": Named("exchange"),
        "GetWallet DeleteWallet RotateWallet CheckWallet": Of("wallet"),
    }),
    **_of("BotService", {
        "ListBots": Nothing(),
        "CreateBot": Of("wallet", "wallet_id"),
        "GetBot UpdateBot StartBot StopBot PauseBot ResumeBot ListBotOrders ListBotFills"
        " SettleBotOrder ExplainBotPosition": Of("bot"),
        "CreateSignal ListSignals": Instrument("instrument_id"),
    }),
    **_of("BotReportService", {
        "ListStrategies GetStrategy GetPortfolio": Nothing(),
        "ListBotPositions ListBotPnl ListBotEvents GetBotExplanation": Of("bot"),
    }),
    **_of("RiskService", {
        "ListRiskLimits GetRiskUsage ListRiskBreaches ListKillSwitches": Nothing(),
        "SetRiskLimits": Everything(),
        "SetKillSwitch": Named("exchange"),
        "GetKillSwitch ClearKillSwitch": Of("kill switch"),
    }),
    **_of("BotEngineService", {
        "ListBotEngines": Nothing(),
        "DrainBotEngine UndrainBotEngine": Everything(),
    }),
    **_of("LoginService", {
        "LogIn Refresh GetLoginKeys LogOut ListSessions DeleteSession": Nothing(),
    }),
    **_of("UserService", {
        "CreateUser ListUsers GetUser UpdateUser ResetPassword ListUserEvents": Everything(),
    }),
    **_of("OperatorService", {
        "GetOperator": Nothing(),
        "ListAudit VerifyAudit ListDeadLetters ReplayDeadLetter": Everything(),
        "ListHalts ListBreakers GetOrder ListOrders ListFollowers ListDecisions SetHalt ClearHalt"
        " ResetBreaker ResolveOrder CorrectLot AdoptLot MoveWallet": COPIES,
    }),
    **_of("FirstAdminService", {"CreateFirstAdmin": Everything()}),
}  # fmt: skip
"""By full RPC path."""


class Exchanges(Protocol):
    """Knows of which exchange a resource is."""

    async def exchange_of(self, kind: str, identifier: str) -> str | None:
        """Return its exchange, empty when it is of all; None: there is no such resource."""


def demand_whole(caller: Caller, method: str) -> None:
    """Let a call on that no field decides about, on a port whose RPCs are all of that kind.

    Raises:
        NotAllowed: it is about an exchange that the caller is not of.
    """
    held = caller.exchanges
    if held is not None:
        _whole(held, ABOUT.get(method, Everything()))


async def demand(caller: Caller, exchanges: Exchanges, method: str, request: Message) -> None:
    """Let a call on that is about exchanges of the caller alone.

    Args:
        caller: who has the permission.
        exchanges: know of which exchange a resource is.
        method: the full RPC path.
        request: of it.

    Raises:
        NotAllowed: it is about another exchange, or about all.
        NotFound: the resource is of another exchange, or there is none.
        Unavailable: the database does not answer.
    """
    held = caller.exchanges
    if held is None:
        return
    match ABOUT.get(method, Everything()):
        case Named(field):
            named = str(getattr(request, field))
            _whole(held, Only(named) if named else Everything())
        case Instrument(field):
            exchange, _, _ = str(getattr(request, field)).partition(":")
            _whole(held, Only(exchange) if exchange else Everything())
        case Of(kind, field):
            given = str(getattr(request, field))
            found = await exchanges.exchange_of(kind, given)
            if found is None or not _has(held, found):
                raise NotFound(f"no {kind} {given}", kind=kind, id=given)
        case about:
            _whole(held, about)


def _whole(held: frozenset[str], about: About) -> None:
    match about:
        case Nothing():
            return
        case Only(exchange):
            if not _has(held, exchange):
                raise NotAllowed(f"the user is no operator of {exchange}")
        case _:
            if not _has(held, ""):
                raise NotAllowed("this is about all exchanges, and the user is operator of some")


def _has(held: frozenset[str], exchange: str) -> bool:
    return exchange in held if exchange else held >= BY_NAME.keys()
