"""Every strategy in an engine for minutes: at a paper exchange on the wire, by the clock.

LIVE_SECONDS says for how long; five minutes unless told.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

import pytest

from launcher.temporary import create_database
from tests.bots.clob_world import MICROS, ClobBots, clob_bots
from tests.bots.world import Bots, BotWorld, Engine, bots, until
from tests.paper_clob.harness import NO, YES
from tests.paper_okx.raw import Rest

_log = logging.getLogger(__name__)
SECONDS = float(os.environ.get("LIVE_SECONDS", "300"))
pytestmark = [pytest.mark.long, pytest.mark.timeout(2 * SECONDS + 300)]
UNIT = 10**8
"""Of sizes and money at OKX."""
PRICE = 10**10
"""Of prices there."""
SWAP, SPOT = "okx:BTC-USDT-SWAP", "okx:BTC-USDT"
IDLE = ("arbitrage",)
"""The paper CLOB has one book of both outcomes, as the real one: no set costs less than it pays."""
AT_OKX = ("dca", "funding_arbitrage", "grid", "market_making", "signal")


@pytest.fixture(scope="module")
def at_okx(
    postgres_server: str, migrated_template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Bots]:
    url = create_database(postgres_server, template=migrated_template)
    accounts = [name.replace("_", "") for name in AT_OKX]
    with bots(url, tmp_path_factory.mktemp("live"), accounts, step_ms="200") as made:
        yield made


@pytest.fixture(scope="module")
def at_clob(
    postgres_server: str, migrated_template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ClobBots]:
    url = create_database(postgres_server, template=migrated_template)
    with clob_bots(url, tmp_path_factory.mktemp("live_clob")) as made:
        yield made


def okx_configs(last: int) -> Mapping[str, Mapping[str, Any]]:
    """Return settings of each strategy around a price in whole dollars."""
    price, step = last * PRICE, last // 5_000 * PRICE
    return {
        "dca": {
            "instrument_id": SWAP,
            "amount": last * UNIT // 100,
            "interval_s": 10,
            "max_slippage": 1_000,
            "take_profit": 100,
        },
        "funding_arbitrage": {
            "spot_id": SPOT,
            "swap_id": SWAP,
            "order_size": UNIT // 100,
            "max_position": UNIT // 10,
            "horizon_h": 8_784,
            "entry_rate": 1_000,
            "spot_fee": 1_000,
            "swap_fee": 500,
            "max_loss": 100 * UNIT,
            "max_slippage": 10_000,
        },
        "grid": {
            "instrument_id": SWAP,
            "lower": price - 10 * step,
            "upper": price + 10 * step,
            "cells": 20,
            "order_size": UNIT // 10,
            "opening_slippage": 20 * step,
        },
        "market_making": {
            "instrument_id": SWAP,
            "order_size": UNIT,
            "max_position": 5 * UNIT,
            "risk_aversion": 0.01,
            "arrival_decay": 0.05,
            "max_half_spread": PRICE,
        },
        "signal": {
            "instrument_id": SWAP,
            "position": 2 * UNIT,
            "max_slippage": 10_000,
            "max_age_ms": 60_000,
            "reverse": True,
        },
    }


CLOB_CONFIGS: Mapping[str, Mapping[str, Any]] = {
    "arbitrage": {
        "instrument_id": f"polymarket:{YES}",
        "complement_id": f"polymarket:{NO}",
        "order_size": 5 * MICROS,
        "max_sets": 20 * MICROS,
        "min_edge": 1_000,
        "taker_fee": 50_000,
        "max_loss": 5 * MICROS,
    },
    "dca": {
        "instrument_id": f"polymarket:{YES}",
        "amount": 5 * MICROS,
        "interval_s": 10,
        "max_slippage": 100_000,
        "budget": 100 * MICROS,
    },
    "grid": {
        "instrument_id": f"polymarket:{YES}",
        "lower": 450_000,
        "upper": 550_000,
        "cells": 10,
        "order_size": 5 * MICROS,
        "opening_slippage": 50_000,
    },
    "market_making": {
        "instrument_id": f"polymarket:{YES}",
        "complement_id": f"polymarket:{NO}",
        "order_size": 10 * MICROS,
        "max_position": 50 * MICROS,
        "max_half_spread": 30_000,
    },
    "signal": {
        "instrument_id": f"polymarket:{YES}",
        "position": 20 * MICROS,
        "max_slippage": 200_000,
        "max_age_ms": 60_000,
    },
}


def named(strategy: str) -> str:
    """Return the id of its bot."""
    return strategy.replace("_", "")[:12].ljust(12, "0")


def price_of(world: Bots) -> int:
    """Return the swap's last price in whole dollars."""
    rest = Rest(world.okx, "dca")
    with rest.http:
        (row,) = rest.get("market/ticker?instId=BTC-USDT-SWAP")["data"]
    return int(Decimal(row["last"]))


