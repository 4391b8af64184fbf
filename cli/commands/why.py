"""`tt why`: why a follower did, or did not, copy a leader's trade."""

from __future__ import annotations

from typing import Annotated

import msgspec
import typer

from cli import decisions, engine, schemas
from cli.command import Limit, Wallet, command, noun
from cli.core.why import Why
from cli.output import Shown

app = noun("Say why a follower did, or did not, copy a leader's trade.")
_EXPLAINS_MANY = 8


class WhyAnswer(msgspec.Struct, rename="camel", kw_only=True):
    """All that was decided about what was asked for."""

    asked: str
    decisions: list[Why]


@command(app, "why", schemas.own(__name__, "WhyAnswer"))
def why(
    what: Annotated[
        str,
        typer.Argument(
            metavar="TX|ORDER|DECISION",
            help="The leader's transaction (0x and 64 digits), an order's id, or sub_.../0x...",
        ),
    ],
    wallet: Wallet = "",
    sub: Annotated[str, typer.Option("--sub", help="Only of this subscription, sub_...")] = "",
    limit: Limit = 50,
) -> Shown:
    """Say in sentences, with numbers, what became of a trade and why."""
    api = engine.engine()
    found = decisions.find(api, what, wallet=wallet, sub=sub, limit=limit)
    halts = api.operate("ListHalts")["halts"] if api.has_operator else []
    reported = [
        decisions.explained(api, one, halts, whole=len(found) <= _EXPLAINS_MANY) for one in found
    ]
    answer = WhyAnswer(asked=what, decisions=reported)
    return Shown(data=msgspec.to_builtins(answer), lines=_lines(reported))


def _lines(reported: list[Why]) -> list[str]:
    lines: list[str] = []
    for one in reported:
        lines += [f"{one.follower_proxy}  {one.subscription_id}  {one.outcome}"]
        lines += [f"  {sentence}" for sentence in one.sentences]
        lines += ["  Next:", *(f"    {step}" for step in one.next), ""]
    if len(reported) > 1:
        copied = sum(1 for one in reported if one.outcome in ("COPIED", "PARTLY"))
        lines.append(f"{len(reported)} decisions, {copied} copied; --wallet picks one follower's")
    elif lines:
        lines.pop()
    return lines
