"""`tt status`: how the engine is, what is halted, and what waits for a person."""

from __future__ import annotations

import msgspec

from cli import engine, schemas
from cli.command import command, noun
from cli.core.why import option_of
from cli.core.words import bare, clock, duration
from cli.errors import Status
from cli.output import Json, Shown

app = noun("Say how the engine is, what is halted, and what waits for a person.")
_MANY = 1000


class Part(msgspec.Struct, rename="camel", kw_only=True):
    """One process of the engine."""

    name: str
    serving: bool
    away: list[str]
    since: str | None = None
    backlog_ms: int | None = None


class EngineStatus(msgspec.Struct, rename="camel", kw_only=True):
    """The engine in a few numbers."""

    place: str
    url: str
    status: str
    """serving, degraded, or unknown."""
    parts: list[Part]
    halts: list[Json] | None = None
    """In force; null without a token of an operator, as are the next three."""
    open_breakers: list[str] | None = None
    orders_for_a_person: int | None = None
    dead_letters: int | None = None


@command(app, "status", schemas.own(__name__, "EngineStatus"))
def status() -> Shown:
    """Say how the engine is. Exits with 1 when a part is not well or a person is needed."""
    where = engine.place()
    health = _health()
    parts = [
        Part(
            name=part["name"], serving=part["serving"], away=part["away"], since=part.get("since"),
            backlog_ms=int(part["backlogMs"]) if "backlogMs" in part else None,
        )
        for part in health["parts"]
    ]  # fmt: skip
    found = EngineStatus(place=where.name, url=where.url, status=health["status"], parts=parts)
    if engine.has_operator():
        breakers = engine.operate("ListBreakers")["breakers"]
        found.halts = engine.operate("ListHalts")["halts"]
        found.open_breakers = [
            breaker["dependency"]
            for breaker in breakers
            if breaker["state"] != "BREAKER_STATE_CLOSED"
        ]
        found.orders_for_a_person = len(engine.operate_pages("ListOrders", "orders", limit=_MANY))
        letters = engine.operate_pages("ListDeadLetters", "deadLetters", limit=_MANY)
        found.dead_letters = sum(1 for letter in letters if "replayedAt" not in letter)
    well = found.status == "serving" and not found.open_breakers and not found.orders_for_a_person
    return Shown(
        data=msgspec.to_builtins(found), lines=_lines(found),
        status=Status.OK if well else Status.NOT_WELL,
    )  # fmt: skip


def _health() -> Json:
    from tradingtools_client import ApiError

    try:
        return dict(engine.rest().get_engine_health())
    except ApiError as error:
        if error.status in (401, 403):
            raise
        return {"status": "unknown", "parts": []}


def _lines(found: EngineStatus) -> list[str]:
    lines = [f"{found.place} at {found.url}: {found.status}", ""]
    for part in found.parts:
        word = "serving" if part.serving else "DOWN"
        away = f"  away: {', '.join(part.away)}" if part.away else ""
        behind = ""
        if part.backlog_ms:
            behind = f"  behind by {duration(part.backlog_ms / 1000)}"
        lines.append(f"  {part.name:<12} {word:<8} since {clock(part.since)}{away}{behind}")
    if found.halts is None:
        return [*lines, "", "halts, breakers and dead letters: no operators' token is known"]
    lines.append("")
    for halt in found.halts:
        mode = bare(halt["mode"], "HALT_MODE_").lower()
        lines.append(
            f"  HALT {option_of(halt)}  {mode}  since {clock(halt['setAt'])}: {halt['reason']}"
        )
    if not found.halts:
        lines.append("  nothing is halted")
    lines += [
        f"  BREAKER {name} is open: nothing is sent to it" for name in found.open_breakers or ()
    ]
    if found.orders_for_a_person:
        lines.append(f"  {found.orders_for_a_person} orders wait for a person: tt orders list")
    if found.dead_letters:
        lines.append(f"  {found.dead_letters} messages were set aside: tt dead-letters list")
    return lines
