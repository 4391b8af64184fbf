"""When a position begins: which default triggers guard what is bought."""

from __future__ import annotations

import asyncio
import json
import secrets

import pytest

from services.confirm import store
from services.confirm.ledger import Smallest, unknown
from services.confirm.store import ReportedOrder
from tests.confirm.conftest import Orders, reported
from tests.money_path.world import eventually
from tradingtools.domain.performance import action_id
from tradingtools.domain.venue_order import TradeStatus, VenueTrade

LEAST = 5_000_000
DEFAULTS = {"stop_loss_ppm": 100_000, "take_profit_ppm": 500_000}


def _known(_: str) -> int:
    return LEAST


class Lot:
    """A lot of a subscription that guards its positions with a stop and a take-profit."""

    def __init__(self, orders: Orders) -> None:
        self._orders = orders
        self._subscription = "sub_" + secrets.token_hex(16)

    async def subscribe(self) -> None:
        await self._orders.sql(
            "insert into subscription (id, follower_user_id, follower_wallet_id, follower_proxy,"
            " leader, state, version, sizing_mode, sizing_micros, changed_seq, triggers)"
            " values (%s, 'u', 'w', %s, %s, 'ACTIVE', 1, 'FIXED', 1, 1, %s)",
            self._subscription, self._orders.wallet, self._orders.wallet, json.dumps(DEFAULTS),
        )  # fmt: skip

    async def received(self, side: str, *trades: tuple[int, int]) -> ReportedOrder:
        """An order of 10 shares that had these trades: shares, and cents for one."""
        made = secrets.token_hex(4)
        key = await self._orders.make("SUBMITTED", side=side, subscription=self._subscription)
        answer = reported(
            key,
            *(VenueTrade(trade_id=f"{made}-{number}", size_micros=shares * 1_000_000,
                         notional_micros=shares * cents * 10_000, fee_micros=0,
                         status=TradeStatus.CONFIRMED)
              for number, (shares, cents) in enumerate(trades)),
            side=side,
        )  # fmt: skip
        return ReportedOrder(order_key=key, answer=answer)

    async def take(self, *batch: ReportedOrder, smallest: Smallest = _known) -> None:
        await store.take(self._orders.pool, self._orders.lease, batch, 1, smallest)

    async def buy(self, *trades: tuple[int, int], smallest: Smallest = _known) -> None:
        await self.take(await self.received("BUY", *trades), smallest=smallest)

    async def sell(self, shares: int) -> None:
        await self.take(await self.received("SELL", (shares, 40)))

    async def end(self, kind: str, status: str) -> None:
        """Return what the guard, or a caller, makes of the newest trigger of a kind."""
        await self._orders.sql(
            "update trigger set status = %s where id = (select id from trigger"
            " where origin = %s and trigger_type = %s order by created_at desc limit 1)",
            status, self._subscription, kind,
        )  # fmt: skip

    async def shrink(self, kind: str, shares: int) -> None:
        """A caller has it sell no more than so many."""
        await self._orders.sql(
            "update trigger set size_micros = %s where origin = %s and trigger_type = %s",
            shares * 1_000_000, self._subscription, kind,
        )  # fmt: skip

    async def sets(self) -> int:
        """Return how many sets of triggers were made."""
        rows = await self._orders.sql(
            "select distinct made_for from trigger where origin = %s", self._subscription
        )
        return len(rows)

    async def exits(self) -> None:
        """A loss stop sells all from now on."""
        await self._orders.sql(
            "update subscription set state = 'PAUSED', exiting = true, performance_actions = 3"
            " where id = %s", self._subscription,
        )  # fmt: skip

    async def exits_made(self) -> list[tuple[object, bool]]:
        """Return what sells all at once, and for which performance action."""
        rows = await self._orders.sql(
            "select trigger_type, exit_of from trigger where origin = %s and exit_of <> ''"
            " and fire_at_ms <= extract(epoch from clock_timestamp()) * 1000", self._subscription,
        )  # fmt: skip
        desired = action_id(self._subscription, 2)
        return [(row["trigger_type"], row["exit_of"] == desired) for row in rows]

    async def stops(self) -> list[object]:
        """Prices of all stops that were made, in cents, oldest first."""
        rows = await self._orders.sql(
            "select price_micros / 10000 as cents from trigger"
            " where origin = %s and trigger_type = 'STOP_LOSS' order by created_at",
            self._subscription,
        )
        return [row["cents"] for row in rows]


@pytest.fixture(params=[_known, unknown], ids=["known", "unknown"])
def smallest(request: pytest.FixtureRequest) -> Smallest:
    """Return what is known of the market's smallest order."""
    found: Smallest = request.param
    return found


async def test_buy_after_a_stop_with_remainder_gets_a_stop(
    orders: Orders, smallest: Smallest
) -> None:
    lot = Lot(orders)
    await lot.subscribe()
    await lot.buy((10, 40), smallest=smallest)
    await lot.sell(7)
    await lot.end("STOP_LOSS", "DONE")
    await lot.buy((10, 80), smallest=smallest)
    assert await lot.stops() == [36, 72]
    await lot.buy((10, 60), smallest=smallest)
    assert await lot.stops() == [36, 72], "more of the same position"


async def test_a_leaders_exit_that_left_a_remainder_ends_the_position(orders: Orders) -> None:
    lot = Lot(orders)
    await lot.subscribe()
    await lot.buy((10, 40))
    await lot.sell(7)
    await lot.buy((10, 80))
    assert await lot.stops() == [36, 72]


