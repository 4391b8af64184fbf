"""Shares that are not there: two answers prove it, and only then lots shrink, once."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, cast
from unittest import mock

import pytest
from structlog.testing import capture_logs

from services.confirm import corrections, payouts
from services.confirm.bookings import load_bookings
from services.confirm.core import lot_shrinking
from services.confirm.corrections import Proof
from services.confirm.shortfalls import Shortfalls
from tests.confirm.conftest import SIZE, Orders, nobody_tells, reported, trade
from tradingtools import clock
from tradingtools.domain.book import Book, BookStatus, Market
from tradingtools.domain.venue_order import TradeStatus
from tradingtools.storage.postgres.pipeline import Pipeline
from tradingtools.v1 import common_pb2 as common
from tradingtools.v1 import confirm_service_pb2 as pb
from tradingtools.venues.insiders.order_gateway import Answer, InsidersClient, Unanswered

MARKET = "0x" + "c" * 64
DONE, MATCHED = TradeStatus.CONFIRMED, TradeStatus.MATCHED
APART = 3.0


@dataclass
class Scene:
    """A wallet at an insiders-api that tells what it is told, and a clock."""

    orders: Orders
    held: int | None
    """Micros of shares; None: the question is not answered."""
    now: float = 1000.0
    requested: int = 0
    meanwhile: Callable[[], Awaitable[object]] | None = None
    """What happens while it is asked."""
    shortfalls: Shortfalls = field(init=False)

    def begin(self) -> None:
        """Start confirm's part anew, as after a kill -9."""
        orders = self.orders
        self.shortfalls = Shortfalls(
            orders.pool, orders.lease, self.write, cast("InsidersClient", self),
            timeout_ms=1000, apart_ms=int(APART * 1000),
        )  # fmt: skip

    async def write(self, work: Callable[[], Awaitable[bool]]) -> bool:
        return await work()

    async def positions(self, proxy: str, _timeout_ms: int) -> Answer:
        self.requested += 1
        if self.meanwhile is not None:
            await self.meanwhile()
        if self.held is None:
            raise Unanswered("gone", 0)
        held = [{"assetId": "1", "conditionId": MARKET, "size": f"{self.held / 10**6:f}"}]
        positions = held if self.held else []
        body = {"followerProxy": proxy, "asOf": "now", "positions": positions}
        return Answer(status=200, body=json.dumps(body).encode(), first_byte_ns=1, answered_ns=2)

    async def poll(self, *, later: float = APART) -> None:
        """Ask, so much later."""
        self.now += later
        await self.shortfalls.poll(self.orders.wallet)

    async def lots(self) -> dict[str, int]:
        rows = await self.orders.sql(
            "select origin, shares_micros from lot where follower_proxy = %s", self.orders.wallet
        )
        return {str(row["origin"]): cast(int, row["shares_micros"]) for row in rows}

    async def rows(self, table: str) -> list[dict[str, Any]]:
        return await self.orders.sql(
            f"select * from {table} where follower_proxy = %s order by id", self.orders.wallet
        )


@contextmanager
def _at(scene: Scene) -> Iterator[None]:
    with mock.patch.object(clock, "monotonic", side_effect=lambda: scene.now):
        yield


async def _bought(orders: Orders, subscription: str = "sub_1", size: int = SIZE) -> str:
    key = await orders.make("SUBMITTED", subscription=subscription)
    await orders.take(key, reported(key, trade(f"t-{key}", DONE, size)))
    return key


@pytest.fixture
def scene(orders: Orders) -> Iterator[Scene]:
    made = Scene(orders, held=0)
    with _at(made):
        made.begin()
        yield made


async def test_two_answers_apart_shrink_a_lot_once(scene: Scene) -> None:
    await _bought(scene.orders)
    scene.held = 4_000_000
    await scene.poll()
    assert await scene.lots() == {"sub_1": SIZE}, "one answer proves nothing"
    await scene.poll(later=APART / 2)
    assert await scene.lots() == {"sub_1": SIZE}, "too soon after the first one"
    await scene.poll()
    assert await scene.lots() == {"sub_1": 4_000_000}
    await scene.poll()
    await scene.poll()
    (correction,) = await scene.rows("lot_correction")
    assert (correction["reason"], correction["size_micros"], correction["held_micros"]) == (
        "SOLD_ELSEWHERE", SIZE - 4_000_000, 4_000_000,
    )  # fmt: skip


