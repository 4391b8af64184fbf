"""Play a leader's rows and his markets' resolutions in time. Pure.

Before it: rows of activity. After it: `leader_statistics`, which sums up windows, days and markets.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from services.enrichment.core.account import Account, Closing
from services.enrichment.core.values import Activity, Market, Marks
from tradingtools.domain.money import notional_floor


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountSnapshot:
    """An account at an instant, everything up to it included."""

    open_cost_micros: int
    value_micros: int | None
    """At marks; None: something held has none."""
    unmarked: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """The whole result of markets that belong together, all of them resolved."""

    at_ms: int
    conditions: tuple[str, ...]
    profit_micros: int
    cost_micros: int


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """A leader's record."""

    closings: Sequence[Closing]
    snapshots: Mapping[int, AccountSnapshot]
    open_costs: Sequence[tuple[int, int]]
    """Instant and cost of what was held from then on."""
    results: Sequence[Result]
    unknown_cost_micros: int


def history(
    rows: Sequence[Activity],
    markets: Mapping[str, Market],
    marks: Marks,
    instants: Iterable[int],
    as_of_ms: int,
) -> History:
    """Return the record up to an instant.

    Args:
        rows: oldest first, none later than ``as_of_ms``.
        markets: by condition.
        marks: prices for what is held.
        instants: when to look at the account.
        as_of_ms: until when resolutions are known.
    """
    account = Account(markets)
    snapshots: dict[int, AccountSnapshot] = {}
    open_costs: list[tuple[int, int]] = []
    for at_ms, what in _timeline(rows, markets, instants, as_of_ms):
        if isinstance(what, Activity):
            account.book(what)
        elif isinstance(what, Market):
            account.resolve(what, at_ms)
        else:
            snapshots[at_ms] = _snapshot(account, marks, at_ms)
        open_costs.append((at_ms, account.open_cost_micros))
    return History(
        closings=account.closings,
        snapshots=snapshots,
        open_costs=open_costs,
        results=_results(account, markets, as_of_ms),
        unknown_cost_micros=account.unknown_cost_micros,
    )


def _timeline(
    rows: Sequence[Activity],
    markets: Mapping[str, Market],
    instants: Iterable[int],
    as_of_ms: int,
) -> list[tuple[int, Activity | Market | None]]:
    """Return what happens, in time. At one instant he trades before the market resolves, and a look
    sees both."""
    touched = {row.condition_id for row in rows}
    resolved = [
        (market.resolved_ms, market)
        for condition_id, market in sorted(markets.items())
        if condition_id in touched
        and market.resolved_ms is not None
        and market.resolved_ms <= as_of_ms
    ]
    events: list[tuple[int, int, Activity | Market | None]] = [
        *((row.at_ms, 0, row) for row in rows),
        *((at_ms, 1, market) for at_ms, market in resolved),
        *((at_ms, 2, None) for at_ms in set(instants)),
    ]
    return [(at_ms, what) for at_ms, _, what in sorted(events, key=lambda event: event[:2])]


def _snapshot(account: Account, marks: Marks, at_ms: int) -> AccountSnapshot:
    value, unmarked = 0, 0
    for held in account.holdings():
        price = marks.at(held.asset_id, at_ms)
        if price is None:
            unmarked += 1
        else:
            value += notional_floor(held.shares_micros, price)
    return AccountSnapshot(
        open_cost_micros=account.open_cost_micros,
        value_micros=None if unmarked else value,
        unmarked=unmarked,
    )


def _results(account: Account, markets: Mapping[str, Market], as_of_ms: int) -> list[Result]:
    """Results of groups of markets; one whose cost is not known whole is none."""
    groups: dict[str, set[str]] = defaultdict(set)
    closings: dict[str, list[Closing]] = defaultdict(list)
    for closing in account.closings:
        closings[closing.condition_id].append(closing)
    held = (holding.condition_id for holding in account.holdings())
    for condition_id in {*closings, *account.in_doubt, *held}:
        market = markets.get(condition_id)
        groups[market.group if market and market.group else condition_id].add(condition_id)
    found = []
    for conditions in groups.values():
        ends = [_resolved_ms(markets.get(condition_id)) for condition_id in conditions]
        ended = [at_ms for at_ms in ends if at_ms is not None and at_ms <= as_of_ms]
        if len(ended) < len(ends) or conditions & account.in_doubt:
            continue
        parts = [closing for condition_id in conditions for closing in closings[condition_id]]
        found.append(
            Result(
                at_ms=max(ended),
                conditions=tuple(sorted(conditions)),
                profit_micros=sum(closing.profit_micros for closing in parts),
                cost_micros=sum(closing.cost_micros for closing in parts),
            )
        )
    return sorted(found, key=lambda result: (result.at_ms, result.conditions))


def _resolved_ms(market: Market | None) -> int | None:
    return market.resolved_ms if market else None
