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
class NoExchange:
    """It is about no exchange, or the handler leaves out what is of others."""


@dataclass(frozen=True, slots=True)
class OneExchange:
    """It is about one exchange."""

    exchange: str


@dataclass(frozen=True, slots=True)
class AllExchanges:
    """It is about all exchanges at once."""


@dataclass(frozen=True, slots=True)
class ExchangeField:
    """A field names the exchange; empty: all."""

    field: str


@dataclass(frozen=True, slots=True)
class InstrumentField:
    """A field names an instrument, which begins with its exchange; empty: all."""

    field: str


@dataclass(frozen=True, slots=True)
class ResourceField:
    """A field names what is of an exchange."""

    kind: str
    field: str = "id"


About: TypeAlias = (
    NoExchange | OneExchange | AllExchanges | ExchangeField | InstrumentField | ResourceField
)
COPIES = OneExchange("polymarket")


def _of(service: str, rows: Mapping[str, About]) -> dict[str, About]:
    return {
        f"/tradingtools.v1.{service}/{rpc}": about
        for names, about in rows.items()
        for rpc in names.split()
    }


ABOUT: dict[str, About] = {
    **_of("ControlService", {
        "GetHealth GetReadiness GetOpenApi GetEngineHealth GetCaller": NoExchange(),
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
    **_of("EventFeedService", {"ListEventPage FollowEvents": NoExchange()}),
    **_of("WebhookService", {
        "CreateWebhookEndpoint ListWebhookEndpoints GetWebhookEndpoint UpdateWebhookEndpoint"
        " DeleteWebhookEndpoint RotateWebhookSecret TestWebhookEndpoint ListWebhookDeliveries"
        " ReplayWebhookEvents": AllExchanges(),
    }),
    **_of("WalletService", {
        "GetSealingKey ListExchanges ListWallets": NoExchange(),
        "CreateWallet": ExchangeField("exchange"),
        "GetWallet DeleteWallet RotateWallet CheckWallet": ResourceField("wallet"),
    }),
    **_of("BotService", {
        "ListBots": NoExchange(),
        "CreateBot": ResourceField("wallet", "wallet_id"),
        "GetBot UpdateBot StartBot StopBot PauseBot ResumeBot ListBotOrders ListBotFills"
        " SettleBotOrder ExplainBotPosition": ResourceField("bot"),
        "CreateSignal ListSignals": InstrumentField("instrument_id"),
    }),
    **_of("BotReportService", {
        "ListStrategies GetStrategy GetPortfolio": NoExchange(),
        "ListBotPositions ListBotPnl ListBotEvents GetBotExplanation": ResourceField("bot"),
    }),
    **_of("RiskService", {
        "ListRiskLimits GetRiskUsage ListRiskBreaches ListKillSwitches": NoExchange(),
        "SetRiskLimits": AllExchanges(),
        "SetKillSwitch": ExchangeField("exchange"),
        "GetKillSwitch ClearKillSwitch": ResourceField("kill switch"),
    }),
    **_of("BotEngineService", {
        "ListBotEngines": NoExchange(),
        "DrainBotEngine UndrainBotEngine": AllExchanges(),
    }),
    **_of("LoginService", {
        "LogIn Refresh GetLoginKeys LogOut ListSessions DeleteSession": NoExchange(),
    }),
    **_of("UserService", {
        "CreateUser ListUsers GetUser UpdateUser ResetPassword ListUserEvents": AllExchanges(),
    }),
    **_of("OperatorService", {
        "GetOperator": NoExchange(),
        "ListAudit VerifyAudit ListDeadLetters ReplayDeadLetter": AllExchanges(),
        "ListHalts ListBreakers GetOrder ListOrders ListFollowers ListDecisions SetHalt ClearHalt"
        " ResetBreaker ResolveOrder CorrectLot AdoptLot MoveWallet": COPIES,
    }),
    **_of("FirstAdminService", {"CreateFirstAdmin": AllExchanges()}),
}  # fmt: skip
"""By full RPC path."""


class Exchanges(Protocol):
    """Knows of which exchange a resource is."""

    async def exchange_of(self, kind: str, identifier: str) -> str | None:
        """Return its exchange, empty when it is of all; None: there is no such resource."""


def require_all(caller: Caller, method: str) -> None:
    """Let a call on that no field decides about, on a port whose RPCs are all of that kind.

    Raises:
        NotAllowed: it is about an exchange that the caller is not of.
    """
    held = caller.exchanges
    if held is not None:
        _whole(held, ABOUT.get(method, AllExchanges()))


async def require(caller: Caller, exchanges: Exchanges, method: str, request: Message) -> None:
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
    match ABOUT.get(method, AllExchanges()):
        case ExchangeField(field):
            named = str(getattr(request, field))
            _whole(held, OneExchange(named) if named else AllExchanges())
        case InstrumentField(field):
            exchange, _, _ = str(getattr(request, field)).partition(":")
            _whole(held, OneExchange(exchange) if exchange else AllExchanges())
        case ResourceField(kind, field):
            given = str(getattr(request, field))
            found = await exchanges.exchange_of(kind, given)
            if found is None or not _has(held, found):
                raise NotFound(f"no {kind} {given}", kind=kind, id=given)
        case about:
            _whole(held, about)


def _whole(held: frozenset[str], about: About) -> None:
    match about:
        case NoExchange():
            return
        case OneExchange(exchange):
            if not _has(held, exchange):
                raise NotAllowed(f"the user is no operator of {exchange}")
        case _:
            if not _has(held, ""):
                raise NotAllowed("this is about all exchanges, and the user is operator of some")


def _has(held: frozenset[str], exchange: str) -> bool:
    return exchange in held if exchange else held >= BY_NAME.keys()
