"""People log in at a real edge: Envoy verifies their tokens, control says what they may do."""

from __future__ import annotations

import base64
import hmac
import itertools
import json
import secrets
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import grpc
import httpx
import jwt
import psycopg
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from services.control.users import access, keys
from tests.control.edge import MANAGE, READ, RunningEdge, StartEdge
from tests.control.requests import error_of
from tools.openapi.examples import EXAMPLES
from tradingtools import clock
from tradingtools.v1 import operator_service_pb2, operator_service_pb2_grpc
from tradingtools.v1 import user_service_pb2 as pb
from tradingtools.v1 import user_service_pb2_grpc as pb_grpc

SECRET = "5e" * 32
AUDIENCE = "test/edge"
DEPLOYMENT = access.Deployment(bytes.fromhex(SECRET), AUDIENCE)
PASSWORD = "a long password of hers"
_names = (f"user-{number}" for number in itertools.count(1))


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who has logged in."""

    name: str
    id: str
    tokens: dict[str, Any]

    @property
    def access(self) -> str:
        """The access token."""
        return str(self.tokens["accessToken"])


@pytest.fixture(scope="module")
def edge(start_edge: StartEdge) -> Iterator[RunningEdge]:
    """An edge where people log in."""
    with start_edge(
        "logins", ("127.0.0.0/8",), login_secret=SECRET, login_audience=AUDIENCE
    ) as running:
        yield running


def log_in(edge: RunningEdge, name: str, password: str, new: str = "") -> httpx.Response:
    """A login."""
    body = {"user": name, "password": password} | ({"newPassword": new} if new else {})
    return edge.call("POST", "/auth/login", None, json=body)


@pytest.fixture(scope="module")
def admin(edge: RunningEdge) -> Person:
    """The first admin, made as an operator makes him."""
    with edge.inside() as channel:
        made = pb_grpc.FirstAdminServiceStub(channel).CreateFirstAdmin(
            pb.CreateFirstAdminRequest(name="root"), timeout=60
        )
    answer = log_in(edge, "root", made.one_time_password, PASSWORD)
    assert answer.status_code == 200, answer.text
    return Person("root", made.user_id, answer.json())


Make = Callable[..., Person]


@pytest.fixture(scope="module")
def make(edge: RunningEdge, admin: Person) -> Make:
    """Makes users who have logged in."""

    def made(role: str, *exchanges: str) -> Person:
        name = next(_names)
        body = {"name": name, "role": f"ROLE_{role.upper()}", "exchanges": list(exchanges)}
        answer = edge.call("POST", "/users", admin.access, json=body)
        assert answer.status_code == 201, answer.text
        said = answer.json()
        tokens = log_in(edge, name, said["oneTimePassword"], PASSWORD)
        assert tokens.status_code == 200, tokens.text
        return Person(name, said["id"], tokens.json())

    return made


def test_one_time_password_works_once_to_set_another(edge: RunningEdge, admin: Person) -> None:
    name = next(_names)
    made = edge.call(
        "POST", "/users", admin.access, json={"name": name, "role": "ROLE_VIEWER"}
    ).json()
    assert "oneTimePassword" in made, made
    once = made["oneTimePassword"]
    requested = error_of(log_in(edge, name, once))
    assert requested[:2] == (400, "INVALID_FIELD")
    assert requested[2]["field"] == "newPassword"
    assert error_of(log_in(edge, name, once, once))[2]["field"] == "newPassword"
    assert error_of(log_in(edge, name, once, "short"))[:2] == (400, "INVALID_FIELD")
    assert log_in(edge, name, once, PASSWORD).status_code == 200
    assert error_of(log_in(edge, name, once, PASSWORD + "2"))[:2] == (401, "UNAUTHENTICATED")
    assert log_in(edge, name, PASSWORD).status_code == 200
    log = edge.log.read_text()
    assert once not in log
    assert PASSWORD not in log


def test_a_user_is_made_once_under_one_key(edge: RunningEdge, admin: Person) -> None:
    name = next(_names)
    key = {"Idempotency-Key": "first"}
    body = {"name": name, "role": "ROLE_OPERATOR", "exchanges": ["okx"]}
    first = edge.call("POST", "/users", admin.access, json=body, headers=key).json()
    again = edge.call("POST", "/users", admin.access, json=body, headers=key).json()
    assert first["oneTimePassword"]
    assert again == {**first, "oneTimePassword": ""}
    other = edge.call("POST", "/users", admin.access, json=body | {"name": "x"}, headers=key)
    assert error_of(other)[:2] == (409, "REQUEST_ID_REUSED")
    taken = edge.call("POST", "/users", admin.access, json=body)
    assert error_of(taken)[:2] == (409, "CONFLICT")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": "Ann", "role": "ROLE_VIEWER"}, "name"),
        ({"name": "ann"}, "role"),
        ({"name": "ann", "role": "ROLE_VIEWER", "exchanges": ["okx"]}, "exchanges"),
        ({"name": "ann", "role": "ROLE_OPERATOR", "exchanges": ["okx", "okx"]}, "exchanges"),
        ({"name": "ann", "role": "ROLE_OPERATOR", "exchanges": ["nyse"]}, "exchanges[0]"),
    ],
)
def test_a_user_that_cannot_be_is_refused_by_field(
    edge: RunningEdge, admin: Person, body: dict[str, Any], field: str
) -> None:
    refused = error_of(edge.call("POST", "/users", admin.access, json=body))
    assert refused[:2] == (400, "INVALID_FIELD")
    assert refused[2]["field"] == field


def test_an_access_token_says_who_and_the_row_what_he_may(
    edge: RunningEdge, admin: Person, make: Make
) -> None:
    ben = make("operator", "okx")
    said = edge.call("GET", "/caller", ben.access).json()
    assert said == {
        "id": f"@{ben.name}", "scope": "manage", "role": "operator", "exchanges": ["okx"],
    }  # fmt: skip
    changed = edge.call("PATCH", f"/users/{ben.id}", admin.access, json={"role": "ROLE_VIEWER"})
    assert changed.json()["exchanges"] == []
    said = edge.call("GET", "/caller", ben.access).json()
    assert (said["scope"], said["role"], said["exchanges"]) == ("read", "viewer", [])
    off = edge.call("PATCH", f"/users/{ben.id}", admin.access, json={"disabled": True})
    assert off.status_code == 200
    assert error_of(edge.call("GET", "/caller", ben.access))[:2] == (401, "UNAUTHENTICATED")
    assert error_of(log_in(edge, ben.name, PASSWORD))[:2] == (401, "UNAUTHENTICATED")


def test_the_last_admin_stays_one(edge: RunningEdge, admin: Person, make: Make) -> None:
    for body in ({"role": "ROLE_VIEWER"}, {"disabled": True}):
        refused = error_of(edge.call("PATCH", f"/users/{admin.id}", admin.access, json=body))
        assert refused[1] == "WRONG_STATE", body
    with edge.inside() as channel, pytest.raises(grpc.RpcError) as second:
        pb_grpc.FirstAdminServiceStub(channel).CreateFirstAdmin(
            pb.CreateFirstAdminRequest(name="eve"), timeout=60
        )
    assert second.value.code() is grpc.StatusCode.FAILED_PRECONDITION


def test_a_used_refresh_token_logs_its_family_out(edge: RunningEdge, make: Make) -> None:
    ann = make("viewer")
    other = log_in(edge, ann.name, PASSWORD).json()

    def refresh(token: str) -> httpx.Response:
        return edge.call("POST", "/auth/refresh", None, json={"refreshToken": token})

    second = refresh(ann.tokens["refreshToken"]).json()
    assert edge.call("GET", "/caller", second["accessToken"]).status_code == 200
    assert error_of(refresh(ann.tokens["refreshToken"]))[:2] == (401, "UNAUTHENTICATED")
    assert error_of(refresh(second["refreshToken"]))[:2] == (401, "UNAUTHENTICATED")
    assert error_of(edge.call("GET", "/caller", second["accessToken"]))[0] == 401
    # Another session of the same user is another family.
    assert edge.call("GET", "/caller", other["accessToken"]).status_code == 200
    assert refresh(other["refreshToken"]).status_code == 200


def test_of_two_who_race_with_one_refresh_token_none_stays(edge: RunningEdge, make: Make) -> None:
    ann = make("viewer")
    body = {"refreshToken": ann.tokens["refreshToken"]}
    answers: list[httpx.Response] = []
    begin = threading.Barrier(2)

    def race() -> None:
        with httpx.Client(base_url=edge.url, timeout=60, trust_env=False) as client:
            begin.wait()
            answers.append(client.post("/auth/refresh", json=body))

    racers = [threading.Thread(target=race) for _ in range(2)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join()
    won = [answer.json() for answer in answers if answer.status_code == 200]
    assert len(won) == 1
    after = edge.call("POST", "/auth/refresh", None, json={"refreshToken": won[0]["refreshToken"]})
    assert error_of(after)[0] == 401
    assert error_of(edge.call("GET", "/caller", won[0]["accessToken"]))[0] == 401


def test_a_refresh_token_of_nobody_keeps_no_change_waiting(edge: RunningEdge) -> None:
    """Anybody may show one: it takes no connection from those who change something."""
    with psycopg.connect(edge.database_url) as connection:
        # Lets reads pass, and no change.
        connection.execute("lock table refresh_token in share row exclusive mode")
        nobodys = {"refreshToken": f"ttr_{'0' * 64}"}
        answer = edge.call("POST", "/auth/refresh", None, json=nobodys)
    assert error_of(answer)[:2] == (401, "UNAUTHENTICATED")


def test_sessions_are_listed_and_ended(edge: RunningEdge, admin: Person, make: Make) -> None:
    ann, ben = make("viewer"), make("viewer")
    second = log_in(edge, ann.name, PASSWORD).json()
    listed = edge.call("GET", "/auth/sessions", ann.access).json()["sessions"]
    assert {one["id"]: one["current"] for one in listed} == {
        ann.tokens["sessionId"]: True, second["sessionId"]: False,
    }  # fmt: skip
    assert listed[0]["address"] == "127.0.0.1"
    path = f"/auth/sessions/{second['sessionId']}"
    assert error_of(edge.call("DELETE", path, ben.access))[:2] == (404, "NOT_FOUND")
    assert edge.call("DELETE", path, ann.access).status_code == 200
    assert error_of(edge.call("GET", "/caller", second["accessToken"]))[0] == 401
    whose = f"/auth/sessions?userId={ann.id}"
    assert error_of(edge.call("GET", whose, ben.access))[:2] == (403, "NOT_ALLOWED")
    assert len(edge.call("GET", whose, admin.access).json()["sessions"]) == 1
    mine = f"/auth/sessions/{ann.tokens['sessionId']}"
    assert edge.call("DELETE", mine, admin.access).status_code == 200
    assert error_of(edge.call("GET", "/caller", ann.access))[0] == 401
    assert edge.call("POST", "/auth/logout", ben.access).status_code == 200
    assert error_of(edge.call("GET", "/caller", ben.access))[0] == 401


def test_a_new_password_ends_the_other_sessions(
    edge: RunningEdge, admin: Person, make: Make
) -> None:
    ann = make("viewer")
    new = log_in(edge, ann.name, PASSWORD, "another password of hers").json()
    assert error_of(edge.call("GET", "/caller", ann.access))[0] == 401
    assert edge.call("GET", "/caller", new["accessToken"]).status_code == 200
    reset = edge.call("POST", f"/users/{ann.id}/reset-password", admin.access).json()
    assert error_of(edge.call("GET", "/caller", new["accessToken"]))[0] == 401
    once = reset["oneTimePassword"]
    assert log_in(edge, ann.name, once, PASSWORD).status_code == 200


def test_what_was_done_is_written_down(edge: RunningEdge, admin: Person, make: Make) -> None:
    ann = make("viewer")
    log_in(edge, ann.name, "wrong")
    log_in(edge, "nobody-has-this", "wrong")
    edge.call("POST", f"/users/{ann.id}/reset-password", admin.access)
    reported = edge.call("GET", f"/user-events?userId={ann.id}", admin.access).json()["events"]
    assert [(one["what"], one["actor"]) for one in reported] == [
        ("password_reset", "@root"),
        ("login_failed", "public"),
        ("password_changed", f"@{ann.name}"),
        ("logged_in", f"@{ann.name}"),
        ("created", "@root"),
    ]
    page = edge.call("GET", "/user-events?pageSize=1", admin.access).json()
    more = edge.call(
        "GET", f"/user-events?pageSize=1&pageToken={page['nextPageToken']}", admin.access
    ).json()["events"]
    assert (more[0]["userId"], more[0]["what"]) == ("", "login_failed")
    with psycopg.connect(edge.database_url) as connection, pytest.raises(psycopg.Error):
        connection.execute("delete from user_event")


def _signed(key: keys.Key, **claims: Any) -> str:
    now = clock.now_ms() // 1000
    whole = {"iss": access.ISSUER, "aud": AUDIENCE, "sub": "x", "sid": "x", "iat": now,
             "exp": now + 900} | claims  # fmt: skip
    return jwt.encode(whole, key.private, algorithm="ES256", headers={"kid": key.kid})


@pytest.mark.parametrize("by", ["the edge", "control"])
def test_a_token_that_is_not_ours_opens_nothing(edge: RunningEdge, make: Make, by: str) -> None:
    """By Envoy's filter, and by control alone, which believes no edge."""
    ann = make("viewer")
    now = clock.now_ms() / 1000
    sid = ann.tokens["sessionId"]
    key = keys.signing(DEPLOYMENT.secret, now)
    before, _, after = keys.published(DEPLOYMENT.secret, now)
    long_ago = keys.signing(DEPLOYMENT.secret, now - 2 * keys.PERIOD_S)
    stranger = keys.Key(key.kid, ec.generate_private_key(ec.SECP256R1()))
    good = _signed(key, sid=sid)
    head, body, _ = good.split(".")
    none = jwt.encode(jwt.decode(good, options={"verify_signature": False}), "", algorithm="none")
    claims = jwt.decode(good, options={"verify_signature": False})
    public = key.public.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    bad = {
        "expired": _signed(key, sid=sid, iat=int(now) - 1000, exp=int(now) - 100),
        "of another key": _signed(stranger, sid=sid),
        "of a key that is no longer ours": _signed(long_ago, sid=sid),
        "alg none": none,
        "no signature": f"{head}.{body}.",
        "HMAC by the public key": _hmac(claims, key.kid, public),
        "HMAC by the published text": _hmac(claims, key.kid, key.jwk()["x"].encode()),
        "of a key that nobody has": _signed(key._replace(kid="0" * 16), sid=sid),
        "without a key's name": jwt.encode(claims, key.private, algorithm="ES256"),
        "of another deployment": _signed(key, sid=sid, aud="test/other"),
        "of another issuer": _signed(key, sid=sid, iss="eve"),
        "without an end": jwt.encode(
            {"iss": access.ISSUER, "aud": AUDIENCE, "sub": "x", "sid": sid, "iat": int(now)},
            key.private, algorithm="ES256", headers={"kid": key.kid},
        ),
        "of no session": _signed(key),
    }  # fmt: skip
    fine = {"now": good, "before": _signed(before, sid=sid), "next": _signed(after, sid=sid)}
    assert _requested(edge, by, fine) == dict.fromkeys(fine, True)
    assert _requested(edge, by, bad) == dict.fromkeys(bad, False)


