"""The second leg of a pair goes wrong at a paper exchange: the pair ends even, and is hedged once.

A funding-rate arbitrage of one tranche at the paper OKX: 0.01 BTC of spot against one contract.
What is judged is what the exchange traded.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from itertools import accumulate
from typing import Any

import pytest

from launcher.temporary import create_database
from tests.bots.world import Bots, Engine, bots, until

SPOT, SWAP = "BTC-USDT", "BTC-USDT-SWAP"
UNIT = 10**8
TRANCHE, CONTRACT = Decimal("0.01"), Decimal("0.01")
"""BTC of one tranche, and of one contract."""
LEAST = Decimal("0.0002")
"""BTC that are let be: the fee that OKX takes from the coin, and the smallest order."""
MAX_LOSS = 5
"""USDT, of a tranche for 640."""
PAYS, RESTS = "0.001", "0.00000001"
"""Rates at which it opens, and at which it neither opens nor closes."""
DEEP = [["63990", "100"]]


@pytest.fixture(scope="module")
def world(
    postgres_server: str, migrated_template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Bots]:
    url = create_database(postgres_server, template=migrated_template)
    accounts = [f"acc{n}" for n in range(len(CASES))]
    with bots(url, tmp_path_factory.mktemp("legs"), accounts, feed="none") as made:
        yield made


@dataclass(frozen=True)
class Case:
    """One way for the second leg to go wrong."""

    number: int
    fault: dict[str, Any] | None = None
    bids: tuple[tuple[str, str], ...] = (("64000", "100"),)
    """Of the swap, which is sold."""
    kills: bool = False
    """Its engine is killed once one leg is filled, and begins again."""
    ends: frozenset[str] = frozenset({"hedged", "flat"})
    deadline_ms: int = 60_000


CASES = {
    "rejected": Case(0, {"kind": "reject", "code": "51008"}, ends=frozenset({"hedged"})),
    # Past its deadline before anything is known of it: neither leg is touched until it is.
    "answer lost, found filled": Case(
        1, {"kind": "late", "ms": 1_000}, ends=frozenset({"hedged"}), deadline_ms=100
    ),
    "lost, found not there": Case(2, {"kind": "drop"}, ends=frozenset({"hedged"})),
    "lost, and late": Case(3, {"kind": "drop"}, ends=frozenset({"flat"}), deadline_ms=100),
    "filled, and not told": Case(
        4, {"kind": "disconnect"}, ends=frozenset({"hedged"}), deadline_ms=100
    ),
    # Two hundredths are sold at the price, and the rest two percent below it: that would lose
    # 12.5 USDT, and selling the coin again loses less than 1.
    "filled in part, beyond its bound": Case(
        5, bids=(("64001", "0.02"), ("62720", "100")), ends=frozenset({"flat"})
    ),
    "killed, done meanwhile": Case(
        6, {"kind": "late", "ms": 1_000}, kills=True, ends=frozenset({"hedged"}), deadline_ms=100
    ),
    "killed, and not there": Case(7, {"kind": "drop"}, kills=True),
}
"""What happens to the second request of two."""
_SHORT = ("rejected", "answer lost, found filled")


def account(case: Case) -> str:
    return f"acc{case.number}"


def bot_id(case: Case) -> str:
    return f"fa{case.number:010}"


def started(world: Bots, case: Case) -> None:
    """Let one bot see a rate that pays, and the second request of its account go wrong."""
    world.okx.control.delete("/faults")
    world.okx.notify("/funding", instId=SWAP, rate=RESTS)
    world.okx.notify("/marks", instId=SWAP, px="64000")
    world.okx.book(SPOT, "63990", "64000", "100")
    swap = [list(one) for one in case.bids]
    world.okx.notify("/books", instId=SWAP, bids=swap, asks=[["64010", "100"]])
    if case.fault is not None:
        world.okx.notify("/faults", op="order", skip=1, **case.fault)
    config = {
        "spot_id": f"okx:{SPOT}",
        "swap_id": f"okx:{SWAP}",
        "order_size": UNIT // 100,
        "max_position": UNIT // 100,
        "horizon_h": 48,
        "entry_rate": 100_000,
        "exit_rate": -100_000_000,
        "spot_fee": 1_000,
        "swap_fee": 500,
        "max_loss": MAX_LOSS * UNIT,
        "hedge_deadline_ms": case.deadline_ms,
        "rebalance_band": 20_000,
    }
    world.bot(
        bot_id(case), strategy="funding_arbitrage", config=config, limits={"max_position": "50"},
        wallet=world.wallets[account(case)],
    )  # fmt: skip


def traded(world: Bots, case: Case) -> list[tuple[str, Decimal, Decimal]]:
    """Return the exchange's fills of the account, the first one first: instrument, BTC, price."""
    rows = [
        one
        for kind in ("SPOT", "SWAP")
        for one in world.requested(f"trade/fills-history?instType={kind}&limit=100", account(case))
    ]
    found = []
    for one in sorted(rows, key=lambda row: int(row["billId"])):
        size = Decimal(one["fillSz"]) * (CONTRACT if one["instId"] == SWAP else 1)
        signed = size if one["side"] == "buy" else -size
        found.append((one["instId"], signed, Decimal(one["fillPx"])))
    return found


