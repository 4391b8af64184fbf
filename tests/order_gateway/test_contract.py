"""One contract for every `OrderGateway`, over far sides that behave and that do not.

Never two orders for one intent, no fill lost or doubled, and what was not answered is resolved by
reading alone. The far side's own orders and trades are the judge.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from services.bots.core import orders
from services.bots.core.orders import BotOrder
from tests.order_gateway.clob_side import clob_side
from tests.order_gateway.insiders_side import insiders_side
from tests.order_gateway.okx_side import okx_side
from tests.order_gateway.sides import FarSide, Misbehaviour, Wallet, until
from tradingtools import clock
from tradingtools.domain.bot_order_states import ENDED, BotOrderState, PendingRequest
from tradingtools.venues.ports import Meaning
from tradingtools.venues.trading import (
    AmendOrder,
    Connected,
    Fill,
    NewOrder,
    OrderReport,
    OrderStatus,
    RestingTime,
)

SIDES: dict[str, Callable[[Path], AbstractContextManager[FarSide]]] = {
    "insiders": insiders_side,
    "okx": okx_side,
    "polymarket": clob_side,
}
RESTING = ("okx", "polymarket")
UNANSWERED = (Misbehaviour.LOST, Misbehaviour.NEVER, Misbehaviour.LATE, Misbehaviour.BROKEN)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], FarSide]]:
    """Each far side is begun once, when it is asked for."""
    found: dict[str, FarSide] = {}
    with ExitStack() as stack:

        def run(name: str) -> FarSide:
            if name not in found:
                found[name] = stack.enter_context(SIDES[name](tmp_path_factory.mktemp(name)))
            return found[name]

        yield run


@pytest.fixture
def side(running: Callable[[str], FarSide], name: str) -> FarSide:
    return running(name)


async def filled_by(wallet: Wallet, order: NewOrder) -> dict[str, int]:
    """Size by trade of what reading and the socket tell together; each trade counts once."""
    read = await wallet.accounts.fills(order.created_ms - 60_000)
    reported = [one for one in wallet.events if isinstance(one, Fill)]
    mine = [one for one in (*read, *reported) if one.order_id == order.order_id]
    undone = {one.trade_id for one in mine if one.undone}
    return {one.trade_id: one.size for one in mine if one.trade_id not in undone}


async def settled(side: FarSide, wallet: Wallet, order: NewOrder, size: int) -> None:
    """Wait until the far side has filled so much of an order, and we know of all of it."""

    async def same() -> bool:
        far = await side.filled(wallet, order)
        return sum(far.values()) == size and await filled_by(wallet, order) == far

    await until(same, "the same fills on both sides")


@pytest.mark.parametrize("name", sorted(SIDES))
async def test_an_order_is_taken_once_read_and_ends(name: str, side: FarSide) -> None:
    async with side.wallet(f"honest{name}") as wallet:
        order = wallet.order()
        receipt = await wallet.gateway.place(order)
        assert receipt.meaning is Meaning.ACCEPTED, receipt
        assert await side.orders(wallet) == 1
        found = await wallet.accounts.find(wallet.named(order))
        assert found is not None
        assert (found.order_id, found.venue_order_id) == (order.order_id, receipt.venue_order_id)
        if not wallet.gateway.capabilities.resting:
            await settled(side, wallet, order, order.size)
            return
        assert [one.order_id for one in await wallet.accounts.open_orders()] == [order.order_id]
        assert (await wallet.gateway.cancel(wallet.named(order))).meaning is Meaning.ACCEPTED
        ended = await wallet.accounts.find(wallet.named(order))
        assert ended is not None
        assert ended.status is OrderStatus.CANCELLED
        assert await wallet.accounts.open_orders() == []
        again = await wallet.gateway.cancel(wallet.named(order))
        assert again.meaning is Meaning.REJECTED


@pytest.mark.parametrize("how", sorted(UNANSWERED))
@pytest.mark.parametrize("name", sorted(SIDES))
async def test_what_was_not_answered_is_resolved_by_reading(
    name: str, how: Misbehaviour, side: FarSide
) -> None:
    async with side.wallet(f"{how}{name}") as wallet:
        order = wallet.order()
        await side.misbehave(how)
        assert (await wallet.gateway.place(order)).meaning is Meaning.UNKNOWN
        if how is Misbehaviour.LATE:
            early = await wallet.accounts.find(wallet.named(order))
            # Unless it was faster than the question.
            assert early is None or await side.orders(wallet) == 1
            await side.arrive(wallet, 1)
        there = how in (Misbehaviour.LOST, Misbehaviour.LATE)
        assert await side.orders(wallet) == int(there)
        found = await wallet.accounts.find(wallet.named(order))
        assert (found is not None) is there
        if not wallet.gateway.capabilities.resting:
            await settled(side, wallet, order, order.size if there else 0)


@pytest.mark.parametrize("name", sorted(SIDES))
async def test_what_is_beyond_a_limit_was_not_taken(name: str, side: FarSide) -> None:
    async with side.wallet(f"limited{name}") as wallet:
        await side.misbehave(Misbehaviour.LIMITED)
        receipt = await wallet.gateway.place(wallet.order())
        assert receipt.meaning is Meaning.NOT_ACCEPTED, receipt
        assert await side.orders(wallet) == 0


@pytest.mark.parametrize("name", sorted(SIDES))
async def test_what_a_venue_cannot_do_is_refused_before_a_byte_leaves(
    name: str, side: FarSide
) -> None:
    async with side.wallet(f"cannot{name}") as wallet:
        able = wallet.gateway.capabilities
        late = await wallet.gateway.place(wallet.order(not_after_ms=clock.now_ms() - 1))
        assert late.meaning in (Meaning.REJECTED, Meaning.NOT_ACCEPTED)
        order = wallet.order()
        if not able.resting:
            rests = replace(order, time_in_force=RestingTime.GTC)
            assert (await wallet.gateway.place(rests)).meaning is Meaning.REJECTED
            assert (await wallet.gateway.cancel(wallet.named(order))).meaning is Meaning.REJECTED
        if not able.amend:
            change = AmendOrder(
                order_id=order.order_id,
                request_id="r1",
                instrument=order.instrument,
                size=order.size * 2,
                not_after_ms=clock.now_ms() + 20_000,
            )
            assert (await wallet.gateway.amend(change)).meaning is Meaning.REJECTED
        assert await side.orders(wallet) == 0


@pytest.mark.parametrize("name", sorted(SIDES))
async def test_an_id_that_is_used_again_is_one_order_where_the_venue_says_so(
    name: str, side: FarSide
) -> None:
    """OKX takes it once the first one is filled: nothing may ever place an order twice."""
    async with side.wallet(f"again{name}") as wallet:
        order = wallet.order()
        await wallet.gateway.place(order)
        if wallet.gateway.capabilities.resting:
            await side.trade(wallet, order, order.size)
        await settled(side, wallet, order, order.size)
        await wallet.gateway.place(order)
        unique = wallet.gateway.capabilities.unique_order_id
        assert await side.orders(wallet) == (1 if unique else 2)


@pytest.mark.parametrize("name", RESTING)
async def test_a_fill_that_nobody_told_is_read_after_the_connection(
    name: str, side: FarSide
) -> None:
    async with side.wallet(f"dropped{name}") as wallet:
        order = wallet.order()
        await wallet.gateway.place(order)
        await side.trade(wallet, order, order.size // 4)
        received = len(wallet.events)
        await side.drop(wallet)
        await side.trade(wallet, order, order.size // 2)
        await wallet.reported(Connected, after=received)
        await settled(side, wallet, order, 3 * order.size // 4)
        found = await wallet.accounts.find(wallet.named(order))
        assert found is not None
        assert found.status is OrderStatus.PARTIALLY_FILLED
        assert found.filled_size == 3 * order.size // 4


@pytest.mark.parametrize("name", RESTING)
async def test_what_is_told_twice_and_out_of_order_counts_once(name: str, side: FarSide) -> None:
    async with side.wallet(f"jumbled{name}") as wallet:
        order = wallet.order()
        mine = orders.sending(orders.intend(order, bot_id="b", epoch=1))
        received = len(wallet.events)
        await side.jumble(wallet, holds=True)
        # Before the answer to it, too.
        receipt = await wallet.gateway.place(order)
        for _ in range(4):
            await side.trade(wallet, order, order.size // 4)
        await side.jumble(wallet, holds=False)
        far = await side.filled(wallet, order)
        assert sum(far.values()) == order.size

        async def all_twice() -> bool:
            reported = [one.trade_id for one in wallet.events[received:] if isinstance(one, Fill)]
            return all(reported.count(one) > 1 for one in far)

        await until(all_twice, "every fill twice")
        for event in wallet.events[received:]:
            if isinstance(event, Fill | OrderReport) and event.order_id == order.order_id:
                fold = orders.filled if isinstance(event, Fill) else orders.reported
                mine = fold(mine, event)  # type: ignore[arg-type]
        mine = orders.answered(mine, PendingRequest.PLACE, receipt)
        assert dict(mine.fills) == far
        assert (mine.state, mine.settled, mine.breach) == (BotOrderState.FILLED, True, "")
        assert await filled_by(wallet, order) == far


@pytest.mark.parametrize("name", RESTING)
async def test_a_cancel_that_overtakes_its_place_ends_nothing(name: str, side: FarSide) -> None:
    async with side.wallet(f"overtaken{name}") as wallet:
        order = wallet.order()
        await side.misbehave(Misbehaviour.LATE)
        assert (await wallet.gateway.place(order)).meaning is Meaning.UNKNOWN
        early = await wallet.gateway.cancel(wallet.named(order))
        if early.meaning is Meaning.ACCEPTED:
            # The place was faster, by a machine that had other things to do.
            assert await side.orders(wallet) == 1
            return
        await side.arrive(wallet, 1)
        assert [one.order_id for one in await wallet.accounts.open_orders()] == [order.order_id]
        assert (await wallet.gateway.cancel(wallet.named(order))).meaning is Meaning.ACCEPTED
        assert await wallet.accounts.open_orders() == []
        assert await side.orders(wallet) == 1


class Course:
    """A random course of orders through everything that a far side does, folded as an engine does.

    An order is sent once; its answer, what is told and what is read are folded in. Nothing else
    decides what became of it.
    """

    def __init__(self, side: FarSide, wallet: Wallet, seed: int) -> None:
        self.side = side
        self.wallet = wallet
        self.rng = random.Random(seed)  # noqa: S311
        self.known: dict[str, BotOrder] = {}
        self.there: set[str] = set()

    async def go(self, steps: int) -> None:
        resting = self.wallet.gateway.capabilities.resting
        for _ in range(steps):
            await self.place(self.rng.choice([None, *Misbehaviour]))
            if resting and self.there:
                await self.disturb()
        for order_id in list(self.known):
            await self.end(order_id)

    async def place(self, how: Misbehaviour | None) -> None:
        order = self.wallet.order()
        mine = orders.sending(orders.intend(order, bot_id="b", epoch=1))
        if how is not None:
            await self.side.misbehave(how)
        receipt = await self.wallet.gateway.place(order)
        self.known[order.order_id] = orders.answered(mine, PendingRequest.PLACE, receipt)
        if how in (None, Misbehaviour.LOST, Misbehaviour.LATE):
            self.there.add(order.order_id)
        if how is Misbehaviour.LATE:
            await self.side.arrive(self.wallet, len(self.there))

    async def disturb(self) -> None:
        """Trade, cancel or cut, at random."""
        one = self.known[self.rng.choice(sorted(self.there))].order
        choice = self.rng.random()
        if choice < 0.5:
            await self.side.trade(self.wallet, one, one.size // self.rng.choice([1, 2, 4]))
        elif choice < 0.7:
            await self.wallet.gateway.cancel(self.wallet.named(one))
        elif choice < 0.8:
            await self.side.drop(self.wallet)

    async def end(self, order_id: str) -> None:
        """Cancel what rests, and fold in all that is told and read, again and again."""
        one = self.known[order_id]
        if one.state not in ENDED and self.wallet.gateway.capabilities.resting:
            await self.wallet.gateway.cancel(self.wallet.named(one.order))

        async def same() -> bool:
            await self.fold(order_id)
            far = await self.side.filled(self.wallet, one.order)
            return dict(self.known[order_id].fills) == far

        await until(same, "the same fills on both sides")

    async def fold(self, order_id: str) -> None:
        one = self.known[order_id]
        read = await self.wallet.accounts.fills(one.order.created_ms - 60_000)
        reported = [event for event in self.wallet.events if isinstance(event, Fill | OrderReport)]
        mixed = [*reported, *read, *reported]
        self.rng.shuffle(mixed)
        for event in mixed:
            if event.order_id == order_id:
                fold = orders.filled if isinstance(event, Fill) else orders.reported
                one = fold(one, event)  # type: ignore[arg-type]
        found = await self.wallet.accounts.find(self.wallet.named(one.order))
        if found is not None:
            one = orders.reported(one, found, read_ms=clock.now_ms())
        self.known[order_id] = one


async def walk(side: FarSide, name: str, seed: int, steps: int) -> None:
    async with side.wallet(f"course{seed}{name}") as wallet:
        course = Course(side, wallet, seed)
        await course.go(steps)

        assert await side.orders(wallet) == len(course.there)
        for order_id, one in course.known.items():
            assert not one.breach
            if order_id in course.there:
                assert one.state in ENDED, one
                assert one.state is not BotOrderState.REJECTED
                assert one.settled
            else:
                assert one.state in (BotOrderState.REJECTED, BotOrderState.UNKNOWN)
                assert not one.fills


@pytest.mark.parametrize("name", sorted(SIDES))
async def test_no_order_is_doubled_and_no_fill_lost_on_any_course(name: str, side: FarSide) -> None:
    await walk(side, name, seed=1, steps=8)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(2, 22))
@pytest.mark.parametrize("name", sorted(SIDES))
async def test_no_order_is_doubled_and_no_fill_lost_on_many_courses(
    name: str, seed: int, side: FarSide
) -> None:
    await walk(side, name, seed, steps=20)
