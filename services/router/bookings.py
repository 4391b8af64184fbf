"""Apply confirm's bookings: money, filled copies, exits to be judged again.

They come from the stream of fills. `open_exits` and `reevaluation` continue with what they change.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from msgspec import structs

from services.router.core.exit_plan import slice_ended
from services.router.core.router_state import RouterState
from services.router.ledger_sync import LedgerSync
from services.router.open_exits import OpenExits
from tradingtools import clock
from tradingtools.domain.leader_trade import TradeKey
from tradingtools.domain.reasons import Reason
from tradingtools.v1 import common_pb2 as pb
from tradingtools.v1 import confirm_service_pb2 as confirm_pb


class Bookings:
    """Takes over the bookings of one partition's followers.

    Args:
        state: what the router knows.
        ledger_sync: lots and cash.
        exits: that are judged again.
        claim_lock: held by whoever claims.
        catch_up: takes over what is durable, or ends the process.
        decide_again: an entry that was refused because its subscription had changed, by its key.
    """

    def __init__(
        self,
        state: RouterState,
        ledger_sync: LedgerSync,
        exits: OpenExits,
        claim_lock: asyncio.Lock,
        catch_up: Callable[[], Awaitable[object]],
        decide_again: Callable[[str], Awaitable[None]],
    ) -> None:
        self._state = state
        self._ledger_sync = ledger_sync
        self._exits = exits
        self._claim_lock = claim_lock
        self._catch_up = catch_up
        self._decide_again = decide_again

    async def on_fill(self, fill: confirm_pb.FillEvent) -> None:
        """Keep lots and reservations; wake exits that this order held up or has left unsold."""
        # Before its reservation goes: for a moment both count.
        await self._ledger_sync.booked(fill)
        if _has_appeared(fill):
            # What it has sold was given back to its exit when it ended.
            async with self._claim_lock:
                await self._catch_up()
        if fill.kind == confirm_pb.FILL_KIND_CORRECTED:
            async with self._claim_lock:
                self._on_corrected(fill)
        if fill.kind != confirm_pb.FILL_KIND_CLOSED:
            return
        # Not while a claim is under way: it writes back the copies that it has read.
        async with self._claim_lock:
            self._on_closed(fill)
        if fill.reason == Reason.SUBSCRIPTION_CHANGED:
            await self._decide_again(fill.order_key)

    def _on_closed(self, fill: confirm_pb.FillEvent) -> None:
        state = self._state
        state.ledger.release(
            fill.order_key,
            size_micros=fill.order_size_micros,
            filled_micros=fill.order_filled_micros,
        )
        key = state.slice_ended(fill.order_key)
        if key is not None:
            self._on_exit_closed(key, fill)
        ended = state.entry_ended(fill.subscription_id, fill.order_key, fill.order_filled_micros)
        # Others that sell of this lot may have waited for it.
        waiting = [k for k in state.open_exits if k.asset_id == fill.asset_id]
        for sell in (*waiting, *ended):
            copy = state.copies.get(sell, {}).get(fill.subscription_id)
            if copy is not None:
                self._exits.judge_in(sell, copy.rest_until_ms - clock.now_ms())

    def _on_corrected(self, fill: confirm_pb.FillEvent) -> None:
        """Exits of a lot that holds less go on with what is there, at once."""
        state = self._state
        for sell in [key for key in state.open_exits if key.asset_id == fill.asset_id]:
            copy = state.copies.get(sell, {}).get(fill.subscription_id)
            if copy is not None:
                copy = structs.replace(copy, rest_until_ms=0)
                state.put_copy(sell, fill.subscription_id, copy)
                self._exits.judge_in(sell, 0)

    def _on_exit_closed(self, key: TradeKey, fill: confirm_pb.FillEvent) -> None:
        copy = slice_ended(
            self._state.copies[key][fill.subscription_id],
            size_micros=fill.order_size_micros,
            filled_micros=fill.order_filled_micros,
            tried=fill.order_state == pb.ORDER_STATE_CONFIRMED
            or fill.reason == Reason.NOTHING_FILLED,
            ended_ms=clock.now_ms(),
            halted=fill.reason == Reason.HALTED,
            without_balance=fill.reason == Reason.INSUFFICIENT_BALANCE
            and not self._state.ledger.entry_open(fill.subscription_id, fill.asset_id),
        )
        self._state.put_copy(key, fill.subscription_id, copy)
        if fill.order_filled_micros < fill.order_size_micros:
            self._exits.judge_in(key, copy.rest_until_ms - clock.now_ms())


def _has_appeared(fill: confirm_pb.FillEvent) -> bool:
    """Return whether a slice of an exit has fills after its end."""
    exit_ = fill.purpose == pb.ORDER_PURPOSE_COPY_EXIT
    return exit_ and fill.order_state == pb.ORDER_STATE_RESURRECTED