def _hmac(claims: dict[str, Any], kid: str, secret: bytes) -> str:
    """Return a token that takes the public key for a secret (PyJWT itself makes none)."""
    parts = [
        base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=")
        for part in ({"alg": "HS256", "typ": "JWT", "kid": kid}, claims)
    ]
    signature = hmac.digest(secret, b".".join(parts), "sha256")
    return b".".join([*parts, base64.urlsafe_b64encode(signature).rstrip(b"=")]).decode()


def _requested(edge: RunningEdge, by: str, tokens: dict[str, str]) -> dict[str, bool]:
    """Whether each token is somebody's."""
    if by == "the edge":
        return {
            name: edge.call("GET", "/caller", token).status_code == 200
            for name, token in tokens.items()
        }
    found = {}
    with grpc.insecure_channel(f"127.0.0.1:{edge.internal_port}") as channel:
        stub = operator_service_pb2_grpc.OperatorServiceStub(channel)
        for name, token in tokens.items():
            try:
                stub.GetOperator(
                    operator_service_pb2.GetOperatorRequest(),
                    metadata=(("authorization", f"Bearer {token}"),), timeout=60,
                )  # fmt: skip
                found[name] = True
            except grpc.RpcError as error:
                found[name] = error.code() is not grpc.StatusCode.UNAUTHENTICATED
    return found


