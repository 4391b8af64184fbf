"""Leaders' statistics computed again, share by share and without anything of the product's code."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

DAY = 86_400_000


@dataclass(frozen=True)
class Row:
    """A recorded trade: micros, milliseconds."""

    tx: str
    market: str
    asset: str
    buys: bool
    price: int
    size: int
    at: int


@dataclass(frozen=True)
class Closed:
    """Shares of one purchase that left together."""

    at: int
    market: str
    size: int
    cost: int
    got: int
    held: int


def closed(
    rows: list[Row], outcomes: dict[str, tuple[int, int]], now: int
) -> tuple[list[Closed], int, set[str]]:
    """Return what was closed, what was got for shares of unknown cost, and markets with such.

    Args:
        rows: any order.
        outcomes: by asset: when it resolved, and what a share paid.
        now: nothing later counts.
    """
    parts: list[Closed] = []
    unknown, doubted = 0, set()
    for asset in {row.asset for row in rows}:
        own = [row for row in rows if row.asset == asset and row.at <= now]
        if not own:
            continue
        ends, pays = outcomes.get(asset, (now + 1, 0))
        lots: list[list[int]] = []  # when, shares, cost
        for row in sorted(own, key=lambda row: row.at):
            if row.at > ends:
                parts += _paid(lots, row.market, ends, pays)
            money = row.size * row.price // 1_000_000
            if row.buys:
                lots.append([row.at, row.size, money])
            elif row.at <= ends:
                there = min(row.size, sum(lot[1] for lot in lots))
                parts += _taken(lots, row.market, row.at, there, money * there // row.size)
                if there < row.size:
                    unknown += money - money * there // row.size
                    doubted.add(row.market)
            if row.at >= ends:
                parts += _paid(lots, row.market, row.at, pays)
        if ends <= now:
            parts += _paid(lots, own[0].market, ends, pays)
    return parts, unknown, doubted


def _paid(lots: list[list[int]], market: str, at: int, pays: int) -> list[Closed]:
    size = sum(lot[1] for lot in lots)
    return _taken(lots, market, at, size, size * pays // 1_000_000)


def _taken(lots: list[list[int]], market: str, at: int, size: int, got: int) -> list[Closed]:
    parts: list[Closed] = []
    while size:
        when, shares, paid = lots[0]
        take = min(size, shares)
        cost = paid * take // shares
        # What was got is not shared out: it stands with the first part.
        parts.append(Closed(at, market, take, cost, 0 if parts else got, at - when))
        lots[0] = [when, shares - take, paid - cost]
        if take == shares:
            lots.pop(0)
        size -= take
    return parts


def daily(parts: list[Closed], since: int, now: int) -> list[int]:
    """Return the results of each 24 hours back from now."""
    days: list[int] = []
    end = now
    while end > since:
        days.insert(0, sum(p.got - p.cost for p in parts if max(since, end - DAY) < p.at <= end))
        end -= DAY
    return days


def sharpe(days: list[int]) -> float | None:
    """Return mean by sample deviation, a year."""
    if len(days) < 2:
        return None
    mean = sum(days) / len(days)
    spread = sqrt(sum((day - mean) ** 2 for day in days) / (len(days) - 1))
    return mean / spread * sqrt(365) if spread else None


def sortino(days: list[int]) -> float | None:
    """Return mean by the deviation of losses, a year."""
    if len(days) < 2 or min(days) >= 0:
        return None
    bad = sqrt(sum(min(day, 0) ** 2 for day in days) / len(days))
    return sum(days) / len(days) / bad * sqrt(365)
