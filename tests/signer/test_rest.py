"""Wallets over REST and by `tt`: Envoy, control and the signer, all real."""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from jsonschema import Draft202012Validator

from launcher.temporary import create_database
from services.events.core.derive import derive
from services.events.store import sources
from tests.cli.world import call, fits
from tests.control.edge import MANAGE, READ, RunningEdge
from tests.control.requests import error_of, subscription_body
from tests.signer import exchanges as far
from tests.signer import world as made
from tests.signer.test_planted import family, found_in
from tests.signer.world import FUNDER, World
from tools.openapi.__main__ import DOCUMENT
from tradingtools.codec import sealing
from tradingtools.domain.credentials import Credentials
from tradingtools.storage.postgres.pool import open_pool

SCHEMAS = json.loads(DOCUMENT.read_text(encoding="utf-8"))["components"]["schemas"]
Both = tuple[World, RunningEdge]


@pytest.fixture(scope="module")
def both(
    postgres_server: str, migrated_template: str, redis_url: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Both]:  # fmt: skip
    url = create_database(postgres_server, template=migrated_template)
    with made.whole(url, redis_url, tmp_path_factory.mktemp("rest")) as running:
        yield running


@pytest.fixture(autouse=True)
def clean(both: Both) -> Iterator[None]:
    yield
    world, _ = both
    world.rows("update trading_wallet set state = 'RETIRED'")
    world.exchanges.okx.clear()
    world.exchanges.silent = False


def body(edge: RunningEdge, credentials: Credentials = made.OKX, **more: Any) -> dict[str, Any]:
    """A create as a client of another make writes it."""
    key = edge.call("GET", "/sealing-key", READ).json()
    exchange = "okx" if credentials is made.OKX else "polymarket"
    requested = {
        "name": f"n-{secrets.token_hex(4)}",
        "exchange": exchange,
        "maxOrder": "1000",
        **more,
    }
    bound = sealing.for_new(
        requested.get("tenant", "default"), requested["name"], exchange,
        requested.get("environment", "live"),
        int(requested["maxOrder"]) * 1_000_000,
    )  # fmt: skip
    sealed = sealing.seal(credentials, base64.b64decode(key["publicKey"]), bound)
    return {"keyId": key["keyId"], "sealed": base64.b64encode(sealed).decode(), **requested}


def valid(answer: httpx.Response, schema: str, status: int = 200) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    found: dict[str, Any] = answer.json()
    components = {"components": {"schemas": SCHEMAS}}
    Draft202012Validator({"$ref": f"#/components/schemas/{schema}", **components}).validate(found)
    return found


def test_a_wallet_is_added_listed_checked_rotated_and_retired(both: Both) -> None:
    world, edge = both
    first = valid(edge.call("POST", "/wallets", json=body(edge, name="first")), "Wallet", 201)
    assert first["account"] == "44705892343619584"
    assert (first["state"], first["edition"], first["problem"], first["heldBy"]) == (
        "WALLET_STATE_ACTIVE", 1, "", "",
    )  # fmt: skip
    assert "signatureType" not in first
    second = valid(
        edge.call("POST", "/wallets", json=body(edge, made.POLYMARKET, name="second")),
        "Wallet",
        201,
    )
    assert (second["account"].lower(), second["signerAddress"], second["signatureType"]) == (
        FUNDER, far.SIGNER_ADDRESS, 2,
    )  # fmt: skip
    path = f"/wallets/{first['id']}"
    world.hold(first["id"])
    assert valid(edge.call("GET", path, READ), "Wallet") == {**first, "heldBy": "engine"}
    page = valid(edge.call("GET", "/wallets?pageSize=1", READ), "ListWalletsResponse")
    assert [one["id"] for one in page["wallets"]] == [first["id"]]
    more = edge.call("GET", f"/wallets?pageSize=1&pageToken={page['nextPageToken']}", READ)
    assert [one["id"] for one in more.json()["wallets"]] == [second["id"]]
    assert more.json()["nextPageToken"] == ""
    listed = edge.call("GET", "/wallets?exchange=polymarket&state=WALLET_STATE_ACTIVE", READ)
    assert [one["id"] for one in listed.json()["wallets"]] == [second["id"]]

    world.exchanges.okx["perm"] = "read_only,trade,withdraw"
    checked = valid(edge.call("POST", f"{path}/check"), "Wallet")
    assert "withdraw" in checked["problem"]
    world.exchanges.okx.clear()
    assert valid(edge.call("POST", f"{path}/rotate", json={}), "Wallet")["edition"] == 1
    key = edge.call("GET", "/sealing-key", READ).json()
    raw = sealing.seal(
        made.OKX, base64.b64decode(key["publicKey"]), sealing.for_edition(first["id"], 1)
    )
    other = {"keyId": key["keyId"], "sealed": base64.b64encode(raw).decode(), "edition": 1}
    rotated = valid(edge.call("POST", f"{path}/rotate", json=other), "Wallet")
    assert (rotated["edition"], rotated["problem"]) == (2, "")
    assert error_of(edge.call("POST", f"{path}/rotate", json=other))[:2] == (409, "CONFLICT")

    retired = valid(edge.call("DELETE", path), "Wallet")
    assert retired["state"] == "WALLET_STATE_RETIRED"
    assert error_of(edge.call("DELETE", path))[1] == "WRONG_STATE"
    assert error_of(edge.call("POST", f"{path}/check"))[1] == "WRONG_STATE"
    events = "select action, actor from wallet_event where wallet_id = %s order by event_seq"
    assert world.rows(events, first["id"]) == [
        (action, "backend") for action in ("added", "checked", "rewrapped", "replaced", "retired")
    ]
    reported = [event for event in _log(world) if event.subject == f"wallets/{first['id']}"]
    assert [str(event.type) for event in reported] == [
        f"credentials.{action}" for action in ("added", "checked", "replaced", "retired")
    ]
    assert json.loads(reported[1].data)["reason"] == checked["problem"]


