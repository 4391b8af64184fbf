"""Test what wallets hold: asked for when nothing moves, moved by what is booked, else unknown."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from typing import Any, cast

import pytest
from structlog.testing import capture_logs

from services.confirm import payouts
from services.confirm.balances import Balances
from services.confirm.redemptions import Redemptions
from tests.confirm.conftest import SIZE, Orders, order_fields, reported, trade
from tradingtools.domain.redemption_states import RedemptionState
from tradingtools.domain.venue_order import TradeStatus
from tradingtools.venues.insiders.order_gateway import Answer, InsidersClient, Unanswered

MARKET = "0x" + "c" * 64
MATCHED, DONE, UNDONE = TradeStatus.MATCHED, TradeStatus.CONFIRMED, TradeStatus.FAILED


class Far:
    """An insiders-api with one wallet; something may happen while it is asked."""

    def __init__(self, proxy: str) -> None:
        self.proxy = proxy
        self.cash = "100.5"
        self.redeemed: tuple[int, dict[str, Any]] | None = None
        """A refusal of redemptions."""
        self.positions_held = [{"assetId": "1", "conditionId": MARKET, "size": "10"}]
        self.status = 200
        self.meanwhile: Callable[[], Any] | None = None

    async def balance(self, _proxy: str, _timeout_ms: int) -> Answer:
        if self.meanwhile is not None:
            await self.meanwhile()
        return self._answer(cash=self.cash)

    async def positions(self, _proxy: str, _timeout_ms: int) -> Answer:
        return self._answer(positions=self.positions_held)

    async def redeem(self, key: str, _body: bytes, _timeout_ms: int) -> Answer:
        if self.redeemed is not None:
            status, body = self.redeemed
            return Answer(
                status=status, body=json.dumps(body).encode(), first_byte_ns=1, answered_ns=2
            )
        return self._answer(idempotencyKey=key, conditionId="0xc", payout="5", status="CONFIRMED")

    def _answer(self, **fields: Any) -> Answer:
        if self.status == 0:
            raise Unanswered("gone", 0)
        body = json.dumps({"followerProxy": self.proxy, "asOf": "now", **fields}).encode()
        return Answer(status=self.status, body=body, first_byte_ns=1, answered_ns=2)


def _balances(orders: Orders, far: Far, *, behind: Callable[[], bool] = lambda: False) -> Balances:
    client = cast(InsidersClient, far)
    return Balances(
        orders.pool, client, timeout_ms=1000, every_ms=1000, spacing_ms=0, behind=behind
    )


async def _cash(orders: Orders) -> Any:
    rows = await orders.sql(
        "select cash_micros from follower_balance where follower_proxy = %s", orders.wallet
    )
    return rows[0]["cash_micros"] if rows else None


async def test_what_is_told_is_moved_by_what_is_booked(orders: Orders) -> None:
    far = Far(orders.wallet)
    assert await _balances(orders, far).poll_wallet(orders.wallet)
    assert await _cash(orders) == 100_500_000
    (position,) = await orders.sql(
        "select * from follower_position where follower_proxy = %s", orders.wallet
    )
    assert (position["asset_id"], position["shares_micros"]) == ("1", 10_000_000)

    buying = await orders.make("SUBMITTED")
    await orders.take(buying, reported(buying, trade("b", MATCHED)))
    await orders.take(buying, reported(buying, trade("b", DONE)))
    assert await _cash(orders) == 96_500_000, "10 shares at 0.4, once"
    undone = await orders.make("SUBMITTED")
    await orders.take(undone, reported(undone, trade("u", MATCHED)))
    assert await _cash(orders) == 92_500_000
    await orders.take(undone, reported(undone, trade("u", UNDONE)))
    assert await _cash(orders) == 96_500_000
    selling = await orders.make("SUBMITTED", side="SELL")
    await orders.take(selling, reported(selling, trade("s", DONE, SIZE // 2), side="SELL"))
    assert await _cash(orders) == 98_500_000


async def test_payout_is_credited_with_the_redemption(orders: Orders) -> None:
    far = Far(orders.wallet)
    held = await orders.make("SUBMITTED")
    await orders.take(held, reported(held, trade("b", DONE)))
    balances = _balances(orders, far)
    assert await balances.poll_wallet(orders.wallet)
    await payouts.pay_market(orders.pool, orders.lease, orders.wallet, "0xc", {"1": 500_000})
    assert await _cash(orders) == 100_500_000
    assert not await balances.poll_wallet(orders.wallet), "it may be redeemed at any moment"
    (row,) = await orders.sql("select * from redemption where follower_proxy = %s", orders.wallet)
    client = cast(InsidersClient, far)
    await Redemptions(orders.pool, client, timeout_ms=1000, spacing_ms=0).request(row)
    assert await _cash(orders) == 105_500_000
    assert await balances.poll_wallet(orders.wallet)


async def test_unknown_stays_unknown(orders: Orders) -> None:
    far = Far(orders.wallet)
    balances = _balances(orders, far)
    for status in (0, 501, 500):
        far.status = status
        assert not await balances.poll_wallet(orders.wallet)
    far.status = 200
    far.proxy = "0x" + "0" * 40
    assert not await balances.poll_wallet(orders.wallet), "another wallet's"
    far.proxy, far.cash = orders.wallet, "1.0000001"
    assert not await balances.poll_wallet(orders.wallet), "not exact"
    key = await orders.make("SUBMITTED")
    await orders.take(key, reported(key, trade("b", DONE)))
    assert await _cash(orders) is None


async def test_nothing_is_believed_while_an_order_is_open(orders: Orders) -> None:
    far = Far(orders.wallet)
    balances = _balances(orders, far)
    key = await orders.make("SUBMITTED")
    assert not await balances.poll_wallet(orders.wallet)
    await orders.take(key, reported(key, trade("b", DONE)))
    assert await balances.poll_wallet(orders.wallet)


async def test_claim_without_rows_is_an_open_order_of_its_wallet(
    orders: Orders,
) -> None:
    other, key = "0x" + "3" * 40, secrets.token_hex(32)
    claimed = {"orders": [order_fields(key, orders.wallet)], "decisions": [], "rows": []}
    await orders.sql(
        "insert into journal (kind, role, record_key, partition, epoch, payload, order_count)"
        " values ('CLAIMED', 'router', %s, 0, 1, %s, 1)",
        key, json.dumps(claimed).encode(),
    )  # fmt: skip
    assert not await _balances(orders, Far(orders.wallet)).poll_wallet(orders.wallet)
    assert await _balances(orders, Far(other)).poll_wallet(other)


async def test_what_was_overtaken_by_a_booking_is_not_stored(orders: Orders) -> None:
    far = Far(orders.wallet)
    balances = _balances(orders, far)
    assert await balances.poll_wallet(orders.wallet)

    async def trade_meanwhile() -> None:
        key = await orders.make("SUBMITTED")
        await orders.take(key, reported(key, trade("b", DONE)))

    far.meanwhile, far.cash = trade_meanwhile, "7"
    assert not await balances.poll_wallet(orders.wallet)
    assert await _cash(orders) == 96_500_000


async def test_every_wallet_that_follows_is_asked_for_in_turn(orders: Orders) -> None:
    far = Far(orders.wallet)
    await orders.sql(
        "insert into subscription (id, follower_user_id, follower_wallet_id, follower_proxy,"
        " leader, state, version, sizing_mode, sizing_micros, changed_seq)"
        " values ('sub_' || repeat('a', 32), 'u', 'w', %s, %s, 'PAUSED', 1, 'FIXED', 1, 1)",
        orders.wallet, "0x" + "9" * 40,
    )  # fmt: skip
    await _balances(orders, far, behind=lambda: True).poll()
    assert await _cash(orders) is None, "answers to orders come first"
    balances = _balances(orders, far)
    await balances.poll()
    assert await _cash(orders) == 100_500_000
    far.cash = "3"
    await balances.poll()
    assert await _cash(orders) == 100_500_000, "it was asked for just now"


@pytest.mark.parametrize("cash", ["1000000000000.000001", "9223372036854.775807"])
async def test_more_cash_than_there_can_be_is_not_kept(orders: Orders, cash: str) -> None:
    """Test that what is booked is added to it, and has to fit as well."""
    far = Far(orders.wallet)
    far.cash = cash
    assert not await _balances(orders, far).poll_wallet(orders.wallet)
    assert await _cash(orders) is None
    far.cash = "1000000000000"
    assert await _balances(orders, far).poll_wallet(orders.wallet)
    selling = await orders.make("SUBMITTED", side="SELL")
    await orders.take(selling, reported(selling, trade("s", DONE), side="SELL"))
    assert await _cash(orders) == 10**18 + 4_000_000


async def _redemptions(orders: Orders, share_micros: int, *conditions: str) -> list[dict[str, Any]]:
    for condition in conditions:
        await orders.sql(
            "insert into redemption (redeem_key, follower_proxy, condition_id, round, body, state,"
            " expected_micros) values (%s, %s, %s, 0, 'x', 'REQUESTED', %s)",
            secrets.token_hex(32), orders.wallet, condition, share_micros,
        )  # fmt: skip
    return await orders.sql("select * from redemption where follower_proxy = %s", orders.wallet)


async def test_a_redemption_that_cannot_be_noted_holds_up_no_other(orders: Orders) -> None:
    far = Far(orders.wallet)
    await orders.sql(
        "insert into follower_balance (follower_proxy, cash_micros) values (%s, %s)",
        orders.wallet, 2**63 - 1,
    )  # fmt: skip
    (bad,) = await _redemptions(orders, 5_000_000, "0xc")
    client = cast(InsidersClient, far)
    redemptions = Redemptions(orders.pool, client, timeout_ms=1000, spacing_ms=0)
    with capture_logs() as logs:
        await redemptions.poll()
    assert [log["redemption"] for log in logs if log.get("alert")] == [bad["redeem_key"]]
    (row,) = await orders.sql("select * from redemption where follower_proxy = %s", orders.wallet)
    assert (row["state"], row["attempts"]) == ("REQUESTED", 1)
    assert row["next_at"] > bad["next_at"], "those that are due go before it"
    await orders.sql(
        "update follower_balance set cash_micros = 0 where follower_proxy = %s", orders.wallet
    )
    assert await redemptions.request(row) is RedemptionState.CONFIRMED
    assert await _cash(orders) == 5_000_000


@pytest.mark.parametrize(("expected_micros", "calls"), [(0, 0), (5_000_000, 1)])
async def test_a_person_is_told_where_nothing_was_left_of_something(
    orders: Orders, expected_micros: int, calls: int
) -> None:
    """Of a loser nothing is to be had."""
    far = Far(orders.wallet)
    far.redeemed = (400, {"error": {"code": "NOTHING_TO_REDEEM", "message": ""}})
    (row,) = await _redemptions(orders, expected_micros, "0xc")
    client = cast(InsidersClient, far)
    with capture_logs() as logs:
        redemptions = Redemptions(orders.pool, client, timeout_ms=1000, spacing_ms=0)
        assert await redemptions.request(row) is RedemptionState.CONFIRMED
    assert sum("otherwise than booked" in log["event"] for log in logs) == calls
