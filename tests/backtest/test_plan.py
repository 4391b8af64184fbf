"""Plans, sweeps and reports: what is tried, and that the same plan gives the same bytes."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from backtest import report
from backtest.charts import level_text, ticks
from backtest.plan import Plan, PlanError, events, played, trial
from backtest.result import by_source, money_digits, summed
from backtest.sweep import sweep
from backtest.tape import record
from services.bots.strategies.registry import KINDS
from tests.backtest import bots

SWAP = "okx:BTC-USDT-SWAP"


def plan(**changes: Any) -> Plan:
    """A market maker on half a minute of a seeded market."""
    given = {"bot": bots.file("market_making", SWAP), "market": {"seconds": 30}, **changes}
    return msgspec.convert(given, Plan)


def test_a_sweep_on_two_processes_gives_what_one_gives() -> None:
    varied = plan(vary={"riskAversion": ["0.01", "0.2"], "seed": ["1", "2"]})

    alone, spread = list(sweep(varied, 1)), list(sweep(varied, 2))

    assert msgspec.json.encode(alone) == msgspec.json.encode(spread)
    assert [(it.changes["riskAversion"], it.seed) for it in alone] == [
        ("0.01", 1), ("0.01", 2), ("0.2", 1), ("0.2", 2),
    ]  # fmt: skip
    assert len({it.result for it in alone}) >= 3
    assert report.sweep_page(alone) == report.sweep_page(spread)


@pytest.mark.parametrize("name", sorted(KINDS))
def test_sources_add_up_to_the_result_and_the_page_shows_it(name: str) -> None:
    one = trial(plan(bot=bots.file(name, *bots.PLACES[name][0]), market={"seconds": 60}))

    outcome = played(one)
    reported = summed(one, outcome)

    assert outcome.fills
    assert sum(by_source(outcome).values()) == outcome.made + outcome.unrealised
    assert sum(map(Decimal, reported.sources.values())) == Decimal(reported.result)
    assert reported.explained
    page = report.page(one, outcome, reported)
    assert page == report.page(one, played(one), reported)
    assert [page.count(f'aria-label="{it}"') for it in ("Equity", "Drawdown", "Fills")] == [1, 1, 1]
    assert page.count('class="mark ') == min(
        sum(it.instrument_id == one.instruments[0].id for it in outcome.fills), 400
    )


def test_gains_at_two_venues_are_counted_in_one_unit() -> None:
    one = trial(plan(bot=bots.file("delta_hedge", *bots.PLACES["delta_hedge"][0])))

    outcome = played(one)

    # Shares cost micros, contracts hundred-millionths: fees by hand, in the finer one.
    scale = {it.id: 10 ** (8 - it.money_digits) for it in one.instruments}
    assert money_digits(one) == 8
    assert {it.instrument_id for it in outcome.fills} == scale.keys()
    assert outcome.fees == sum(it.fee * scale[it.instrument_id] for it in outcome.fills)
    # Each venue takes its own: 1 % of shares, 0.05 % of contracts.
    by_id = {it.id: it for it in one.instruments}
    for it in outcome.fills:
        traded = by_id[it.instrument_id]
        worth = traded.notional(it.price, it.size, up=True)
        assert it.fee == -(-worth * (10_000 if traded.venue == "polymarket" else 500) // 10**6)


def test_a_recording_gives_what_its_market_gave(tmp_path: Path) -> None:
    one = trial(plan())
    path = tmp_path / "day.jsonl"
    record(path, events(one), one.instruments)

    again = trial(plan(recording=str(path)))

    assert again.instruments == one.instruments
    assert played(again).fills == played(one).fills


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"vary": {"speed": ["1"]}}, "--vary speed: no such setting of market_making"),
        ({"vary": {"orderSize": ["0"]}}, "config.marketMaking.orderSize: expected"),
        ({"vary": {"seed": ["x"]}}, "seed: 'x' is no whole number"),
        ({"bot": {"config": {}}}, "config: settings of one strategy"),
        ({"bot": {"config": {"marketMaker": {}}}}, "config: "),
        ({"bot": {"size": 1}}, "size: no field of a bot's file"),
        ({"recording": "/nowhere"}, "/nowhere: No such file"),
        ({"market": {"seconds": 0}}, "market: seconds"),
    ],
)
def test_a_plan_that_cannot_be_tried_is_refused_by_its_field(
    changes: dict[str, Any], expected: str
) -> None:
    with pytest.raises(PlanError) as refused:
        list(sweep(plan(**changes), 1))

    assert str(refused.value).startswith(expected)


def test_levels_of_an_axis_are_round_and_hold_all_values() -> None:
    for low, high in ((0.0, 0.0), (-3.0, 7.0), (63_990.3, 64_015.1), (0.0004, 0.0011), (5.0, 5.0)):
        steps = ticks(low, high)
        assert steps[0] <= low
        assert high <= steps[-1]
        assert 2 <= len(steps) <= 7
    assert [level_text(it, ticks(-3, 7)) for it in ticks(-3, 7)][:2] == ["-5.0", "-2.5"]
