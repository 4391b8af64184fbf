"""Test bots over REST and by `tt`: what people make and want, and what an engine has written."""

from __future__ import annotations

import contextlib
import json
import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from jsonschema import Draft202012Validator

from cli.engine import Engine
from cli.mcp import bots as assistants
from cli.places import Place
from services.bots.core.risk import RiskLimits
from tests.cli.world import call, fits
from tests.control.edge import MANAGE, READ, RunningEdge
from tests.control.requests import Database, error_of
from tools.openapi.__main__ import DOCUMENT
from tools.openapi.examples import EXAMPLES
from tradingtools.domain.bot_states import TRANSITIONS, BotState
from tradingtools.domain.strategies import CONFIGS
from tradingtools.v1 import bot_service_pb2 as pb

SCHEMAS = json.loads(DOCUMENT.read_text(encoding="utf-8"))["components"]["schemas"]
SWAP, SPOT = "okx:BTC-USDT-SWAP", "okx:BTC-USDT"
UNITS = {"price_digits": 10, "size_digits": 8, "money_digits": 8}
COMMANDS = ("start", "stop", "pause", "resume")


@pytest.fixture
def wallet(database: Database) -> Callable[..., str]:
    """Adds wallets as the signer would."""

    def add(**more: str) -> str:
        values = {
            "id": f"wal_{secrets.token_hex(16)}", "tenant": "default", "exchange": "okx",
            "state": "ACTIVE", **more,
        }  # fmt: skip
        database.execute(
            "insert into trading_wallet (id, tenant, name, exchange, environment, account,"
            " permissions, max_order_micros, state)"
            " values (%(id)s, %(tenant)s, %(id)s, %(exchange)s, 'live', %(id)s, 'trade', 1,"
            " %(state)s)",
            values,
        )
        return values["id"]

    return add


def body(wallet: str, **more: Any) -> dict[str, Any]:
    return {
        **EXAMPLES["CreateBot"], "walletId": wallet, "name": f"n-{secrets.token_hex(4)}", **more,
    }  # fmt: skip


def config(**more: Any) -> dict[str, Any]:
    return {"marketMaking": {**EXAMPLES["CreateBot"]["config"]["marketMaking"], **more}}


def valid(answer: httpx.Response, schema: str, status: int = 200) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    found: dict[str, Any] = answer.json()
    components = {"components": {"schemas": SCHEMAS}}
    Draft202012Validator({"$ref": f"#/components/schemas/{schema}", **components}).validate(found)
    return found


def created(edge: RunningEdge, wallet: str, **more: Any) -> dict[str, Any]:
    return valid(edge.call("POST", "/bots", json=body(wallet, **more)), "Bot", 201)


def moved(database: Database, bot: str, *path: str, reason: str = "") -> None:
    """Move a bot as its engine would."""
    for state in path:
        database.execute(
            "update bot set from_state = state, state = %s, reason = %s where id = %s",
            (state, reason, bot),
        )


def commanded(edge: RunningEdge, bot: str, command: str, **sent: str) -> httpx.Response:
    more: dict[str, Any] = {"json": sent} if command == "resume" else {}
    return edge.call("POST", f"/bots/{bot}/{command}", **more)


def told(database: Database, bot: str) -> list[tuple[str, str, str]]:
    rows = database.execute(
        "select what, actor, reason from bot_event where bot_id = %s order by event_seq", (bot,)
    )
    return [(row["what"], row["actor"], row["reason"]) for row in rows.fetchall()]


