"""Shares that a wallet held before the engine, as a subscription's lot: nothing is bought."""

from __future__ import annotations

import json
from typing import Any
from unittest import mock

import pytest

from launcher.core.evidence import Evidence, LotRow, OrderRow
from launcher.core.ledger import ledger_balances
from services.confirm import corrections
from services.confirm.adoptions import Holdings
from services.confirm.bookings import load_bookings
from tests.confirm.conftest import SIZE, Orders, nobody_tells, reported, trade
from tradingtools.domain.venue_order import TradeStatus
from tradingtools.storage.postgres.pipeline import Pipeline
from tradingtools.v1 import confirm_service_pb2 as pb
from tradingtools.venues.insiders.wallets import Position

_DONE = TradeStatus.CONFIRMED


async def _record(
    orders: Orders, shares: int, cost: int, request: str = "a", *, origin: str = "sub_1"
) -> None:
    """What control records."""
    await orders.sql(
        "insert into lot (follower_proxy, asset_id, origin, condition_id)"
        " values (%s, '1', %s, '0xc') on conflict do nothing", orders.wallet, origin,
    )  # fmt: skip
    await orders.sql(
        "insert into lot_request (request_id, follower_proxy, asset_id, origin, shares_micros,"
        " cost_micros, evidence, operator, control_seq)"
        " values (%s, %s, '1', %s, %s, %s, 'seen on the chain', 'ann', 1)",
        f"{request}-{orders.wallet}", orders.wallet, origin, shares, cost,
    )  # fmt: skip


def _holding(shares: int, condition: str = "0xc") -> Holdings:
    """A wallet that holds so many."""

    async def reported(_proxy: str) -> tuple[Position, ...]:
        return (Position(asset_id="1", condition_id=condition, shares_micros=shares),)

    return reported


async def _write(work: Any) -> bool:
    return bool(await work())


async def _poll(orders: Orders, holdings: Holdings) -> dict[str, object]:
    """Carry out what waits; returns why each request was refused, None: it waits still."""
    await corrections.poll(orders.pool, orders.lease, _write, holdings)
    rows = await orders.sql(
        "select request_id, refused from lot_request where follower_proxy = %s", orders.wallet
    )
    return {str(row["request_id"]).split("-")[0]: row["refused"] for row in rows}


async def _ask(orders: Orders, shares: int, cost: int, request: str = "a") -> str:
    """What control records, carried out with a wallet that holds plenty; returns why it was
    refused."""
    await _record(orders, shares, cost, request)
    return str((await _poll(orders, _holding(10**12)))[request])


async def _lot(orders: Orders) -> dict[str, Any]:
    (row,) = await orders.sql("select * from lot where follower_proxy = %s", orders.wallet)
    return row


async def _sell(orders: Orders, size: int) -> None:
    key = await orders.make("SUBMITTED", side="SELL")
    await orders.take(key, reported(key, trade(f"s-{key}", _DONE, size), side="SELL"))


async def _balances(orders: Orders) -> list[str]:
    """What the ledger's invariant finds wrong."""
    lot = await _lot(orders)
    rows = await orders.sql("select * from orders where follower_proxy = %s", orders.wallet)
    evidence = mock.Mock(spec=Evidence, settled=True)
    evidence.lots = [LotRow(**{name: lot[name] for name in LotRow.__slots__})]
    evidence.orders = [mock.Mock(spec=OrderRow, **row) for row in rows]
    return list(ledger_balances(evidence))


async def test_shares_come_in_with_their_cost_and_are_told(orders: Orders) -> None:
    assert await _ask(orders, SIZE, 4_000_000) == ""
    lot = await _lot(orders)
    assert (lot["shares_micros"], lot["cost_micros"], lot["by_hand_micros"]) == (
        SIZE, 4_000_000, SIZE,
    )  # fmt: skip
    (entry,) = await orders.sql("select * from lot_entry where follower_proxy = %s", orders.wallet)
    assert (entry["order_key"], entry["size_micros"], entry["cost_micros"]) == (
        None, SIZE, 4_000_000,
    )  # fmt: skip
    booked = [
        one for _, one in await load_bookings(orders.pool, 0, 10_000)
        if one.follower_proxy == orders.wallet
    ]  # fmt: skip
    assert [
        (one.kind, one.reason, one.lot_shares_micros, one.lot_cost_micros) for one in booked
    ] == [(pb.FILL_KIND_CORRECTED, "ADOPTED", SIZE, 4_000_000)]
    assert await orders.sql("select 1 from orders where follower_proxy = %s", orders.wallet) == []
    assert await _balances(orders) == []


async def test_a_lot_that_holds_shares_adopts_no_more(orders: Orders) -> None:
    assert await _ask(orders, SIZE, 0) == ""
    assert await _ask(orders, SIZE, 0, "again") == f"it holds {SIZE} micros already"
    assert (await _lot(orders))["shares_micros"] == SIZE


async def test_undone_adoption_leaves_what_was_bought(orders: Orders) -> None:
    assert await _ask(orders, SIZE, 4_000_000) == ""
    await _sell(orders, 4_000_000)
    key = await orders.make("SUBMITTED")
    await orders.take(key, reported(key, trade(f"b-{key}", _DONE, SIZE)))
    before = await _lot(orders)
    assert await _ask(orders, 0, 0, "release") == ""
    after = await _lot(orders)
    assert before["shares_micros"] - after["shares_micros"] == 6_000_000
    assert after["shares_micros"] == SIZE, "what an order of ours has bought"
    assert before["cost_micros"] - after["cost_micros"] == 2_400_000
    assert after["by_hand_micros"] == 4_000_000, "they were sold"
    assert after["realised_micros"] == before["realised_micros"]
    assert await _balances(orders) == []
    assert await _ask(orders, 0, 0, "release again") == ""
    assert await _lot(orders) == after | {"updated_at": mock.ANY}


