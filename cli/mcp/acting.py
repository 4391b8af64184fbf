"""Tools that change something. A server has them only when its operator switched them on.

What stops (pause, halt) never asks. What lets money go (resume, a resync, the end of a halt) asks
the person behind the client; a client that cannot ask is refused, unless the operator said
otherwise. What may cost USDC is bounded for each call and each day. Every call is in the journal
before the engine is asked, under the caller's key, and in the engine's own audit under the client's
name.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from mcp.server.elicitation import AcceptedElicitation, ElicitationResult
from mcp.server.mcpserver.exceptions import ToolError
from mcp.server.mcpserver.resolve import Elicit, Resolve
from mcp_types import CallToolResult
from pydantic import BaseModel, Field

from cli.core.allowance import cost_of_resuming, cost_of_resync
from cli.core.answers import Json
from cli.core.words import sizing
from cli.engine import Engine
from cli.errors import Failure, Status
from cli.mcp.answers import RecordAnswer, record_of
from cli.mcp.journal import Change
from cli.mcp.reading import Strategy
from cli.mcp.serving import (
    Changes,
    Ctx,
    caller_digest,
    client_of,
    engine_of,
    plainly,
    serving_of,
)
from tradingtools.domain.money import to_text
from tradingtools_client import ApiError

Key = Annotated[
    str,
    Field(
        pattern="^[!-~]{8,64}$",
        description="Idempotency key, 8 to 64 visible ASCII characters: the same change has the"
        " same one when it is asked for again, another change another one.",
    ),
]
Resync = Annotated[str, Field(pattern="^rsy_[0-9a-f]{32}$", description="As plan_resync has it.")]
_REFUSALS = frozenset({
    "INVALID_ARGUMENT", "UNAUTHENTICATED", "PERMISSION_DENIED", "NOT_FOUND", "FAILED_PRECONDITION",
    "ALREADY_EXISTS", "RESOURCE_EXHAUSTED",
})  # fmt: skip
Scope = Literal["GLOBAL", "WALLET", "LEADER", "MARKET"]
Subject = Annotated[
    str,
    Field(
        pattern="^(0x[0-9a-fA-F]{40}|0x[0-9a-fA-F]{64})?$",
        description="The wallet, the leader's wallet, or the market's condition; empty for GLOBAL.",
    ),
]


class Consent(BaseModel):
    """The answer of the person."""

    go_ahead: bool = Field(description="Do it?")


Answer = ElicitationResult[Consent]


@dataclass(frozen=True, slots=True)
class _Asked:
    """A change, how the person is asked for it, and how it is made."""

    change: Change
    question: str
    do: Callable[[Engine], Any]


@plainly
def pause_subscription(ctx: Ctx, strategy_id: Strategy, key: Key) -> RecordAnswer:
    """Pause a strategy: no new entries once this has answered. Exits and stops go on. It does not
    ask the person: stopping is always allowed."""
    change = _change(ctx, "pause_subscription", key, strategy_id=strategy_id)
    return _made(ctx, change, lambda engine: engine.rest.pause_subscription(strategy_id))


@plainly
def set_halt(
    ctx: Ctx,
    scope: Scope,
    key: Key,
    subject: Subject = "",
    mode: Literal["HALTED", "REDUCING"] = "REDUCING",
    reason: Annotated[str, Field(min_length=1, max_length=200)] = "asked for over MCP",
) -> RecordAnswer:
    """Halt everything, a follower's wallet, a leader or a market, at once. HALTED sends nothing,
    exits included; REDUCING goes on selling. Needs an operator's token. It does not ask the
    person."""
    change = _change(ctx, "set_halt", key, scope=scope, subject=subject, mode=mode, reason=reason)
    _needs_operator(ctx)
    requested = {"scope": f"HALT_SCOPE_{scope}", "subject": subject, "mode": f"HALT_MODE_{mode}"}
    return _made(ctx, change, lambda engine: engine.operate("SetHalt", **requested, reason=reason))


@plainly
def plan_resync(ctx: Ctx, strategy_id: Strategy, key: Key) -> RecordAnswer:
    """Preview the orders that would bring a strategy to what its leader holds: side, shares, limit,
    and the USDC that each buy sets aside. Nothing is ordered."""
    change = _change(ctx, "plan_resync", key, strategy_id=strategy_id)
    # The engine's keys are of all that share a scope: one of ours is nobody else's.
    name = f"mcp-{change.caller}-{key}"
    return _made(
        ctx, change, lambda engine: engine.rest.create_resync(strategy_id, idempotency_key=name)
    )


def _ending(ctx: Ctx, scope: str, subject: str, key: str) -> _Asked:
    _needs_operator(ctx)
    what = "everything" if scope == "GLOBAL" else f"{scope.lower()} {subject}"

    def do(engine: Engine) -> Json:
        engine.operate("ClearHalt", scope=f"HALT_SCOPE_{scope}", subject=subject)
        return engine.operate("ListHalts")

    return _Asked(
        _change(ctx, "clear_halt", key, scope=scope, subject=subject),
        f"End the halt of {what}? What it holds back is sent again.",
        do,
    )


@plainly
def ask_to_clear_halt(
    ctx: Ctx, scope: Scope, key: Key, subject: Subject = ""
) -> Elicit[Consent] | Consent:
    """Ask whether a halt may end."""
    return _put(ctx, _ending(ctx, scope, subject, key))


@plainly
def clear_halt(
    ctx: Ctx,
    scope: Scope,
    key: Key,
    consent: Annotated[Answer, Resolve(ask_to_clear_halt)],
    subject: Subject = "",
) -> RecordAnswer:
    """End a halt: what it held back is sent again. Needs an operator's token. Asks the person."""
    return _consented(ctx, _ending(ctx, scope, subject, key), consent)