def test_a_bot_is_created_whole_and_listed(
    edge: RunningEdge, database: Database, wallet: Callable[..., str]
) -> None:
    mine = wallet()
    first, second = created(edge, mine), created(edge, mine)
    assert (first["state"], first["desired"]) == ("BOT_STATE_IDLE", "BOT_STATE_IDLE")
    assert first["limits"] == EXAMPLES["CreateBot"]["limits"]
    # Defaults are written down: another version with others changes no bot.
    assert first["config"]["marketMaking"]["horizonS"] == "60"
    assert (first["slots"], first["holdings"], "equity" in first) == ([], [], False)
    row = database.execute("select * from bot where id = %s", (first["id"],)).fetchone()
    assert row is not None
    assert row["config"]["order_size"] == 100_000_000
    assert row["config"]["risk_aversion"] == 0.01
    assert row["limits"] == {
        "max_position": "6", "max_daily_loss": "200", "max_orders_per_minute": "600",
    }  # fmt: skip
    assert told(database, first["id"]) == [("created", "backend", "")]
    assert valid(edge.call("GET", f"/bots/{first['id']}", READ), "Bot") == first
    page = valid(edge.call("GET", f"/bots?walletId={mine}&pageSize=1", READ), "ListBotsResponse")
    more = edge.call("GET", f"/bots?walletId={mine}&pageToken={page['nextPageToken']}", READ).json()
    assert [*page["bots"], *more["bots"]] == [first, second]
    assert edge.call("GET", f"/bots?walletId={mine}&state=BOT_STATE_RUNNING").json()["bots"] == []


def test_every_strategy_of_the_contract_is_told_as_it_was_asked(
    edge: RunningEdge, wallet: Callable[..., str]
) -> None:
    mine = wallet()
    grid = {"instrumentId": SWAP, "lower": "5", "upper": "9", "cells": 4, "orderSize": "1"}
    shown = created(edge, mine, config={"grid": grid})
    assert shown["strategy"] == "grid"
    assert shown["config"] == {"grid": {**grid, "postOnly": False, "openingSlippage": "0"}}
    dca = {"instrumentId": SWAP, "amount": "7", "intervalS": 60, "budget": "70",
           "finishWhen": "BUDGET"}  # fmt: skip
    shown = created(edge, mine, config={"dca": dca})
    assert shown["config"] == {"dca": {**dca, "maxSlippage": 1000}}
    signal = {"instrumentId": SWAP, "position": "5", "minConfidence": 0, "halfLifeS": 30}
    shown = created(edge, mine, config={"signal": signal})
    assert shown["config"]["signal"].items() >= {**signal, "maxAgeMs": 10_000}.items()
    carry = {"spotId": SPOT, "swapId": SWAP, "orderSize": "5", "maxPosition": "9", "spotFee": 0,
             "entryRate": 0, "exitRate": -5, "swapFee": 7, "maxLoss": "1"}  # fmt: skip
    shown = created(edge, mine, config={"fundingArbitrage": carry}, instruments=[SWAP, SPOT])
    assert shown["config"]["fundingArbitrage"].items() >= {**carry, "horizonH": 168}.items()
    for wrong, field in (
        ({"fundingArbitrage": {**carry, "exitRate": 1}}, "config.fundingArbitrage.exitRate"),
        ({"fundingArbitrage": {**carry, "spotFee": None}}, "config.fundingArbitrage.spotFee"),
        ({"signal": {**signal, "minConfidence": 1_000_001}}, "config.signal.minConfidence"),
        ({"grid": {**grid, "upper": "4"}}, "config.grid.upper"),
        ({"dca": {**dca, "finishWhen": "SOLD"}}, "config.dca.takeProfit"),
        ({"dca": {**dca, "finishWhen": "x"}}, "config.dca.finishWhen"),
        ({"dca": {**dca, "instrumentId": "okx:X"}}, "config.dca.instrumentId"),
    ):
        answer = error_of(edge.call("POST", "/bots", json=body(mine, config=wrong)))
        assert (answer[1], answer[2]["field"]) == ("INVALID_FIELD", field)