async def test_nothing_moves_while_an_order_is_under_way(orders: Orders) -> None:
    await orders.make("SUBMITTED")
    await orders.sql(
        "insert into reservation (order_key, follower_proxy, condition_id, asset_id, money_micros,"
        " shares_micros) select order_key, follower_proxy, condition_id, asset_id, 1, 0 from orders"
        " where follower_proxy = %s on conflict do nothing", orders.wallet,
    )  # fmt: skip
    assert "under way" in await _ask(orders, SIZE, 0)
    assert (await _lot(orders))["shares_micros"] == 0


@pytest.mark.parametrize("statement", range(1, 9))
async def test_a_kill_at_any_statement_adopts_nothing_or_all(
    orders: Orders, statement: int
) -> None:
    requested, ask = 0, Pipeline.queue

    def dies(together: Any, query: Any, values: Any = None) -> Any:
        nonlocal requested
        requested += 1
        if requested == statement:
            raise SystemExit
        return ask(together, query, values)

    with mock.patch.object(Pipeline, "queue", dies), pytest.raises(SystemExit):
        await _ask(orders, SIZE, 4_000_000)
    assert (await _lot(orders))["shares_micros"] == 0
    for _ in range(2):
        await _poll(orders, _holding(SIZE))
    assert (await _lot(orders))["shares_micros"] == SIZE


async def test_nobody_adopts_more_than_the_wallet_holds(orders: Orders) -> None:
    await _record(orders, SIZE, 4_000_000)
    found = await _poll(orders, _holding(SIZE - 1))
    assert found == {
        "a": f"the wallet holds {SIZE - 1} micros of the outcome, of which its lots have 0"
    }
    assert (await _lot(orders))["shares_micros"] == 0
    await _record(orders, SIZE, 4_000_000, "b")
    assert (await _poll(orders, _holding(SIZE)))["b"] == ""


async def test_of_two_adoptions_of_the_same_shares_one_is_refused(orders: Orders) -> None:
    await _record(orders, SIZE, 4_000_000)
    await _record(orders, SIZE, 4_000_000, "b", origin="sub_2")
    found = await _poll(orders, _holding(2 * SIZE - 1))
    assert found["a"] == ""
    assert "its lots have" in str(found["b"])


async def test_adoption_waits_until_holdings_are_known(
    orders: Orders,
) -> None:
    await _record(orders, SIZE, 4_000_000)
    assert await _poll(orders, nobody_tells) == {"a": None}
    assert await _poll(orders, _holding(SIZE)) == {"a": ""}


async def test_an_answer_of_before_a_booking_is_asked_for_again(orders: Orders) -> None:
    key = await orders.make("SUBMITTED", subscription="sub_2")
    await _record(orders, SIZE, 4_000_000)

    async def sold_meanwhile(_proxy: str) -> tuple[Position, ...]:
        """Ten shares, and then an order of ours has bought ten more, and they are known."""
        await orders.take(key, reported(key, trade(f"t-{key}", _DONE)))
        return await plenty(_proxy) or ()

    plenty = _holding(2 * SIZE)
    assert await _poll(orders, sold_meanwhile) == {"a": None}
    assert (await _poll(orders, plenty))["a"] == ""


async def test_another_market_than_the_wallets_is_refused(orders: Orders) -> None:
    await _record(orders, SIZE, 4_000_000)
    found = await _poll(orders, _holding(SIZE, "0xd"))
    assert found == {"a": "insiders-api tells the outcome's market as 0xd"}


_DEFAULTS = {"stop_loss_ppm": 100_000, "take_profit_ppm": 500_000, "time_stop_seconds": 60}


@pytest.mark.parametrize(
    ("cost", "exiting", "prices"),
    [
        (4_000_000, False, {"STOP_LOSS": 360_000, "TAKE_PROFIT": 600_000, "TIME_STOP": None}),
        (0, False, {"TIME_STOP": None}),
        (0, True, {"TIME_STOP": None}),
    ],
)
async def test_adopted_shares_are_guarded_as_those_that_are_bought(
    orders: Orders, cost: int, exiting: bool, prices: dict[str, int | None]
) -> None:
    origin = "sub_" + orders.wallet[-32:]
    await orders.sql(
        "insert into subscription (id, follower_user_id, follower_wallet_id, follower_proxy,"
        " leader, state, version, sizing_mode, sizing_micros, changed_seq, triggers, exiting,"
        " performance_actions)"
        " values (%s, 'u', 'w', %s, %s, 'ACTIVE', 1, 'FIXED', 1, 1, %s, %s, 1)",
        origin, orders.wallet, orders.wallet, json.dumps(_DEFAULTS), exiting,
    )  # fmt: skip
    await _record(orders, SIZE, cost, origin=origin)
    assert await _poll(orders, _holding(SIZE)) == {"a": ""}
    rows = await orders.sql(
        "select trigger_type, price_micros, made_for, exit_of, status from trigger"
        " where origin = %s", origin,
    )  # fmt: skip
    assert {r["trigger_type"]: r["price_micros"] for r in rows if not r["exit_of"]} == prices
    assert len([r for r in rows if r["exit_of"]]) == exiting
    assert {str(r["made_for"]).split(":")[0] for r in rows} == {"adopted"}
    assert {r["status"] for r in rows} == {"ARMED"}
