"""Resyncs in a seed: ingest is told what leaders hold, followers ask for resyncs and have them
done, subscriptions start by mirroring.

Before it: the workload, which knows what leaders hold. After it: the router, which answers, and
the judge: an executed resync has claimed each order that its preview shows, and so; others, none.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator, Mapping, Sequence

from launcher.core.invariants import Breach
from tests.simulation.followers import CONDITION, LEADERS
from tests.simulation.world import World
from tradingtools.domain.money import MICROS
from tradingtools.domain.resync import ResyncKind, ResyncState, line_from_json
from tradingtools.testing.memory_database.transactions import Transaction

_EQUITY_MICROS = 10_000 * MICROS
_LOOKED_AT_SECONDS = 0.5
"""A follower looks at a preview no longer than this."""
_OPEN = (ResyncState.REQUESTED, ResyncState.EXECUTING)
_AS_SHOWN = ("side", "asset_id", "condition_id", "size_micros", "limit_micros")


class Resyncs:
    """Resyncs that are requested.

    Args:
        world: where.
        rng: of the workload.
        held: shares by leader and asset, as they really are.
        subscriptions: that there are.
    """

    def __init__(
        self,
        world: World,
        rng: random.Random,
        held: Mapping[tuple[str, str], int],
        subscriptions: Sequence[str],
    ) -> None:
        self._world = world
        self._rng = rng
        self._held = held
        self._subscriptions = subscriptions
        self._numbers = 0

    def notify(self) -> None:
        """ingest asks the venue what all leaders hold."""

        def work(tx: Transaction) -> None:
            for leader in LEADERS:
                reported = {"equity_micros": _EQUITY_MICROS, "asked_at": tx.now}
                known = tx.get("leader_account", leader)
                if known is None:
                    tx.insert("leader_account", {"leader": leader, **reported})
                else:
                    tx.update("leader_account", known, **reported)
                for row in list(tx.where("leader_holding", leader=leader)):
                    tx.delete("leader_holding", row)
            for (leader, asset), size in self._held.items():
                if size:
                    row = {"leader": leader, "asset_id": asset, "condition_id": CONDITION}
                    tx.insert("leader_holding", {**row, "shares_micros": size})

        self._world.database.write(work)

    async def act(self) -> None:
        """Ask for a preview, and have one executed: mostly this one, and soon."""
        rng = self._rng
        if rng.random() < 0.8:
            self.notify()
        await self.ask(rng.choice(self._subscriptions), ResyncKind.ASKED)
        await asyncio.sleep(rng.random() * _LOOKED_AT_SECONDS)
        rows = self._world.database.table("resync").values()
        previewed = [row["id"] for row in rows if row["state"] == ResyncState.PREVIEWED]
        if previewed and rng.random() < 0.8:
            await self._execute(previewed[-1] if rng.random() < 0.7 else rng.choice(previewed))

    async def ask(self, subscription: str, kind: ResyncKind) -> None:
        """Want a preview, or a subscription that starts with what its leader holds."""
        self._numbers += 1
        identity = f"rsy_{self._numbers:032x}"

        def work(tx: Transaction) -> tuple[str, str, str]:
            row = tx.get("subscription", subscription) or {}
            if row["state"] != "DELETED":
                whose = {"subscription_id": subscription, "follower_proxy": row["follower_proxy"]}
                state = ResyncState.REQUESTED.value
                tx.insert("resync", {"id": identity, "kind": kind.value, "state": state, **whose})
            return "preview resync", "subscription", subscription

        await self._world.control.change(work)

    async def _execute(self, identity: str) -> None:
        def work(tx: Transaction) -> tuple[str, str, str]:
            row = tx.get("resync", identity) or {}
            if row["state"] == ResyncState.PREVIEWED:
                state = ResyncState.EXECUTING.value
                tx.update("resync", row, state=state, version=row["version"] + 1)
            return "execute resync", "subscription", row["subscription_id"]

        await self._world.control.change(work)


def unanswered(world: World) -> list[str]:
    """Resyncs that the router still has to answer."""
    return [
        f"resync {row['id']} is {row['state']}"
        for row in world.database.table("resync").values()
        if row["state"] in _OPEN
    ]


def not_as_shown(world: World) -> Iterator[Breach]:
    """Orders of resyncs that nobody was shown, and shown ones that were not made."""
    orders = {row["order_key"]: row for row in world.database.table("orders").values()}
    of_resyncs = {
        key
        for key, order in orders.items()
        if order["leader_tx"] == "" and order["purpose"] in ("ENTRY", "COPY_EXIT")
    }
    for row in world.database.table("resync").values():
        done = row["state"] == ResyncState.EXECUTED
        lines = (line_from_json(values) for values in row["lines"])
        for line in (line for line in lines if line.side is not None):
            order = orders.get(line.order_key)
            of_resyncs.discard(line.order_key)
            text = f"{row['id']}, which is {row['state']}, about {line.asset_id}"
            if (order is not None) != done:
                yield Breach("a resync is done whole or not at all", text)
            elif order is not None and any(order[n] != getattr(line, n) for n in _AS_SHOWN):
                yield Breach("a resync does what it showed", text)
    for key in of_resyncs:
        yield Breach("a resync does what it showed", f"no preview has order {key}")