def test_what_does_not_fit_is_named(edge: RunningEdge, wallet: Callable[..., str]) -> None:
    mine = wallet()
    good = body(mine)
    for change, field in (
        ({"config": {}}, "config"),
        ({"config": config(orderSize=0)}, "config.marketMaking.orderSize"),
        ({"config": config(riskAversion="0")}, "config.marketMaking.riskAversion"),
        ({"config": config(riskAversion="x")}, "config.marketMaking.riskAversion"),
        ({"config": config(toxicImbalance="1.5")}, "config.marketMaking.toxicImbalance"),
        ({"config": config(minHalfSpread=2 * 10**12)}, "config.marketMaking.maxHalfSpread"),
        ({"config": config(instrumentId="okx:X")}, "config.marketMaking.instrumentId"),
        ({"config": config(complementId=SWAP)}, "config.marketMaking.complementId"),
        ({"limits": {"maxDailyLoss": "-1"}}, "limits.maxDailyLoss"),
        ({"instruments": []}, "instruments"),
        ({"instruments": [SWAP, SWAP]}, "instruments"),
        ({"instruments": [SWAP, "polymarket:1"]}, "instruments[1]"),
        ({"name": ""}, "name"),
    ):
        status, reason, metadata = error_of(edge.call("POST", "/bots", json={**good, **change}))
        assert (status, reason) == (400, "INVALID_FIELD"), change
        assert metadata["field"].startswith(field), (change, metadata)
    answer = edge.call("POST", "/bots", json={**good, "config": config(orderSizes=1)})
    assert error_of(answer)[1:] == ("UNKNOWN_FIELD", {"field": "config.marketMaking.orderSizes"})


def test_wallets_of_others_and_retired_ones_are_refused(
    edge: RunningEdge, wallet: Callable[..., str]
) -> None:
    others = wallet(tenant="others")
    for missing in (others, "wal_" + "0" * 32):
        answer = edge.call("POST", "/bots", json=body(missing))
        assert error_of(answer)[:2] == (404, "NOT_FOUND")
    answer = edge.call("POST", "/bots", json=body(wallet(state="RETIRED")))
    assert error_of(answer)[:2] == (400, "WRONG_STATE")
    assert created(edge, others, tenant="others")["tenant"] == "others"


def test_a_key_makes_one_bot_and_a_name_is_taken_once(
    edge: RunningEdge, database: Database, wallet: Callable[..., str]
) -> None:
    requested, headers = body(wallet()), {"Idempotency-Key": secrets.token_hex(8)}
    with ThreadPoolExecutor(4) as pool:
        answers = list(
            pool.map(
                lambda _: edge.call("POST", "/bots", json=requested, headers=headers), range(4)
            )
        )
    assert {answer.status_code for answer in answers} == {201}
    (bot,) = {answer.json()["id"] for answer in answers}
    assert told(database, bot) == [("created", "backend", "")]
    other = edge.call("POST", "/bots", json={**requested, "name": "other"}, headers=headers)
    assert error_of(other)[1] == "REQUEST_ID_REUSED"
    assert error_of(edge.call("POST", "/bots", json=requested))[:2] == (409, "CONFLICT")


def test_a_person_wants_and_the_state_is_left_to_the_engine(
    edge: RunningEdge, database: Database, wallet: Callable[..., str]
) -> None:
    bot = created(edge, wallet())["id"]
    assert error_of(commanded(edge, bot, "pause"))[:2] == (400, "WRONG_STATE")
    assert error_of(commanded(edge, bot, "resume"))[:2] == (400, "WRONG_STATE")
    for _ in range(2):
        started = valid(commanded(edge, bot, "start"), "Bot")
        assert (started["state"], started["desired"]) == ("BOT_STATE_IDLE", "BOT_STATE_RUNNING")
    moved(database, bot, "STARTING", "RUNNING")
    assert commanded(edge, bot, "pause").json()["desired"] == "BOT_STATE_PAUSED"
    moved(database, bot, "PAUSING", "PAUSED")
    assert error_of(commanded(edge, bot, "start"))[:2] == (400, "WRONG_STATE")
    assert commanded(edge, bot, "resume").json()["desired"] == "BOT_STATE_RUNNING"
    assert commanded(edge, bot, "stop").json()["desired"] == "BOT_STATE_STOPPED"
    assert told(database, bot) == [
        (what, "backend", "") for what in ("created", "started", "paused", "resumed", "stopped")
    ]
    assert error_of(commanded(edge, "0" * 12, "start"))[:2] == (404, "NOT_FOUND")
    assert error_of(edge.call("POST", f"/bots/{bot}/stop", READ))[0] == 403