async def test_a_living_position_has_one_set(orders: Orders, smallest: Smallest) -> None:
    """Nor does a trigger come back that its owner has deleted."""
    lot = Lot(orders)
    await lot.subscribe()
    await lot.buy((10, 40), smallest=smallest)
    await lot.sell(5)
    await lot.end("STOP_LOSS", "CANCELLED")
    await lot.buy((10, 80), smallest=smallest)
    assert await lot.stops() == [36]


async def test_trigger_of_a_fixed_size_ends_no_position(orders: Orders, smallest: Smallest) -> None:
    lot = Lot(orders)
    await lot.subscribe()
    await lot.buy((10, 40), smallest=smallest)
    await lot.shrink("TAKE_PROFIT", 4)
    await lot.sell(4)
    await lot.end("TAKE_PROFIT", "DONE")
    await lot.end("STOP_LOSS", "CANCELLED")
    await lot.buy((10, 80), smallest=smallest)
    assert await lot.stops() == [36]


async def test_a_position_before_is_not_the_one_that_sold_out(
    orders: Orders, smallest: Smallest
) -> None:
    lot = Lot(orders)
    await lot.subscribe()
    await lot.buy((10, 40), smallest=smallest)
    await lot.sell(7)
    await lot.end("STOP_LOSS", "DONE")
    await lot.buy((3, 80), smallest=smallest)
    await lot.end("STOP_LOSS", "CANCELLED")
    await lot.buy((10, 60), smallest=smallest)
    assert await lot.stops() == [36, 72]


async def test_trades_of_one_order_open_one_position(orders: Orders, smallest: Smallest) -> None:
    lot = Lot(orders)
    await lot.subscribe()
    received = await lot.received("BUY", (2, 40), (3, 80), (5, 80))
    await lot.take(received, smallest=smallest)
    await lot.take(received, smallest=smallest)
    assert await lot.stops() == [36]


async def test_later_trades_of_an_order_open_no_second_position(orders: Orders) -> None:
    lot = Lot(orders)
    await lot.subscribe()
    whole = await lot.received("BUY", (2, 40), (8, 80))
    await lot.take(_part(whole, 1))
    await lot.take(whole)
    assert await lot.stops() == [36]


@pytest.mark.parametrize("left", [0, 1])
async def test_fill_after_the_stop_sold_gets_its_own_stop(
    orders: Orders, smallest: Smallest, left: int
) -> None:
    """Also when the first fill's stop has left a remainder; and more of it has no second one."""
    lot = Lot(orders)
    await lot.subscribe()
    whole = await lot.received("BUY", (4, 40), (3, 80), (3, 60))
    await lot.take(_part(whole, 1), smallest=smallest)
    await lot.sell(4 - left)
    await lot.end("STOP_LOSS", "DONE")
    await lot.take(_part(whole, 2), smallest=smallest)
    assert await lot.stops() == [36, 72]
    assert await lot.sets() == 2, "the guard ends what is left of the first"
    await lot.take(whole, smallest=smallest)
    await lot.buy((10, 50), smallest=smallest)
    assert await lot.stops() == [36, 72], "more of the same position"


async def test_fills_after_a_stop_with_remainder_make_one_set(
    orders: Orders, smallest: Smallest
) -> None:
    lot = Lot(orders)
    await lot.subscribe()
    await lot.buy((10, 40), smallest=smallest)
    await lot.sell(7)
    await lot.end("STOP_LOSS", "DONE")
    await lot.buy((2, 80), (4, 60), (4, 50), smallest=smallest)
    assert await lot.stops() == [36, 72]


def _part(whole: ReportedOrder, trades: int) -> ReportedOrder:
    """An earlier answer about an order, with its first trades."""
    assert whole.answer is not None
    answer = reported(whole.order_key, *whole.answer.trades[:trades], closed=False)
    return ReportedOrder(order_key=whole.order_key, answer=answer)


async def test_buys_that_come_together_make_one_set(orders: Orders) -> None:
    lot = Lot(orders)
    await lot.subscribe()
    await lot.buy((10, 40))
    await lot.sell(7)
    await lot.take(await lot.received("BUY", (1, 60)), await lot.received("BUY", (10, 80)))
    assert await lot.stops() == [36, 72]


async def test_remainder_differs_from_a_position_by_ended_orders(
    orders: Orders,
) -> None:
    """The guard ends the stop under the lock of the lot, for which the buy waits."""
    lot = Lot(orders)
    await lot.subscribe()
    await lot.buy((10, 40))
    await lot.sell(7)
    bought = await lot.received("BUY", (10, 80))
    async with orders.pool.connection() as guard, guard.transaction():
        await guard.execute(
            "select 1 from lot where follower_proxy = %s for update", (orders.wallet,)
        )
        buying = asyncio.create_task(lot.take(bought, smallest=unknown))
        await eventually(lambda: _waits(orders))
        await guard.execute(
            "update trigger set status = 'DONE' where follower_proxy = %s", (orders.wallet,)
        )
    await buying
    assert await lot.stops() == [36, 72]


async def _waits(orders: Orders) -> bool:
    """Return whether somebody waits for a row."""
    return bool(
        await orders.sql(
            "select 1 from pg_stat_activity where datname = current_database()"
            " and wait_event_type = 'Lock'"
        )
    )


async def test_what_comes_after_a_loss_stop_is_sold_and_keeps_its_stop(orders: Orders) -> None:
    """A resume takes back the exit alone."""
    lot = Lot(orders)
    await lot.subscribe()
    await lot.exits()
    await lot.buy((10, 40))
    assert await lot.exits_made() == [("TIME_STOP", True)]
    assert await lot.stops() == [36]
    assert await lot.sets() == 1
