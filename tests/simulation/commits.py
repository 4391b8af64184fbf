"""What must hold at every commit, and not only at the end.

The watcher sees each transaction's changes as they become visible, in the order of the commits.
"""

from __future__ import annotations

from launcher.core.invariants import Breach
from tests.simulation.history import History
from tradingtools.domain.order_states import RELEASING, OrderState
from tradingtools.testing.memory_database import MemoryDatabase
from tradingtools.testing.memory_database.schema import Row
from tradingtools.testing.memory_database.transactions import Change

_AT_REST = {*RELEASING, OrderState.RESURRECTED}


class CommitWatch:
    """Looks at every commit.

    Args:
        database: whose commits.
        history: where a breach is noted at its instant.
    """

    def __init__(self, database: MemoryDatabase, history: History) -> None:
        self._database = database
        self._history = history
        self.breaches: list[Breach] = []
        database.watch(self._look)

    def _look(self, changes: list[Change]) -> None:
        for table, before, after in changes:
            if after is None:
                continue
            if table == "orders":
                self._holds_its_reservation(after)
            elif table == "reservation" and before is None:
                self._reserves_what_is_there(after)
            elif table == "journal" and before is None:
                self._is_the_owners(after)

    def _holds_its_reservation(self, order: Row) -> None:
        held = self._database.table("reservation").get((order["order_key"],))
        if order["state"] not in _AT_REST and (held is None or held["released_at"] is not None):
            self._breach(
                "I9 an open order holds its reservation",
                f"order {order['order_key']} is {order['state']} and reserves nothing",
            )

    def _reserves_what_is_there(self, reservation: Row) -> None:
        if not reservation["shares_micros"]:
            return
        orders = self._database.table("orders")

        def lot_of(row: Row) -> tuple[str, str, str]:
            origin = orders[row["order_key"],]["subscription_id"] or "manual"
            return row["follower_proxy"], row["asset_id"], origin

        lot = lot_of(reservation)
        reserved = sum(
            row["shares_micros"]
            for row in self._database.table("reservation").values()
            if row["released_at"] is None and row["shares_micros"] and lot_of(row) == lot
        )
        held = self._database.table("lot")[lot]["shares_micros"]
        if reserved > held:
            self._breach("I11 no share is sold twice", f"{reserved} of {held} in lot {lot}")

    def _is_the_owners(self, record: Row) -> None:
        lease = self._database.table("partition_lease").get((record["role"], record["partition"]))
        if lease is None or lease["epoch"] != record["epoch"]:
            self._breach(
                "only the owner writes",
                f"record {record['seq']} of {record['role']} has epoch {record['epoch']}",
            )

    def _breach(self, invariant: str, detail: str) -> None:
        self._history.add(f"BREACH {invariant}: {detail}")
        self.breaches.append(Breach(invariant, detail))