async def test_lot_its_cost_the_audit_and_the_readers_follow(scene: Scene) -> None:
    await _bought(scene.orders)
    with capture_logs() as logs:
        await scene.poll()
        await scene.poll()
    assert any(line.get("alert") and line["after"] == 0 for line in logs)
    (lot,) = await scene.orders.sql(
        "select * from lot where follower_proxy = %s", scene.orders.wallet
    )
    assert (lot["shares_micros"], lot["cost_micros"], lot["realised_micros"]) == (0, 0, 0)
    assert (lot["elsewhere_micros"], lot["elsewhere_cost_micros"]) == (SIZE, 4_000_000)
    (entry,) = await scene.orders.sql(
        "select * from lot_entry where follower_proxy = %s", scene.orders.wallet
    )
    assert (entry["size_micros"], entry["cost_micros"]) == (0, 0)
    bookings = [fill for _, fill in await load_bookings(scene.orders.pool, 0, 10_000)]
    last = [fill for fill in bookings if fill.follower_proxy == scene.orders.wallet][-1]
    assert last == pb.FillEvent(
        fill_seq=last.fill_seq, kind=pb.FILL_KIND_CORRECTED, subscription_id="sub_1",
        follower_proxy=scene.orders.wallet, condition_id="0xc", asset_id="1", size_micros=SIZE,
        reason="SOLD_ELSEWHERE", booked_ns=last.booked_ns,
    )  # fmt: skip
    (change,) = await scene.orders.sql(
        "select c.*, sha256(previous_hash || convert_to(control_change_text(c), 'UTF8')) = hash"
        " as whole from control_change c where subject_kind = 'lot' and subject_id = %s",
        f"{scene.orders.wallet}/1/sub_1",
    )
    assert (change["actor"], change["action"], change["whole"]) == ("confirm", "correct", True)


async def test_what_a_follower_buys_by_himself_afterwards_stays_his(scene: Scene) -> None:
    await _bought(scene.orders)
    for held in (0, 0, 2 * SIZE, 2 * SIZE):
        scene.held = held
        await scene.poll()
    assert await scene.lots() == {"sub_1": 0}, "more than the lot is nobody's but his"


async def test_shares_sold_by_hand_are_not_paid_on_resolution(scene: Scene) -> None:
    await _bought(scene.orders)
    resolved = await _resolved(scene, "1")
    for held in (None, 4_000_000):
        scene.held = held
        await resolved.poll()
        assert await scene.lots() == {"sub_1": SIZE}, "nobody knows yet what is there"
        scene.now += APART
    await scene.shortfalls.poll_due()
    await resolved.poll()
    (payout,) = await scene.rows("payout")
    assert (payout["size_micros"], payout["paid_micros"]) == (4_000_000, 2_000_000)
    assert await scene.lots() == {"sub_1": 0}


async def test_a_wallet_that_holds_all_is_paid_after_one_question(scene: Scene) -> None:
    await _bought(scene.orders)
    scene.held = SIZE
    await (await _resolved(scene, "1")).poll()
    (payout,) = await scene.rows("payout")
    assert (payout["size_micros"], scene.requested) == (SIZE, 1)


async def test_shares_booked_during_a_lookup_are_looked_up_again(
    scene: Scene,
) -> None:
    await _bought(scene.orders)
    scene.held, scene.meanwhile = SIZE, lambda: _bought(scene.orders)
    resolved = await _resolved(scene, "1")
    await resolved.poll()
    assert await scene.rows("payout") == []
    scene.held, scene.meanwhile = 2 * SIZE, None
    await resolved.poll()
    (payout,) = await scene.rows("payout")
    assert payout["size_micros"] == 2 * SIZE


