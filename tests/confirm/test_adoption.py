"""Shares that a wallet held before the engine, as a subscription's lot: nothing is bought."""

from __future__ import annotations

from typing import Any
from unittest import mock

import pytest

from launcher.core.evidence import Evidence, LotRow, OrderRow
from launcher.core.ledger import ledger_balances
from services.confirm import corrections
from services.confirm.bookings import load_bookings
from tests.confirm.conftest import SIZE, Orders, told, trade
from tradingtools.domain.venue_order import TradeStatus
from tradingtools.storage.postgres.pipeline import Pipeline
from tradingtools.v1 import confirm_service_pb2 as pb

_DONE = TradeStatus.CONFIRMED


async def _ask(orders: Orders, shares: int, cost: int, request: str = "a") -> str:
    """What control records, carried out; returns why it was refused."""
    await orders.sql(
        "insert into lot (follower_proxy, asset_id, origin, condition_id)"
        " values (%s, '1', 'sub_1', '0xc') on conflict do nothing", orders.wallet,
    )  # fmt: skip
    await orders.sql(
        "insert into lot_request (request_id, follower_proxy, asset_id, origin, shares_micros,"
        " cost_micros, evidence, operator, control_seq)"
        " values (%s, %s, '1', 'sub_1', %s, %s, 'seen on the chain', 'ann', 1)",
        f"{request}-{orders.wallet}", orders.wallet, shares, cost,
    )  # fmt: skip

    async def write(work: Any) -> bool:
        return bool(await work())

    await corrections.look(orders.pool, orders.lease, write)
    (row,) = await orders.sql(
        "select refused from lot_request where request_id = %s", f"{request}-{orders.wallet}"
    )
    return str(row["refused"])


async def _lot(orders: Orders) -> dict[str, Any]:
    (row,) = await orders.sql("select * from lot where follower_proxy = %s", orders.wallet)
    return row


async def _sell(orders: Orders, size: int) -> None:
    key = await orders.make("SUBMITTED", side="SELL")
    await orders.take(key, told(key, trade(f"s-{key}", _DONE, size), side="SELL"))


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


async def test_what_is_left_of_them_leaves_again_and_what_was_bought_stays(orders: Orders) -> None:
    assert await _ask(orders, SIZE, 4_000_000) == ""
    await _sell(orders, 4_000_000)
    key = await orders.make("SUBMITTED")
    await orders.take(key, told(key, trade(f"b-{key}", _DONE, SIZE)))
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
    asked, ask = 0, Pipeline.ask

    def dies(together: Any, query: Any, values: Any = None) -> Any:
        nonlocal asked
        asked += 1
        if asked == statement:
            raise SystemExit
        return ask(together, query, values)

    with mock.patch.object(Pipeline, "ask", dies), pytest.raises(SystemExit):
        await _ask(orders, SIZE, 4_000_000)
    assert (await _lot(orders))["shares_micros"] == 0

    async def write(work: Any) -> bool:
        return bool(await work())

    await corrections.look(orders.pool, orders.lease, write)
    await corrections.look(orders.pool, orders.lease, write)
    assert (await _lot(orders))["shares_micros"] == SIZE
