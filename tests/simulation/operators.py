"""Operators in a seed: they end orders, close breakers, and hand over what was set aside.

They see what nobody in the engine can: the far side's own books. Where an order stands there for
good they say so at any time; that there is none they say only when nothing can be under way.
"""

from __future__ import annotations

import asyncio

from tests.simulation.control import Work
from tests.simulation.world import World
from tradingtools.domain.order_states import OrderState, operator_ends
from tradingtools.testing.memory_database.schema import Row
from tradingtools.testing.memory_database.transactions import Transaction

_ARRIVED_SECONDS = 12.0
"""After the storm nothing is under way for longer: neither a late request nor a frozen process."""
_WAITING = (OrderState.DEAD, OrderState.RESURRECTED)


class Operators:
    """The people behind the engine.

    Args:
        world: where.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self._rng = world.rng("operators")
        self._calm_since: float | None = None
        self.end_orders = self._rng.random() < 0.5
        """Otherwise nobody ends an order in this seed."""

    async def run(self, seconds: float) -> None:
        """Do something now and then, for so long."""
        until = self._world.loop.time() + seconds
        while True:
            pause = 4 * self._rng.random()
            if self._world.loop.time() + pause >= until:
                return
            await asyncio.sleep(pause)
            await self._rng.choice((self.end_what_stands, self.replay, self._close_breaker))()

    async def clear_up(self) -> None:
        """After the storm: everything that waits for a person."""
        if self._calm_since is None:
            self._calm_since = self._world.loop.time()
        await self.replay()
        await self.end_what_stands()

    def waiting(self) -> list[str]:
        """Return what waits for them, in words."""
        if not self.end_orders:
            return []
        return [f"order {row['order_key']} waits for an operator" for row in self._orders()]

    def _orders(self) -> list[Row]:
        orders = self._world.database.table("orders").values()
        return [row for row in orders if row["state"] in _WAITING]

    async def end_what_stands(self) -> None:
        """Say of each order what the far side's books say."""
        for order in self._orders() if self.end_orders else ():
            reported = self._truth(order["order_key"])
            if reported is not None:
                await self._end(order, *reported)

    def _truth(self, key: str) -> tuple[OrderState, tuple[int, int, int] | None] | None:
        """Return what became of an order for good; None: nobody can say yet."""
        found = [order for order in self._world.exchange.account().orders if order.order_key == key]
        if not found:
            calm = self._calm_since is not None
            arrived = calm and self._world.loop.time() - self._calm_since > _ARRIVED_SECONDS  # type: ignore[operator]
            return (OrderState.FAILED, None) if arrived else None
        order = found[0]
        settled = all(trade.status in ("CONFIRMED", "FAILED") for trade in order.trades)
        # Two under one key are nothing that a decision could mend.
        if len(found) > 1 or not order.closed or not settled:
            return None
        if order.filled_size_micros == 0:
            return OrderState.FAILED, None
        sums = (order.filled_size_micros, order.filled_notional_micros, order.fee_micros)
        return OrderState.CONFIRMED, sums

    async def _end(
        self, order: Row, to_state: OrderState, filled: tuple[int, int, int] | None
    ) -> None:
        key = order["order_key"]
        size, notional, fee = filled or (None, None, None)

        def work(tx: Transaction) -> tuple[str, str, str]:
            row = tx.get("orders", key) or {}
            requested = any(True for _ in tx.where("order_resolution", order_key=key, done_at=None))
            if not requested and to_state in operator_ends(OrderState(row["state"])):
                tx.insert(
                    "order_resolution",
                    {
                        "order_key": key, "from_state": row["state"], "epoch": row["epoch"],
                        "to_state": str(to_state), "evidence": "the far side's books",
                        "operator": "simulated", "filled_size_micros": size,
                        "filled_notional_micros": notional, "fee_micros": fee, "control_seq": 0,
                    },
                )  # fmt: skip
            return "resolve", "order", key

        await self._world.control.change(work)

    async def replay(self) -> None:
        """Have everything in quarantine handled again."""
        for row in list(self._world.database.table("dead_letter").values()):
            if row["replay_requested_at"] is None:
                await self._world.control.change(_replay(row["id"]))

    async def _close_breaker(self) -> None:
        def work(tx: Transaction) -> tuple[str, str, str]:
            for row in list(tx.rows("breaker")):
                tx.update(
                    "breaker", row, state="CLOSED", version=row["version"] + 1, openings=0,
                    retry_at_ms=0, prober="", reason="", changed_at=tx.now,
                )  # fmt: skip
            return "reset", "breaker", "insiders-api"

        await self._world.control.change(work)


def _replay(message: int) -> Work:
    def work(tx: Transaction) -> tuple[str, str, str]:
        row = tx.get("dead_letter", message) or {}
        tx.update("dead_letter", row, replay_requested_at=tx.now, replayed_at=None)
        return "replay", "message", str(message)

    return work