def test_the_edge_itself_refuses_a_forged_token(edge: RunningEdge) -> None:
    """Envoy answers before control is asked, in the one shape of errors."""
    refused = edge.call("GET", "/subscriptions", "a.b.c")
    assert error_of(refused)[:2] == (401, "UNAUTHENTICATED")
    assert "error=" in refused.headers["www-authenticate"]


def test_tokens_of_programs_go_on_and_make_no_users(edge: RunningEdge) -> None:
    assert edge.call("GET", "/caller", MANAGE).json()["scope"] == "manage"
    for token in (MANAGE, READ):
        for path in ("/users", "/auth/sessions", "/user-events"):
            assert error_of(edge.call("GET", path, token))[:2] == (403, "NOT_ALLOWED")


def test_guesses_are_bounded_and_lock_nobody_out_elsewhere(edge: RunningEdge, make: Make) -> None:
    ann = make("viewer")

    def attempt(address: str, name: str, password: str) -> httpx.Response:
        body = {"user": name, "password": password}
        return edge.call(
            "POST", "/auth/login", None, json=body, headers={"X-Forwarded-For": address}
        )

    for name in (ann.name, "nobody"):
        answers = [attempt("198.51.100.7", name, "wrong") for _ in range(6)]
        assert [answer.status_code for answer in answers] == [401] * 5 + [429], name
        assert int(answers[-1].headers["retry-after"]) > 60
    assert attempt("198.51.100.7", ann.name, PASSWORD).status_code == 429
    assert attempt("192.0.2.1", ann.name, PASSWORD).status_code == 200


