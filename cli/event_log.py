"""Read the log of events from its end: for `tt events`, `tt top` and the MCP server."""

from __future__ import annotations

from datetime import datetime

from cli.core.words import moment
from cli.engine import Engine, Json

_STEP = 1000
_WIDER = 8


def newest(engine: Engine) -> int:
    """Return the number of the newest event; numbers have no gap, so it is found by halving."""

    def beyond(number: int) -> bool:
        return bool(engine.rest.list_event_page(after=number, limit=1)["events"])

    low, high = 0, 1024
    while beyond(high):
        low, high = high, high * _WIDER
    while low < high:
        middle = (low + high) // 2
        low, high = (middle + 1, high) if beyond(middle) else (low, middle)
    return low


def latest(
    engine: Engine, *, types: str, wallet: str, sub: str, limit: int, reach: int = 0,
    since: datetime | None = None,
) -> list[Json]:  # fmt: skip
    """Return the newest events of a kind, oldest first.

    Args:
        engine: is asked.
        types: ``order.filled,order.*``; empty: all.
        wallet: only of this follower; empty: of all.
        sub: only of this subscription; empty: of all.
        limit: at most so many.
        reach: how many of the newest events of all kinds are looked through; 0: all.
        since: none before it; None: however old.
    """
    head = newest(engine)
    end = max(head - reach, 0) if reach else 0
    window = max(limit, _STEP)
    while True:
        start = max(head - window, end)
        found = after(engine, start, types=types, wallet=wallet, sub=sub, limit=None)
        kept = [one for one in found if since is None or moment(one["time"]) >= since]
        if len(kept) >= limit or len(kept) < len(found) or start == end:
            return kept[-limit:]
        window *= _WIDER


def after(
    engine: Engine, number: int, *, types: str, wallet: str, sub: str, limit: int | None
) -> list[Json]:
    """Return the events of a kind that follow a number, oldest first; None: all of them."""
    found: list[Json] = []
    at: int | None = number
    while at is not None and (limit is None or len(found) < limit):
        page = engine.rest.list_event_page(
            after=at, types=types or None, wallet=wallet or None, subscription=sub or None,
            limit=_STEP,
        )  # fmt: skip
        found += [dict(event) for event in page["events"]]
        at = int(page["nextAfter"]) if "nextAfter" in page else None
    return found if limit is None else found[:limit]
