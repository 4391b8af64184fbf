"""Reports on bots as tables: positions, gains over time, events."""

from __future__ import annotations

from cli.core.words import clock
from cli.output import Column, Json


def _age(position: Json) -> str:
    return f"{position['markAgeMs']} ms" if "markAgeMs" in position else ""


def _sources(point: Json) -> str:
    return ", ".join(f"{one['source']} {one['amount']}" for one in point["sources"])


def _said(event: Json) -> str:
    data = event["data"]
    fill = data.get("fill")
    if fill:
        return f"{data['side']} {fill['size']} {data['instrumentId']} at {fill['price']}"
    if "orderId" in data:
        return (
            f"{data['side']} {data['instrumentId']}: {data.get('state', '')} {data.get('code', '')}"
        )
    return " ".join(str(data[key]) for key in ("command", "actor", "reason") if data.get(key))


POSITIONS = (
    Column("INSTRUMENT", lambda one: one["instrumentId"]),
    Column("SIZE", lambda one: one["size"], right=True),
    Column("AVERAGE", lambda one: one.get("averagePrice", ""), right=True),
    Column("MARK", lambda one: one.get("mark", ""), right=True),
    Column("AGE", _age, right=True),
    Column("NOTIONAL", lambda one: one.get("notional", ""), right=True),
    Column("UNREALISED", lambda one: one.get("unrealised", ""), right=True),
    Column("REALISED", lambda one: one["realised"], right=True),
    Column("FEES", lambda one: one["fees"], right=True),
    Column("FUNDING", lambda one: one["funding"], right=True),
    Column("IN", lambda one: one["currency"]),
)
PNL = (
    Column("AT", lambda one: clock(one["at"])),
    Column("RESULT", lambda one: one.get("result", ""), right=True),
    Column("REALISED", lambda one: one["realised"], right=True),
    Column("UNREALISED", lambda one: one.get("unrealised", ""), right=True),
    Column("FEES", lambda one: one["fees"], right=True),
    Column("FUNDING", lambda one: one["funding"], right=True),
    Column("IN", lambda one: one["currency"]),
    Column("BY SOURCE", _sources),
)
EVENTS = (
    Column("NUMBER", lambda one: one["sequence"], right=True),
    Column("TIME", lambda one: clock(one["time"])),
    Column("TYPE", lambda one: one["type"]),
    Column("WHAT", _said),
)
STEPS = {"minute": "PNL_STEP_MINUTE", "hour": "PNL_STEP_HOUR", "day": "PNL_STEP_DAY"}
