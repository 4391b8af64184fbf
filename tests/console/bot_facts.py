"""Bots as their engine would have written them: one that quotes, one that risk has stopped."""

from __future__ import annotations

import json
import secrets
import time
from random import Random

from tests.console.world import Served
from tests.control.requests import Database

SWAP = "okx:ETH-USDT-SWAP"
_UNITS = {"price_digits": 10, "size_digits": 8, "money_digits": 8}
_SIZE, _PRICE = 10**8, 10**10


def put_bots(database: Database, served: Served) -> tuple[str, str, str]:
    """Return a demo wallet and its two bots."""
    wallet = f"wal_{secrets.token_hex(16)}"
    database.execute(
        "insert into trading_wallet (id, tenant, name, exchange, environment, account, permissions,"
        " max_order_micros, state, checked_at) values (%s, 'default', 'demo one', 'okx', 'demo',"
        " '446600123', 'read_only,trade', 1000000000, 'ACTIVE', now())",
        [wallet],
    )
    # No engine of a test takes it: nobody has credentials of it.
    database.execute(
        "insert into trading_wallet_lease values (%s, 'engine-1', 1, now() + interval '1 day')",
        [wallet],
    )
    running, stopped = (_bot(served, wallet, name) for name in ("eth maker", "eth night maker"))
    _moved(database, running, "STARTING", "RUNNING")
    _moved(database, stopped, "STARTING", "RUNNING", "RISK_STOPPED")
    _traded(database, running)
    _judged(database, served, wallet, running, stopped)
    return wallet, running, stopped


def _judged(database: Database, served: Served, wallet: str, running: str, stopped: str) -> None:
    """Limits of the wallet and what is used of them, what was reached, and an engine elsewhere."""
    body = {
        "scope": "RISK_SCOPE_WALLET", "subject": wallet,
        "limits": {"maxGross": "150000", "maxDailyLoss": "1000"},
    }  # fmt: skip
    served.world.call("PUT", "/risk/limits", json=body).raise_for_status()
    micros = 129_809 * 10**6
    database.execute(
        "insert into risk_share values (%s, %s, %s, %s, 0, %s, now())",
        [running, SWAP, SWAP, micros, micros],
    )
    database.execute("insert into risk_result values (%s, %s, now())", [running, -150 * 10**6])
    for scope, subject, limit, action, detail in (
        ("WALLET", wallet, "max_gross", "REDUCE_ONLY", "150002.1 of 150000"),
        ("BOT", stopped, "max_daily_loss", "CANCEL_AND_STOP", "201 of 200"),
    ):
        database.execute(
            "insert into risk_event (tenant, scope, subject, limit_name, action, detail)"
            " values ('default', %s, %s, %s, %s, %s)",
            [scope, subject, limit, action, detail],
        )
    # It can no exchange of a test: it takes nobody's wallet away.
    database.execute(
        "insert into bot_engine (name, incarnation, until, epoch, venues, capacity, version, bots)"
        " values ('engine-1', 'x', now() + interval '1 day', 1, '{}', 100, '0.1.0', 1)"
    )


def _bot(served: Served, wallet: str, name: str) -> str:
    body = {
        "name": name, "walletId": wallet, "instruments": [SWAP],
        "config": {"marketMaking": {
            "instrumentId": SWAP, "orderSize": str(_SIZE), "maxPosition": str(5 * _SIZE),
            "maxHalfSpread": str(100 * _PRICE), "riskAversion": "0.01", "arrivalDecay": "0.05",
        }},
        "limits": {"maxPosition": "6", "maxDailyLoss": "200", "maxOpenOrders": 4},
    }  # fmt: skip
    made: str = served.world.call("POST", "/bots", json=body).json()["id"]
    served.world.call("POST", f"/bots/{made}/start").raise_for_status()
    return made


def _moved(database: Database, bot: str, *states: str) -> None:
    for state in states:
        database.execute(
            "update bot set from_state = state, state = %s, engine = 'engine-1', reason = %s"
            " where id = %s",
            [state, "max_daily_loss: 201 of 200" if state == "RISK_STOPPED" else "", bot],
        )


def _traded(database: Database, bot: str) -> None:
    """An hour of fills on both sides, and two quotes that rest."""
    chance, mid = Random(5), 65_000  # noqa: S311
    for number in range(60):
        mid += chance.randint(-20, 20)
        side, away = ("BUY", -9) if chance.random() < 0.5 else ("SELL", 9)
        database.execute(
            "insert into bot_fill (venue, trade_id, order_id, bot_id, instrument_id, side, price,"
            " size, fee, fee_currency, maker, mid_price, traded_at) values ('okx', %s, %s, %s, %s,"
            " %s, %s, %s, -1500000, 'USDT', true, %s, now() - make_interval(mins => %s))",
            [f"t{number}", f"{bot}n0", bot, SWAP, side, (mid + away) * _PRICE, _SIZE,
             mid * _PRICE, 60 - number],
        )  # fmt: skip
    for number, slot, side, away, state in (
        (0, "bid", "BUY", 0, "FILLED"),
        (1, "bid", "BUY", -10, "OPEN"),
        (2, "ask", "SELL", 10, "OPEN"),
    ):
        database.execute(
            "insert into bot_order (order_id, bot_id, epoch, slot, instrument_id, side, price,"
            " size, state, settled, detail, created_at) values (%s, %s, 1, %s, %s, %s, %s, %s, %s,"
            " %s, %s, now() - make_interval(mins => %s))",
            [f"{bot}n{number}", bot, slot, SWAP, side, (65_000 + away) * _PRICE, _SIZE, state,
             state == "FILLED", json.dumps({"order": {"instrument": _UNITS}}), 60 - 28 * number],
        )  # fmt: skip
    held = {
        "size": 2 * _SIZE, "cost": 130_000 * _SIZE, "realised": 40 * _SIZE, "fees": -_SIZE,
        "funding": 0, "volume": 3_900_000 * _SIZE,
    }  # fmt: skip
    equity = {"result": -150 * _SIZE, "peak": 62 * _SIZE, "day_start": 0}
    said = {
        side: f"mid 65000, inventory 2 orders: 65000 is the reservation price of the {side}"
        for side in ("bid", "ask")
    }
    position = {
        "size": "2", "cost": "130000", "average_price": "65000", "mark": "64904.5", "notional":
        "129809", "unrealised": "-191", "realised": "40", "fees": "-1", "funding": "0",
        "currency": "USDT", "mark_ms": int(time.time() * 1000),
    }  # fmt: skip
    database.execute(
        "insert into bot_standing (bot_id, epoch, number, strategy, explanation, holdings, equity,"
        " positions, version) values (%s, 1, 3, '{}', %s, %s, %s, %s, 1)",
        [bot, json.dumps(said), json.dumps({SWAP: held}), json.dumps(equity),
         json.dumps({SWAP: position})],
    )  # fmt: skip
    for number in range(60):
        spread, inventory = 2 * number, chance.randint(-90, 40) - 3 * number
        database.execute(
            "insert into bot_pnl (bot_id, at, currency, realised, unrealised, fees, funding,"
            " volume, mark_age_ms, sources) values (%s, date_trunc('minute', now())"
            " - make_interval(mins => %s), 'USDT', %s, %s, -1, 0, %s, 40, %s)",
            [bot, 60 - number, spread, inventory, 65_000 * number,
             json.dumps({"spread": str(spread), "inventory": str(inventory), "fees": "1"})],
        )  # fmt: skip
