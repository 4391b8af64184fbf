"""Paying out a resolved market in one transaction of PostgreSQL."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import pytest

from services.confirm import payouts, store
from services.confirm.bookings import load_bookings
from tests.confirm.conftest import SIZE, Orders, reported, trade
from tradingtools.domain import ids
from tradingtools.domain.book import Book, BookStatus, Market
from tradingtools.domain.venue_order import TradeStatus
from tradingtools.v1 import confirm_service_pb2 as pb

MARKET = "0xc"
HALF = {"1": 500_000}
DONE = TradeStatus.CONFIRMED


async def _held(orders: Orders, size: int = SIZE) -> str:
    key = await orders.make("SUBMITTED")
    await orders.take(key, reported(key, trade(f"t-{key}", DONE, size)))
    return key


async def _pay(orders: Orders, shares: dict[str, int] | None = None) -> int | None:
    return await payouts.pay_market(
        orders.pool, orders.lease, orders.wallet, MARKET, shares or HALF
    )


async def _rows(orders: Orders, table: str) -> list[dict[str, Any]]:
    return await orders.sql(f"select * from {table} where follower_proxy = %s", orders.wallet)


async def test_a_lot_is_paid_once_and_holds_nothing(orders: Orders) -> None:
    await _held(orders)
    assert await _pay(orders) == 5_000_000
    assert await _pay(orders) is None
    (lot,) = await _rows(orders, "lot")
    assert (lot["shares_micros"], lot["cost_micros"]) == (0, 0)
    assert (lot["resolved_size_micros"], lot["payout_micros"]) == (SIZE, 5_000_000)
    assert lot["realised_micros"] == 1_000_000, "they had cost 4"
    (entry,) = await _rows(orders, "lot_entry")
    assert (entry["size_micros"], entry["cost_micros"]) == (0, 0)
    (redemption,) = await _rows(orders, "redemption")
    assert redemption["redeem_key"] == ids.redeem_key(orders.wallet, MARKET, 0)
    assert (redemption["state"], redemption["expected_micros"]) == ("REQUESTED", 5_000_000)
    assert bytes(redemption["body"]) == (
        b'{"followerUserId":"u","followerWalletId":"w","followerProxy":"%s","conditionId":"0xc"}'
        % orders.wallet.encode()
    )


async def test_readers_are_told(orders: Orders) -> None:
    await _held(orders)
    await _pay(orders)
    fills = [fill for _, fill in await load_bookings(orders.pool, 0, 10_000)]
    mine = [fill for fill in fills if fill.follower_proxy == orders.wallet]
    assert all(a.fill_seq < b.fill_seq for a, b in pairwise(mine))
    assert mine[-1] == pb.FillEvent(
        fill_seq=mine[-1].fill_seq, kind=pb.FILL_KIND_RESOLVED, subscription_id="sub_1",
        follower_proxy=orders.wallet, condition_id=MARKET, asset_id="1", size_micros=SIZE,
        notional_micros=5_000_000, booked_ns=mine[-1].booked_ns,
    )  # fmt: skip


async def test_a_loser_is_paid_nothing_and_redeemed_all_the_same(orders: Orders) -> None:
    await _held(orders)
    assert await _pay(orders, {"1": 0}) == 0
    (lot,) = await _rows(orders, "lot")
    assert (lot["shares_micros"], lot["realised_micros"]) == (0, -4_000_000)
    assert len(await _rows(orders, "redemption")) == 1


async def test_nothing_is_paid_while_an_order_may_move_the_lot(orders: Orders) -> None:
    await _held(orders)
    selling = await orders.make("SUBMITTED", side="SELL")
    assert await _pay(orders) is None
    assert await _rows(orders, "redemption") == []
    sold = reported(selling, trade("sale", DONE, SIZE // 4), side="SELL")
    await orders.take(selling, sold)
    assert await _pay(orders) == 5_000_000 * 3 // 4


async def test_nothing_is_paid_before_claims_are_rows(orders: Orders) -> None:
    await _held(orders)
    claimed = {"follower_proxy": orders.wallet, "condition_id": "0xd"}
    for condition, paid in (("0xd", 5_000_000), (MARKET, None)):
        payload = json.dumps({"orders": [claimed | {"condition_id": condition}]}).encode()
        (record,) = await orders.sql(
            "insert into journal (kind, role, record_key, partition, epoch, payload, order_count)"
            " values ('CLAIMED', 'router', %s, 0, 1, %s, 1) returning seq",
            orders.wallet + condition, payload,
        )  # fmt: skip
        assert await _pay(orders) == paid
        await orders.sql("update journal set rows_built_at = now() where seq = %s", record["seq"])
        await _held(orders)
    assert await _pay(orders) == 10_000_000


async def test_payout_waits_for_all_payouts_of_the_market(orders: Orders) -> None:
    await _held(orders)
    assert await _pay(orders, {"2": 1_000_000}) is None
    (lot,) = await _rows(orders, "lot")
    assert lot["shares_micros"] == SIZE


async def test_what_comes_in_later_is_a_round_of_its_own(orders: Orders) -> None:
    await _held(orders)
    await _pay(orders)
    await _held(orders, SIZE // 2)
    assert await _pay(orders) == 2_500_000
    rounds = sorted(await _rows(orders, "redemption"), key=lambda row: row["round"])
    assert [row["redeem_key"] for row in rounds] == [
        ids.redeem_key(orders.wallet, MARKET, number) for number in (0, 1)
    ]
    (lot,) = await _rows(orders, "lot")
    assert lot["payout_micros"] == 7_500_000


async def _bought_by_hand(orders: Orders, asset: str, *, guarded: bool) -> None:
    """A lot that no order of ours has touched, as control makes it with its trigger."""
    await orders.sql(
        "insert into lot (follower_proxy, asset_id, origin, condition_id, shares_micros,"
        " bought_size_micros, by_hand_micros) values (%s, %s, 'manual', %s, %s, %s, %s)",
        orders.wallet, asset, f"0x{asset}", SIZE, SIZE, SIZE,
    )  # fmt: skip
    if guarded:
        await orders.sql(
            "insert into trigger (id, follower_proxy, condition_id, asset_id, origin, status,"
            " trigger_type, price_micros, follower_user_id, follower_wallet_id)"
            " values (%s, %s, %s, %s, 'manual', 'ARMED', 'STOP_LOSS', 100000, 'hand', 'purse')",
            f"trg_{secrets.token_hex(16)}", orders.wallet, f"0x{asset}", asset,
        )  # fmt: skip


async def _paying(orders: Orders, assets: Iterable[str]) -> payouts.Payouts:
    """As confirm does, with these assets resolved."""
    paying = payouts.Payouts(orders.pool, orders.lease, lambda work: work())
    for asset in assets:
        market = Market(
            asset_id=asset, condition_id=f"0x{asset}", tick_micros=10_000, min_size_micros=1,
            fee_rate_micros=0, closed=True, payout_micros=0,
        )  # fmt: skip
        await paying.on_books(
            [Book(market=market, status=BookStatus.EMPTY, bids=(), asks=(), book_ms=0)]
        )
    return paying


async def _poll(orders: Orders, assets: Iterable[str]) -> None:
    await (await _paying(orders, assets)).poll()


async def test_manual_lot_is_paid_to_its_triggers_wallet(orders: Orders) -> None:
    asset = str(secrets.randbits(60))
    await _bought_by_hand(orders, asset, guarded=True)
    await _poll(orders, [asset])
    (redemption,) = await _rows(orders, "redemption")
    assert json.loads(bytes(redemption["body"]))["followerWalletId"] == "purse"
    (lot,) = await _rows(orders, "lot")
    assert (lot["shares_micros"], lot["resolved_size_micros"]) == (0, SIZE)


async def test_a_market_that_cannot_be_paid_holds_up_no_other(orders: Orders) -> None:
    nobodys, known = sorted(str(secrets.randbits(60)) for _ in range(2))
    await _bought_by_hand(orders, nobodys, guarded=False)
    await _bought_by_hand(orders, known, guarded=True)
    await _poll(orders, [nobodys, known])
    left = {lot["asset_id"]: lot["shares_micros"] for lot in await _rows(orders, "lot")}
    assert left == {nobodys: SIZE, known: 0}


async def _left(orders: Orders, assets: Iterable[str]) -> int:
    lots = {lot["asset_id"]: lot["shares_micros"] for lot in await _rows(orders, "lot")}
    return sum(lots[asset] > 0 for asset in assets)


async def test_unpayable_markets_block_no_other(
    orders: Orders, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of which nobody knows the owner: they come up again and again."""
    monkeypatch.setattr(payouts, "_PAGE", 2)
    assets = sorted(str(10**17 + secrets.randbits(56)) for _ in range(3))
    for asset in assets:
        await _bought_by_hand(orders, asset, guarded=asset == assets[-1])
    paying = await _paying(orders, assets)
    for _ in range(2):
        await paying.poll()
    assert await _left(orders, assets) == 2
    assert await _left(orders, assets[-1:]) == 0
    # Round again: the first one's owner is known by now.
    await orders.sql("delete from lot where asset_id = %s", assets[0])
    await _bought_by_hand(orders, assets[0], guarded=True)
    await paying.poll()
    assert await _left(orders, assets[:1]) == 0


async def test_partly_resolved_markets_block_no_other(orders: Orders) -> None:
    """They are not even looked at."""
    yes, no, whole = sorted(str(10**17 + secrets.randbits(56)) for _ in range(3))
    await _bought_by_hand(orders, yes, guarded=True)
    await _bought_by_hand(orders, no, guarded=True)
    await _bought_by_hand(orders, whole, guarded=True)
    await orders.sql("update lot set condition_id = '0xboth' where asset_id in (%s, %s)", yes, no)
    among = {"assets": [yes, whole], "after_proxy": "", "after_condition": "", "limit": 100}
    found = [row["condition_id"] for row in await store.fetch(orders.pool, "payable", **among)]
    assert found == [f"0x{whole}"]
    await _poll(orders, [yes, whole])
    assert await _left(orders, [yes, no, whole]) == 2
    await _poll(orders, [yes, no])
    assert await _left(orders, [yes, no, whole]) == 0
