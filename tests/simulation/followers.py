"""Followers and leaders of a seed, and what is changed meanwhile: subscriptions, halts."""

from __future__ import annotations

import random
from collections.abc import Sequence

from tests.simulation.world import World
from tradingtools.domain.money import MICROS

ASSETS = ("71", "72")
CONDITION = "0x" + "c" * 64
LEADERS = tuple("0x" + digit * 40 for digit in "12")
WALLETS = tuple("0x" + digit * 40 for digit in "abd")


class Followers:
    """Changes of subscriptions and halts.

    Args:
        world: where.
        rng: of the workload.
        subscriptions: that there are; grows while the workload prepares.
    """

    def __init__(self, world: World, rng: random.Random, subscriptions: Sequence[str]) -> None:
        self._world = world
        self._rng = rng
        self._subscriptions = subscriptions

    async def change(self) -> None:
        """Pause, change, delete or resume a subscription, set a halt or end one."""
        rng, control = self._rng, self._world.control
        if control.standing and rng.random() < 0.5:
            await self._allow(rng.choice(control.standing))
            return
        draw = rng.random()
        if draw > 0.9:
            await control.fund(rng.choice(WALLETS), rng.choice((20, 100)) * MICROS)
        elif draw < 0.6:
            subscription = rng.choice(self._subscriptions)
            if draw < 0.3:
                await control.update(subscription, state="PAUSED")
            elif draw < 0.55:
                await control.update(subscription, **self._patch())
            else:
                await control.update(subscription, state="DELETED")
            return
        mode = rng.choice(("HALTED", "REDUCING"))
        scope, subject, column = rng.choice(
            (
                ("GLOBAL", "", ""),
                ("WALLET", rng.choice(WALLETS), "follower_proxy"),
                ("LEADER", rng.choice(LEADERS), "leader"),
                ("MARKET", CONDITION, "condition_id"),
            )
        )
        if f"{scope}:{subject}" not in control.standing:
            await control.halt(scope, subject, mode, column)

    def _patch(self) -> dict[str, int | None]:
        """One limit or the size."""
        rng = self._rng
        name, values = rng.choice(
            (
                ("sizing_micros", (300_000,)),
                ("max_per_trade_micros", (None, 5 * MICROS, 50 * MICROS)),
                ("max_per_market_micros", (None, 20 * MICROS)),
                ("max_slippage_micros", (10_000, 200_000)),
            )
        )
        return {name: rng.choice(values)}

    async def _allow(self, name: str) -> None:
        control = self._world.control
        if name.startswith("sub_"):
            row = self._world.database.table("subscription")[name,]
            if row["state"] != "DELETED":
                await control.update(name, state="ACTIVE")
            return
        scope, _, subject = name.partition(":")
        await control.resume(scope, subject)

    async def allow_everything(self) -> None:
        """End every pause and halt."""
        for name in self._world.control.standing:
            await self._allow(name)