def _resuming(ctx: Ctx, strategy_id: str, key: str) -> _Asked:
    found: Json = dict(engine_of(ctx).rest.get_subscription(strategy_id))
    cost = cost_of_resuming(found)
    if cost is None:
        raise ToolError(
            "limits.maxPerDay is not set: resumed, it may spend without end, so a person has to"
            " resume it"
        )
    return _Asked(
        _change(ctx, "resume_subscription", key, cost, strategy_id=strategy_id),
        f"Resume {strategy_id}, by which {found['follower']['followerProxy']} copies"
        f" {found['leader']} ({sizing(found)})? It may spend up to {to_text(cost)} USDC a day.",
        # Under the version whose limit was counted.
        lambda engine: engine.rest.resume_subscription(strategy_id, if_match=found["version"]),
    )


@plainly
def ask_to_resume(ctx: Ctx, strategy_id: Strategy, key: Key) -> Elicit[Consent] | Consent:
    """Ask whether a strategy may buy again."""
    return _put(ctx, _resuming(ctx, strategy_id, key))


@plainly
def resume_subscription(
    ctx: Ctx, strategy_id: Strategy, key: Key, consent: Annotated[Answer, Resolve(ask_to_resume)]
) -> RecordAnswer:
    """Resume a strategy: it buys again. Counts with its limit of a day (`limits.maxPerDay`);
    without one it is refused. Asks the person."""
    return _consented(ctx, _resuming(ctx, strategy_id, key), consent)


def _executing(ctx: Ctx, resync_id: str, key: str) -> _Asked:
    found: Json = dict(engine_of(ctx).rest.get_resync(resync_id))
    cost = cost_of_resync(found)
    sides = [line.get("side") for line in found["lines"]]
    return _Asked(
        _change(ctx, "execute_resync", key, cost, resync_id=resync_id),
        f"Send the orders of {resync_id} for {found['subscriptionId']}?"
        f" {sides.count('SIDE_BUY')} buys for up to {to_text(cost)} USDC,"
        f" {sides.count('SIDE_SELL')} sells.",
        lambda engine: engine.rest.execute_resync(resync_id, if_match=found["version"]),
    )


@plainly
def ask_to_execute(ctx: Ctx, resync_id: Resync, key: Key) -> Elicit[Consent] | Consent:
    """Ask whether the orders of a preview may be sent."""
    return _put(ctx, _executing(ctx, resync_id, key))


@plainly
def execute_resync(
    ctx: Ctx, resync_id: Resync, key: Key, consent: Annotated[Answer, Resolve(ask_to_execute)]
) -> RecordAnswer:
    """Send the orders of a preview of plan_resync, exactly as it shows them, once. Counts with the
    USDC that its buys set aside. Asks the person."""
    return _consented(ctx, _executing(ctx, resync_id, key), consent)


STOPPING = (pause_subscription, set_halt, plan_resync)
LETTING_GO = (clear_halt, resume_subscription, execute_resync)


def _changes(ctx: Ctx) -> Changes:
    changes = serving_of(ctx).changes
    if changes is None:
        raise ToolError("this server changes nothing")
    return changes


def _change(ctx: Ctx, tool: str, key: str, cost: int = 0, **arguments: str) -> Change:
    engine = engine_of(ctx)
    return Change(
        place=engine.place.url, caller=caller_digest(engine), key=key, client=client_of(ctx),
        tool=tool, arguments=arguments, cost_micros=cost,
    )  # fmt: skip


def _put(ctx: Ctx, requested: _Asked) -> Elicit[Consent] | Consent:
    """Return the question, or consent where nobody can be asked and need not be.

    Raises:
        Refused: the change may not be made, whatever a person says.
    """
    changes = _changes(ctx)
    if changes.journal.judge(requested.change, datetime.now(UTC)) is not None:
        return Consent(go_ahead=True)
    capabilities = ctx.client_capabilities
    form = capabilities.elicitation if capabilities is not None else None
    if form is not None and (form.form is not None or form.url is None):
        return Elicit(requested.question, Consent)
    if changes.unasked:
        return Consent(go_ahead=True)
    raise ToolError(
        "this client cannot ask its person (elicitation), so a person has to do it:"
        " `tt`, the console, or a server with --unasked"
    )


def _consented(ctx: Ctx, requested: _Asked, consent: Answer) -> CallToolResult:
    """Make a change with a person's consent. Raises ToolError: he has not given it."""
    if isinstance(consent, AcceptedElicitation) and consent.data.go_ahead:
        return _made(ctx, requested.change, requested.do)
    _changes(ctx).journal.decline(requested.change, datetime.now(UTC))
    raise ToolError("the person said no; nothing was done")


def _needs_operator(ctx: Ctx) -> None:
    if not engine_of(ctx).has_operator:
        raise Failure("halts need an operator's token", Status.NO_ACCESS, "tt help places")


def _made(ctx: Ctx, change: Change, do: Callable[[Engine], Any]) -> CallToolResult:
    """Make a change once, and answer with what it came to."""
    journal = _changes(ctx).journal
    known = journal.begin(change, datetime.now(UTC))
    if known is not None:
        return record_of(known, ["it was done before under this key: the answer is that of then"])
    try:
        answer = dict(do(engine_of(ctx)))
    except Exception as error:
        if _is_refusal(error):
            journal.refuse(change, str(error)[:500])
        raise
    journal.end(change, answer)
    return record_of(answer)


def _is_refusal(error: Exception) -> bool:
    """Return whether a change that failed is certainly not done; any other one stays counted."""
    if isinstance(error, ApiError):
        return error.status < 500 and error.status != 408
    code = getattr(error, "code", None)
    return callable(code) and code().name in _REFUSALS