def _log(world: World) -> list[Any]:
    """Return the events that the log makes of all that was written."""

    async def work() -> list[Any]:
        async with open_pool(world.database_url, name="tests") as pool:
            rows = await sources(pool, 0, 1 << 62)
        return [event for row in rows for event in derive(row)]

    found: list[Any] = made.run(work())
    return found


def test_control_and_envoy_never_have_what_is_sealed(both: Both) -> None:
    """Nor the log. tests/signer/test_planted.py looks at everything else."""
    world, edge = both
    for credentials in (made.OKX, made.POLYMARKET):
        assert edge.call("POST", "/wallets", json=body(edge, credentials)).status_code == 201
    needles = {
        secret: secret.encode()
        for secret in (
            far.PLANTED_SECRET, far.PLANTED_PASSPHRASE, far.PLANTED_PRIVATE, far.TRIPLE["secret"],
            far.TRIPLE["passphrase"],
        )
    }  # fmt: skip
    for root in edge.processes:
        for pid in family(root):
            assert found_in(pid, needles) == set()
    for log in (world.log, edge.log):
        assert {one for one in needles if one in log.read_text()} == set()


def test_what_is_wrong_is_said_and_named(both: Both) -> None:
    world, edge = both
    good = body(edge)
    for change, field in (
        ({"maxOrder": "0"}, "maxOrder"),
        ({"exchange": "kraken"}, "exchange"),
        ({"environment": "test"}, "environment"),
        ({"sealed": "AAAA"}, "sealed"),
        ({"sealed": "A==="}, "sealed"),
        ({"keyId": "0" * 32}, "keyId"),
        ({"name": "other"}, "sealed"),
        ({"name": "\u0430"}, "name"),
    ):
        status, reason, metadata = error_of(edge.call("POST", "/wallets", json={**good, **change}))
        assert (status, reason, metadata["field"]) == (400, "INVALID_FIELD", field), change
    world.exchanges.okx["perm"] = "read_only,trade,withdraw"
    answer = edge.call("POST", "/wallets", json=good)
    assert "without the permission to withdraw" in answer.json()["message"]
    world.exchanges.silent = True
    assert error_of(edge.call("POST", "/wallets", json=good))[:2] == (503, "UNAVAILABLE")
    path = "/wallets/wal_" + "0" * 32
    for verb, where in (("GET", path), ("DELETE", path), ("POST", f"{path}/check")):
        assert error_of(edge.call(verb, where))[:2] == (404, "NOT_FOUND")
    for more in ({"sealed": "QUJD"}, {"keyId": "0" * 32}, {"edition": 1}):
        answer = edge.call("POST", f"{path}/rotate", json=more)
        assert error_of(answer)[:2] == (400, "INVALID_FIELD"), answer.text


