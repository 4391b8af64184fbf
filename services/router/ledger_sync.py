"""Read followers' money from PostgreSQL into the ledger, for caps and budgets.

The occasions are confirm's bookings, control's fundings and balances reported by insiders-api. One
read runs at a time: an older value must not replace a newer one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from services.router import store
from services.router.core.router_state import RouterState
from tradingtools.storage.postgres.pool import Pool
from tradingtools.v1 import confirm_service_pb2 as confirm_pb

_EVER_SECONDS = 10 * 365 * 86_400.0


class LedgerSync:
    """Keeps the ledger of lots' costs and wallets' cash.

    Args:
        pool: of the deciding database.
        state: whose ledger is kept.
    """

    def __init__(self, pool: Pool, state: RouterState) -> None:
        self._pool = pool
        self._state = state
        self._reading = asyncio.Lock()

    async def take_over(self) -> None:
        """Read everything; reservations are taken over already."""
        state, ledger = self._state, self._state.ledger
        async with self._reading:
            for lot in await store.fetch(self._pool, "lots"):
                ledger.hold(
                    lot["origin"],
                    lot["follower_proxy"],
                    lot["condition_id"],
                    lot["asset_id"],
                    lot["cost_micros"],
                )
            await self._read_cash(ledger.funded_wallets())
            # After lots and reservations: of a booking up to here the present cost is read.
            state.booked_to = (await store.fetch(self._pool, "booked_to"))[0]["seq"]
            await self._read_balances(seconds=_EVER_SECONDS)

    async def fund(self, fundings: Mapping[str, int]) -> None:
        """Take over the sums of wallets' fundings, USDC micros."""
        if not fundings:
            return
        async with self._reading:
            # A wallet's money is read before its budget counts: never one without the other.
            await self._read_cash(list(fundings))
            for proxy, funded in fundings.items():
                self._state.ledger.fund(proxy, funded)

    async def booked(self, fill: confirm_pb.FillEvent) -> None:
        """Take over what a booking has changed."""
        ledger, proxy = self._state.ledger, fill.follower_proxy
        # What only becomes final was paid before: answers of a fan-out are final at once, and
        # what is read for them competes with the last of its POSTs.
        paid = fill.kind != confirm_pb.FILL_KIND_CONFIRMED
        async with self._reading:
            if fill.subscription_id:
                await self._hold_booked(fill)
                if paid and ledger.funded(proxy):
                    await self._read_cash([proxy])
            if paid and ledger.wallet_known(proxy):
                await self._read_balances(proxies=[proxy])

    async def read_balances(self, *, seconds: float) -> None:
        """Read the cash of wallets where it changed in the last seconds."""
        async with self._reading:
            await self._read_balances(seconds=seconds)

    async def _hold_booked(self, fill: confirm_pb.FillEvent) -> None:
        """Keep what a lot costs. A booking that comes again, or late out of quarantine, tells what
        it cost then, and caps would let too much be bought: of such a one the present cost is
        read."""
        state, cost = self._state, fill.lot_cost_micros
        if fill.fill_seq <= state.booked_to:
            key = {"follower_proxy": fill.follower_proxy, "asset_id": fill.asset_id}
            rows = await store.fetch(self._pool, "lot_cost", **key, origin=fill.subscription_id)
            cost = rows[0]["cost_micros"]
        state.booked_to = max(state.booked_to, fill.fill_seq)
        state.ledger.hold(
            fill.subscription_id, fill.follower_proxy, fill.condition_id, fill.asset_id, cost
        )

    async def _read_cash(self, proxies: Sequence[str]) -> None:
        """Read what trading has moved of wallets' money; sums, so that a repetition is harmless."""
        if not proxies:
            return
        for row in await store.fetch(self._pool, "cash", proxies=list(proxies)):
            self._state.ledger.cash(row["follower_proxy"], row["moved_micros"])

    async def _read_balances(self, *, proxies: Sequence[str] = (), seconds: float = 0) -> None:
        """Read the cash of these wallets, and of those whose cash changed in the last seconds."""
        values = {"proxies": list(proxies), "seconds": seconds}
        for row in await store.fetch(self._pool, "balances", **values):
            self._state.ledger.wallet(row["follower_proxy"], row["cash_micros"])
