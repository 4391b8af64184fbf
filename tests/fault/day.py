"""A day of prices over guarded positions, and a plain reference of what has to fire.

Prices are those of real trades (the sample of `paper.venue`), asset by asset, with their gaps. The
reference knows nothing of the guard's code: it walks each lot's triggers in their order, on the
book of each step, until nothing moves any more.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import paper.venue

SAMPLE = Path(paper.venue.__file__).parent / "sample" / "leader_trades_2026-07.jsonl"
SHARE = 1_000_000
MINIMUM = 5 * SHARE
"""The market's smallest order; less must neither be sold alone nor be left over."""
ORDER = ("STOP_LOSS", "TRAILING_STOP", "TAKE_PROFIT", "LADDER", "TIME_STOP")
LIVE = ("ARMED", "SUSPENDED")
FAR_MS = 4_102_444_800_000
Bids = list[tuple[int, int]]
"""Price and size in micros, best first; empty: nobody buys."""


def paths(count: int, steps: int, seed: int) -> list[list[Bids]]:
    """Books of so many assets over the day: real prices, thin at the top, now and then no bid."""
    traded: dict[str, list[int]] = {}
    with SAMPLE.open() as lines:
        for line in lines:
            trade = json.loads(line)["frame"]["payload"]
            cents = min(max(round(trade["price"] * 100), 21), 96)
            traded.setdefault(trade["asset"], []).append(cents * 10_000)
    moving = sorted((p for p in traded.values() if len(set(p)) > 5), key=lambda p: -len(set(p)))
    rng = random.Random(seed)  # noqa: S311 - a seed makes it repeatable
    found = []
    for number in range(count):
        prices = moving[number % len(moving)]
        begin = rng.randrange(len(prices))
        walk = [prices[(begin + step) % len(prices)] for step in range(steps)]
        found.append([_book(price, rng) for price in walk])
        found[-1][0] = [(walk[0], 10**6 * SHARE)]
    return found


def _book(price: int, rng: random.Random) -> Bids:
    if rng.random() < 0.08:
        return []
    return [(price, rng.randrange(1, 80) * SHARE), (price - 10_000, 10**6 * SHARE)]


def fetched(bids: Bids, size: int) -> tuple[Fraction, Fraction] | None:
    """USDC per share for a size, walked level by level: of what is sold, and of all of it."""
    taken, money = 0, 0
    for price, there in bids:
        part = min(there, size - taken)
        taken, money = taken + part, money + part * price
    return (Fraction(money, taken), Fraction(money, size)) if taken else None


def state_of(status: str, sold: int, rungs: int, peak: int | None) -> tuple[Any, ...]:
    """Return what is compared: the last peak of one that another one has ended is nobody's
    concern."""
    return status, sold, rungs, None if status == "CANCELLED" else peak


@dataclass
class Trigger:
    """One trigger, by the terms of its row."""

    id: str
    kind: str
    price: int | None
    size: int | None
    callback: int | None
    callback_ppm: int | None
    rungs: list[Mapping[str, int]]
    break_even: bool
    due: bool = False
    status: str = "ARMED"
    peak: int | None = None
    sold: int = 0
    rungs_done: int = 0
    basis: int | None = None

    @property
    def state(self) -> tuple[Any, ...]:
        """Return what the guard has to have stored."""
        return state_of(self.status, self.sold, self.rungs_done, self.peak)


