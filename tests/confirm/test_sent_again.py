"""The wish to send an order again, by what confirm has read, on a real database."""

from __future__ import annotations

import asyncio
import json
from typing import Any, cast

import pytest
from msgspec import structs

from services.confirm import store
from services.confirm.core.unknown_order_policy import LookupResult
from services.confirm.settings import Settings
from services.confirm.worker import Confirm
from services.executor import store as executor
from tests.confirm.conftest import Orders
from tradingtools.domain.order_states import OrderState as S
from tradingtools.domain.venue_order import VenueOrder
from tradingtools.venues.ports import Capabilities, CapabilitiesUnknown

_PROMISED = Capabilities(
    idempotency=True, not_after=True, get_by_key=True, void=False, longest_processing_ms=1_000
)
_FOREVER_MS = 2**50
_WITHDRAWN = structs.replace(_PROMISED, idempotency=False, not_after=False, get_by_key=False)


@pytest.mark.parametrize("accepted", [False, True])
@pytest.mark.parametrize("send_again_ms", [0, 60_000], ids=["wanted again", "to be looked at"])
async def test_order_accepted_during_its_lookup_is_checked_at_once(
    orders: Orders, accepted: bool, send_again_ms: int
) -> None:
    key = await orders.make("UNKNOWN")
    await orders.sql(
        "update orders set attempt = 1, not_after_ms = %s, next_check_at = now()"
        " where order_key = %s",
        _FOREVER_MS, key,
    )  # fmt: skip

    class FarSide:
        async def look_up(self, order_key: str) -> tuple[LookupResult, VenueOrder | None]:
            """Does not know it; the answer to its POST comes while it says so."""
            if accepted:
                reported = {
                    "order_key": key,
                    "venue_order_id": "v",
                    "answered_ns": 6,
                    "detail": "{}",
                }
                await executor.execute(
                    orders.pool, "note_late_acceptances", accepted=json.dumps([reported])
                )
            return LookupResult.NOT_FOUND, None

        async def capabilities(self) -> Capabilities | CapabilitiesUnknown:
            """It never says: the settings decide."""
            return CapabilitiesUnknown.NOT_OFFERED

    settings = Settings(executor_target="h:1", insiders_url="http://h", send_again_ms=send_again_ms)
    confirm = Confirm(orders.pool, cast(Any, None), cast(Any, FarSide()), settings)
    confirm._capabilities = _PROMISED
    rows = await store.fetch(orders.pool, "due", limit=1000, late_ms=0)
    (due,) = [dict(row) for row in rows if row["order_key"] == key]
    await confirm._poll(due, asyncio.Semaphore())

    row = await orders.row(key)
    again = None if accepted or send_again_ms else 0
    assert (row["state"], row["send_again_epoch"]) == (S.UNKNOWN, again)
    assert row["send_again_by_settings"] == (again is not None), "the executor has to know"
    rows = await store.fetch(orders.pool, "due", limit=1000, late_ms=0)
    still_due = key in {row["order_key"] for row in rows}
    assert still_due == accepted, "it is looked at once more, at once"


@pytest.mark.parametrize(
    ("reported", "desired"),
    [
        (_PROMISED, True),
        (_WITHDRAWN, False),
        (CapabilitiesUnknown.NO_ANSWER, False),
        (CapabilitiesUnknown.NOT_OFFERED, False),
    ],
    ids=["still promised", "withdrawn since", "nobody answers", "not said any more"],
)
async def test_nothing_is_resent_on_a_promise_that_may_be_gone(
    orders: Orders, reported: Capabilities | CapabilitiesUnknown, desired: bool
) -> None:
    key = await orders.make("UNKNOWN")
    await orders.sql(
        "update orders set attempt = 1, not_after_ms = %s, next_check_at = now()"
        " where order_key = %s",
        _FOREVER_MS, key,
    )  # fmt: skip

    class FarSide:
        async def look_up(self, _order_key: str) -> tuple[LookupResult, VenueOrder | None]:
            """It has withdrawn by now what it promised a second ago."""
            return LookupResult.NOT_SUPPORTED, None

        async def capabilities(self) -> Capabilities | CapabilitiesUnknown:
            return reported

    settings = Settings(executor_target="h:1", insiders_url="http://h", send_again_ms=0)
    confirm = Confirm(orders.pool, cast(Any, None), cast(Any, FarSide()), settings)
    confirm._reported = confirm._capabilities = _PROMISED
    rows = await store.fetch(orders.pool, "due", limit=1000, late_ms=0)
    (due,) = [dict(row) for row in rows if row["order_key"] == key]
    await confirm._poll(due, asyncio.Semaphore())
    row = await orders.row(key)
    assert (row["state"], row["send_again_epoch"]) == (S.UNKNOWN, 0 if desired else None)
