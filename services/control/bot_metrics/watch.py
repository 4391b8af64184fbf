"""Look at how bots, orders, engines and limits stand, for metrics that outlive every engine.

Before it: the tables that engines write. After it: Prometheus. No series is about one bot or one
wallet: their number has no bound, and a name that has gone stays in the store of metrics.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial

import structlog
from opentelemetry import metrics
from opentelemetry.metrics import CallbackOptions, Observation

from services.control.risk.store import Risk
from services.control.store import Store
from tradingtools import clock
from tradingtools.domain import portfolio_usage
from tradingtools.domain.bot_order_states import BotOrderState
from tradingtools.domain.bot_states import BotState
from tradingtools.domain.errors import Unavailable
from tradingtools.domain.exchanges import BY_NAME
from tradingtools.domain.portfolio_risk import SCOPE_RULES, RiskScope
from tradingtools.domain.strategies import CONFIGS
from tradingtools.storage.postgres.fleet import QUERIES

POLL_SECONDS = 5.0
RETENTION_MS = 30_000
"""What was read longer ago is not shown: a figure that stands still looks like a quiet night."""
_log = structlog.get_logger("control.fleet")
Labels = tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One metric: its name, its labels, and every series that there ever is."""

    name: str
    description: str
    labels: Labels = ()
    series: Iterable[Labels] = ((),)


_STATES = [(str(one),) for one in BotState]
_ORDERS = [(str(one),) for one in BotOrderState]
_MADE = [(exchange, strategy) for exchange in BY_NAME for strategy in CONFIGS]
_LIMITS = [
    (str(scope), str(limit))
    for limit, rule in SCOPE_RULES.items()
    if not limit.startswith("stale_")
    for scope in RiskScope
    if scope in rule.scopes
]

FIGURES: Mapping[str, Figure] = {
    "bots": Figure(
        name="fleet.bots", description="Bots by state", labels=("state",), series=_STATES
    ),
    "unattended": Figure(
        name="fleet.bots_unattended",
        description="Bots that risk has stopped, or that failed, and that nobody has given up",
        labels=("state",), series=(("RISK_STOPPED",), ("ERROR",)),
    ),
    "moving": Figure(
        name="fleet.bots_moving_seconds",
        description="The longest that a bot is STARTING, PAUSING or STOPPING",
    ),
    "flattening": Figure(
        name="fleet.bots_flattening", description="Bots whose holding is to be closed, and is not"
    ),
    "unwritten": Figure(
        name="fleet.bots_unwritten_seconds",
        description="The longest that an engine has written nothing of a running bot",
    ),
    "orders": Figure(
        name="fleet.orders",
        description="Orders of bots that are not settled, by state",
        labels=("state",), series=_ORDERS,
    ),
    "orders_oldest": Figure(
        name="fleet.orders_oldest_seconds",
        description="Since when the oldest of them is as it is",
        labels=("state",), series=_ORDERS,
    ),
    "wallets": Figure(
        name="fleet.wallets",
        description="Wallets whose bots need an engine, by whether they have one",
        labels=("owned",), series=(("true",), ("false",)),
    ),
    "engines": Figure(
        name="fleet.engines",
        description="Engines of bots; gone: its lease ran out within a day, without a word",
        labels=("state",), series=(("live",), ("draining",), ("gone",)),
    ),
    "unseen": Figure(
        name="fleet.engines_unseen_seconds",
        description="Since when the engine that lives and renewed its lease first has done so",
    ),
    "kills": Figure(
        name="fleet.kill_switches",
        description="Kill switches that stand, by whether every wallet is done",
        labels=("done",), series=(("true",), ("false",)),
    ),
    "kill_age": Figure(
        name="fleet.kill_switch_seconds",
        description="Since when the oldest one that is not done is set",
    ),
    "reached": Figure(
        name="fleet.limits_reached",
        description="Limits of many bots that are reached just now, by scope",
        labels=("scope",), series=[(str(one),) for one in RiskScope],
    ),
    "used": Figure(
        name="fleet.limits_used_ratio",
        description="The use of limits of many bots, the fullest of a scope",
        labels=("scope", "limit"), series=_LIMITS,
    ),
    "missing": Figure(
        name="fleet.positions_missing",
        description="Positions of which the exchange holds less than bots believe, unexplained",
    ),
    "result": Figure(
        name="fleet.result_usdc",
        description="Result of all bots that are not idle or stopped, open gains included",
        labels=("exchange", "strategy"), series=_MADE,
    ),
    "lowest": Figure(
        name="fleet.result_lowest_usdc",
        description="Result of the one of them that has made least",
        labels=("exchange", "strategy"), series=_MADE,
    ),
    "held": Figure(
        name="fleet.held_usdc",
        description="Worth of what bots hold",
        labels=("exchange", "side"),
        series=[(exchange, side) for exchange in BY_NAME for side in ("LONG", "SHORT")],
    ),
    "mark_age": Figure(
        name="fleet.marks_oldest_seconds",
        description="Age of the oldest mark of what running bots hold",
    ),
}  # fmt: skip
"""By the name of the query's rows; used: by the judgement of limits."""

_values: dict[str, dict[Labels, float]] = {}
_read_ms = 0


async def keep(store: Store, risk: Risk) -> None:
    """Look for ever."""
    while True:
        try:
            await poll(store, risk)
        except Unavailable:
            pass  # reported by this process's own health
        except Exception as error:  # noqa: BLE001 - the next look is soon
            _log.error("bots not looked at", exc_info=error)
        await asyncio.sleep(POLL_SECONDS)


async def poll(store: Store, risk: Risk) -> None:
    """Take every figure as it is now. Raises Unavailable."""
    global _read_ms  # noqa: PLW0603
    found = _noughts()
    for row in await store.rows(QUERIES["figures"]):
        labels = tuple(one for one in (row["one"], row["other"]) if one)
        found[row["name"]][labels] = row["value"]
    for row in await store.rows(QUERIES["limited"]):
        used = found["used"]
        for key, part in await _used(risk, row["tenant"]):
            used[key] = max(used[key], part)
    _values.update(found)
    _read_ms = clock.monotonic_ms()


async def _used(risk: Risk, tenant: str) -> list[tuple[Labels, float]]:
    """Return how much of each limit of a tenant is used; 1: all of it."""
    _, ledger = await risk.ledger(tenant)
    found: list[tuple[Labels, float]] = []
    for limits in ledger.limits:
        usage = portfolio_usage.usage(limits, ledger)
        for limit, most in limits.values.items():
            used = portfolio_usage.used(usage, limit, limits)
            if used is not None:
                part = used / most if most else float(used > 0)
                found.append(((str(limits.scope), str(limit)), part))
    return found


def _noughts() -> dict[str, dict[Labels, float]]:
    return {key: dict.fromkeys(figure.series, 0.0) for key, figure in FIGURES.items()}


def _observed(key: str, _: CallbackOptions) -> list[Observation]:
    if _read_ms and clock.monotonic_ms() - _read_ms > RETENTION_MS:
        return []
    names = FIGURES[key].labels
    return [
        Observation(value, dict(zip(names, labels, strict=True)))
        for labels, value in _values[key].items()
    ]


_values.update(_noughts())
for _key, _figure in FIGURES.items():
    metrics.get_meter("tradingtools.control").create_observable_gauge(
        _figure.name, [partial(_observed, _key)], description=_figure.description
    )
