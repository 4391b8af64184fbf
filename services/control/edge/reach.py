"""Tokens of some followers: what is not about these does not exist for them.

One table says of every public RPC whom it is about; one without an entry is refused to such a
token. A token of all followers costs nothing here. Before it: the gate, which has let the request
on. After it: the seal.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from google.protobuf.message import Message

from services.control.store import Store, queries
from tradingtools.domain.errors import NotAllowed, NotFound

_SQL = queries("edge/reach")


@dataclass(frozen=True, slots=True)
class Wallet:
    """A field that names the follower's wallet; has to be given."""

    field: str


@dataclass(frozen=True, slots=True)
class Resource:
    """A field that names what belongs to a follower; may be empty where the RPC allows it."""

    kind: str
    field: str = "id"


@dataclass(frozen=True, slots=True)
class AllFollowers:
    """It is about all followers at once."""


About: TypeAlias = Wallet | Resource | AllFollowers
_SUBSCRIPTION = (Resource("subscription"),)
_TRIGGER = (Resource("trigger"),)
_RESYNC = (Resource("resync"),)
_LOT = Resource("subscription", "subscription_id")
_LOG = (Wallet("wallet"), Resource("subscription", "subscription"))


def _of(service: str, rpcs: Mapping[str, tuple[About, ...]]) -> dict[str, tuple[About, ...]]:
    return {
        f"/tradingtools.v1.{service}/{rpc}": about
        for names, about in rpcs.items()
        for rpc in names.split()
    }


ABOUT: dict[str, tuple[About, ...]] = {
    **_of("ControlService", {
        "GetHealth GetReadiness GetOpenApi GetEngineHealth GetCaller": (),
        "CreateSubscription": (Wallet("follower.follower_proxy"),),
        "ListSubscriptions": (Wallet("follower_proxy"),),
        "GetSubscription UpdateSubscription PauseSubscription ResumeSubscription"
        " DeleteSubscription ListSubscriptionFills ListSubscriptionDecisions": _SUBSCRIPTION,
    }),
    **_of("HoldingService", {
        "ListSubscriptionPositions GetSubscriptionDrift CreateResync ListResyncs": _SUBSCRIPTION,
        "GetResync ExecuteResync": _RESYNC,
        "GetFollowerOrder": (Resource("order"),),
        "ListFollowerOrders": (Wallet("follower_proxy"), Resource("subscription", "subscription")),
    }),
    **_of("TriggerService", {
        "CreateTrigger": (Wallet("wallet"), _LOT),
        "CreateSimpleTrigger": (Wallet("wallet_address"), _LOT),
        "ListTriggers": (Wallet("wallet"),),
        "ListSimpleTriggers": (Wallet("wallet_address"),),
        "GetTrigger UpdateTrigger DeleteTrigger ListTriggerHistory": _TRIGGER,
    }),
    **_of("QualityService", {
        "GetSubscriptionPerformance ListSubscriptionCopyQuality GetSubscriptionMissedCopies":
            _SUBSCRIPTION,
        "ListCopyQuality GetMissedCopies": (Wallet("follower_proxy"),),
    }),
    **_of("LeaderService", {"ListLeaders GetLeader": ()}),
    **_of("SimulationService", {
        "GetLeaderSimulation": (_LOT,),
        "GetBacktest": (),
        "GetSettingsPreview": _SUBSCRIPTION,
    }),
    **_of("EventFeedService", {"ListEventPage FollowEvents": _LOG}),
    **_of("WalletService", {
        "GetSealingKey ListExchanges": (),
        "CreateWallet ListWallets GetWallet DeleteWallet RotateWallet CheckWallet": (
            AllFollowers(),
        ),
    }),
    **_of("BotService", {
        "CreateBot UpdateBot ListBots GetBot StartBot StopBot PauseBot ResumeBot ListBotOrders"
        " ListBotFills SettleBotOrder ExplainBotPosition CreateSignal ListSignals":
            (AllFollowers(),),
    }),
    **_of("BotReportService", {
        "ListBotPositions ListBotPnl ListBotEvents GetBotExplanation GetPortfolio": (
            AllFollowers(),
        ),
        "ListStrategies GetStrategy": (),
    }),
    **_of("RiskService", {
        "ListRiskLimits SetRiskLimits GetRiskUsage ListRiskBreaches SetKillSwitch ListKillSwitches"
        " GetKillSwitch ClearKillSwitch": (AllFollowers(),),
    }),
    **_of("BotEngineService", {
        "ListBotEngines DrainBotEngine UndrainBotEngine": (AllFollowers(),),
    }),
    **_of("LoginService", {
        "LogIn Refresh GetLoginKeys": (),
        "LogOut ListSessions DeleteSession": (AllFollowers(),),
    }),
    **_of("UserService", {
        "CreateUser ListUsers GetUser UpdateUser ResetPassword ListUserEvents": (AllFollowers(),),
    }),
    **_of("WebhookService", {
        "CreateWebhookEndpoint ListWebhookEndpoints GetWebhookEndpoint UpdateWebhookEndpoint"
        " DeleteWebhookEndpoint RotateWebhookSecret TestWebhookEndpoint ListWebhookDeliveries"
        " ReplayWebhookEvents": (AllFollowers(),),
    }),
}  # fmt: skip
"""By full RPC path; nothing: it is about no follower."""


class Owners(Protocol):
    """Knows whose things are."""

    async def follower_of(self, kind: str, identifier: str) -> str | None:
        """Return the wallet that a resource belongs to; None: there is no such resource."""

    async def exchange_of(self, kind: str, identifier: str) -> str | None:
        """Return its exchange, empty when it is of all; None: there is no such resource."""


class StoredOwners:
    """The owners of subscriptions, orders and the like, from the store.

    Args:
        store: of the rows.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    async def follower_of(self, kind: str, identifier: str) -> str | None:
        """Return whose it is. Raises Unavailable."""
        rows = await self._store.found(_SQL[kind], id=identifier)
        return str(rows[0]["follower_proxy"]) if rows else None

    async def exchange_of(self, kind: str, identifier: str) -> str | None:
        """Return of which exchange it is. Raises Unavailable."""
        rows = await self._store.found(_SQL[f"exchange_of_{kind.replace(' ', '_')}"], id=identifier)
        return str(rows[0]["exchange"]) if rows else None


async def require(followers: frozenset[str], owners: Owners, method: str, request: Message) -> None:
    """Let a request on that is about some of a token's followers, or about none.

    Args:
        followers: of the token, their wallets.
        owners: know whose resources are.
        method: the full RPC path.
        request: of it.

    Raises:
        NotAllowed: a field names another follower or none, or all followers are meant.
        NotFound: the resource is another follower's, or there is none.
    """
    for about in ABOUT[method]:
        match about:
            case AllFollowers():
                raise NotAllowed("the token is of some followers, and this is about all")
            case Wallet(field):
                if _value(request, field).lower() not in followers:
                    where = ".".join(_json_names(request, field))
                    raise NotAllowed(f"{where}: has to be one of the token's followers")
            case Resource(kind, field):
                named = _value(request, field)
                if not named and field != "id":
                    continue
                if await owners.follower_of(kind, named) not in followers:
                    raise NotFound(f"no {kind} {named}", kind=kind, id=named)


def _value(request: Message, path: str) -> str:
    at: Message | str = request
    for name in path.split("."):
        at = getattr(at, name)
    return str(at)


def _json_names(request: Message, path: str) -> Iterable[str]:
    at = request.DESCRIPTOR
    for name in path.split("."):
        field = at.fields_by_name[name]
        yield field.json_name
        at = field.message_type or at