def test_copies_or_bots_trade_a_wallet_and_never_both(both: Both) -> None:
    world, edge = both
    added = edge.call("POST", "/wallets", json=body(edge, made.POLYMARKET))
    assert added.status_code == 201
    answer = edge.call("POST", "/subscriptions", json=subscription_body(FUNDER))
    assert error_of(answer)[:2] == (400, "INVALID_FIELD")
    assert "trading wallet" in answer.json()["message"]
    edge.call("DELETE", f"/wallets/{added.json()['id']}")
    subscription = edge.call("POST", "/subscriptions", json=subscription_body(FUNDER))
    assert subscription.status_code == 201, subscription.text
    refused = edge.call("POST", "/wallets", json=body(edge, made.POLYMARKET))
    assert error_of(refused)[:2] == (409, "CONFLICT")
    assert "copies trade" in refused.json()["message"]
    assert world.rows("select 1 from trading_wallet where state = 'ACTIVE'") == []
    edge.call("DELETE", f"/subscriptions/{subscription.json()['id']}")
    assert edge.call("POST", "/wallets", json=body(edge, made.POLYMARKET)).status_code == 201


def test_a_key_makes_a_create_repeatable(both: Both) -> None:
    _, edge = both
    requested, headers = body(edge), {"Idempotency-Key": secrets.token_hex(8)}
    first = edge.call("POST", "/wallets", json=requested, headers=headers).json()["id"]
    again = edge.call("POST", "/wallets", json=requested, headers=headers)
    assert (again.status_code, again.json()["id"]) == (201, first)
    other = edge.call("POST", "/wallets", json=body(edge), headers=headers)
    assert error_of(other)[1] == "REQUEST_ID_REUSED"
    assert error_of(edge.call("POST", "/wallets", json=body(edge)))[1] == "CONFLICT"


def test_who_reads_changes_nothing_and_exchanges_are_told(both: Both) -> None:
    _, edge = both
    assert error_of(edge.call("POST", "/wallets", READ, json=body(edge)))[0] == 403
    assert error_of(edge.call("GET", "/wallets", None))[0] == 401
    found = valid(edge.call("GET", "/exchanges", READ), "ListExchangesResponse")
    assert [one["name"] for one in found["exchanges"]] == ["okx", "polymarket"]
    assert found["signer"] is True


def test_the_signer_away_is_a_503_and_reads_go_on(both: Both) -> None:
    world, edge = both
    wallet = edge.call("POST", "/wallets", json=body(edge)).json()["id"]
    requested = body(edge, made.POLYMARKET)
    world.kill()
    try:
        assert error_of(edge.call("POST", "/wallets", json=requested))[:2] == (503, "UNAVAILABLE")
        assert error_of(edge.call("GET", "/sealing-key"))[0] == 503
        assert edge.call("GET", f"/wallets/{wallet}").status_code == 200
    finally:
        world.start()
    assert edge.call("POST", "/wallets", json=requested).status_code == 201


def _tt(edge: RunningEdge, *arguments: str, stdin: str = "") -> Any:
    environ = {"TT_URL": edge.url, "TT_TOKEN": MANAGE}
    return call(*arguments, environ=environ, stdin=stdin)


def _json(edge: RunningEdge, *arguments: str, status: int = 0, stdin: str = "") -> Any:
    said = _tt(edge, *arguments, "--json", stdin=stdin)
    assert said.status == status, said
    fits(said.json, *arguments[: 1 if arguments[0] == "exchanges" else 2])
    return said.json


