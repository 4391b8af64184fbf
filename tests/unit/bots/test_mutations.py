"""Each guard of a bot's orders taken away: some seed of the simulated run has to notice.

A simulation that finds nothing proves nothing; this shows that it can find.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from services.bots.core import orders, permit, risk
from services.bots.core.bot import Bot
from services.bots.core.order_table import OrderTable
from services.bots.core.orders import BotOrder
from services.bots.core.quoting import Quoting
from tests.unit.bots.samples import AMENDS, CANCELS
from tests.unit.bots.simulated import ENDS, Run, wrongs
from tradingtools.domain.bot_order_states import ENDED, BotOrderState
from tradingtools.venues.ports import Meaning
from tradingtools.venues.trading import TradingCapabilities

SEEDS = 40
PLAIN = replace(CANCELS, not_after=True)
Mutation = Callable[[pytest.MonkeyPatch], None]


def _lease(patch: pytest.MonkeyPatch) -> None:
    for_ever = property(lambda _: 10**15, lambda *_: None)
    patch.setattr(Quoting, "lease_until_ms", for_ever, raising=False)


def _epoch(patch: pytest.MonkeyPatch) -> None:
    name = permit.order_id
    patch.setattr(permit, "order_id", lambda bot_id, _, number: name(bot_id, 1, number))


def _unknown(patch: pytest.MonkeyPatch) -> None:
    fold = orders.answered

    def refused(order: BotOrder, request: Any, receipt: Any) -> BotOrder:
        silent = receipt.meaning is Meaning.UNKNOWN
        return fold(
            order, request, replace(receipt, meaning=Meaning.REJECTED) if silent else receipt
        )

    patch.setattr(orders, "answered", refused)


def _orphan(patch: pytest.MonkeyPatch) -> None:
    def gone(order: BotOrder) -> BotOrder:
        if order.state is BotOrderState.SUBMITTING:
            return replace(order, state=BotOrderState.REJECTED)
        return order

    patch.setattr(orders, "orphaned", gone)


def _unread(patch: pytest.MonkeyPatch) -> None:
    fold = orders.orphaned
    patch.setattr(orders, "orphaned", lambda order: replace(fold(order), unread=False))


def _not_found(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(orders, "NOT_FOUNDS_NEEDED", 1)
    patch.setattr(orders, "last_arrival_ms", lambda *_: 0)


def _once(patch: pytest.MonkeyPatch) -> None:
    fold = orders.filled

    def again(order: BotOrder, fill: Any) -> BotOrder:
        return fold(replace(order, fills={}), fill)

    patch.setattr(orders, "filled", again)


def _undone(patch: pytest.MonkeyPatch) -> None:
    fold = orders.filled
    patch.setattr(orders, "filled", lambda order, fill: order if fill.undone else fold(order, fill))


def _reported(patch: pytest.MonkeyPatch) -> None:
    ended = property(lambda one: one.state in ENDED)
    patch.setattr(BotOrder, "settled", ended)


def _larger(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(BotOrder, "largest_size", property(lambda one: one.size))


def _slot(patch: pytest.MonkeyPatch) -> None:
    last = OrderTable.last_of

    def certain(table: OrderTable, slot: str) -> BotOrder | None:
        found = last(table, slot)
        return None if found is not None and found.state is BotOrderState.UNKNOWN else found

    patch.setattr(OrderTable, "last_of", certain)


def _adopted(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Bot, "adopt", lambda *_: None)


def _recalled(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Bot, "restore", lambda *_: None)


def _admitted(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(risk, "admits", lambda *_, **__: None)


GUARDS: dict[str, tuple[Mutation, TradingCapabilities]] = {
    "nothing leaves that could be taken after the lease": (_lease, AMENDS),
    "an order's id has its owner's epoch": (_epoch, AMENDS),
    "a request without an answer is UNKNOWN": (_unknown, AMENDS),
    "what a dead owner sent is UNKNOWN": (_orphan, PLAIN),
    "a change that nobody wrote is read": (_unread, AMENDS),
    "not found is not believed at once": (_not_found, ENDS),
    "a fill is booked once": (_once, AMENDS),
    "an undone fill is booked back": (_undone, PLAIN),
    "what is told as filled is waited for": (_reported, AMENDS),
    "a change reserves the greater size": (_larger, AMENDS),
    "an UNKNOWN order keeps its slot": (_slot, PLAIN),
    "an order that nobody wrote is adopted": (_adopted, AMENDS),
    "a settled order is recalled": (_recalled, PLAIN),
    "limits count what may still fill": (_admitted, PLAIN),
}


@pytest.mark.parametrize("guard", GUARDS)
def test_without_one_guard_a_run_goes_wrong(guard: str, monkeypatch: pytest.MonkeyPatch) -> None:
    remove, capabilities = GUARDS[guard]
    remove(monkeypatch)

    assert any(_noticed(seed, capabilities) for seed in range(SEEDS)), f"nothing breaks: {guard}"


def _noticed(seed: int, capabilities: TradingCapabilities) -> bool:
    try:
        return bool(wrongs(Run(seed, capabilities, undoes=not capabilities.amend)))
    except (AssertionError, KeyError, orders.OrderError):
        return True