@dataclass
class Lot:
    """Shares of one follower in one asset, and the triggers that share them."""

    shares: int
    cost: int
    triggers: list[Trigger] = field(default_factory=list)

    def step(self, bids: Bids) -> None:
        """Take a book, until it moves nothing any more."""
        self.triggers.sort(key=lambda trigger: (ORDER.index(trigger.kind), trigger.id))
        while any(self._judge(trigger, bids) for trigger in self.triggers):
            pass

    def _judge(self, trigger: Trigger, bids: Bids) -> bool:
        """Judge one; returns whether it moved."""
        if trigger.status not in LIVE:
            return False
        if self.shares == 0:
            trigger.status = "CANCELLED"
            return True
        if not bids:
            moved = trigger.status == "ARMED"
            trigger.status = "SUSPENDED"
            return moved
        if trigger.status == "SUSPENDED":
            trigger.status = "ARMED"
            return True
        if trigger.kind == "LADDER":
            return self._climb(trigger, bids)
        desired = self.shares if trigger.size is None else min(trigger.size, self.shares)
        found = fetched(bids, desired)
        assert found is not None
        price, whole = found
        if self._fires(trigger, price, whole):
            return self._sell(trigger, desired, done=True)
        return trigger.kind == "TRAILING_STOP" and _ratchet(trigger, int(whole // 1))

    def _fires(self, trigger: Trigger, price: Fraction, whole: Fraction) -> bool:
        match trigger.kind:
            case "STOP_LOSS":
                return price <= (trigger.price or 0)
            case "TAKE_PROFIT":
                return whole >= (trigger.price or 0)
            case "TRAILING_STOP" if trigger.peak is not None:
                part = Fraction(trigger.callback_ppm or 0, SHARE) * trigger.peak
                stop = trigger.peak - (trigger.callback or part)
                return price <= -(-stop // 1)
            case _:
                return trigger.due

    def _climb(self, trigger: Trigger, bids: Bids) -> bool:
        basis = trigger.basis or self.shares
        reached, desired, share = trigger.rungs_done, 0, 0
        for number, rung in enumerate(trigger.rungs):
            if number < trigger.rungs_done:
                continue
            share += rung["share_ppm"]
            last = number == len(trigger.rungs) - 1
            size = self.shares if last else min(basis * share // SHARE, self.shares)
            found = fetched(bids, size)
            if found is None or found[1] < rung["price_micros"]:
                break
            reached, desired = number + 1, size
        if reached == trigger.rungs_done:
            return False
        trigger.basis, trigger.rungs_done = basis, reached
        self._sell(
            trigger, desired, done=reached == len(trigger.rungs) or self.shares - desired == 0
        )
        return True

    def _sell(self, trigger: Trigger, desired: int, *, done: bool) -> bool:
        size = max(desired, min(MINIMUM, self.shares))
        size = self.shares if self.shares - size < MINIMUM else size
        size -= size % 10_000
        trigger.sold += size
        self.cost -= self.cost * size // self.shares
        self.shares -= size
        trigger.status = "DONE" if done or self.shares == 0 else "ARMED"
        if trigger.kind == "LADDER" and self.shares:
            self._break_even()
        return True

    def _break_even(self) -> None:
        entry = -(-self.cost * SHARE // self.shares)
        for other in self.triggers:
            if other.break_even and other.status in LIVE:
                other.price = max(other.price or 0, entry)


def _ratchet(trigger: Trigger, seen: int) -> bool:
    if seen >= (trigger.price or 0) and seen > (trigger.peak or 0):
        trigger.peak = seen
        return True
    return False


def terms(rng: random.Random, number: int, entry: int) -> Iterator[dict[str, Any]]:
    """Columns of triggers of the kinds that a lot's number says; not those by default.

    Args:
        rng: decides how far from the entry they are.
        number: of the lot, modulo seven.
        entry: what its shares have cost, micros.
    """

    def away(low: int, high: int) -> int:
        return min(max(entry + rng.randrange(low, high) * 10_000, 10_000), 990_000)

    match number % 7:
        case 0 | 4:
            yield {"trigger_type": "STOP_LOSS", "price_micros": away(-20, -2)}
            yield {"trigger_type": "TAKE_PROFIT", "price_micros": away(1, 20)}
        case 1:
            yield {"trigger_type": "STOP_LOSS", "price_micros": away(-20, -2)}
            part = rng.randrange(10, 25) * SHARE
            yield {
                "trigger_type": "TAKE_PROFIT", "price_micros": away(1, 10), "size_micros": part,
            }  # fmt: skip
        case 2:
            callback = rng.randrange(1, 10) * 10_000
            yield {
                "trigger_type": "TRAILING_STOP", "price_micros": away(-5, 5),
                "callback_micros": min(callback, entry // 2),
            }  # fmt: skip
        case 3:
            yield {"trigger_type": "TIME_STOP", "fire_at_ms": FAR_MS}
        case 5:
            yield {
                "trigger_type": "TRAILING_STOP", "price_micros": away(-5, 5),
                "callback_ppm": rng.randrange(50_000, 300_000),
            }  # fmt: skip
            yield {"trigger_type": "TAKE_PROFIT", "price_micros": away(5, 25)}


def load(rows: Iterable[Mapping[str, Any]]) -> dict[tuple[str, str], Lot]:
    """Lots and their triggers as the database has them before the day begins, by wallet and asset.

    Args:
        rows: of triggers, each with its lot's ``shares_micros`` and ``cost_micros``.
    """
    lots: dict[tuple[str, str], Lot] = {}
    for row in rows:
        key = (row["follower_proxy"], row["asset_id"])
        lot = lots.setdefault(key, Lot(row["shares_micros"], row["cost_micros"]))
        lot.triggers.append(
            Trigger(
                id=row["id"],
                kind=row["trigger_type"],
                price=row["price_micros"],
                size=row["size_micros"],
                callback=row["callback_micros"],
                callback_ppm=row["callback_ppm"],
                rungs=row["rungs"] or [],
                break_even=row["break_even"],
            )
        )
    return lots