def test_what_risk_stopped_is_resumed_by_a_person_with_a_reason(
    edge: RunningEdge, database: Database, wallet: Callable[..., str]
) -> None:
    bot = created(edge, wallet())["id"]
    commanded(edge, bot, "start")
    moved(database, bot, "STARTING", "RUNNING")
    moved(database, bot, "RISK_STOPPED", reason="max_daily_loss: 201 of 200")
    shown = valid(edge.call("GET", f"/bots/{bot}"), "Bot")
    assert (shown["state"], shown["reason"]) == (
        "BOT_STATE_RISK_STOPPED", "max_daily_loss: 201 of 200",
    )  # fmt: skip
    assert error_of(commanded(edge, bot, "start"))[:2] == (400, "WRONG_STATE")
    for empty in ({}, {"reason": ""}):
        status, reason, metadata = error_of(commanded(edge, bot, "resume", **empty))
        assert (status, reason, metadata["field"]) == (400, "INVALID_FIELD", "reason")
    assert told(database, bot)[-1][0] == "started"
    resumed = valid(commanded(edge, bot, "resume", reason="a wrong mark"), "Bot")
    assert (resumed["state"], resumed["reason"]) == ("BOT_STATE_STARTING", "")
    assert told(database, bot)[-1] == ("resumed", "backend", "a wrong mark")
    moved(database, bot, "ERROR")
    assert commanded(edge, bot, "start").json()["state"] == "BOT_STATE_STARTING"


@pytest.mark.parametrize("state", BotState)
def test_no_command_leaves_the_table_of_states(
    edge: RunningEdge, database: Database, wallet: Callable[..., str], state: BotState
) -> None:
    bot = created(edge, wallet())["id"]
    entered = next(source for source, target in TRANSITIONS if target is state)
    with database.transaction():
        database.execute("alter table bot disable trigger bot_state_follows")
        database.execute(
            "update bot set from_state = %s, state = %s where id = %s",
            (entered or "", state, bot),
        )
        database.execute("alter table bot enable trigger bot_state_follows")
    for command in COMMANDS:
        answer = commanded(edge, bot, command, **({"reason": "why"} if command == "resume" else {}))
        assert answer.status_code == 200 or error_of(answer)[1] == "WRONG_STATE", answer.text


def written(database: psycopg.Connection[Any], bot: str) -> None:
    """Write two orders, two fills and a standing as an engine would."""
    for number in (1, 2):
        database.execute(
            "insert into bot_order (order_id, bot_id, epoch, slot, instrument_id, side, price,"
            " size, filled, state, pending, settled, detail) values (%s, %s, 1, 'bid', %s, 'BUY',"
            " %s, 150000000, %s, %s, 'NONE', %s, %s)",
            (
                f"{bot}n{number}", bot, SWAP, 650_005 * 10**9, 150_000_000 * (number - 1),
                ("OPEN", "FILLED")[number - 1], number == 2,
                json.dumps({"order": {"instrument": UNITS}}),
            ),
        )  # fmt: skip
        database.execute(
            "insert into bot_fill (venue, trade_id, order_id, bot_id, instrument_id, side, price,"
            " size, fee, fee_currency, maker, mid_price, traded_at) values ('okx', %s, %s, %s, %s,"
            " 'BUY', %s, 75000000, -1500000, 'USDT', true, %s, now())",
            (
                f"t{number}", f"{bot}n2", bot, SWAP, 650_005 * 10**9,
                (None, 65_001 * 10**10)[number - 1],
            ),
        )  # fmt: skip
    held = {
        "size": -150_000_000, "cost": 9_750_075_000_000, "realised": 0, "fees": -3_000_000,
        "funding": 0, "volume": 9_750_075_000_000,
    }  # fmt: skip
    database.execute(
        "insert into bot_standing (bot_id, epoch, number, strategy, explanation, holdings, equity)"
        " values (%s, 1, 3, '{}', %s, %s, %s)",
        (
            bot, json.dumps({"bid": "65000 is the reservation price", "ask": "nothing to sell"}),
            json.dumps({SWAP: held}),
            json.dumps({"result": -250_000_000, "peak": 10**8, "day_start": 0}),
        ),
    )  # fmt: skip


