"""A run on paper, recorded, and its backtest: the same fills, and what is different has a cause."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from backtest.made import START_MS
from backtest.plan import Plan, Trial, events, played, trial
from backtest.run import Assumptions, Backtest, Outcome
from backtest.tape import record
from services.bots.strategies.registry import strategy
from tests.backtest import bots
from tests.backtest.paper_account import PaperAccount


def on_paper(one: Trial, assumptions: Assumptions) -> tuple[Outcome, Decimal]:
    """Run a bot against the paper OKX' own core; return what the account has gained, too."""
    (traded,) = one.instruments
    account = PaperAccount([traded], START_MS)
    test = Backtest(
        strategy(one.name),
        one.config,
        {traded.id: traded},
        limits=one.limits,
        assumptions=assumptions,
        exchange=account,
    )
    return test.run(events(one)), account.gained()


def traded(outcome: Outcome) -> list[tuple[Any, ...]]:
    """Return fills without the ids, which each exchange gives by itself."""
    return [(it.venue_ms, it.side, it.price, it.size, it.fee, it.maker) for it in outcome.fills]


def judged(name: str, seconds: int, where: Path, **market: float) -> None:
    """Compare a run on paper with its backtest on the recording, by the latency that it had."""
    given = {"bot": bots.file(name, bots.SWAP), "market": {"seconds": seconds, "seed": 4, **market}}
    one = trial(msgspec.convert(given, Plan))
    path = where / f"{name}.jsonl"
    record(path, events(one), one.instruments)
    paper, gained = on_paper(one, one.assumptions)
    recorded = trial(msgspec.convert({**given, "recording": str(path)}, Plan))
    again = replace(recorded.assumptions, sample_ms=one.assumptions.sample_ms)
    same = played(msgspec.structs.replace(recorded, assumptions=again))
    # Latency is the one cause of a difference: by the same one, each fill is the same. By another
    # one a market maker goes its own way, since what it learns of its fills moves its quotes.
    assert len(paper.fills) > 5
    assert traded(paper) == traded(same)
    assert (paper.made, paper.unrealised, paper.fees) == (same.made, same.unrealised, same.fees)
    # The ledger of the exchange has what the bot believes; each rounds a fill once.
    believed = Decimal(paper.made - paper.funding) / 10**8
    assert abs(gained - believed) <= Decimal(3 * len(paper.fills)) / 10**8


@pytest.mark.parametrize("name", ["grid", "market_making"])
def test_a_run_on_paper_and_its_backtest_agree(name: str, tmp_path: Path) -> None:
    judged(name, 60, tmp_path)


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", ["grid", "market_making"])
def test_a_day_on_paper_and_its_backtest_agree(name: str, tmp_path: Path) -> None:
    judged(name, 86_400, tmp_path, updatesPerSecond=0.5, printsPerSecond=0.2)
