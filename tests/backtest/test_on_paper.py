"""The lines of the table against the cores of the paper exchanges, accelerated.

The bot is the one that a backtest runs; admission, margin, matching, settlement and ledger are the
exchanges' own. What a ledger has in the end is what the bot believes.
"""

from __future__ import annotations

import re
from decimal import Decimal

import pytest

from backtest.exchange import Exchange
from backtest.run import CAPABILITIES, Assumptions, Backtest, Outcome
from services.bots.core.risk import RiskLimits
from services.bots.strategies.registry import KINDS, strategy
from tests.backtest.markets import START, Case, case
from tests.backtest.paper_account import PaperAccount
from tests.backtest.paper_clob_account import ABLE, PaperClobAccount
from tests.bots import test_strategies_live
from tools.strategy_tables import modes
from tradingtools.domain.bot_states import BotState
from tradingtools.domain.instrument import InstrumentKind
from tradingtools.venues.trading import TradingCapabilities

OKX, POLYMARKET = ("okx",), ("polymarket",)
PLACES = [
    (name, place)
    for name in sorted(KINDS)
    for place in KINDS[name].venues
    if "paper" in modes(place)
]
IDS = [f"{name} at {' and '.join(place)}" for name, place in PLACES]
IDLE = {"arbitrage"}
"""The exchange has one book of both outcomes: no set costs less than it pays."""


def played(
    name: str, one: Case, exchange: Exchange, able: TradingCapabilities
) -> tuple[Outcome, Backtest]:
    test = Backtest(
        strategy(name),
        one.config,
        {it.id: it for it in one.instruments},
        limits=RiskLimits(max_position=one.most, max_orders_per_minute=3_000),
        assumptions=Assumptions(capabilities=able),
        exchange=exchange,
    )
    outcome = test.run(one.tape)
    assert test.bot.failure is None
    assert (test.bot.life, outcome.breaches) == (BotState.RUNNING, ())
    assert bool(outcome.fills) == (name not in IDLE)
    said = dict(outcome.explained)
    for slot in one.slots:
        assert re.search(r"\d", said[slot]), (slot, said[slot])
    return outcome, test


def at_okx(name: str, seconds: int) -> None:
    one = case(name, OKX, seconds)
    account = PaperAccount(one.instruments, START)
    outcome, test = played(name, one, account, CAPABILITIES)

    for it in one.instruments:
        held = test.bot.view(0).holding(it.id)
        if it.kind is InstrumentKind.SPOT:
            # The bot rounds each fee up.
            coins = Decimal(held.size) / 10**it.size_digits
            most = Decimal(len(outcome.fills)) / 10**it.size_digits
            assert abs(account.coins(it.base) - coins) <= most
        else:
            assert account.position(it) == held.size
    if len(one.instruments) == 1:
        # The ledger has what the bot believes to have made; each rounds a fill once.
        believed = Decimal(outcome.made - outcome.funding) / 10**8
        assert abs(account.gained() - believed) <= Decimal(3 * len(outcome.fills)) / 10**8


def at_polymarket(name: str, seconds: int) -> None:
    one = case(name, POLYMARKET, seconds)
    account = PaperClobAccount(one.instruments)
    outcome, test = played(name, one, account, ABLE)

    cost = 0
    for it in one.instruments:
        held = test.bot.view(0).holding(it.id)
        assert account.shares(it) == held.size
        cost += held.cost
    assert abs(account.gained() - (outcome.made - cost)) <= 2 * len(outcome.fills)


def on_paper(name: str, place: tuple[str, ...], seconds: int) -> None:
    """Run a strategy, and compare what it believes with the exchange's ledger."""
    (at_okx if place == OKX else at_polymarket)(name, seconds)


@pytest.mark.parametrize(("name", "place"), PLACES, ids=IDS)
def test_a_strategy_trades_on_paper(name: str, place: tuple[str, ...]) -> None:
    on_paper(name, place, 120)


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize(("name", "place"), PLACES, ids=IDS)
def test_a_strategy_trades_on_paper_for_an_hour(name: str, place: tuple[str, ...]) -> None:
    on_paper(name, place, 3_600)


def test_the_live_form_has_every_line_of_the_table() -> None:
    assert [name for name, place in PLACES if place == OKX] == list(test_strategies_live.AT_OKX)
    at_clob = [name for name, place in PLACES if place == POLYMARKET]
    assert at_clob == sorted(test_strategies_live.CLOB_CONFIGS)
