"""Test risk of many bots over REST and by `tt`: limits, usage, breaches and the kill switch."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

import pytest

from tests.cli.world import call, fits
from tests.control.edge import MANAGE, READ, RunningEdge
from tests.control.requests import Database, error_of
from tests.control.test_bots import created, moved, valid
from tests.control.test_bots import wallet as wallet  # noqa: PLC0414 - a fixture
from tradingtools.domain.portfolio_risk import SCOPE_RULES, RiskScope, ScopeLimit
from tradingtools.v1 import risk_service_pb2 as pb

SWAP = "okx:BTC-USDT-SWAP"


@pytest.fixture
def tenant() -> str:
    return secrets.token_hex(4)


def put(edge: RunningEdge, scope: str, subject: str = "", **more: Any) -> Any:
    body = {"scope": f"RISK_SCOPE_{scope}", "subject": subject, **more}
    return edge.call("PUT", "/risk/limits", json=body)


def test_limits_are_set_replaced_and_removed(edge: RunningEdge, tenant: str) -> None:
    group = {"tenant": tenant, "instruments": [SWAP], "limits": {"maxGross": "5000.5"}}
    made = valid(put(edge, "GROUP", "majors", **group), "RiskLimits")
    assert made["limits"] == {"maxGross": "5000.5"}
    valid(
        put(edge, "PORTFOLIO", tenant=tenant, limits={"maxGross": "9", "maxNet": "1"}), "RiskLimits"
    )

    found = valid(edge.call("GET", f"/risk/limits?tenant={tenant}", READ), "ListRiskLimitsResponse")
    assert [one["scope"] for one in found["limits"]] == ["RISK_SCOPE_GROUP", "RISK_SCOPE_PORTFOLIO"]
    assert found["limits"][0] == made
    assert edge.call("GET", "/risk/limits", READ).json()["limits"] == []

    valid(put(edge, "GROUP", "majors", tenant=tenant), "RiskLimits")
    left = edge.call("GET", f"/risk/limits?tenant={tenant}", READ).json()["limits"]
    assert [one["subject"] for one in left] == [""]
    assert edge.call("PUT", "/risk/limits", READ, json={}).status_code == 403


@pytest.mark.parametrize(
    ("scope", "subject", "more", "field"),
    [
        ("WALLET", "mine", {"limits": {"maxNet": "1"}}, "subject"),
        ("EXCHANGE", "binance", {"limits": {"maxNet": "1"}}, "subject"),
        ("PORTFOLIO", "x", {"limits": {"maxNet": "1"}}, "subject"),
        ("MARKET", "BTC", {"limits": {"maxGross": "1"}}, "subject"),
        ("MARKET", "*", {"limits": {"maxNet": "1"}}, "limits.maxNet"),
        ("GROUP", "g", {"limits": {"maxDailyLoss": "1"}, "instruments": [SWAP]},
         "limits.maxDailyLoss"),
        ("PORTFOLIO", "", {"limits": {"maxWithCopies": "1"}}, "limits.maxWithCopies"),
        ("PORTFOLIO", "", {"limits": {"maxConcentration": "0.5"}}, "limits.maxGross"),
        ("GROUP", "g", {"limits": {"maxNet": "1"}}, "instruments"),
        ("GROUP", "g", {"limits": {"maxNet": "1"}, "instruments": [SWAP, SWAP]}, "instruments"),
        ("PORTFOLIO", "", {"limits": {"maxNet": "1"}, "instruments": [SWAP]}, "instruments"),
        ("PORTFOLIO", "", {"limits": {"maxConcentration": "1.5"}}, "limits.maxConcentration"),
    ],
)  # fmt: skip
def test_what_does_not_fit_its_scope_is_refused(
    edge: RunningEdge, scope: str, subject: str, more: dict[str, Any], field: str
) -> None:
    status, reason, metadata = error_of(put(edge, scope, subject, **more))

    assert (status, reason, metadata["field"]) == (400, "INVALID_FIELD", field)


def test_a_wallet_of_another_tenant_has_no_limits_here(
    edge: RunningEdge, wallet: Callable[..., str], tenant: str
) -> None:
    mine = wallet(tenant=tenant)
    limits = {"limits": {"maxGross": "1"}}

    assert error_of(put(edge, "WALLET", mine, **limits))[:2] == (404, "NOT_FOUND")
    valid(put(edge, "WALLET", mine, tenant=tenant, **limits), "RiskLimits")


def share(database: Database, bot: str, micros: int, held: int, result: int) -> None:
    database.execute(
        "insert into risk_share values (%s, %s, %s, %s, 0, %s, now() - interval '1 minute')",
        (bot, SWAP, SWAP, micros, held),
    )
    database.execute("insert into risk_result values (%s, %s, now())", (bot, result))


def test_usage_says_what_is_reached(
    edge: RunningEdge, database: Database, wallet: Callable[..., str], tenant: str
) -> None:
    bot = created(edge, wallet(tenant=tenant), tenant=tenant)["id"]
    share(database, bot, 6_500_000, 6_000_000, -2_000_000)
    valid(put(edge, "EXCHANGE", "okx", tenant=tenant, limits={"maxGross": "6"}), "RiskLimits")

    found = valid(edge.call("GET", f"/risk/usage?tenant={tenant}", READ), "GetRiskUsageResponse")

    whole, okx = found["usage"]
    assert whole["limits"]["scope"] == "RISK_SCOPE_PORTFOLIO"
    assert (whole["gross"], whole["net"], whole["result"]) == ("6.5", "6.5", "-2")
    assert (okx["market"], okx["marketGross"]) == (SWAP, "6.5")
    assert [(one["limit"], one["action"]) for one in okx["reached"]] == [
        ("max_gross", "REDUCE_ONLY")
    ]
    moved(database, bot, "STARTING", "RUNNING")
    again = edge.call("GET", f"/risk/usage?tenant={tenant}").json()["usage"][1]
    assert int(again["oldestMs"]) >= 60_000
    assert [one["limit"] for one in again["reached"]] == ["max_gross", "stale_usage"]


def test_breaches_come_in_pages_the_newest_first(
    edge: RunningEdge, database: Database, tenant: str
) -> None:
    for number in range(3):
        database.execute(
            "insert into risk_event (tenant, scope, subject, limit_name, action, detail)"
            " values (%s, 'PORTFOLIO', '', 'max_gross', 'REDUCE_ONLY', %s)",
            (tenant, str(number)),
        )
    path = f"/risk/breaches?tenant={tenant}&pageSize=2"
    page = valid(edge.call("GET", path, READ), "ListRiskBreachesResponse")
    rest = edge.call("GET", f"{path}&pageToken={page['nextPageToken']}", READ).json()

    details = [one["detail"] for one in page["breaches"] + rest["breaches"]]
    assert details == ["2", "1", "0"]


def test_kill_switch_is_one_shows_progress_and_blocks_starts(
    edge: RunningEdge, database: Database, wallet: Callable[..., str], tenant: str
) -> None:
    mine, idle = wallet(tenant=tenant), wallet(tenant=tenant)
    bot = created(edge, mine, tenant=tenant)["id"]
    sleeping = created(edge, idle, tenant=tenant)["id"]
    edge.call("POST", f"/bots/{sleeping}/start")
    moved(database, bot, "STARTING", "RUNNING")
    body = {"tenant": tenant, "exchange": "okx", "reason": "prices are wrong"}

    made = valid(edge.call("POST", "/risk/kill-switch", json=body), "KillSwitch")

    assert [(one["walletId"], one["phase"]) for one in made["wallets"]] == [(mine, "WAITING")]
    assert valid(edge.call("POST", "/risk/kill-switch", json=body), "KillSwitch") == made
    assert "doneAt" not in made
    assert edge.call("GET", f"/bots/{sleeping}").json()["desired"] == "BOT_STATE_IDLE"
    moved(database, bot, "RISK_STOPPED")
    for path, more in ((f"{sleeping}/start", None), (f"{bot}/resume", {"reason": "x"})):
        refused = error_of(edge.call("POST", f"/bots/{path}", json=more))
        assert refused[:2] == (400, "WRONG_STATE")
        assert refused[2]["id"] == made["id"]

    database.execute(
        "update kill_switch_wallet set phase = 'DONE', engine = 'e', last_arrival_at = now()"
        " where kill_id = %s",
        (made["id"],),
    )
    database.execute("update kill_switch set done_at = now() where id = %s", (made["id"],))
    shown = valid(edge.call("GET", f"/risk/kill-switch/{made['id']}", READ), "KillSwitch")
    assert shown["wallets"][0]["phase"] == "DONE"
    assert "doneAt" in shown
    cleared = valid(edge.call("DELETE", f"/risk/kill-switch/{made['id']}"), "KillSwitch")
    assert cleared["clearedBy"]
    assert edge.call("GET", f"/bots/{bot}").json()["state"] == "BOT_STATE_RISK_STOPPED"
    resumed = edge.call("POST", f"/bots/{bot}/resume", json={"reason": "prices are right"})
    assert resumed.json()["state"] == "BOT_STATE_STARTING"
    listed = edge.call("GET", f"/risk/kill-switch?tenant={tenant}", READ).json()["killSwitches"]
    assert listed == [cleared]
    assert edge.call("POST", "/risk/kill-switch", READ, json={}).status_code == 403
    reported = edge.call("GET", f"/risk/breaches?tenant={tenant}").json()["breaches"]
    assert [(one["limit"], one["scope"]) for one in reported] == [("kill_switch", "EXCHANGE")]
    assert actions(database, tenant) == ["FLATTEN_AND_STOP", "CLEARED"]


def test_start_during_a_kill_switch_begins_nothing_afterwards(
    edge: RunningEdge, database: Database, wallet: Callable[..., str], tenant: str
) -> None:
    """The start looked before the kill switch was there, and was written after it."""
    mine = wallet(tenant=tenant)
    bots = [created(edge, mine, tenant=tenant)["id"] for _ in range(3)]
    moved(database, bots[1], "STARTING", "RUNNING", "STOPPING", "STOPPED")
    moved(database, bots[2], "STARTING", "RUNNING")
    made = edge.call("POST", "/risk/kill-switch", json={"tenant": tenant}).json()
    database.execute("update bot set desired = 'RUNNING' where id = any(%s)", (bots,))

    edge.call("DELETE", f"/risk/kill-switch/{made['id']}")

    desired = [edge.call("GET", f"/bots/{one}").json()["desired"] for one in bots]
    assert desired == [f"BOT_STATE_{one}" for one in ("IDLE", "STOPPED", "RUNNING")]


def actions(database: Database, tenant: str) -> list[str]:
    query = "select action from risk_event where tenant = %s order by event_seq"
    return [row["action"] for row in database.execute(query, (tenant,))]


def test_limits_that_are_set_anew_are_not_reached_any_more(
    edge: RunningEdge, database: Database, tenant: str
) -> None:
    put(edge, "PORTFOLIO", "", tenant=tenant, limits={"maxGross": "6"})
    database.execute(
        """update risk_limit set reached = '{"max_gross:a": "7 of 6", "max_gross:b": "8 of 6"}'"""
        " where tenant = %s",
        (tenant,),
    )
    put(edge, "PORTFOLIO", "", tenant=tenant, limits={"maxGross": "9"})
    assert sorted(actions(database, tenant)) == ["LEFT", "SET", "SET"]


def test_one_that_reaches_no_wallet_is_done(
    edge: RunningEdge, database: Database, tenant: str
) -> None:
    made = edge.call("POST", "/risk/kill-switch", json={"tenant": tenant}).json()

    assert made["doneAt"] == made["setAt"]
    assert actions(database, tenant) == ["FLATTEN_AND_STOP", "DONE"]
    assert error_of(edge.call("GET", "/risk/kill-switch/kil_" + "0" * 32))[0] == 404


def test_the_contract_has_every_scope_and_limit() -> None:
    names = {field.name for field in pb.ScopeLimits.DESCRIPTOR.fields}
    assert names == {one for one in SCOPE_RULES if not one.startswith("stale_")}
    assert names <= set(ScopeLimit)
    scopes = {value.name.removeprefix("RISK_SCOPE_") for value in pb.RiskScope.DESCRIPTOR.values}
    assert scopes == {*RiskScope, "UNSPECIFIED"}


def test_tt_does_all_of_it(
    edge: RunningEdge, database: Database, wallet: Callable[..., str], tenant: str
) -> None:
    bot = created(edge, wallet(tenant=tenant), tenant=tenant)["id"]
    moved(database, bot, "STARTING", "RUNNING")

    def as_json(*arguments: str, status: int = 0) -> Any:
        environ = {"TT_URL": edge.url, "TT_TOKEN": MANAGE}
        said = call(*arguments, "--tenant", tenant, "--json", environ=environ)
        assert said.status == status, said
        if status == 0:
            fits(said.json, *arguments[:2])
        return said.json if status == 0 else said

    made = as_json("risk", "set", "portfolio", "-l", "maxGross=100", "-l", "maxNet=50")
    assert made["limits"] == {"maxGross": "100", "maxNet": "50"}
    as_json("risk", "set", "group", "majors", "-l", "maxGross=9", "-i", SWAP)
    assert len(as_json("risk", "limits")) == 2
    assert len(as_json("risk", "usage")) == 2
    kill = as_json("risk", "kill", "--reason", "test")
    assert as_json("risk", "show") == [kill]
    assert [one["limit"] for one in as_json("risk", "breaches")] == ["kill_switch"]
    environ = {"TT_URL": edge.url, "TT_TOKEN": MANAGE}
    shown = call("risk", "show", "--tenant", tenant, environ=environ).out
    assert "under way" in shown
    assert "waiting, 0 bots" in shown
    assert "clearedAt" in as_json("risk", "clear")
    as_json("risk", "clear", status=2)
    as_json("risk", "set", "portfolio", "-l", "maxGross", status=2)