def _put_wallet(edge: RunningEdge, exchange: str, tenant: str = "default") -> str:
    wallet = f"wal_{secrets.token_hex(16)}"
    with psycopg.connect(edge.database_url) as connection:
        connection.execute(
            "insert into trading_wallet (id, tenant, name, exchange, environment, account,"
            " permissions, max_order_micros) values (%s, %s, %s, %s, 'live', %s, '', 1)",
            [wallet, tenant, wallet[:30], exchange, wallet],
        )
    return wallet


def test_an_operator_reaches_his_exchanges_alone(edge: RunningEdge, make: Make) -> None:
    okx, poly = _put_wallet(edge, "okx"), _put_wallet(edge, "polymarket")
    seen = {}
    for role, exchanges in (
        ("operator", ("okx",)), ("operator", ()), ("operator", ("okx", "polymarket")),
        ("viewer", ()),
    ):  # fmt: skip
        token = make(role, *exchanges).access
        listed = edge.call("GET", "/wallets", token).json()["wallets"]
        one = [edge.call("GET", f"/wallets/{wallet}", token).status_code for wallet in (okx, poly)]
        copies = edge.call("GET", "/leaders", token).status_code
        users = edge.call("GET", "/users", token).status_code
        seen[role, exchanges] = ({row["id"] for row in listed} & {okx, poly}, one, copies, users)
    both = {okx, poly}
    assert {key: value[:2] for key, value in seen.items()} == {
        ("operator", ("okx",)): ({okx}, [200, 404]),
        ("operator", ()): (set(), [404, 404]),
        ("operator", ("okx", "polymarket")): (both, [200, 200]),
        ("viewer", ()): (both, [200, 200]),
    }
    assert [value[2] == 403 for value in seen.values()] == [True, True, False, False]
    assert {value[3] for value in seen.values()} == {403}


