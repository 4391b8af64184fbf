"""Tokens of some followers: for them, what is another follower's does not exist, on every RPC.

The RPCs come from the descriptors: a new one fails here until the table says whom it is about, and
is then tried like all others.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import httpx
import psycopg
import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor
from psycopg.rows import dict_row

from buf.validate import validate_pb2
from services.control.auth.tokens import Caller, parse_tokens
from services.control.edge.contract import public_routes
from services.control.edge.reach import ABOUT, AllFollowers, Resource, Wallet, require
from services.control.edge.seal import Call, seal, unseal
from tests.control.edge import MANAGE, OPERATE, READ, RunningEdge, StartEdge, digest
from tests.control.requests import (
    Database,
    Nobodys,
    create_subscription,
    create_trigger,
    error_of,
    put_order,
    subscription_body,
    trigger_body,
)
from tools.openapi.examples import EXAMPLES
from tradingtools.domain.errors import NotAllowed
from tradingtools.domain.permissions import PERMISSIONS, Permission
from tradingtools.rpc.public_services import CONTROL_SERVICES, PUBLIC_SERVICES
from tradingtools.v1 import event_service_pb2

OWN, OTHER, THIRD = ("0x" + pair * 20 for pair in ("e1", "e2", "e3"))
LIMITED, LIMITED_READ = "e7" * 32, "e8" * 32
TOKENS = (
    f"backend:manage:{digest(MANAGE)},viewer:read:{digest(READ)},op:operate:{digest(OPERATE)},"
    f"one:manage:{digest(LIMITED)};followers={OWN}|{THIRD},"
    f"look:read:{digest(LIMITED_READ)};followers={OWN.upper().replace('X', 'x')}"
)
METHODS: list[MethodDescriptor] = [m for service in PUBLIC_SERVICES for m in service.methods]
OF_PEOPLE = ("LoginService", "UserService")
"""Services of people who log in: no token of a program reaches more than a login."""
OWN_RPCS = {m.full_name for service in CONTROL_SERVICES for m in service.methods}
ROUTES = {route.method: route for route in public_routes()}
OF_NO_FOLLOWER = (
    "GetHealth", "GetReadiness", "GetOpenApi", "GetEngineHealth", "ListLeaders", "GetLeader",
    "GetBacktest",
    "GetSealingKey", "ListExchanges", "ListStrategies", "GetStrategy",
)  # fmt: skip
OF_NO_FOLLOWERS = (
    "WebhookService", "WalletService", "BotService", "BotReportService", "RiskService",
    "BotEngineService",
)  # fmt: skip
"""Services that a token of some followers may not call."""
SIMPLE = {
    "conditionId": "0x" + "c0" * 32, "assetId": "7", "triggerType": "take_profit",
    "triggerPrice": 0.75,
}  # fmt: skip


def _path(method: MethodDescriptor) -> str:
    return f"/{method.containing_service.full_name}/{method.name}"


def test_every_public_rpc_says_whom_it_is_about() -> None:
    assert set(ABOUT) == {_path(method) for method in METHODS}


def _named(message: Descriptor, prefix: str = "") -> Iterator[tuple[str, FieldDescriptor]]:
    """Every field of a request that is no list, nested ones by their paths."""
    for field in message.fields:
        if field.message_type is not None and not field.is_repeated:
            yield from _named(field.message_type, f"{prefix}{field.name}.")
        else:
            yield f"{prefix}{field.name}", field


_OF_NOBODY = {
    "RefreshRequest.refresh_token",
    "CreateSubscriptionRequest.leader", "ListSubscriptionDecisionsRequest.leader_tx",
    "GetLeaderRequest.wallet", "GetLeaderSimulationRequest.wallet", "GetBacktestRequest.leader",
}  # fmt: skip


@pytest.mark.parametrize("method", METHODS, ids=lambda m: m.name)
def test_table_has_every_field_of_a_follower_or_resource(
    method: MethodDescriptor,
) -> None:
    about = ABOUT[_path(method)]
    if AllFollowers() in about:
        return
    found = set()
    for path, field in _named(method.input_type):
        pattern = field.GetOptions().Extensions[validate_pb2.field].string.pattern
        names = any(part in pattern for part in ("_[0-9a-f]{32}", "[0-9a-f]{64}$", "A-F]{40}"))
        if names and not pattern.startswith(("^0x[0-9a-fA-F]{64}", "^(0x[0-9a-fA-F]{64}")):
            found.add(path)
    found -= {p for p in found if f"{method.input_type.name}.{p}" in _OF_NOBODY}
    assert found == {one.field for one in about if isinstance(one, (Wallet, Resource))}


@dataclass(frozen=True)
class World:
    """An edge with two followers' things."""

    edge: RunningEdge
    rows: Database

    def ids(self, wallet: str) -> dict[str, str]:
        """New things of a follower, by the first segment of their paths."""
        leader = "0x" + secrets.token_hex(20)
        subscription = create_subscription(self.edge, wallet, leader=leader)["id"]
        trigger = create_trigger(self.edge, wallet, subscription)["id"]
        resync = self.edge.call("POST", f"/subscriptions/{subscription}/resync").json()["id"]
        order = put_order(self.rows, wallet, subscription, "CONFIRMED")
        return {
            "subscriptions": subscription, "triggers": trigger, "resyncs": resync,
            "orders": order, "webhook-endpoints": "whk_" + "0" * 32, "leaders": leader,
            "wallets": "wal_" + "0" * 32, "bots": "0" * 12, "strategies": "grid",
            "risk": "kil_" + "0" * 32, "engines": "bots-1",
        }  # fmt: skip

    def ask(
        self, method: MethodDescriptor, token: str, wallet: str, ids: dict[str, str]
    ) -> httpx.Response:
        """One request about a follower, as a client who knows his ids writes it."""
        route = ROUTES[_path(method)]
        given = [ids[route.segments[0]] if s.startswith("{") else s for s in route.segments]
        more: dict[str, Any] = {}
        if route.takes_body:
            more["json"] = self.BODIES[method.name](wallet, ids["subscriptions"])
        elif method.name == "GetLeaderSimulation":
            more["params"] = {"subscriptionId": ids["subscriptions"]}
        elif not route.bound:
            names = ("followerProxy", "wallet", "walletAddress")
            more["params"] = {name: wallet for name in names if name in route.shape.fields}
        return self.edge.call(route.verb, "/" + "/".join(given), token, **more)

    BODIES: ClassVar[dict[str, Callable[[str, str], dict[str, Any]]]] = {
        "CreateSubscription": lambda wallet, _: subscription_body(
            wallet, leader="0x" + secrets.token_hex(20)
        ),
        "UpdateSubscription": lambda *_: {"limits": {"maxPerTrade": "49", "maxSlippage": "0.02"}},
        "CreateTrigger": trigger_body,
        "UpdateTrigger": lambda *_: {"size": "1"},
        "CreateSimpleTrigger": lambda wallet, subscription: {
            **SIMPLE, "walletAddress": wallet, "subscriptionId": subscription,
        },
        "CreateWebhookEndpoint": lambda *_: {"url": "https://hooks.example.org/"},
        "UpdateWebhookEndpoint": lambda *_: {"description": "x"},
        "GetBacktest": lambda *_: {
            "leader": "0x" + "1" * 40, "sizing": {"fixed": {"amount": "5"}},
            "toMs": "1000000000000",
        },
        "GetSettingsPreview": lambda *_: {"limits": {"maxPerTrade": "49"}},
        "CreateWallet": lambda *_: dict(EXAMPLES["CreateWallet"]),
        "RotateWallet": lambda *_: {},
        "CreateBot": lambda *_: dict(EXAMPLES["CreateBot"]),
        "UpdateBot": lambda *_: {"limits": {}},
        "ResumeBot": lambda *_: {},
        "SetRiskLimits": lambda *_: dict(EXAMPLES["SetRiskLimits"]),
        "SetKillSwitch": lambda *_: {},
        "CreateSignal": lambda *_: dict(EXAMPLES["CreateSignal"]),
        "SettleBotOrder": lambda *_: {"orderId": "a1", "filled": "0", "reason": "x"},
        "ExplainBotPosition": lambda *_: {"instrumentId": "okx:BTC-USDT-SWAP", "reason": "x"},
        "ReplayWebhookEvents": lambda *_: {"after": "1"},
    }  # fmt: skip

    def everything(self) -> list[tuple[Any, ...]]:
        """Return all that a change would change."""
        return [
            tuple(row.values())
            for table in ("subscription", "trigger", "resync", "control_change", "idempotency")
            for row in self.rows.execute(f"select * from {table} order by 1, 2").fetchall()
        ]