def test_orders_fills_and_standing_are_decimals(
    edge: RunningEdge, database: Database, wallet: Callable[..., str]
) -> None:
    bot = created(edge, wallet())["id"]
    written(database, bot)
    shown = valid(edge.call("GET", f"/bots/{bot}", READ), "Bot")
    assert [one["slot"] for one in shown["slots"]] == ["ask", "bid"]
    assert shown["slots"][1]["explanation"] == "65000 is the reservation price"
    assert shown["holdings"] == [
        {"instrumentId": SWAP, "size": "-1.5", "cost": "97500.75", "realised": "0",
         "fees": "-0.03", "funding": "0", "volume": "97500.75"}
    ]  # fmt: skip
    assert shown["equity"] == {"result": "-2.5", "peak": "1", "dayStart": "0"}
    path = f"/bots/{bot}/orders"
    page = valid(edge.call("GET", f"{path}?pageSize=1", READ), "ListBotOrdersResponse")
    more = edge.call("GET", f"{path}?pageToken={page['nextPageToken']}", READ).json()
    both = [*page["orders"], *more["orders"]]
    assert [(one["id"], one["filled"]) for one in both] == [(f"{bot}n2", "1.5"), (f"{bot}n1", "0")]
    assert (both[0]["price"], both[0]["side"], both[0]["pending"]) == ("65000.5", "SIDE_BUY", "")
    resting = edge.call("GET", f"{path}?unsettled=true", READ).json()["orders"]
    assert [one["id"] for one in resting] == [f"{bot}n1"]
    path = f"/bots/{bot}/fills"
    page = valid(edge.call("GET", f"{path}?pageSize=1", READ), "ListBotFillsResponse")
    more = edge.call("GET", f"{path}?pageToken={page['nextPageToken']}", READ).json()
    first, second = page["fills"] + more["fills"]
    assert (first["tradeId"], first["size"], first["fee"], first["midPrice"]) == (
        "t2", "0.75", "-0.015", "65001",
    )  # fmt: skip
    assert "midPrice" not in second
    assert more["nextPageToken"] == ""
    for one in ("orders", "fills"):
        assert error_of(edge.call("GET", f"/bots/{'0' * 12}/{one}"))[:2] == (404, "NOT_FOUND")


def reported(database: psycopg.Connection[Any], bot: str) -> None:
    """Write a position and a point of a series as an engine would."""
    position = {
        "size": "-1.5", "cost": "97500.75", "realised": "4", "fees": "-0.03", "funding": "0",
        "currency": "USDT", "average_price": "65000.5", "mark": "65001", "notional": "-97501.5",
        "unrealised": "-0.75", "mark_ms": 1_764_000_000_000,
    }  # fmt: skip
    database.execute(
        "update bot_standing set positions = %s where bot_id = %s",
        (json.dumps({SWAP: position}), bot),
    )
    database.execute(
        "insert into bot_pnl (bot_id, at, currency, realised, fees, funding, volume)"
        " values (%s, now(), 'USDT', 4, 0, 0, 1)", (bot,),
    )  # fmt: skip


