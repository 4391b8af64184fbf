"""Order events and due orders in, bookings out.

Two ways lead to the same booking: the answer that came with the submission, at once, and the
question by key, until the order has ended. Both may happen twice; a trade is booked by its id.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping
from typing import Any

import psycopg
import structlog

from services.confirm import alerts, store
from services.confirm.booking_batcher import BookingBatcher
from services.confirm.core import effective_capabilities, unknown_order_policy
from services.confirm.core.unknown_order_policy import LookupResult, NextAction, UnknownOrder
from services.confirm.settings import Settings
from services.confirm.store import BookingResult, ReportedOrder
from services.confirm.venue_gateway import VenueGateway
from tradingtools import clock
from tradingtools.domain.order_states import OrderState
from tradingtools.domain.reasons import Reason
from tradingtools.domain.venue_order import VenueOrder
from tradingtools.runtime import instruments, telemetry
from tradingtools.runtime.consumer import while_database_is_away
from tradingtools.storage.postgres.lease import Fenced
from tradingtools.storage.postgres.pool import Pool
from tradingtools.v1 import common_pb2 as common
from tradingtools.v1 import executor_service_pb2 as executor_pb
from tradingtools.venues.insiders.schemas import WireError, parse_order
from tradingtools.venues.ports import Capabilities, CapabilitiesUnknown

_log = structlog.get_logger("confirm")
_stuck = instruments.counter(
    "tradingtools.confirm", "orders_stuck", "answers that cannot be booked"
)
_RECHECK_MS = 200
_LATE_MS = 5_000
"""An accepted order is asked for so much later while answers wait: its own is one of them, as a
rule, and the question would cost what it takes to book."""
_STUCK_MS = 60_000
_FENCE_PAUSE_SECONDS = 1.0
_LONG_AGO_SECONDS = 86_400.0

_VERDICTS = {NextAction.GIVE_UP: OrderState.LOST, NextAction.CALL: OrderState.DEAD}


class Confirm:
    """Books orders until they have ended.

    Args:
        pool: of the deciding database.
        booker: books what it hears.
        insiders: questions to insiders-api.
        settings: of the process.
    """

    def __init__(
        self, pool: Pool, booker: BookingBatcher, insiders: VenueGateway, settings: Settings
    ) -> None:
        self._pool = pool
        self._booker = booker
        self._insiders = insiders
        self._settings = settings
        self._reported: Capabilities | None = None
        self._ends_at = math.inf
        """When insiders-api has had its time to say what it promises."""
        self._message = effective_capabilities.of_settings(
            settings.promises, settings.longest_processing_ms
        )
        self._capabilities: Capabilities | None = None
        """What insiders-api is taken to promise; None: not known yet, and nothing is concluded."""
        self._checks: dict[str, int] = {}
        self._busy: set[str] = set()
        self._called: set[str] = set()
        """Accepted orders of whose silence a person was notified."""
        self._closed_to: int | None = None
        """The event up to which every order that had ended is closed; None: not looked yet."""

    @property
    def capabilities(self) -> Capabilities | None:
        """Return what insiders-api is taken to promise; None: it is not known yet."""
        return self._capabilities

    @property
    def behind(self) -> bool:
        """Return whether answers wait to be booked, or more open orders are due than are asked for
        at a time."""
        return self._booker.behind or len(self._busy) > self._settings.parallel

    async def on_event(self, event: executor_pb.OrderEvent) -> None:
        """Book what the submission itself answered."""
        with telemetry.span("confirm.event", event.traceparent, order=event.order_key):
            if event.state == common.ORDER_STATE_FAILED:
                await self._close(event.order_key)
            elif event.state == common.ORDER_STATE_SUBMITTED and event.answer:
                try:
                    order = parse_order(event.answer)
                except WireError:
                    # Judged when the executor took it; the question by key will tell.
                    return
                # When it is asked for next is in its row since its acceptance.
                await self._take_open(event.order_key, order, None)

    async def take(
        self, order_key: str, order: VenueOrder, *, again_ms: int | None = None
    ) -> BookingResult:
        """Take an answer under a key, and say what a person has to know of it.

        ``again_ms``: when to ask again if it stays open; None: when it was to be asked anyway.
        """
        reported = ReportedOrder(order_key=order_key, answer=order, again_ms=again_ms)
        taken = await self._booker.take(reported)
        if taken.state is not taken.before:
            self._checks.pop(order_key, None)
            self._called.discard(order_key)
            alerts.moved(order_key, taken.state, taken.problem)
        return taken

    async def _book(self, order_key: str, order: VenueOrder) -> None:
        checks = self._checks.get(order_key, 0)
        again_ms = unknown_order_policy.pause_ms(checks) if checks else _RECHECK_MS
        await self._take_open(order_key, order, again_ms)

    async def _take_open(self, order_key: str, order: VenueOrder, again_ms: int | None) -> None:
        taken = await self.take(order_key, order, again_ms=again_ms)
        if taken.state is OrderState.SUBMITTED:
            self._checks[order_key] = self._checks.get(order_key, 0) + 1

    async def _close(self, order_key: str) -> None:
        await self._booker.take(ReportedOrder(order_key=order_key, answer=None))

    async def poll_due(self) -> None:
        """Ask for open orders that are due, for ever."""
        pause = self._settings.poll_ms / 1000
        limit = asyncio.Semaphore(self._settings.parallel)
        async with asyncio.TaskGroup() as group:
            while True:
                await asyncio.sleep(pause)
                late_ms = _LATE_MS if self._booker.behind else 0
                most = 4 * self._settings.parallel
                try:
                    due = await store.fetch(self._pool, "due", limit=most, late_ms=late_ms)
                except psycopg.OperationalError as error:
                    _log.warning("cannot look for open orders", error=str(error))
                    continue
                for row in due:
                    if row["order_key"] not in self._busy:
                        self._busy.add(row["order_key"])
                        group.create_task(self._poll(dict(row), limit))

    async def _poll(self, row: dict[str, Any], limit: asyncio.Semaphore) -> None:
        try:
            async with limit:
                if row["state"] == OrderState.SUBMITTED:
                    await self._check_submitted(row)
                else:
                    await self._check_unknown(row)
        except psycopg.OperationalError as error:
            _log.warning("not booked; asked again", order=row["order_key"], error=str(error))
        except Fenced:
            raise
        except Exception as error:  # noqa: BLE001 - a contradiction about one order is its own
            _log.error("an order cannot be booked; a person has to look", order=row["order_key"],
                       exc_info=error)  # fmt: skip
            _stuck.add(1)
            await while_database_is_away(lambda: self._postpone_long(row))
        finally:
            self._busy.discard(row["order_key"])

    async def look_up(self, order_key: str) -> tuple[LookupResult, VenueOrder | None]:
        """Ask for a key whose order nobody wants to prevent any more."""
        lookup, order = await self._insiders.look_up(order_key)
        promised = self._capabilities
        if lookup is LookupResult.NOT_SUPPORTED and promised is not None and promised.void:
            # A used key cannot be voided, and the refusal tells how its order stands.
            lookup, order = await self._insiders.void(order_key)
        return lookup, order

    async def _check_submitted(self, row: dict[str, Any]) -> None:
        lookup, order = await self.look_up(row["order_key"])
        if lookup is LookupResult.FOUND and order is not None:
            await self._book(row["order_key"], order)
        else:
            # Accepted once, so it exists; whatever was answered now proves nothing.
            self._call_if_silent(row)
            await self._postpone(row, 0)

    def _call_if_silent(self, row: Mapping[str, Any]) -> None:
        """Notify a person once of an accepted order of which nothing is reported any more."""
        key, silent_ms = row["order_key"], clock.now_ms() - row["since_ms"]
        if silent_ms > self._settings.unreachable_ms and key not in self._called:
            self._called.add(key)
            alerts.silent(key, silent_ms)

    async def _postpone_long(self, row: dict[str, Any]) -> None:
        await self._put_off(row, _STUCK_MS, row["not_found_count"])

    async def _check_unknown(self, row: dict[str, Any]) -> None:
        promised = self._capabilities
        if promised is None:
            await self._postpone(row, row["not_found_count"])
            return
        now_ms = clock.now_ms()
        case = UnknownOrder(
            not_after_ms=row["not_after_ms"],
            not_found_count=row["not_found_count"],
            unknown_since_ms=row["since_ms"],
            not_founds_needed=self._settings.not_founds,
            unreachable_ms=self._settings.unreachable_ms,
            attempt=row["attempt"],
            attempts=self._settings.attempts,
            send_again_ms=self._settings.send_again_ms,
        )
        lookup, order = await self._insiders.look_up(row["order_key"])
        act = unknown_order_policy.after_lookup(case, lookup, promised, now_ms)
        if act is NextAction.VOID:
            lookup, order = await self._insiders.void(row["order_key"])
            act = unknown_order_policy.after_void(case, lookup, now_ms)
        if act is NextAction.SEND_AGAIN and await self._one_key_is_one_order():
            await self._send_again(row)
        elif act is NextAction.BOOK and order is not None:
            await self._book(row["order_key"], order)
        elif act in _VERDICTS and await self._no_capabilities():
            await self._conclude(row, act)
        else:
            past = now_ms > unknown_order_policy.horizon_ms(case, promised)
            counted = case.not_found_count + (1 if lookup is LookupResult.NOT_FOUND and past else 0)
            await self._postpone(row, counted)

    async def _send_again(self, row: dict[str, Any]) -> None:
        """Leave the sending to the owner of the partition, and look whether it happened."""
        await store.execute(
            self._pool,
            "send_again",
            order_key=row["order_key"],
            epoch=row["epoch"],
            next_check_at=row["next_check_at"],
            milliseconds=self._next_pause_ms(row["order_key"]),
            by_settings=self._reported is None,
        )

    async def _conclude(self, row: dict[str, Any], act: NextAction) -> None:
        """End an order that nobody knows (LOST), or of which nobody can say (DEAD)."""
        target = _VERDICTS[act]
        changed = await store.transition(
            self._pool,
            [
                {
                    "order_key": row["order_key"],
                    "from_state": OrderState.UNKNOWN,
                    "to_state": target,
                    "expected_epoch": row["epoch"],
                    "reason": unknown_order_policy.reason(act),
                }
            ],
        )
        self._checks.pop(row["order_key"], None)
        if not changed:
            return
        alerts.moved(row["order_key"], target)
        if target is OrderState.LOST:
            await self._close(row["order_key"])

    async def _postpone(self, row: dict[str, Any], not_found_count: int) -> None:
        spacing = self._settings.not_found_spacing_ms if not_found_count else 0
        pause_ms = max(self._next_pause_ms(row["order_key"]), spacing)
        await self._put_off(row, pause_ms, not_found_count)

    def _next_pause_ms(self, order_key: str) -> int:
        checks = self._checks.get(order_key, 0)
        self._checks[order_key] = checks + 1
        return unknown_order_policy.pause_ms(checks)

    async def _put_off(self, row: dict[str, Any], milliseconds: int, not_founds: int) -> None:
        """Ask again later, if the order is still where it was."""
        await store.postpone(self._pool, store.later(row, milliseconds, not_founds))

    async def tidy(self) -> None:
        """Fence submissions without an answer, close what ended unseen, keep the promises fresh."""
        self._ends_at = clock.monotonic() + self._settings.promises_wait_ms / 1000
        while True:
            try:
                await self._refresh_capabilities()
                await self._fence()
                await self._booker.publish()
                submitted_ms = self._settings.unreachable_ms
                rows = await store.fetch(self._pool, "unresolved", submitted_ms=submitted_ms)
                alerts.count(rows)
                await self.close_unseen()
            except psycopg.OperationalError as error:
                _log.warning("not tidied", error=str(error))
            await asyncio.sleep(_FENCE_PAUSE_SECONDS)

    async def _refresh_capabilities(self) -> None:
        """Ask what insiders-api promises; without any answer the settings decide in the end."""
        reported = await self._insiders.capabilities()
        self._reported = self._reported if isinstance(reported, CapabilitiesUnknown) else reported
        waited = clock.monotonic() >= self._ends_at
        if waited and self._reported is None and self._capabilities is None:
            _log.error("insiders-api does not say what it promises; the settings decide",
                       alert=True, promises=self._settings.promises or "none")  # fmt: skip
        self._capabilities = effective_capabilities.taken(
            self._message, self._reported, waited=waited
        )

    async def _one_key_is_one_order(self) -> bool:
        """Return whether insiders-api promises so at this moment.

        What it promised a second ago may be withdrawn, and the same bytes would be a second order:
        while it does not answer nothing is sent again. Where it never says, the settings decide.
        The executor asks once more, before the first byte.
        """
        reported = await self._insiders.capabilities()
        if isinstance(reported, CapabilitiesUnknown):
            never_says = reported is CapabilitiesUnknown.NOT_OFFERED and self._reported is None
            return never_says and self._capabilities is not None and self._capabilities.idempotency
        self._reported = reported
        taken = self._capabilities = effective_capabilities.taken(
            self._message, reported, waited=True
        )
        return taken is not None and taken.idempotency

    async def _no_capabilities(self) -> bool:
        """Return whether it is known, or cannot be found out, what insiders-api promises.

        It may be back only now, and then tells more than the settings.
        """
        if self._reported is None:
            await self._refresh_capabilities()
            return self._reported is None
        return True

    async def close_unseen(self) -> None:
        """Close what has ended although no event reported it."""
        if self._closed_to is None:
            self._closed_to = await self._sealed_to(_LONG_AGO_SECONDS)
        # Before the look: an event below it was committed by then.
        sealed_to = await self._sealed_to(0)
        rows = await store.fetch(self._pool, "unclosed", after=self._closed_to)
        for row in rows:
            await self._close(row["order_key"])
        if not rows:
            self._closed_to = max(self._closed_to, sealed_to)

    async def _sealed_to(self, seconds_ago: float) -> int:
        (row,) = await store.fetch(self._pool, "sealed_to", seconds=seconds_ago)
        return int(row["to_seq"])

    async def _fence(self) -> None:
        rows = await store.fetch(self._pool, "leaseless")
        await store.transition(
            self._pool,
            [
                {
                    "order_key": row["order_key"],
                    "from_state": OrderState.SUBMITTING,
                    "to_state": OrderState.UNKNOWN,
                    "expected_epoch": row["epoch"],
                    "epoch": row["epoch"] + 1,
                    "reason": Reason.UNANSWERED,
                    "next_check_ms": 0,
                }
                for row in rows
            ],
        )