def _put_risk(edge: RunningEdge, tenant: str) -> dict[str, str]:
    """Bots, engines, limits, breaches and kill switches of both exchanges; return the wallets."""
    wallets = {name: _put_wallet(edge, name, tenant) for name in ("okx", "polymarket")}
    with psycopg.connect(edge.database_url) as connection:
        for exchange, wallet in wallets.items():
            bot, number = secrets.token_hex(6), secrets.randbelow(9000) + 1000
            connection.execute(
                "insert into bot (id, tenant, name, wallet_id, strategy, config, instruments,"
                " desired) values (%s, %s, %s, %s, 'grid', '{}', %s, 'RUNNING')",
                [bot, tenant, bot, wallet, [f"{exchange}:X"]],
            )
            position = {
                "currency": "USDC", "size": "1", "cost": "1", "average_price": "1", "mark": "1",
                "notional": "1", "unrealised": "0", "realised": "0", "fees": "0", "funding": "0",
                "mark_ms": 1,
            }  # fmt: skip
            connection.execute(
                "insert into bot_standing (bot_id, epoch, number, strategy, explanation, holdings,"
                " equity, positions, version) values (%s, 1, 1, '{}', '{}', '{}', null, %s, 1)",
                [bot, json.dumps({f"{exchange}:X": position})],
            )
            connection.execute(
                "insert into bot_engine (name, incarnation, epoch, until, venues, capacity,"
                " version) values (%s, 'x', 1, clock_timestamp() + interval '1 hour', %s, 10, %s)",
                [f"engine-{number}", sorted({exchange, "okx"}), tenant],
            )
            for scope, subject in (
                ("WALLET", wallet), ("EXCHANGE", exchange), ("MARKET", f"{exchange}:X"),
                *([("PORTFOLIO", "")] if exchange == "okx" else []),
            ):  # fmt: skip
                connection.execute(
                    "insert into risk_limit (tenant, scope, subject, limits, instruments,"
                    " changed_by) values (%s, %s, %s, '{\"max_gross\": 1}', '{}', 'x')",
                    [tenant, scope, subject],
                )
                connection.execute(
                    "insert into risk_event (tenant, scope, subject, limit_name, action, detail)"
                    " values (%s, %s, %s, 'max_gross', 'REDUCE_ONLY', '')",
                    [tenant, scope, subject],
                )
            connection.execute(
                "insert into kill_switch (id, tenant, exchange, reason, actor, set_at, done_at,"
                " cleared_at) values (%s, %s, %s, 'x', 'x', now(), now(), now())",
                [f"kil_{secrets.token_hex(16)}", tenant, exchange],
            )
        # The last engine can both exchanges, and has both wallets.
        for wallet in wallets.values():
            connection.execute(
                "insert into trading_wallet_lease values (%s, %s, 1, now() + interval '1 hour')",
                [wallet, f"engine-{number}"],
            )
    return wallets


