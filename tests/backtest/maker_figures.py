"""A market maker's profit by source on a flat and on a trending market, by backtests from a seed.

docs/strategies.md shows them, and `test_market_maker.py` judges them; this module prints them:
``python -m tests.backtest.maker_figures``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache

from backtest.exchange import FeeRates
from backtest.made import instrument
from backtest.run import Assumptions, Backtest, Outcome
from backtest.tape import SeededMarket, seeded
from services.bots.core.profit import PnlPoint
from services.bots.core.risk import RiskLimits
from services.bots.strategies.market_making import MarketMaking, sources
from tradingtools.domain.strategies import MarketMakingConfig

SWAP = instrument("okx:BTC-USDT-SWAP")
_CONTRACT, _DOLLAR = 10**SWAP.size_digits, 10**SWAP.price_digits
FLAT = SeededMarket(
    instrument=SWAP, seed=9, seconds=400, start_price=64_000 * _DOLLAR, level_size=3 * _CONTRACT,
    updates_per_second=4, prints_per_second=2,
)  # fmt: skip
TREND = replace(FLAT, drift=1.2, turn_s=20.0)
"""Up and down by turns of 20 s, by 0.12 USDT a second; takers know which."""
HEEDLESS = MarketMakingConfig(
    instrument_id=SWAP.id,
    order_size=_CONTRACT,
    max_position=5 * _CONTRACT,
    risk_aversion=0.02,
    arrival_decay=20.0,
    max_half_spread=4 * _DOLLAR,
    adverse_weight=0.0,
    toxic_imbalance=1.0,
)
"""It takes no notice of what its fills lose, nor of one-sided prints."""
HEEDFUL = replace(HEEDLESS, adverse_weight=1.0, toxic_imbalance=0.75)
RUNS = {
    ("flat", "heedless"): (FLAT, HEEDLESS),
    ("flat", "heedful"): (FLAT, HEEDFUL),
    ("trend", "heedless"): (TREND, HEEDLESS),
    ("trend", "heedful"): (TREND, HEEDFUL),
}
"""By the market and the maker."""


@dataclass(frozen=True, slots=True)
class Made:
    """A run with its profit by source."""

    outcome: Outcome
    profit: PnlPoint

    def fills(self, side: str) -> int:
        """Return how many fills there were on one side."""
        return sum(one.side == side for one in self.outcome.fills)


@cache
def played(market: str, maker: str) -> Made:
    """Return one of the runs."""
    tape, config = RUNS[market, maker]
    test = Backtest(
        MarketMaking(),
        config,
        {SWAP.id: SWAP},
        limits=RiskLimits(max_position=6 * _CONTRACT),
        assumptions=Assumptions(fees=FeeRates(maker=1, taker=500)),
    )
    outcome = test.run(seeded(tape))
    (profit,) = test.bot.pnl(sources(outcome.state), outcome.curve[-1][0])
    return Made(outcome, profit)


def table() -> str:
    """Return the figures as Markdown."""
    head = "| market | maker | bought | sold | spread | markout | inventory | fees | made |"
    rows = [_row(market, maker) for market, maker in RUNS]
    return "\n".join((head, "|---|---|---|---|---|---|---|---|---|", *rows))


def _row(market: str, maker: str) -> str:
    one = played(market, maker)
    parts = {name: float(amount) for name, amount in one.profit.sources.items()}
    reported = (parts[name] for name in ("spread", "markout", "inventory", "fees"))
    cells = [market, maker, str(one.fills("BUY")), str(one.fills("SELL"))]
    cells += [f"{amount:.2f}" for amount in (*reported, sum(parts.values()))]
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    print(table())  # noqa: T201