def test_the_contract_has_the_fields_that_engines_read() -> None:
    for strategy in pb.BotConfig.DESCRIPTOR.fields:
        names = {field.name for field in fields(CONFIGS[strategy.name])}
        assert strategy.message_type is not None
        assert {field.name for field in strategy.message_type.fields} == names
    limits = {field.name for field in fields(RiskLimits)}
    assert {field.name for field in pb.BotLimits.DESCRIPTOR.fields} == limits
    states = {value.name.removeprefix("BOT_STATE_") for value in pb.BotState.DESCRIPTOR.values}
    assert states == {*BotState, "UNSPECIFIED"}


def test_tt_does_all_of_it(
    edge: RunningEdge, database: Database, wallet: Callable[..., str], tmp_path: Path
) -> None:
    # Of its own: other tests have written what the portfolio of all tenants sums.
    tenant = f"t-{secrets.token_hex(4)}"
    mine, file = wallet(tenant=tenant), tmp_path / "bot.json"
    file.write_text(
        json.dumps({key: EXAMPLES["CreateBot"][key] for key in ("config", "instruments", "limits")})
    )

    def as_json(*arguments: str, status: int = 0) -> Any:
        said = call(*arguments, "--json", environ={"TT_URL": edge.url, "TT_TOKEN": MANAGE})
        assert said.status == status, said
        if status == 0:
            fits(said.json, *(arguments[:1] if arguments[0] == "portfolio" else arguments[:2]))
        return said.json if status == 0 else said

    bot = as_json("bots", "create", "by tt", "-w", mine, "-f", str(file), "--tenant", tenant)["id"]
    assert [one["id"] for one in as_json("bots", "list", "-w", mine)] == [bot]
    assert as_json("bots", "start", bot, "--yes")["desired"] == "BOT_STATE_RUNNING"
    moved(database, bot, "STARTING", "RUNNING")
    assert as_json("bots", "list", "-w", mine, "--state", "running") == [
        as_json("bots", "show", bot)
    ]
    assert as_json("bots", "pause", bot)["desired"] == "BOT_STATE_PAUSED"
    moved(database, bot, "PAUSING", "PAUSED")
    assert as_json("bots", "resume", bot, "--yes")["desired"] == "BOT_STATE_RUNNING"
    assert as_json("bots", "stop", bot)["desired"] == "BOT_STATE_STOPPED"
    written(database, bot)
    assert len(as_json("bots", "orders", bot)) == 2
    assert len(as_json("bots", "orders", bot, "--unsettled")) == 1
    assert len(as_json("bots", "fills", bot)) == 2
    environ = {"TT_URL": edge.url, "TT_TOKEN": MANAGE}
    assert "holds -1.5" in call("bots", "show", bot, environ=environ).out
    assert "65000.5" in call("bots", "fills", bot, environ=environ).out
    file.write_text(json.dumps({"limits": {"maxPosition": "9"}}))
    edited = as_json("bots", "edit", bot, "-f", str(file), "--yes")
    assert edited["limits"] == {"maxPosition": "9"}
    as_json("bots", "edit", bot, "-f", str(file), "--yes", "--version", "1", status=5)
    reported(database, bot)
    assert as_json("bots", "positions", bot)[0]["unrealised"] == "-0.75"
    assert as_json("bots", "pnl", bot, "--step", "day")[0]["realised"] == "4"
    as_json("bots", "pnl", bot, "--step", "year", status=2)
    assert [one["slot"] for one in as_json("bots", "explain", bot)["reasons"]] == ["ask", "bid"]
    assert as_json("bots", "events", bot) == []
    assert as_json("bots", "list", "-w", mine, "--exchange", "polymarket") == []
    assert "-97501.5" in json.dumps(as_json("portfolio", "--tenant", tenant))
    assert "grid" in [one["name"] for one in as_json("strategies", "list")]
    assert as_json("strategies", "show", "grid")["configKey"] == "grid"
    assert "millionths" in call("strategies", "show", "dca", environ=environ).out
    assert "reservation price" in call("bots", "explain", bot, environ=environ).out
    file.write_text("[]")
    as_json("bots", "create", "x", "-w", mine, "-f", str(file), status=2)


