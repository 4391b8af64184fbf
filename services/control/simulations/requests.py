"""Questions as the tool takes them. It is a process of its own and shares no code with this one:
its names are a contract, which `tests/control/test_simulations.py` holds."""

from __future__ import annotations

import msgspec

from tradingtools.domain.subscription import Subscription


class Simulation(msgspec.Struct, frozen=True, kw_only=True):
    """Follow one leader of the analytical store."""

    subscription: Subscription
    since_ms: int
    until_ms: int
    delay_seconds: int
    fee_rate_micros: int
    budget_micros: int | None = None


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """Follow recorded leaders by several settings, side by side."""

    subscriptions: list[Subscription]
    since_ms: int
    until_ms: int
    budget_micros: int | None = None