def _seen(edge: RunningEdge, token: str, tenant: str) -> dict[str, Any]:
    """Return what a person is told of everything that is about several exchanges."""

    def reported(path: str, name: str) -> Any:
        query = "" if path == "/exchanges" else f"?tenant={tenant}"
        answer = edge.call("GET", f"{path}{query}", token)
        assert answer.status_code == 200, answer.text
        return answer.json().get(name, [])

    engines = edge.call("GET", "/engines", token).json().get("engines", [])
    mine = [one for one in engines if one["programVersion"] == tenant]
    scopes = [one["limits"] for one in reported("/risk/usage", "usage")]
    return {
        "engines": sorted(one["exchanges"] for one in mine),
        "wallets": {wallet["id"] for one in mine for wallet in one.get("wallets", [])},
        "portfolio": {
            part["name"] for one in reported("/portfolio", "parts") for part in one["byExchange"]
        },
        "usage": {one["subject"] for one in scopes},
        "limits": {one["subject"] for one in reported("/risk/limits", "limits")},
        "breaches": {one["subject"] for one in reported("/risk/breaches", "breaches")},
        "exchanges": {one["name"] for one in reported("/exchanges", "exchanges")},
        "kills": {one["exchange"] for one in reported("/risk/kill-switch", "killSwitches")},
    }