def test_a_signal_is_kept_once_and_listed(edge: RunningEdge, database: Database) -> None:
    instrument = f"okx:{secrets.token_hex(4)}"
    requested = {
        "id": secrets.token_hex(8), "instrumentId": instrument,
        "direction": "SIGNAL_DIRECTION_DOWN", "confidence": "0.65",
    }  # fmt: skip
    first = valid(edge.call("POST", "/signals", MANAGE, json=requested), "Signal", 201)
    again = valid(edge.call("POST", "/signals", MANAGE, json=requested), "Signal", 201)
    assert again == first
    assert (first["confidence"], first["tenant"]) == ("0.65", "default")
    row = database.execute(
        "select direction, confidence, actor, expires_at - made_at = interval '1 day'"
        " from bot_signal where id = %s",
        (requested["id"],),
    ).fetchone()
    assert row is not None
    assert list(row.values()) == [-1, 650_000, "backend", True]
    other = edge.call("POST", "/signals", MANAGE, json={**requested, "confidence": "0.7"})
    assert error_of(other)[:2] == (409, "CONFLICT")
    # Another tenant's is another one.
    second = edge.call("POST", "/signals", MANAGE, json={**requested, "tenant": "desk"})
    path = f"/signals?instrumentId={instrument}&pageSize=1"
    page = valid(edge.call("GET", path, READ), "ListSignalsResponse")
    more = edge.call("GET", f"{path}&pageToken={page['nextPageToken']}", READ).json()
    assert [*page["signals"], *more["signals"]] == [second.json(), first]


def test_a_signal_that_does_not_fit_is_refused(edge: RunningEdge) -> None:
    good = {
        "id": secrets.token_hex(8), "instrumentId": SWAP, "direction": "SIGNAL_DIRECTION_UP",
        "confidence": "1",
    }  # fmt: skip
    for change, field in (
        ({"madeAt": "2020-01-01T00:00:00Z"}, "madeAt"),
        ({"madeAt": "2999-01-01T00:00:00Z"}, "madeAt"),
        ({"expiresAt": "2020-01-01T00:00:00Z"}, "expiresAt"),
        ({"expiresAt": "2999-01-01T00:00:00Z"}, "expiresAt"),
        ({"confidence": "1.1"}, "confidence"),
        ({"direction": "SIGNAL_DIRECTION_UNSPECIFIED"}, "direction"),
        ({"id": ""}, "id"),
        ({"instrumentId": "BTC"}, "instrumentId"),
    ):
        status, reason, metadata = error_of(
            edge.call("POST", "/signals", MANAGE, json={**good, **change})
        )
        assert (status, reason, metadata["field"]) == (400, "INVALID_FIELD", field)
    assert edge.call("POST", "/signals", READ, json=good).status_code == 403