def test_tt_seals_and_does_the_rest(both: Both, tmp_path: Path) -> None:
    world, edge = both
    file = tmp_path / "okx.json"
    file.write_text(
        json.dumps({"api_key": far.PLANTED_KEY, "secret": far.PLANTED_SECRET,
                    "passphrase": far.PLANTED_PASSPHRASE})
    )  # fmt: skip
    file.chmod(0o644)
    add = ("wallets", "add", "by tt", "-e", "okx", "--max-order", "12.5", "-c", str(file))
    said = _tt(edge, *add)
    assert (said.status, "chmod 600" in said.err) == (2, True), said
    file.chmod(0o600)
    said = _tt(edge, *add, "--key-id", "0" * 32)
    assert (said.status, "nothing was sent" in said.err) == (4, True), said
    key = _json(edge, "wallets", "key")["keyId"]
    assert f"key_id={key}" in world.log.read_text()
    made_by_tt = _json(edge, "wallets", "add", *add[2:], "--key-id", key)
    wallet = made_by_tt["id"]
    assert made_by_tt["maxOrder"] == "12.5"
    assert wallet in [one["id"] for one in _json(edge, "wallets", "list")]
    assert _json(edge, "wallets", "show", wallet) == made_by_tt
    text = file.read_text()
    after = _json(edge, "wallets", "replace", wallet, "-c", "-", "--yes", stdin=text)
    assert after["edition"] == 2
    assert _json(edge, "wallets", "rewrap", wallet)["edition"] == 2
    assert _json(edge, "wallets", "check", wallet)["problem"] == ""
    world.exchanges.okx["perm"] = "read_only"
    assert "trade" in _json(edge, "wallets", "check", wallet, status=1)["problem"]
    assert _tt(edge, "wallets", "retire", wallet).status == 8
    assert _json(edge, "wallets", "retire", wallet, "--yes")["state"] == "WALLET_STATE_RETIRED"
    assert _json(edge, "wallets", "list", "-e", "okx") == []
    assert wallet in [one["id"] for one in _json(edge, "wallets", "list", "--retired")]
    assert [one["name"] for one in _json(edge, "exchanges")] == ["okx", "polymarket"]
    for wrong in ("{}", "[]", "", '{"api_key": "x", "secret": "PLANTED-TYPO"}'):
        add = ("wallets", "add", "x", "-e", "okx", "--max-order", "1", "-c", "-")
        said = _tt(edge, *add, stdin=wrong)
        assert said.status == 2
        assert "PLANTED" not in said.err


def test_a_wallet_whose_bots_are_not_stopped_is_not_retired(both: Both) -> None:
    world, edge = both
    wallet = valid(edge.call("POST", "/wallets", json=body(edge)), "Wallet", 201)["id"]
    bot, idle = "busy00000001", "idle00000001"
    for one in (bot, idle):
        world.rows(
            "insert into bot (id, tenant, name, wallet_id, strategy, config, instruments) values"
            " (%s, 'default', %s, %s, 'grid', '{}', '{okx:BTC-USDT-SWAP}') returning id",
            one, one, wallet,
        )  # fmt: skip
    wishes = ("desired = 'RUNNING'", "desired = 'STOPPED', from_state = state, state = 'STARTING'")
    for wish in wishes:
        world.rows(f"update bot set {wish} where id = %s returning id", bot)
        status, reason, metadata = error_of(edge.call("DELETE", f"/wallets/{wallet}"))
        assert (status, reason, metadata["bots"]) == (409, "CONFLICT", bot)
    for state in ("STOPPING", "STOPPED"):
        world.rows(
            "update bot set from_state = state, state = %s where id = %s returning id", state, bot
        )
    left = "insert into bot_order (order_id, bot_id, epoch, slot, instrument_id, side, price, size,"
    world.rows(
        f"{left} state, detail) values ('o1', %s, 1, 'a', 'okx:X', 'BUY', 1, 1, 'UNKNOWN', '{{}}')"
        " returning order_id", bot,
    )  # fmt: skip
    assert error_of(edge.call("DELETE", f"/wallets/{wallet}"))[2]["bots"] == bot, "it may fill"
    world.rows("update bot_order set settled = true where bot_id = %s returning order_id", bot)
    retired = valid(edge.call("DELETE", f"/wallets/{wallet}"), "Wallet")
    assert retired["state"] == "WALLET_STATE_RETIRED"


def test_signatures_are_kept_for_their_time_and_by_nobody_forgotten_before(both: Both) -> None:
    world, edge = both
    wallet = valid(edge.call("POST", "/wallets", json=body(edge)), "Wallet", 201)["id"]
    put = (
        "insert into wallet_signature (wallet_id, kind, summary, digest, engine, epoch, pid, uid,"
        " signed_at) values (%s, 'okx', %s, '', 'e', 1, 1, 1, now() - %s * interval '1 day')"
        " returning id"
    )
    for days in (500, 399, 1):
        world.rows(put, wallet, f"{days} days old", days)
    assert world.rows("select forget_signatures(400)") == [(1,)]
    left = "select summary from wallet_signature where wallet_id = %s order by id"
    assert world.rows(left, wallet) == [("399 days old",), ("1 days old",)]
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="90 days"):
        world.rows("delete from wallet_signature where wallet_id = %s returning id", wallet)
    with pytest.raises(psycopg.errors.Error):
        world.rows("update wallet_signature set summary = '' returning id")