def reported(world: BotWorld, instrument: str, number: int) -> None:
    """Tell a signal: up, down and neither in turn."""
    world.rows(
        "insert into bot_signal (tenant, id, instrument_id, direction, confidence, made_at,"
        " expires_at, actor) values ('default', %s, %s, %s, 800000, clock_timestamp(),"
        " clock_timestamp() + interval '1 minute', 'x')",
        f"s{number}", instrument, (1, -1, 0)[number % 3],
    )  # fmt: skip


def lived(world: BotWorld, engine: Engine, strategies: tuple[str, ...], instrument: str) -> None:
    """Let bots trade for the time; see that each fills, explains itself, and ends by a wish."""
    end, number = time.monotonic() + SECONDS, 0
    for one in strategies:
        until(lambda one=one: world.state(named(one))[0] == "RUNNING", f"{one} to run")  # type: ignore[misc]
    while time.monotonic() < end:
        reported(world, instrument, number)
        number += 1
        if isinstance(world, ClobBots):
            world.prints()
        time.sleep(5)
        for one in strategies:
            state, reason = world.state(named(one))
            assert state == "RUNNING", f"{one}: {reason}"
        assert not engine.ended
    for one in strategies:
        ((fills,),) = world.rows("select count(*) from bot_fill where bot_id = %s", named(one))
        ((why,),) = world.rows("select explanation from bot_standing where bot_id = %s", named(one))
        _log.info("%s: %d fills; %s", one, fills, why)
        assert (fills > 0) != (one in IDLE), f"{one}: {why}"
        assert why, one
        world.command(named(one), "STOPPED")
    for one in strategies:
        until(lambda one=one: world.state(named(one))[0] == "STOPPED", f"{one} to end")  # type: ignore[misc]
    assert world.rows("select order_id from bot_order where not settled") == []
    log = engine.log.read_text()
    assert "a bot failed" not in log
    assert "wallet failed" not in log


def test_each_trades_at_okx_for_minutes(at_okx: Bots) -> None:
    at_okx.okx.notify("/funding", instId="BTC-USDT-SWAP", rate="0.0005")
    for name, config in okx_configs(price_of(at_okx)).items():
        account = name.replace("_", "")
        at_okx.bot(
            named(name), strategy=name, config=config, wallet=at_okx.wallets[account],
            limits={"max_position": "50"},
        )  # fmt: skip
    engine = at_okx.engine()
    engine.start()
    try:
        lived(at_okx, engine, AT_OKX, SWAP)
        assert at_okx.okx.conserved()
    finally:
        engine.stop()


def test_each_trades_at_polymarket_for_minutes(at_clob: ClobBots) -> None:
    for name, config in CLOB_CONFIGS.items():
        at_clob.made(named(name), config, {"max_position": "200"}, strategy=name)
    engine = at_clob.engine()
    engine.start()
    try:
        lived(at_clob, engine, tuple(CLOB_CONFIGS), f"polymarket:{YES}")
        until(lambda: at_clob.held() == at_clob.booked(), "the same books")
    finally:
        engine.stop()