def test_operator_settles_an_order_and_explains_a_position(
    edge: RunningEdge, database: Database, wallet: Callable[..., str]
) -> None:
    mine = wallet()
    bot = created(edge, mine)["id"]
    units = {"price_digits": 1, "size_digits": 2, "money_digits": 8, "tick_size": 2}
    for name, state in (("dead1", "DEAD"), ("open1", "OPEN"), ("dead2", "DEAD")):
        spends = name == "dead2"
        database.execute(
            "insert into bot_order (order_id, bot_id, epoch, slot, instrument_id, side, price,"
            " size, filled, state, detail)"
            " values (%s, %s, 1, 'a', %s, 'BUY', 10, 500, 100, %s, %s)",
            (
                name,
                bot,
                SWAP,
                state,
                json.dumps({"order": {"instrument": units}, "spends": spends}),
            ),
        )
    path = f"/bots/{bot}/settle-order"

    def settled(order: str, filled: str, reason: str = "a statement") -> httpx.Response:
        body = {"orderId": order, "filled": filled, "reason": reason}
        return edge.call("POST", path, json=body)

    for wrong in (settled("dead1", "0.99"), settled("dead1", "5.01"), settled("dead1", "1.001")):
        assert error_of(wrong)[:2] == (400, "INVALID_FIELD")
    # It spends the money of 5 at 10 units of price; for that there are 25 at the least price of 2.
    assert error_of(settled("dead2", "25.01"))[:2] == (400, "INVALID_FIELD")
    assert settled("dead2", "25").status_code == 200
    database.execute("delete from bot_order_settlement where order_id = 'dead2'")
    assert error_of(settled("open1", "1"))[:2] == (400, "WRONG_STATE")
    assert settled("none1", "1").status_code == 404
    assert settled("dead1", "1", reason="").status_code == 400
    shown = valid(settled("dead1", "2.5"), "BotOrder")
    # The engine books it: until then it stands where it stood.
    assert (shown["id"], shown["state"], shown["settled"]) == ("dead1", "DEAD", False)
    row = database.execute("select filled, actor, done_at from bot_order_settlement").fetchone()
    assert row is not None
    assert (row["filled"], row["actor"], row["done_at"]) == (250, "backend", None)
    assert told(database, bot)[-1] == ("order_settled", "backend", "dead1: 2.5: a statement")

    where = {"instrumentId": SWAP, "reason": "sold by hand"}
    path = f"/bots/{bot}/explain-position"
    assert edge.call("POST", path, json=where).status_code == 404
    database.execute("insert into position_gap values (%s, %s, 10, 4, 6)", (mine, SWAP))
    answer = valid(edge.call("POST", path, json=where), "ExplainBotPositionResponse")
    assert answer == {"instrumentId": SWAP}
    row = database.execute("select explained from position_gap").fetchone()
    assert row is not None
    assert row["explained"]
    assert told(database, bot)[-1][0] == "position_explained"

    def as_json(*arguments: str) -> Any:
        said = call(*arguments, "--json", environ={"TT_URL": edge.url, "TT_TOKEN": MANAGE})
        fits(said.json, *arguments[:2])
        return said.json

    why = ("--reason", "a statement", "--yes")
    assert as_json("bots", "settle", bot, "dead1", "--filled", "3", *why)["id"] == "dead1"
    row = database.execute("select filled from bot_order_settlement").fetchone()
    assert row is not None
    assert row["filled"] == 300
    assert as_json("bots", "explain-position", bot, SWAP, *why) == {"instrumentId": SWAP}


def test_assistants_read_bots_as_strategies(
    edge: RunningEdge, database: Database, wallet: Callable[..., str]
) -> None:
    bot = created(edge, wallet())["id"]
    written(database, bot)
    reported(database, bot)
    engine = Engine(Place(name="test", url=edge.url, token=READ))
    with contextlib.closing(engine):
        _read_as_strategies(engine, bot)


def _read_as_strategies(engine: Engine, bot: str) -> None:

    def record(answer: Any) -> dict[str, Any]:
        found: dict[str, Any] = answer.structured_content["record"]
        return found

    rows, page = [], ""
    while True:
        found = assistants.listed(engine, 50, page).structured_content
        assert found is not None
        rows += found["rows"]
        page = found["next_page"]
        if not page:
            break
    (mine,) = [one for one in rows if one["id"] == bot]
    assert (mine["kind"], mine["state"], mine["result"]) == ("bot", "IDLE", "-2.5")
    shown = record(assistants.shown(engine, bot))
    assert shown["positions"][0]["unrealised"] == "-0.75"
    orders = assistants.orders(engine, bot, "FILLED", 20, "").structured_content
    assert orders is not None
    assert [one["state"] for one in orders["rows"]] == ["FILLED"]
    points = record(assistants.performance(engine, bot, "1h", 1))["pointsNewestFirst"]
    assert [one["realised"] for one in points] == ["4"]
