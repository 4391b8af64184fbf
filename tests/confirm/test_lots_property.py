"""Test whatever is told of the orders of a lot, in whatever order: the lot is its standing
trades.

confirm's own booking, alone and in batches, on the in-memory PostgreSQL, against sums and a plain
first-in-first-out over fractions. Seeded: a failing seed is one line to repeat.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, cast

import pytest

from services.confirm import store
from tests.confirm.conftest import SIZE, order_fields
from tradingtools.domain.order_states import OrderState as S
from tradingtools.domain.venue_order import TradeStatus, VenueOrder, VenueTrade
from tradingtools.storage.postgres import journal
from tradingtools.storage.postgres import lease as leases
from tradingtools.storage.postgres.pool import Pool
from tradingtools.testing.memory_database import MemoryDatabase, MemoryPool

WALLET = "0x" + "a" * 40
_MIDDLE = (TradeStatus.MATCHED, TradeStatus.MINED, TradeStatus.RETRYING)


@dataclass(frozen=True, slots=True)
class Life:
    """A trade and how it is to end."""

    order: str
    side: str
    trade: VenueTrade
    stands: bool

    def reported(self, status: TradeStatus) -> VenueTrade:
        t = self.trade
        return VenueTrade(trade_id=t.trade_id, size_micros=t.size_micros,
                          notional_micros=t.notional_micros, fee_micros=t.fee_micros,
                          status=status)  # fmt: skip

    @property
    def end(self) -> TradeStatus:
        return TradeStatus.CONFIRMED if self.stands else TradeStatus.FAILED


def _lives(rng: random.Random, sides: dict[str, str], *, undo: bool) -> list[Life]:
    found = []
    for key, side in sides.items():
        left = SIZE
        for number in range(rng.randint(1, 3)):
            size = rng.randint(1, max(1, left // 2))
            left -= size
            trade = VenueTrade(
                trade_id=f"{key[:6]}-{number}", size_micros=size,
                notional_micros=rng.randint(0, size), fee_micros=rng.randint(0, 9),
                status=TradeStatus.MATCHED,
            )  # fmt: skip
            found.append(Life(key, side, trade, not (undo and rng.random() < 0.4)))
    return found


class Table:
    """One lot and its orders."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.waiting: list[store.ReportedOrder] = []
        self.database = MemoryDatabase()
        self.pool = cast(Pool, MemoryPool(self.database))

    async def make(self, sides: dict[str, str]) -> None:
        """The orders, SUBMITTED or, some of them, LOST."""
        self.lease = await leases.acquire(self.pool, "confirm", 0, "t")
        router = await leases.acquire(self.pool, "router", 0, "t")
        for key, side in sides.items():
            fields = order_fields(key, WALLET, side=side)
            payload = json.dumps({"orders": [fields], "decisions": [], "rows": []}).encode()
            async with self.pool.connection() as connection:
                claim = journal.Claim(record_key=key, payload=payload, order_count=1)
                await journal.insert_claim(connection, router, claim)
            await journal.build_open_rows(self.pool, 0, older_than_seconds=None)
            path = [S.SUBMITTING, S.UNKNOWN, S.LOST] if self.rng.random() < 0.2 else [
                S.SUBMITTING, S.SUBMITTED
            ]  # fmt: skip
            state = S.CLAIMED
            for target in path:
                await store.transition(self.pool, [
                    {"order_key": key, "from_state": state, "to_state": target,
                     "expected_epoch": 0},
                ])  # fmt: skip
                state = target

    async def notify(self, key: str, trades: list[VenueTrade], *, closed: bool) -> None:
        answer = VenueOrder(
            order_key=key, order_id=f"0x{key[:8]}", status="MATCHED", closed=closed,
            trades=tuple(trades), asset_id="1", size_micros=SIZE,
        )  # fmt: skip
        if any(reported.order_key == key for reported in self.waiting):
            await self.book()
        self.waiting.append(store.ReportedOrder(order_key=key, answer=answer))
        if self.rng.random() < 0.5:
            await self.book()

    async def book(self) -> None:
        """Return what waits, in one batch."""
        await store.take(self.pool, self.lease, self.waiting, 1)
        self.waiting = []

    def rows(self, table: str) -> list[dict[str, Any]]:
        return list(self.database.table(table).values())

    @property
    def lot(self) -> dict[str, Any]:
        (lot,) = self.rows("lot")
        return lot