@pytest.fixture(scope="module")
def world(start_edge: StartEdge) -> Iterator[World]:
    with (
        start_edge("reach", tokens=TOKENS) as edge,
        psycopg.connect(edge.database_url, autocommit=True, row_factory=dict_row) as rows,
    ):
        yield World(edge, rows)


def _missing(ids: dict[str, str]) -> dict[str, str]:
    """Ids of the same form that nothing has."""
    return {
        kind: known[:-20] + "".join("1" if c == "0" else "0" for c in known[-20:])
        for kind, known in ids.items()
    }


@pytest.mark.parametrize(
    "method",
    [method for method in METHODS if method.containing_service.name not in OF_PEOPLE],
    ids=lambda m: m.name,
)
def test_another_follower_does_not_exist(world: World, method: MethodDescriptor) -> None:
    route = ROUTES[_path(method)]
    token = LIMITED if PERMISSIONS[_path(method)] is Permission.MANAGE else LIMITED_READ
    ids, own = world.ids(OTHER), world.ids(OWN)
    before = world.everything()
    answer = world.ask(method, token, OTHER, ids)
    if method.name == "GetCaller":
        assert set(answer.json()) == {"id", "scope", "role", "exchanges"}, "of himself alone"
        return
    if method.name in OF_NO_FOLLOWER:
        assert answer.content == world.ask(method, MANAGE, OTHER, ids).content
        return
    assert world.everything() == before
    if not route.bound or method.containing_service.name in OF_NO_FOLLOWERS:
        assert error_of(answer)[:2] == (403, "NOT_ALLOWED")
    else:
        assert error_of(answer)[:2] == (404, "NOT_FOUND")
        none = _missing(ids)
        reported = world.ask(method, token, OTHER, none)
        said = reported.text
        for kind, known in ids.items():
            said = said.replace(none[kind], known)
        assert json.loads(said) == answer.json()
        # As who reaches all is told of what there is not.
        assert world.ask(method, MANAGE, OTHER, none).json() == reported.json()
    if method.full_name in OWN_RPCS and AllFollowers() not in ABOUT[_path(method)]:
        # It was a good request, for who reaches that follower; and so is one for his own.
        full = world.ask(method, MANAGE, OTHER, ids)
        assert full.status_code in (200, 201), full.text
        assert world.ask(method, token, OWN, own).status_code == full.status_code


