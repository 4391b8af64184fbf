"""The table of strategies and places, walked: each trades through the whole order core."""

from __future__ import annotations

import json
import re

import pytest

from backtest.run import Assumptions, Backtest, Outcome
from services.bots.core.risk import RiskLimits
from services.bots.strategies.registry import KINDS, snapshot, state, strategy
from tests.backtest.markets import START, Case, case
from tools import strategy_tables
from tradingtools.domain.bot_states import BotState
from tradingtools.domain.strategies import CONFIGS
from tradingtools.domain.strategies.described import described

PLACES = [(name, place) for name in sorted(KINDS) for place in KINDS[name].venues]
IDS = [f"{name} at {' and '.join(place)}" for name, place in PLACES]


def played(one: Case, name: str) -> tuple[Outcome, Backtest]:
    test = Backtest(
        strategy(name),
        one.config,
        {it.id: it for it in one.instruments},
        limits=RiskLimits(max_position=one.most, max_orders_per_minute=3_000),
        assumptions=Assumptions(fees=one.fees),
    )
    return test.run(one.tape), test


def walked(name: str, place: tuple[str, ...], seconds: int) -> Outcome:
    """Play one line of the table, and judge what has to hold for any strategy."""
    one = case(name, place, seconds)
    outcome, test = played(one, name)

    assert test.bot.failure is None
    assert test.bot.life is BotState.RUNNING
    assert outcome.breaches == ()
    assert outcome.fills
    for it in one.instruments:
        fills = [fill for fill in outcome.fills if fill.instrument_id == it.id]
        position, least, most = 0, 0, 0
        for fill in fills:
            position += fill.size if fill.side == "BUY" else -fill.size
            least, most = min(least, position), max(most, position)
        assert max(most, -least) <= one.most
        assert position == test.bot.view(0).holding(it.id).size
        if it.kind.value in ("BINARY", "SPOT"):
            assert least == 0, "what is not there was sold"
    said = test.bot.explain(START + seconds * 1000)
    assert one.slots <= said.keys()
    for slot in one.slots:
        assert re.search(r"\d", said[slot]), (slot, said[slot])
    # What it remembers is plain: another engine goes on with it.
    assert state(name, json.loads(snapshot(outcome.state))) == outcome.state
    return outcome


@pytest.mark.parametrize(("name", "place"), PLACES, ids=IDS)
def test_a_strategy_trades_at_each_of_its_places(name: str, place: tuple[str, ...]) -> None:
    walked(name, place, 120)


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize(("name", "place"), PLACES, ids=IDS)
def test_a_strategy_trades_for_an_hour_at_each_of_its_places(
    name: str, place: tuple[str, ...]
) -> None:
    walked(name, place, 3_600)


def test_the_table_of_strategies_is_current_and_whole() -> None:
    text = strategy_tables.DOCUMENT.read_text(encoding="utf-8")

    assert text == strategy_tables.document(), "run python -m tools.strategy_tables"
    assert KINDS.keys() == CONFIGS.keys()
    for name in KINDS:
        one = described(name)
        assert one.doc
        assert all(setting.doc and setting.kind for setting in one.settings)
        assert all(setting.unit or setting.choices or setting.kind == "boolean"
                   for setting in one.settings)  # fmt: skip
        assert KINDS[name].source.partition(" ")[0] in text


def test_sets_are_bought_below_one_and_even_at_the_end() -> None:
    outcome = walked("arbitrage", ("polymarket",), 300)
    one = case("arbitrage", ("polymarket",), 300)
    yes, no = (
        sum(it.size if it.side == "BUY" else -it.size for it in outcome.fills
            if it.instrument_id == leg.id)
        for leg in one.instruments
    )  # fmt: skip

    assert abs(yes - no) < one.instruments[0].minimum_size
    cash = sum(
        (-1 if it.side == "BUY" else 1) * it.price * it.size // 10**6 - it.fee
        for it in outcome.fills
    )
    # Every set is worth 1 in the end.
    assert cash + min(yes, no) > 0


def test_funding_is_earned_without_a_position_in_the_price() -> None:
    one = case("funding_arbitrage", ("okx",), 240)
    outcome, test = played(one, "funding_arbitrage")

    # Rates were paid while it held both legs; then they fell below zero, and it closed.
    coin, swap = one.instruments
    assert outcome.funding > 0
    sides = {(it.instrument_id, it.side) for it in outcome.fills}
    assert sides == {(it.id, side) for it in (coin, swap) for side in ("BUY", "SELL")}
    held, short = (test.bot.view(0).holding(it.id).size for it in (coin, swap))
    assert (held, short) == (0, 0)
    # 0.05 BTC at 0.01 % for each of four intervals, but for the first one's opening.
    assert outcome.funding > 0.05 * 64_000 * 0.0001 * 3 * 10**8 * 0.99
