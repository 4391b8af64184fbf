"""Reports on bots over REST: what an engine and the log have written, as people read it."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from typing import Any

import pytest

from tests.control.edge import MANAGE, READ, RunningEdge
from tests.control.requests import Database, error_of
from tests.control.test_bots import SWAP, created, valid, wallet, written

__all__ = ["wallet"]
POSITION = {
    "size": "-1.5", "cost": "97500.75", "realised": "4", "fees": "-0.03", "funding": "0",
    "currency": "USDT", "average_price": "65000.5", "mark": "65001", "notional": "-97501.5",
    "unrealised": "-0.75",
}  # fmt: skip


@pytest.fixture
def bot(edge: RunningEdge, database: Database, wallet: Callable[..., str]) -> str:
    """A bot with orders, a standing, positions and a series, as its engine writes them."""
    tenant = f"t-{secrets.token_hex(4)}"
    made = created(edge, wallet(tenant=tenant), tenant=tenant)["id"]
    written(database, made)
    now_ms = "(extract(epoch from clock_timestamp()) * 1000)::bigint - 250"
    database.execute(
        "update bot_standing set version = 1, live = true, positions = jsonb_build_object(%s::text,"
        f" %s::jsonb || jsonb_build_object('mark_ms', {now_ms})) where bot_id = %s",
        (SWAP, json.dumps(POSITION), made),
    )
    for minute, realised in (("10:00", 1), ("10:59", 3), ("11:01", 4)):
        database.execute(
            "insert into bot_pnl (bot_id, at, currency, realised, unrealised, fees, funding,"
            " volume, mark_age_ms, sources) values (%s, %s, 'USDT', %s, -0.75, -0.03, 0, 97500.75,"
            """ 20, '{"spread": "5", "inventory": "-1.75"}')""",
            (made, f"2026-11-20T{minute}:00Z", realised),
        )
    return str(made)


def test_positions_have_their_marks_with_their_age(edge: RunningEdge, bot: str) -> None:
    shown = valid(edge.call("GET", f"/bots/{bot}/positions", READ), "ListBotPositionsResponse")
    (one,) = shown["positions"]
    assert (one["instrumentId"], one["size"], one["averagePrice"]) == (SWAP, "-1.5", "65000.5")
    assert (one["mark"], one["notional"], one["unrealised"]) == ("65001", "-97501.5", "-0.75")
    assert 250 <= int(one["markAgeMs"]) < 600_000


def test_profit_is_a_series_by_step_with_its_sources(edge: RunningEdge, bot: str) -> None:
    path = f"/bots/{bot}/pnl"
    page = valid(edge.call("GET", f"{path}?pageSize=2", READ), "ListBotPnlResponse")
    assert [one["realised"] for one in page["points"]] == ["4", "3"]
    first = page["points"][0]
    assert (first["at"], first["currency"]) == ("2026-11-20T11:01:00Z", "USDT")
    # 4 realised, 0.75 lost in what is held, 0.03 of rebates.
    assert (first["result"], first["fees"], first["markAgeMs"]) == ("3.28", "-0.03", "20")
    assert first["sources"] == [
        {"source": "inventory", "amount": "-1.75"}, {"source": "spread", "amount": "5"},
    ]  # fmt: skip
    more = edge.call("GET", f"{path}?pageSize=2&pageToken={page['nextPageToken']}", READ).json()
    assert [one["realised"] for one in more["points"]] == ["1"]
    assert more["nextPageToken"] == ""
    hours = edge.call("GET", f"{path}?step=PNL_STEP_HOUR&pageSize=1", READ).json()
    rest = f"{path}?step=PNL_STEP_HOUR&pageSize=1&pageToken={hours['nextPageToken']}"
    both = hours["points"] + edge.call("GET", rest, READ).json()["points"]
    assert [one["realised"] for one in both] == ["4", "3"], "the last point of each hour"
    answer = edge.call("GET", f"{path}?toMs=1795170600000", READ)
    assert answer.status_code == 200, answer.text
    until = answer.json()["points"]
    assert [one["realised"] for one in until] == ["1"]


def test_events_of_a_bot_are_those_of_the_log(
    edge: RunningEdge, database: Database, bot: str
) -> None:
    for number, kind in enumerate(("bot.created", "bot.started", "bot.order_filled"), 1):
        database.execute(
            "insert into event (number, log_number, part, type, subject, occurred_at,"
            " follower_proxy, subscription_id, traceparent, data) values"
            " ((select coalesce(max(number), 0) + 1 from event), -%s, 0, %s, %s, now(), '', '', '',"
            " %s)",
            (
                number,
                kind,
                f"bots/{bot}" + "/orders/o1" * (number == 3),
                json.dumps({"botId": bot, "state": "RUNNING"}),
            ),
        )
    path = f"/bots/{bot}/events"
    page = valid(edge.call("GET", f"{path}?pageSize=2", READ), "ListBotEventsResponse")
    assert [one["type"] for one in page["events"]] == ["bot.order_filled", "bot.started"]
    assert page["events"][0]["data"] == {"botId": bot, "state": "RUNNING"}
    more = edge.call("GET", f"{path}?pageToken={page['nextPageToken']}", READ).json()
    assert [one["type"] for one in more["events"]] == ["bot.created"]
    database.execute("delete from event where subject like %s", (f"bots/{bot}%",))


def test_a_bot_is_explained_with_what_stands_in_each_slot(edge: RunningEdge, bot: str) -> None:
    reported = valid(edge.call("GET", f"/bots/{bot}/explain", READ), "BotExplanation")
    ask, bid = reported["reasons"]
    assert (ask["slot"], ask["orders"]) == ("ask", [])
    assert (bid["slot"], bid["explanation"]) == ("bid", "65000 is the reservation price")
    assert [one["id"] for one in bid["orders"]] == [f"{bot}n1"]


def test_the_portfolio_keeps_paper_and_live_apart(
    edge: RunningEdge, database: Database, bot: str
) -> None:
    tenant = edge.call("GET", f"/bots/{bot}", READ).json()["tenant"]
    path = f"/portfolio?tenant={tenant}"
    shown = valid(edge.call("GET", path, READ), "Portfolio")
    (live,) = [one for one in shown["parts"] if one["live"]]
    assert (live["currency"], live["gross"], live["net"]) == ("USDT", "97501.5", "-97501.5")
    # 4 - 0.75 + 0.03; today 2.5 below the start of the day.
    assert (live["result"], live["today"], live["bots"]) == ("3.28", "-2.5", 1)
    assert live["byExchange"] == [
        {"name": "okx", "result": "3.28", "gross": "97501.5", "net": "-97501.5"}
    ]
    assert live["byInstrument"][0]["name"] == SWAP
    assert edge.call("GET", "/portfolio?tenant=nobody", READ).json() == {"parts": []}
    database.execute("update bot_standing set live = false where bot_id = %s", (bot,))
    assert [one["live"] for one in edge.call("GET", path, READ).json()["parts"]] == [False]


def test_strategies_say_what_their_settings_are(edge: RunningEdge) -> None:
    listed = valid(edge.call("GET", "/strategies", READ), "ListStrategiesResponse")["strategies"]
    assert {"dca", "grid", "market_making"} <= {one["name"] for one in listed}
    shown = valid(edge.call("GET", "/strategies/grid", READ), "Strategy")
    settings = {one["name"]: one for one in shown["settings"]}
    cells = settings["cells"]
    assert (cells["type"], cells["minimum"], cells["maximum"]) == ("integer", "1", "200")
    assert (cells["required"], cells["changeable"]) == (True, False)
    assert (settings["postOnly"]["default"], settings["postOnly"]["changeable"]) == ("false", True)
    assert settings["lower"]["unit"] == "price units"
    for one in listed:
        for setting in one["settings"]:
            assert setting["description"] or setting["name"] == "complementId", setting
    assert error_of(edge.call("GET", "/strategies/martingale", READ))[:2] == (404, "NOT_FOUND")


def changed(edge: RunningEdge, bot: str, **body: Any) -> Any:
    return edge.call("PATCH", f"/bots/{bot}", MANAGE, json=body)


def test_limits_change_under_the_version_that_they_are_meant_for(
    edge: RunningEdge, database: Database, bot: str
) -> None:
    before = edge.call("GET", f"/bots/{bot}", READ)
    assert before.headers["etag"] == '"1"'
    limits = {**before.json()["limits"], "maxPosition": "8"}
    after = valid(changed(edge, bot, limits=limits, version="1"), "Bot")
    assert (after["version"], after["limits"]["maxPosition"]) == ("2", "8")
    assert after["appliedVersion"] == "1", "its engine has not taken it yet"
    reported = database.execute(
        "select what, actor, reason from bot_event where bot_id = %s order by event_seq desc",
        (bot,),
    ).fetchone()
    assert reported is not None
    assert tuple(reported.values()) == ("changed", "backend", "limits.max_position: 6 -> 8")
    # The same again changes nothing, for another version it is refused.
    assert changed(edge, bot, limits=limits).json()["version"] == "2"
    assert error_of(changed(edge, bot, limits={}, version="1"))[:2] == (409, "CONFLICT")


@pytest.mark.parametrize(
    ("verb", "command"), [("PATCH", ""), ("POST", "/start"), ("POST", "/stop")]
)
def test_what_is_meant_for_another_state_is_refused(
    edge: RunningEdge, bot: str, verb: str, command: str
) -> None:
    sent: dict[str, Any] = {} if command else {"json": {"limits": {}}}

    def requested(version: str) -> Any:
        headers = {"If-Match": version}
        return edge.call(verb, f"/bots/{bot}{command}", MANAGE, headers=headers, **sent)

    assert error_of(requested('"9"'))[:2] == (412, "CONFLICT")
    assert error_of(requested("9"))[2]["field"] == "If-Match"
    done = requested('"1"')
    assert (done.status_code, done.headers["etag"]) == (200, '"2"')


def test_setting_of_an_open_position_cannot_change(
    edge: RunningEdge, database: Database, wallet: Callable[..., str]
) -> None:
    grid = {"instrumentId": SWAP, "lower": "1", "upper": "9", "cells": 4, "orderSize": "1"}
    bot = created(edge, wallet(), config={"grid": grid})["id"]
    more = {**grid, "cells": 8}
    assert changed(edge, bot, config={"grid": more}).json()["config"]["grid"]["cells"] == 8
    database.execute("update bot set from_state = state, state = 'STARTING' where id = %s", (bot,))
    status, reason, metadata = error_of(changed(edge, bot, config={"grid": grid}))
    assert (status, reason, metadata["field"]) == (400, "INVALID_FIELD", "config.grid.cells")
    kept = changed(edge, bot, config={"grid": {**more, "postOnly": True}})
    assert kept.json()["config"]["grid"]["postOnly"] is True
    other = changed(
        edge, bot, config={"dca": {"instrumentId": SWAP, "amount": "1", "intervalS": 60}}
    )
    assert error_of(other)[2]["field"] == "config"


def test_bots_are_listed_by_exchange_and_strategy(
    edge: RunningEdge, bot: str, wallet: Callable[..., str]
) -> None:
    def listed(query: str) -> set[str]:
        return {one["id"] for one in edge.call("GET", f"/bots?{query}", READ).json()["bots"]}

    assert bot in listed("exchange=okx&strategy=market_making&pageSize=200")
    assert bot not in listed("exchange=polymarket&pageSize=200")
    assert bot not in listed("strategy=grid&pageSize=200")


@pytest.mark.parametrize("what", ["positions", "pnl", "events", "explain"])
def test_of_no_bot_there_is_no_report(edge: RunningEdge, what: str) -> None:
    assert error_of(edge.call("GET", f"/bots/{'0' * 12}/{what}"))[:2] == (404, "NOT_FOUND")
