"""The table that answers what can leave in a minute says what the executor does by default."""

from __future__ import annotations

import re
from pathlib import Path

from services.executor.app import _limits
from services.executor.core.pre_trade_limits import Limits
from services.executor.settings import Settings
from tradingtools.domain.money import MICROS
from tradingtools.settings import load

_PAGE = Path(__file__).parents[3] / "docs" / "operating.md"
_ROW = re.compile(r"^\| .* \| ([0-9,]+)(?: USDC)? \| `(TT_EXECUTOR_[A-Z_]+)` \|", re.MULTILINE)
_NAMES = (
    "ORDER_USDC_MAX", "WALLET_MINUTE_USDC_MAX", "MARKET_MINUTE_USDC_MAX", "MINUTE_USDC_MAX",
    "ORDERS_PER_MINUTE_MAX",
)  # fmt: skip


def _bounds(**values: str) -> Limits:
    needed = {"TT_EXECUTOR_ROUTER_TARGET": "a:1", "TT_EXECUTOR_GUARD_TARGET": "a:1"}
    url = {"TT_EXECUTOR_INSIDERS_URL": "http://a:1", "TT_EXECUTOR_BOOKFEED_TARGET": "a:1"}
    return _limits(load(Settings, "executor", {**needed, **url, **values}))


def test_the_table_has_each_limit_with_its_default() -> None:
    shown = {name: int(text.replace(",", "")) for text, name in _ROW.findall(_PAGE.read_text())}
    order, wallet, market, everything, number = (shown[f"TT_EXECUTOR_{name}"] for name in _NAMES)
    assert len(shown) == len(_NAMES)
    assert _bounds() == Limits(
        order_notional_micros=order * MICROS,
        wallet_minute_micros=wallet * MICROS,
        market_minute_micros=market * MICROS,
        minute_micros=everything * MICROS,
        orders_per_minute=number,
    )


def test_an_operator_takes_a_limit_away_by_saying_so() -> None:
    assert _bounds(**{f"TT_EXECUTOR_{name}": "none" for name in _NAMES}) == Limits()