@pytest.mark.parametrize("name", ["CreateTrigger", "CreateSimpleTrigger"])
def test_an_own_trigger_on_another_followers_lot_does_not_exist(world: World, name: str) -> None:
    method = next(m for m in METHODS if m.name == name)
    ids = world.ids(OTHER)
    before = world.everything()
    answer = world.ask(method, LIMITED, OWN, ids)
    none = _missing(ids)
    assert error_of(answer)[:2] == (404, "NOT_FOUND")
    reported = world.ask(method, LIMITED, OWN, none).text
    said = reported.replace(none["subscriptions"], ids["subscriptions"])
    assert json.loads(said) == answer.json()
    assert world.everything() == before


def test_a_wallet_is_one_in_any_case_and_the_field_is_named(world: World) -> None:
    def listed(wallet: str) -> httpx.Response:
        return world.edge.call(
            "GET", "/subscriptions", LIMITED_READ, params={"followerProxy": wallet}
        )

    assert listed(OWN.upper().replace("X", "x")).status_code == 200
    assert "followerProxy: " in listed(OTHER).json()["message"]
    body = subscription_body(OTHER)
    answer = world.edge.call("POST", "/subscriptions", LIMITED, json=body)
    assert "follower.followerProxy: " in answer.json()["message"]


def test_two_followers_of_one_token_are_both_his(world: World) -> None:
    body = subscription_body(THIRD, leader="0x" + secrets.token_hex(20))
    assert world.edge.call("POST", "/subscriptions", LIMITED, json=body).status_code == 201
    listed = world.edge.call("GET", "/subscriptions", LIMITED_READ, params={"followerProxy": THIRD})
    assert listed.status_code == 403


def test_keys_of_requests_are_not_shared_over_a_reach(world: World) -> None:
    key = {"Idempotency-Key": secrets.token_hex(8)}
    for token, wallet in ((MANAGE, OTHER), (LIMITED, OWN)):
        body = subscription_body(wallet, leader="0x" + secrets.token_hex(20))
        answer = world.edge.call("POST", "/subscriptions", token, json=body, headers=key)
        assert answer.status_code == 201, answer.text
        again = world.edge.call("POST", "/subscriptions", token, json=body, headers=key)
        assert again.json()["id"] == answer.json()["id"]


def test_a_refusal_is_in_the_security_log(world: World) -> None:
    world.edge.call("GET", "/subscriptions", LIMITED_READ, params={"followerProxy": OTHER})
    world.edge.logs("has to be one of the token's followers")


async def test_the_log_of_events_takes_a_wallet_of_the_token() -> None:
    for name in ("ListEventPage", "FollowEvents"):
        kind = getattr(event_service_pb2, f"{name}Request")
        path = f"/tradingtools.v1.EventFeedService/{name}"
        await require(frozenset({OWN}), Nobodys(), path, kind(wallet=OWN))
        for request in (kind(), kind(wallet=OTHER)):
            with pytest.raises(NotAllowed, match="wallet: "):
                await require(frozenset({OWN}), Nobodys(), path, request)


def test_a_seal_ends_with_the_reach_of_its_token() -> None:
    key, call = b"k" * 32, Call("/x", b"asked")
    tokens = parse_tokens(TOKENS)
    one = next(token for token in tokens if token.id == "one")
    caller = Caller(one.id, one.scope, one.reach)
    sealed = seal(key, caller, tokens, call, 1000)
    assert unseal(key, sealed, tokens, call, 1000) == caller
    assert unseal(key, sealed.replace(one.reach, ""), tokens, call, 1000) is None
    wider = parse_tokens(TOKENS.replace(f";followers={OWN}|{THIRD}", ""))
    narrower = parse_tokens(TOKENS.replace(f"{OWN}|{THIRD}", THIRD))
    for changed in (wider, narrower):
        assert unseal(key, sealed, changed, call, 1000) is None