async def test_foreign_redemption_is_paid_once_an_operator_vouches(
    scene: Scene,
) -> None:
    await _bought(scene.orders)
    scene.held = 0
    resolved = await _resolved(scene, "1")
    for _ in range(2):
        await resolved.poll()
        scene.now += APART
    await scene.shortfalls.poll_due()
    assert await scene.lots() == {"sub_1": 0}
    # The same when insiders-api lists no resolved shares; a redemption comes with its payout.
    assert await scene.rows("payout") == []
    await _vouch(scene, SIZE)
    await resolved.poll()
    (payout,) = await scene.rows("payout")
    assert (payout["size_micros"], payout["paid_micros"]) == (SIZE, SIZE // 2)


async def test_an_operators_word_is_of_what_it_was_given_for(scene: Scene) -> None:
    await _bought(scene.orders)
    await _vouch(scene, SIZE // 2)
    await _bought(scene.orders)
    scene.held = 0
    await (await _resolved(scene, "1")).poll()
    assert await scene.rows("payout") == [], "something was bought since"


@pytest.mark.parametrize("held", [None, 0])
async def test_a_payout_that_waits_for_long_calls_a_person(scene: Scene, held: int | None) -> None:
    await _bought(scene.orders)
    # What tests before have left of the outcome does not wait beside it.
    await scene.orders.sql(
        "update lot set shares_micros = 0, cost_micros = 0 where follower_proxy <> %s",
        scene.orders.wallet,
    )
    resolved = await _resolved(scene, "1")
    scene.held = held
    with capture_logs() as logs, mock.patch.object(corrections, "shrink", return_value=False):
        for _ in range(59):
            await resolved.poll()
            scene.now += 1
        assert not [line for line in logs if line.get("alert")]
        for _ in range(61):
            scene.now += 1
            await resolved.poll()
        calls = [line for line in logs if line.get("alert")]
        assert [(line["number"], line["wallet"]) for line in calls] == 2 * [
            (1, scene.orders.wallet)
        ], "once a minute"
    scene.held = SIZE
    scene.now += 1
    with capture_logs() as logs:
        await resolved.poll()
        scene.now += 120
        await resolved.poll()
    assert len(await scene.rows("payout")) == 1
    assert not [line for line in logs if line.get("alert")]


async def _vouch(scene: Scene, shares_micros: int) -> None:
    """An operator says what the wallet's lot holds."""
    await scene.orders.sql(
        "insert into lot_request (request_id, follower_proxy, asset_id, origin, shares_micros,"
        " evidence, operator, control_seq) values (%s, %s, '1', 'sub_1', %s, 'seen', 'ann', 1)"
        " returning id",
        f"r-{scene.orders.wallet}", scene.orders.wallet, shares_micros,
    )  # fmt: skip
    await corrections.poll(scene.orders.pool, scene.orders.lease, scene.write, nobody_tells)


async def _resolved(scene: Scene, asset: str) -> payouts.Payouts:
    """Confirm's payouts, once a share of an asset pays a half."""
    made = payouts.Payouts(
        scene.orders.pool, scene.orders.lease, lambda work: work(), scene.shortfalls.covered
    )
    market = Market(
        asset_id=asset, condition_id="0xc", tick_micros=10_000, min_size_micros=1,
        fee_rate_micros=0, closed=True, payout_micros=500_000,
    )  # fmt: skip
    await made.on_books([Book(market=market, status=BookStatus.EMPTY, bids=(), asks=(), book_ms=0)])
    return made


async def test_what_differs_between_the_answers_is_not_proven(scene: Scene) -> None:
    await _bought(scene.orders)
    for held in (0, SIZE, 0, None, SIZE, 2_000_000):
        scene.held = held
        await scene.poll()
    assert await scene.lots() == {"sub_1": SIZE}
    scene.held = 1_000_000
    await scene.poll()
    assert await scene.lots() == {"sub_1": 2_000_000}, "the greater of two answers in a row"


async def test_an_answer_that_cannot_be_had_shrinks_nothing(scene: Scene) -> None:
    await _bought(scene.orders)
    scene.held = None
    for _ in range(4):
        await scene.poll()
    assert await scene.lots() == {"sub_1": SIZE}


@pytest.mark.parametrize("path", ["CLAIMED", "SUBMITTED", "UNKNOWN", "DEAD"])
@pytest.mark.parametrize("side", ["BUY", "SELL"])
async def test_nothing_is_concluded_while_an_order_is_under_way(
    scene: Scene, path: str, side: str
) -> None:
    await _bought(scene.orders)
    await scene.orders.make(path, side=side)
    for _ in range(3):
        await scene.poll()
    assert await scene.lots() == {"sub_1": SIZE}


async def test_nothing_is_concluded_before_a_claim_is_a_row(scene: Scene) -> None:
    await _bought(scene.orders)
    order = {"follower_proxy": scene.orders.wallet, "asset_id": "1"}
    await scene.orders.sql(
        "insert into journal (kind, role, record_key, partition, epoch, payload, order_count)"
        " values ('CLAIMED', 'guard', %s, 0, 1, %s, 1)",
        scene.orders.wallet, json.dumps({"orders": [order]}).encode(),
    )  # fmt: skip
    for _ in range(3):
        await scene.poll()
    assert await scene.lots() == {"sub_1": SIZE}


async def test_an_order_between_the_answers_begins_anew(scene: Scene) -> None:
    await _bought(scene.orders)
    await scene.poll()
    await _bought(scene.orders, size=1_000_000)
    await scene.poll()
    assert await scene.lots() == {"sub_1": SIZE + 1_000_000}
    await scene.poll()
    assert await scene.lots() == {"sub_1": 0}


async def test_an_order_that_is_claimed_while_it_is_asked_stops_it(scene: Scene) -> None:
    await _bought(scene.orders)
    await scene.poll()
    scene.meanwhile = lambda: scene.orders.make("CLAIMED", side="SELL")
    await scene.poll()
    assert await scene.lots() == {"sub_1": SIZE}


async def test_a_sale_that_is_booked_while_it_is_asked_stops_it(scene: Scene) -> None:
    await _bought(scene.orders)

    async def sell() -> None:
        key = await scene.orders.make("SUBMITTED", side="SELL")
        await scene.orders.take(key, reported(key, trade(key, DONE, 1_000_000), side="SELL"))

    await scene.poll()
    scene.held, scene.meanwhile = SIZE - 1_000_000, sell
    await scene.poll()
    assert await scene.lots() == {"sub_1": SIZE - 1_000_000}


async def test_readings_begin_after_the_last_settlement(scene: Scene) -> None:
    await _bought(scene.orders)
    settled = pb.FillEvent(
        kind=pb.FILL_KIND_CONFIRMED, follower_proxy=scene.orders.wallet, asset_id="1"
    )
    await scene.poll()
    scene.shortfalls.booked(settled)
    await scene.poll(later=1)
    await scene.poll(later=1.5)
    assert await scene.lots() == {"sub_1": SIZE}
    await scene.poll(later=1)
    assert await scene.lots() == {"sub_1": SIZE}, "the first one that counts"
    await scene.poll()
    assert await scene.lots() == {"sub_1": 0}


async def test_a_process_that_begins_anew_asks_twice_again(scene: Scene) -> None:
    await _bought(scene.orders)
    await scene.poll()
    scene.begin()
    await scene.poll()
    assert await scene.lots() == {"sub_1": SIZE}
    await scene.poll()
    assert await scene.lots() == {"sub_1": 0}


async def test_a_refused_exit_is_a_reason_to_look_at_once(scene: Scene) -> None:
    await _bought(scene.orders)
    scene.now += APART
    refused = pb.FillEvent(
        kind=pb.FILL_KIND_CLOSED, follower_proxy=scene.orders.wallet, asset_id="1",
        side=common.SIDE_SELL, reason="INSUFFICIENT_BALANCE",
    )  # fmt: skip
    with capture_logs() as logs:
        scene.shortfalls.booked(refused)
    assert [line["alert"] for line in logs if "for want of balance" in line["event"]] == [True]
    await scene.shortfalls.poll_due()
    assert scene.requested == 1
    for _ in range(3):
        scene.now += APART
        await scene.shortfalls.poll_due()
    assert await scene.lots() == {"sub_1": 0}
    assert scene.requested == 2, "and nothing is asked once it is known"


async def test_manual_lot_shrinks_first_then_copies_in_proportion(scene: Scene) -> None:
    await _bought(scene.orders, "sub_1")
    await _bought(scene.orders, "sub_2", SIZE // 2)
    await scene.orders.sql(
        "insert into lot (follower_proxy, asset_id, origin, condition_id, shares_micros,"
        " bought_size_micros, by_hand_micros) values (%s, '1', 'manual', '0xc', %s, %s, %s)",
        scene.orders.wallet, 3_000_000, 3_000_000, 3_000_000,
    )  # fmt: skip
    scene.held = 16_000_000
    await scene.poll()
    await scene.poll()
    assert await scene.lots() == {"sub_1": SIZE, "sub_2": SIZE // 2, "manual": 1_000_000}
    scene.held = 10_000_000
    await scene.poll()
    await scene.poll()
    assert await scene.lots() == {"sub_1": 6_666_666, "sub_2": 3_333_334, "manual": 0}


@pytest.mark.parametrize("statement", list(range(1, 10)))
async def test_a_kill_at_any_statement_changes_nothing_or_all(scene: Scene, statement: int) -> None:
    """The connection goes at the n-th statement of the transaction, and confirm begins anew."""
    await _bought(scene.orders)
    lot = lot_shrinking.lot(
        (
            await scene.orders.sql(
                "select * from lot where follower_proxy = %s", scene.orders.wallet
            )
        )[0]
    )
    proof = Proof(proxy=scene.orders.wallet, asset_id="1", lots=(lot,), held_micros=0)
    requested, ask = 0, Pipeline.queue

    def dies(together: Any, query: Any, values: Any = None) -> Any:
        nonlocal requested
        requested += 1
        if requested == statement:
            raise asyncio.CancelledError
        return ask(together, query, values)

    with (
        mock.patch.object(Pipeline, "queue", dies),
        pytest.raises(asyncio.CancelledError),
    ):
        await corrections.shrink(scene.orders.pool, scene.orders.lease, proof)
    assert await scene.lots() == {"sub_1": SIZE}
    assert await scene.rows("lot_correction") == []
    assert await corrections.shrink(scene.orders.pool, scene.orders.lease, proof)
    assert not await corrections.shrink(scene.orders.pool, scene.orders.lease, proof), "once"
    assert await scene.lots() == {"sub_1": 0}
    assert len(await scene.rows("lot_correction")) == 1