def test_an_operator_is_answered_what_is_of_his_exchanges(edge: RunningEdge, make: Make) -> None:
    """Of engines, the portfolio and risk, which are about all; and he changes none of it."""
    tenant = secrets.token_hex(4)
    wallets = _put_risk(edge, tenant)

    def of(*exchanges: str) -> dict[str, Any]:
        own = {wallets[name] for name in exchanges}
        subjects = own | {*exchanges} | {f"{name}:X" for name in exchanges}
        return {
            "wallets": own, "portfolio": {*exchanges}, "usage": subjects, "limits": subjects,
            "breaches": subjects, "kills": {*exchanges},
            "exchanges": {*exchanges},
        }  # fmt: skip

    okx, poly = make("operator", "okx").access, make("operator", "polymarket").access
    assert _seen(edge, okx, tenant) == of("okx") | {"engines": [["okx"], ["okx"]]}
    assert _seen(edge, poly, tenant) == of("polymarket") | {"engines": [["polymarket"]]}
    assert _seen(edge, make("operator").access, tenant) == of() | {"engines": []}
    whole = of("okx", "polymarket") | {"engines": [["okx"], ["okx", "polymarket"]]}
    whole |= {name: whole[name] | {""} for name in ("usage", "limits", "breaches")}
    for person in (make("operator", "okx", "polymarket"), make("viewer")):
        assert _seen(edge, person.access, tenant) == whole
    for verb, path in (("POST", "/engines/engine-1/drain"), ("PUT", "/risk/limits")):
        assert error_of(edge.call(verb, path, okx, json={}))[:2] == (403, "NOT_ALLOWED")


def test_what_a_role_may_not_change_is_refused(edge: RunningEdge, make: Make) -> None:
    poly = _put_wallet(edge, "polymarket")
    bot = dict(EXAMPLES["CreateBot"]) | {"walletId": poly}
    new = dict(EXAMPLES["CreateWallet"]) | {"exchange": "polymarket", "environment": "live"}
    okx, viewer = make("operator", "okx"), make("viewer")
    assert error_of(edge.call("POST", "/bots", okx.access, json=bot))[:2] == (404, "NOT_FOUND")
    for token in (okx.access, viewer.access):
        refused = error_of(edge.call("POST", "/wallets", token, json=new))
        assert refused[:2] == (403, "NOT_ALLOWED")
        assert _halted(edge, token) is grpc.StatusCode.PERMISSION_DENIED
    assert _halted(edge, make("operator", "polymarket").access) is grpc.StatusCode.OK


def _halted(edge: RunningEdge, token: str) -> grpc.StatusCode:
    op = operator_service_pb2
    request = op.SetHaltRequest(
        scope=op.HALT_SCOPE_MARKET, subject=f"0x{5:064x}", mode=op.HALT_MODE_HALTED, reason="x"
    )
    with grpc.insecure_channel(f"127.0.0.1:{edge.internal_port}") as channel:
        stub = operator_service_pb2_grpc.OperatorServiceStub(channel)
        try:
            stub.SetHalt(request, metadata=(("authorization", f"Bearer {token}"),), timeout=60)
        except grpc.RpcError as error:
            return error.code()
    return grpc.StatusCode.OK
