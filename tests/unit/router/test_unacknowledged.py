"""A claim that was committed without an answer is in its router's memory all the same."""

from __future__ import annotations

from dataclasses import replace

import psycopg

from tests.unit.router.test_budget import SUB, WALLET, buy, recovered, subscribe
from tests.unit.samples import CONDITION
from tradingtools.domain.leader_trade import Side
from tradingtools.domain.reasons import Reason
from tradingtools.testing.memory_database import MemoryDatabase, NoFaults
from tradingtools.testing.memory_database.transactions import Transaction

SHARES = 100_000_000
GUARDS = "f" * 64


class _Lossy(NoFaults):
    """Loses the answer to the next statement of a kind."""

    loses = ""

    async def reply(self, what: str) -> None:
        if what == self.loses:
            self.loses = ""
            raise psycopg.OperationalError("its answer was lost")


def all_reserved(tx: Transaction) -> None:
    """A lot of which the guard sells everything at the moment."""
    place = {"follower_proxy": WALLET, "condition_id": CONDITION, "asset_id": "7"}
    tx.insert("lot", {**place, "origin": SUB, "shares_micros": SHARES, "cost_micros": SHARES // 2})
    tx.insert(
        "orders",
        {
            **place, "order_key": GUARDS, "copy_key": GUARDS, "ordinal": 0, "partition": 0,
            "purpose": "GUARD_EXIT", "subscription_id": SUB, "subscription_version": 1,
            "follower_user_id": "u", "follower_wallet_id": "w", "side": "SELL",
            "size_micros": SHARES, "limit_micros": 400_000, "time_in_force": "FAK",
            "not_after_ms": 1, "body": b"{}", "body_hash": "h", "journal_seq": 0,
            "control_seq": 0, "state": "SUBMITTED", "chain_head": b"",
        },
    )  # fmt: skip
    tx.insert(
        "reservation",
        {
            **place, "order_key": GUARDS, "subscription_id": SUB, "money_micros": 0,
            "shares_micros": SHARES,
        },
    )  # fmt: skip


async def test_exit_that_waited_is_known_despite_a_lost_commit_reply() -> None:
    database, lossy = MemoryDatabase(), _Lossy()
    database.write(subscribe)
    database.write(all_reserved)
    router = await recovered(database, lossy)
    fact = buy(2)
    key = replace(fact.key, side=Side.SELL)
    sold = replace(fact, key=key, size_micros=SHARES, held_before_micros=SHARES)
    await router.on_facts([sold])
    assert router._state.copies[key][SUB].reason is Reason.ALREADY_SELLING

    def free(tx: Transaction) -> None:
        tx.update("reservation", tx.get("reservation", GUARDS) or {}, released_at=database.now())
        tx.update("orders", tx.get("orders", GUARDS) or {}, state="FAILED", failed_kind="KILLED")

    database.write(free)
    lossy.loses = "commit"
    await router._route(router._state.trades[key], "again-1")
    assert lossy.loses == ""
    (exit_,) = [o for o in database.table("orders").values() if o["purpose"] == "COPY_EXIT"]
    copy = router._state.copies[key][SUB]
    assert copy.order_keys == (exit_["order_key"],)
    assert copy.ordered_size_micros == SHARES
    assert router._state.exit_trade == {exit_["order_key"]: key}
