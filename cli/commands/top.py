"""`tt top`: what the engine does right now, drawn again each second."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Annotated

import msgspec
import typer

from cli import engine, event_log, schemas
from cli.command import command, noun
from cli.commands.orders import OPEN
from cli.core import load
from cli.core.why import option_of
from cli.core.words import duration
from cli.output import Format, Json, Shown, ndjson, say

app = noun("Show live rates, latencies and open orders.")
_SAMPLE = 20
_LOOK_BACK = 400
_COUNTED = 1000


class _Watch:
    """Keeps what it has read of the log."""

    def __init__(self) -> None:
        self._at = max(event_log.newest(engine.engine()) - _LOOK_BACK, 0)
        self._retained: list[Json] = []
        self._orders: dict[str, Json] = {}

    def look(self, window: float) -> load.Load:
        """Look once."""
        self._read()
        now = datetime.now(UTC).isoformat().replace("+00:00", "Z")
        recent = load.seen(self._retained, now, window)
        under_way = None
        if engine.has_operator():
            rows = engine.operate_pages(
                "ListOrders", "orders", limit=_COUNTED,
                states=[f"ORDER_STATE_{one.upper()}" for one in OPEN],
            )  # fmt: skip
            under_way = load.by_state(rows)
        return load.Load(
            at=now,
            window_seconds=window,
            per_second=load.rates(recent, window),
            skipped=load.reasons(recent, "copy.skipped"),
            failed=load.reasons(recent, "order.failed"),
            open_orders=under_way,
            latencies=load.latencies(self._orders.values()),
            parts=[dict(part) for part in engine.rest().get_engine_health()["parts"]],
            halts=engine.operate("ListHalts")["halts"] if engine.has_operator() else None,
        )

    def _read(self) -> None:
        while True:
            page = engine.rest().list_event_page(after=self._at, limit=1000)
            self._retained += [dict(event) for event in page["events"]]
            if page["events"]:
                self._at = int(page["events"][-1]["sequence"])
            if "nextAfter" not in page:
                break
        self._retained = self._retained[-20_000:]
        placed = [e["data"]["orderId"] for e in self._retained if e["type"] == "order.placed"]
        desired = list(dict.fromkeys(placed))[-_SAMPLE:]
        for key in desired:
            if "answeredAt" not in self._orders.get(key, {}).get("times", {}):
                self._orders[key] = dict(engine.rest().get_follower_order(key))
        self._orders = {key: self._orders[key] for key in desired}


@command(app, "top", schemas.own("cli.core.load", "Load"))
def top(
    output: Format,
    once: Annotated[
        bool, typer.Option("--once", help="Look once and end.", show_default=False)
    ] = False,
    window: Annotated[
        float, typer.Option("--window", min=1, max=600, help="Seconds that rates are of.")
    ] = 10.0,
    every: Annotated[float, typer.Option("--every", min=0.2, help="Seconds between looks.")] = 1.0,
) -> Shown | None:
    """Show live rates, latencies and open orders until Ctrl-C; --once looks once.

    As JSON it is a line for each look.
    """
    watch = _Watch()
    if once:
        found = watch.look(window)
        return Shown(data=msgspec.to_builtins(found), lines=lines(found))
    if output is not Format.TABLE:
        while True:
            say(ndjson(msgspec.to_builtins(watch.look(window))))
            time.sleep(every)
    from rich.live import Live
    from rich.text import Text

    with Live(auto_refresh=False, screen=True) as live:
        while True:
            text = "\n".join([*lines(watch.look(window)), "", "Ctrl-C ends"])
            live.update(Text(text), refresh=True)
            time.sleep(every)


def lines(found: load.Load) -> list[str]:
    """Return a look for people."""
    where = engine.place()
    said = [f"{where.name} at {where.url}   {found.at[:19].replace('T', ' ')} UTC", ""]
    well = [part["name"] for part in found.parts if part["serving"] and not part["away"]]
    ill = [part["name"] for part in found.parts if part["name"] not in well]
    said.append(f"processes   {len(well)} well" + (f", NOT WELL: {', '.join(ill)}" if ill else ""))
    if found.halts is not None:
        halted = "; ".join(option_of(halt).removeprefix("--") for halt in found.halts)
        said.append(f"halted      {halted or 'nothing'}")
    if found.open_orders is not None:
        orders = ", ".join(f"{number} {state}" for state, number in found.open_orders.items())
        said.append(f"open orders {orders or 'none'}")
    said += ["", f"events a second, over {found.window_seconds:g} s"]
    said += [f"  {rate:>8.2f}  {kind}" for kind, rate in found.per_second.items()] or ["  none"]
    for title, counts in (("not copied", found.skipped), ("orders failed", found.failed)):
        if counts:
            reported = ", ".join(f"{number} {reason}" for reason, number in counts.items())
            said.append(f"  {title}: {reported}")
    said += ["", "latency of the newest orders        p50        p99"]
    said += [
        f"  {'own time' if one.hop == 'own' else 'until ' + one.hop:<24}"
        f"{duration(one.p50_us / 1e6):>12}{duration(one.p99_us / 1e6):>11}"
        for one in found.latencies
    ] or ["  no order yet"]
    return said
