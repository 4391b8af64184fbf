"""Check what must hold at every commit, and not only at the end.

The watcher sees each transaction's changes as they become visible, in the order of the commits.
"""

from __future__ import annotations

from launcher.core.invariants import Breach
from tests.simulation.control import moved_micros
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
        database.watch(self._poll)

    def _poll(self, changes: list[Change]) -> None:
        for table, before, after in changes:
            if after is None:
                continue
            if table == "orders":
                self._holds_its_reservation(after)
            elif table == "reservation" and before is None:
                self._reserves_what_is_there(after)
                self._stays_within_its_limits(after)
            elif table == "journal" and before is None:
                self._is_the_owners(after["role"], after)
            elif table == "peak_record" and before is None:
                self._is_the_owners("guard", after)

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
        # What is booked of a sale has left the lot already.
        taken = sum(
            max(row["shares_micros"] - orders[row["order_key"],]["filled_size_micros"], 0)
            for row in self._database.table("reservation").values()
            if row["released_at"] is None and row["shares_micros"] and lot_of(row) == lot
        )
        held = self._database.table("lot")[lot]["shares_micros"]
        if taken > held:
            self._breach("I11 no share is sold twice", f"{taken} of {held} in lot {lot}")

    def _stays_within_its_limits(self, reservation: Row) -> None:
        """A wallet's funding and a subscription's cap in the market cover what was spent and what
        open entries may still spend (ADR 15)."""
        if not reservation["money_micros"] or self._came_back(reservation["follower_proxy"]):
            return
        claimed = self._database.table("orders")[reservation["order_key"],]
        self._stays_within_the_funding(claimed)
        self._stays_within_the_cap(claimed)

    def _came_back(self, proxy: str) -> bool:
        """Return what had been given back may have been spent: a sale is undone, an order
        resurrected."""
        orders = self._database.table("orders")
        undone = (row for row in self._database.table("fill").values() if row["status"] == "FAILED")
        events = self._database.table("order_event").values()
        again = [row for row in events if row["to_state"] == "RESURRECTED"]
        sold = [row for row in undone if orders[row["order_key"],]["side"] == "SELL"]
        return any(orders[row["order_key"],]["follower_proxy"] == proxy for row in (*again, *sold))

    def _stays_within_the_funding(self, claimed: Row) -> None:
        proxy = claimed["follower_proxy"]
        funding = self._database.table("funding").get((proxy,))
        if funding is None or claimed["control_seq"] < funding["changed_seq"]:
            return
        left = funding["funded_micros"] - funding["before_micros"]
        left += moved_micros(self._of("lot", follower_proxy=proxy))
        left -= self._may_still_spend(self._of("orders", follower_proxy=proxy))
        if left < 0:
            self._breach("I12 a wallet spends what it was funded with", f"{proxy} is at {left}")

    def _stays_within_the_cap(self, claimed: Row) -> None:
        subscription = self._database.table("subscription")[claimed["subscription_id"],]
        cap = subscription["max_per_market_micros"]
        if cap is None or subscription["version"] != claimed["subscription_version"]:
            return
        market = {"condition_id": claimed["condition_id"]}
        lots = self._of("lot", origin=subscription["id"], **market)
        orders = self._of("orders", subscription_id=subscription["id"], **market)
        used = sum(lot["cost_micros"] for lot in lots) + self._may_still_spend(orders)
        if used > cap:
            text = f"{subscription['id']} uses {used} of {cap}"
            self._breach("I12 a subscription stays within its cap", text)

    def _may_still_spend(self, orders: list[Row]) -> int:
        money = 0
        for order in orders:
            held = self._database.table("reservation").get((order["order_key"],))
            if order["side"] == "BUY" and held is not None and held["released_at"] is None:
                spent = order["filled_notional_micros"] + order["fee_micros"]
                money += max(0, held["money_micros"] - spent)
        return money

    def _of(self, table: str, **values: object) -> list[Row]:
        rows = self._database.table(table).values()
        return [row for row in rows if all(row[name] == v for name, v in values.items())]

    def _is_the_owners(self, role: str, record: Row) -> None:
        lease = self._database.table("partition_lease").get((role, record["partition"]))
        if lease is None or lease["epoch"] != record["epoch"]:
            self._breach(
                "only the owner writes",
                f"record {record['seq']} of {role} has epoch {record['epoch']}",
            )

    def _breach(self, invariant: str, detail: str) -> None:
        self._history.add(f"BREACH {invariant}: {detail}")
        self.breaches.append(Breach(invariant, detail))
