"""The pending exits are those that a look at every copy of every sell finds."""

from __future__ import annotations

import random
from collections.abc import Mapping

import pytest
from msgspec import structs

from services.router.core.records import Copy
from services.router.core.router_state import JUDGED_AGAIN, RouterState
from tests.unit.router.test_leader_left import trade
from tests.unit.samples import subscription
from tradingtools.domain.leader_trade import Side, TradeKey
from tradingtools.domain.reasons import Reason

_NAMES = [f"sub_{number}" for number in range(6)]
_DONE = (Reason.NONE, Reason.ACCUMULATING, Reason.BELOW_MINIMUM)
_REASONS = [*sorted(JUDGED_AGAIN), *_DONE, Reason.NOTHING_HELD]


def _all_looked_at(memory: RouterState, *, small: bool) -> dict[TradeKey, dict[str, Copy]]:
    """Return the pending exits by a look at every copy of every sell."""

    def is_open(key: TradeKey, copy: Copy) -> bool:
        if copy.reason in JUDGED_AGAIN or (small and copy.small_micros > 0):
            return True
        if any(memory.exit_trade.get(order_key) == key for order_key in copy.order_keys):
            return True
        may_go_on = copy.copied or copy.reason is Reason.NONE
        return may_go_on and copy.reason in _DONE and key in memory.open_exits

    found: dict[TradeKey, dict[str, Copy]] = {}
    for key, copies in memory.copies.items():
        if key.side is Side.SELL and key in memory.trades:
            unsold = {name: copy for name, copy in copies.items() if is_open(key, copy)}
            if unsold:
                found[key] = unsold
    return found


def _changed(copy: Copy, rng: random.Random) -> Copy:
    return structs.replace(
        copy,
        reason=rng.choice(_REASONS),
        copied=rng.random() < 0.5,
        small_micros=rng.choice([0, 0, 5]),
    )


@pytest.mark.parametrize("seed", range(40))
def test_it_is_what_a_look_at_all_of_them_finds(seed: int) -> None:
    rng, memory = random.Random(seed), RouterState()  # noqa: S311 - a seed makes it repeatable
    sells = [trade(number, Side.SELL, 100, held=None) for number in range(1, 6)]
    leader, asset = sells[0].key.leader, sells[0].key.asset_id
    orders = 0
    for sell in sells:
        memory.know(sell)
    for _ in range(300):
        key, name = rng.choice(sells).key, rng.choice(_NAMES)
        copy = memory.copies.get(key, {}).get(name)
        follower = Copy(frozen=subscription())
        match rng.randrange(7):
            case 0 | 1:
                memory.put_copy(key, name, _changed(copy or follower, rng))
            case 2 if copy is not None:
                orders += 1
                order_key = f"order {orders}"
                keys = (*copy.order_keys, order_key)
                memory.put_copy(key, name, structs.replace(copy, order_keys=keys))
                memory.slice_claimed(order_key, key, name)
            case 3 if memory.exit_trade:
                memory.slice_ended(rng.choice(list(memory.exit_trade)))
            case 4:
                memory.open_exits[key] = 0.0
            case 5:
                memory.open_exits.pop(key, None)
            case _ if copy is not None and not copy.order_keys:
                memory.forget_copy(key, name)
        _agree(memory.unsold(leader, asset), _all_looked_at(memory, small=True))
        _agree(memory.open_sells(leader, asset), _all_looked_at(memory, small=False))
    memory.open_exits.clear()
    for order_key in list(memory.exit_trade):
        memory.slice_ended(order_key)
    memory.forget_before(2**62)
    assert memory.unsold(leader, asset) == {}
    memory.forget_copies()
    assert (memory.copies, memory.exit_trade) == ({}, {})


def _agree(
    found: Mapping[TradeKey, Mapping[str, Copy]], expected: Mapping[TradeKey, Mapping[str, Copy]]
) -> None:
    assert {key: dict(copies) for key, copies in found.items()} == expected