def booked(world: Bots, case: Case) -> dict[str, Decimal]:
    """Return what the bot believes to hold, in BTC."""
    signed = "sum(case side when 'BUY' then size else -size end)"
    rows = world.rows(
        f"select instrument_id, {signed} from bot_fill where bot_id = %s group by 1", bot_id(case)
    )
    scales = {f"okx:{SPOT}": Decimal(1), f"okx:{SWAP}": CONTRACT}
    return {name: Decimal(size) / UNIT * scales[name] for name, size in rows}


def alone(held: dict[str, Decimal]) -> Decimal:
    """Return BTC that one leg holds and the other one does not hedge."""
    return sum(held.values(), Decimal(0))


def settled(world: Bots, case: Case) -> bool:
    """Return whether nothing of it is under way, and its books say that it is even."""
    ((open_, orders),) = world.rows(
        "select count(*) filter (where not settled), count(*) from bot_order where bot_id = %s",
        bot_id(case),
    )
    held = booked(world, case)
    return orders > 1 and not open_ and bool(held) and abs(alone(held)) <= LEAST


def explained(world: Bots, case: Case) -> dict[str, str]:
    ((why,),) = world.rows("select explanation from bot_standing where bot_id = %s", bot_id(case))
    return dict(why)


@pytest.mark.parametrize(
    "name",
    [pytest.param(one, marks=() if one in _SHORT else pytest.mark.long) for one in CASES],
)
def test_a_pair_whose_second_leg_goes_wrong_ends_even_and_hedged_once(
    world: Bots, name: str
) -> None:
    case = CASES[name]
    started(world, case)
    engine = world.engine(f"engine-{case.number}")
    engine.start()
    try:
        played(world, case, engine)
    finally:
        engine.stop()


def played(world: Bots, case: Case, engine: Engine) -> None:
    until(lambda: world.state(bot_id(case))[0] == "RUNNING", "the start")
    world.okx.notify("/funding", instId=SWAP, rate=PAYS)
    until(lambda: traded(world, case), "the first leg")
    # No further tranche: what follows is about this one.
    world.okx.notify("/funding", instId=SWAP, rate=RESTS)
    if case.kills:
        engine.kill()
        engine.start()
    until(lambda: settled(world, case), "the end of both legs")
    until(lambda: "even with the other leg" in explained(world, case)["first"], "its word")
    world.command(bot_id(case), "STOPPED")
    until(lambda: world.state(bot_id(case))[0] == "STOPPED", "the stop")

    fills = traded(world, case)
    gaps = list(accumulate(size for _, size, _ in fills))
    # One leg alone is never more than the tranche, and is never made up for twice.
    assert max(map(abs, gaps)) <= TRANCHE
    assert min(gaps) >= -LEAST or max(gaps) <= LEAST, fills
    assert abs(gaps[-1]) <= LEAST
    coins = sum(size for name, size, _ in fills if name == SPOT)
    assert ("hedged" if coins > TRANCHE / 2 else "flat") in case.ends, fills
    # Both legs at the prices of the beginning: what is left was lost to prices and not to fees.
    lost = sum(size * (price - 64_000) for _, size, price in fills)
    assert lost < MAX_LOSS, fills
    assert abs(alone(booked(world, case)) - gaps[-1]) <= LEAST