async def _play(seed: int, *, undo: bool, buys_first: bool) -> tuple[Table, list[Life]]:
    """Tell of every trade, in pieces, out of order and more than once, until all have ended."""
    rng = random.Random(seed)  # noqa: S311 - a seed makes it repeatable
    keys = [f"{rng.getrandbits(256):064x}" for _ in range(rng.randint(2, 4))]
    sides = {key: "BUY" if n == 0 or rng.random() < 0.5 else "SELL" for n, key in enumerate(keys)}
    table, lives = Table(rng), _lives(rng, sides, undo=undo)
    await table.make(sides)
    if buys_first:
        held = sum(life.trade.size_micros for life in lives if life.side == "BUY")
        for life in [life for life in lives if life.side == "SELL"]:
            held -= life.trade.size_micros
            if held < 0:
                lives.remove(life)
                held += life.trade.size_micros
        lives.sort(key=lambda life: life.side)
        for life in lives:
            await table.notify(life.order, [life.reported(TradeStatus.MATCHED)], closed=False)
    for _ in range(rng.randint(0, 8)):
        life = rng.choice(lives)
        among = [x for x in lives if x.order == life.order and rng.random() < 0.7]
        reported = [x.reported(rng.choice([*_MIDDLE, x.end])) for x in among]
        await table.notify(life.order, reported, closed=False)
    rng.shuffle(keys)
    for key in keys:
        ended = [life.reported(life.end) for life in lives if life.order == key]
        rng.shuffle(ended)
        await table.notify(key, ended, closed=True)
        late = [life.reported(TradeStatus.MATCHED) for life in lives if life.order == key]
        await table.notify(key, late, closed=rng.random() < 0.5)
    await table.book()
    return table, lives


def _check_sums(table: Table, lives: list[Life]) -> None:
    standing = [life for life in lives if life.stands]
    sums: Counter[str] = Counter()
    for life in standing:
        way = "bought" if life.side == "BUY" else "sold"
        sums[f"{way}_size_micros"] += life.trade.size_micros
        sums[f"{way}_notional_micros"] += life.trade.notional_micros
        sums["fee_micros"] += life.trade.fee_micros
    lot = table.lot
    for name in ("bought_size_micros", "bought_notional_micros", "sold_size_micros",
                 "sold_notional_micros", "fee_micros"):  # fmt: skip
        assert lot[name] == sums[name], name
    net = sums["bought_size_micros"] - sums["sold_size_micros"]
    assert lot["shares_micros"] == max(0, net), "whatever was undone, and when"
    entries = table.rows("lot_entry")
    assert sum(entry["size_micros"] for entry in entries) == lot["shares_micros"]
    assert sum(entry["cost_micros"] for entry in entries) == lot["cost_micros"]
    gained = sums["sold_notional_micros"] - sums["bought_notional_micros"]
    assert lot["realised_micros"] == gained + lot["cost_micros"], "to the micro"


def _check_orders(table: Table, lives: list[Life]) -> None:
    fills = {(row["order_key"], row["trade_id"]): row["status"] for row in table.rows("fill")}
    assert fills == {(x.order, x.trade.trade_id): x.end.value for x in lives}
    for order in table.rows("orders"):
        mine = [life for life in lives if life.order == order["order_key"]]
        stands = [life.trade.size_micros for life in mine if life.stands]
        assert order["filled_size_micros"] == sum(stands)
        assert order["state"] in ("CONFIRMED", "FAILED", "RESURRECTED", "LOST")
        if order["state"] == "CONFIRMED":
            assert stands
        if order["state"] == "FAILED":
            assert not stands
    booked = Counter((row["order_key"], row["kind"], row["trade_id"])
                     for row in table.rows("booking"))  # fmt: skip
    assert max(booked.values()) == 1
    realised = sum(row["realised_micros"] for row in table.rows("booking"))
    assert realised == table.lot["realised_micros"], "what readers were told adds up, too"


@pytest.mark.parametrize("seed", range(150))
def test_a_lot_is_what_its_standing_trades_say(seed: int) -> None:
    table, lives = asyncio.run(_play(seed, undo=True, buys_first=seed % 2 == 0))
    _check_sums(table, lives)
    _check_orders(table, lives)


@pytest.mark.parametrize("seed", range(40))
def test_profit_is_taken_first_in_first_out(seed: int) -> None:
    table, lives = asyncio.run(_play(seed, undo=False, buys_first=True))
    _check_sums(table, lives)
    # In the order in which they were booked, each share at the price of the oldest one left.
    trades = {life.trade.trade_id: life for life in lives}
    booked = [trades[row["trade_id"]] for row in table.rows("booking") if row["kind"] == "MATCHED"]
    queue: list[tuple[int, Fraction]] = []
    exact, cuts = Fraction(0), 0
    for life in booked:
        left = life.trade.size_micros
        if life.side == "BUY":
            queue.append((left, Fraction(life.trade.notional_micros, left)))
            continue
        exact += life.trade.notional_micros
        while left:
            size, price = queue[0]
            taken = min(size, left)
            exact -= taken * price
            left -= taken
            queue[0] = (size - taken, price)
            if taken == size:
                queue.pop(0)
            else:
                cuts += 1
    # The cost of a part of an entry is rounded down once for each cut, and made up at its end.
    assert 0 <= table.lot["realised_micros"] - exact < max(cuts, 1)
