"""Control in the simulation: changes as control commits them, under its lock and in its chain.

Subscriptions, halts and triggers change through the same tables and the same advisory lock, so
that an acknowledged pause is as final as in reality; it remembers the instants of the commits.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from tests.simulation.bus import Bus
from tests.simulation.history import History
from tradingtools.domain.trigger_states import EDITABLE
from tradingtools.testing.memory_database import MemoryDatabase
from tradingtools.testing.memory_database.functions import append_control_change
from tradingtools.testing.memory_database.locks import Blocked
from tradingtools.testing.memory_database.schema import Row
from tradingtools.testing.memory_database.transactions import Transaction, nanoseconds

Work = Callable[[Transaction], tuple[str, str, str]]
"""Changes rows; returns action, kind and subject of the change."""


def moved_micros(lots: Iterable[Row]) -> int:
    """Return what trading has brought (less than zero: cost) in money, by lots."""
    return sum(
        lot["sold_notional_micros"]
        + lot["payout_micros"]
        - lot["bought_notional_micros"]
        - lot["fee_micros"]
        for lot in lots
    )


@dataclass(slots=True)
class Ban:
    """Something was forbidden, from the acknowledgement of one change to that of another; both by
    the clock of the database and in its microseconds, as what is judged by them."""

    order_is_meant: Callable[[Row], bool]
    from_ns: int
    until_ns: int | None = None


class Control:
    """Commits changes, one after the other.

    Args:
        database: the deciding one.
        bus: where changes are announced.
        history: what happened.
    """

    def __init__(self, database: MemoryDatabase, bus: Bus, history: History) -> None:
        self._database = database
        self._bus = bus
        self._history = history
        self.bans: list[Ban] = []
        self._standing: dict[str, Ban] = {}

    async def change(self, work: Work) -> None:
        """Commit one change and announce it; returns when it is acknowledged."""
        database = self._database
        transaction = database.begin()
        try:
            while True:
                transaction.now = database.now()
                try:
                    action, kind, subject = work(transaction)
                    seq = append_control_change(
                        transaction, "user", "product", action, kind, subject, {}
                    )
                    if kind in ("subscription", "funding"):
                        row = transaction.get(kind, subject)
                        transaction.update(kind, row or {}, changed_seq=seq)
                    break
                except Blocked as blocked:
                    transaction.rollback_to(0)
                    await database.wait(transaction, blocked)
            database.commit(transaction)
        finally:
            database.rollback(transaction)
        self._history.add(f"control: {action} {subject}")
        await asyncio.sleep(0)
        self._bus.announce(seq)

    async def subscribe(self, **fields: Any) -> None:
        """Create a subscription."""

        def work(tx: Transaction) -> tuple[str, str, str]:
            row = {"state": "ACTIVE", "version": 1, "changed_seq": 0, **fields}
            tx.insert("subscription", row)
            return "create", "subscription", fields["id"]

        await self.change(work)

    async def update(
        self,
        subscription: str,
        also: Callable[[Transaction, Row], None] | None = None,
        /,
        **fields: Any,
    ) -> None:
        """PATCH, pause, resume or delete a subscription, and something else in one transaction."""

        def work(tx: Transaction) -> tuple[str, str, str]:
            row = tx.get("subscription", subscription)
            if row is not None and row["state"] != "DELETED":
                if also is not None:
                    also(tx, row)
                tx.update("subscription", row, version=row["version"] + 1, **fields)
            return "update", "subscription", subscription

        state = fields.get("state")
        if state == "ACTIVE":
            self._allow(subscription)
        await self.change(work)
        if state in ("PAUSED", "DELETED"):
            self.forbid_entries(subscription)

    def forbid_entries(self, subscription: str) -> None:
        """Note that no entry of a subscription may be sent from now on."""
        self._forbid(
            subscription,
            lambda o: o["purpose"] == "ENTRY" and o["subscription_id"] == subscription,
        )

    async def fund(self, proxy: str, micros: int) -> None:
        """Put money into what a wallet's copies may spend."""

        def work(tx: Transaction) -> tuple[str, str, str]:
            row = tx.get("funding", proxy)
            if row is None:
                before = moved_micros(tx.where("lot", follower_proxy=proxy))
                fresh = {"funded_micros": micros, "before_micros": before, "changed_seq": 0}
                tx.insert("funding", {"follower_proxy": proxy, **fresh})
            else:
                tx.update("funding", row, funded_micros=row["funded_micros"] + micros)
            return "fund", "funding", proxy

        await self.change(work)

    async def halt(self, scope: str, subject: str, mode: str, column: str) -> None:
        """Halt everything, a wallet, a leader or a market; ``column`` of an order names it."""

        def work(tx: Transaction) -> tuple[str, str, str]:
            row = {"scope": scope, "subject": subject, "mode": mode, "reason": "simulated"}
            # As control does: an operator's halt takes the place of the engine's own.
            if (standing := tx.get("halt", scope, subject)) is not None:
                tx.update("halt", standing, **row)
            else:
                tx.insert("halt", row)
            return "halt", "halt", f"{scope}:{subject}"

        self._allow(f"{scope}:{subject}")
        await self.change(work)

        def meant(order: Row) -> bool:
            forbidden = mode == "HALTED" or order["purpose"] == "ENTRY"
            return forbidden and (scope == "GLOBAL" or order[column] == subject)

        self._forbid(f"{scope}:{subject}", meant)

    async def resume(self, scope: str, subject: str) -> None:
        """End a halt."""

        def work(tx: Transaction) -> tuple[str, str, str]:
            row = tx.get("halt", scope, subject)
            if row is not None:
                tx.delete("halt", row)
            return "resume", "halt", f"{scope}:{subject}"

        self._allow(f"{scope}:{subject}")
        await self.change(work)

    async def add_trigger(self, **fields: Any) -> None:
        """Arm a take-profit or a stop-loss."""

        def work(tx: Transaction) -> tuple[str, str, str]:
            lot = tx.get("lot", fields["follower_proxy"], fields["asset_id"], fields["origin"])
            held = lot is not None and lot["shares_micros"] > 0
            tx.insert("trigger", {**fields, "status": "ARMED" if held else "WAITING"})
            return "create", "trigger", fields["id"]

        await self.change(work)

    async def edit_trigger(self, trigger: str, **terms: Any) -> None:
        """Change the terms of one that has not fired."""

        def work(tx: Transaction) -> tuple[str, str, str]:
            row = tx.get("trigger", trigger)
            if row is not None:
                tx.lock_row("trigger", row)
                if row["status"] in EDITABLE:
                    tx.update("trigger", row, version=row["version"] + 1, **terms)
            return "update", "trigger", trigger

        await self.change(work)

    async def guard_by_hand(self, bought_micros: int, **fields: Any) -> None:
        """Arm a trigger of shares that a follower has bought by hand, as `manual_lots` does."""
        key = {name: fields[name] for name in ("follower_proxy", "asset_id", "origin")}

        def work(tx: Transaction) -> tuple[str, str, str]:
            lot = tx.get("lot", *key.values()) or tx.insert(
                "lot", {**key, "condition_id": fields["condition_id"]}
            )
            for entry in list(tx.where("lot_entry", **key)):
                tx.update("lot_entry", entry, size_micros=0, cost_micros=0)
            held = lot["shares_micros"] + bought_micros
            tx.insert(
                "lot_entry",
                {**key, "trade_id": "by hand", "size_micros": held, "cost_micros": 0},
            )
            tx.update(
                "lot", lot, shares_micros=held, cost_micros=0,
                bought_size_micros=lot["bought_size_micros"] + bought_micros,
                by_hand_micros=lot["by_hand_micros"] + bought_micros,
            )  # fmt: skip
            tx.insert("trigger", {**fields, "status": "ARMED"})
            return "create", "trigger", fields["id"]

        await self.change(work)

    def _forbid(self, name: str, meant: Callable[[Row], bool]) -> None:
        if name not in self._standing:
            ban = self._standing[name] = Ban(meant, nanoseconds(self._database.now()))
            self.bans.append(ban)

    def _allow(self, name: str) -> None:
        ban = self._standing.pop(name, None)
        if ban is not None:
            # What is committed from here on may be the change that allows it again.
            ban.until_ns = nanoseconds(self._database.now())

    @property
    def standing(self) -> list[str]:
        """Return what is forbidden now."""
        return list(self._standing)
