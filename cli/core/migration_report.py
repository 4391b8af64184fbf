"""A plan for people, as Markdown: what becomes of each old subscription, and why. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from cli.core.migration import Line, Plan, Totals
from cli.core.words import sizing
from tradingtools.domain.money import MICROS, parse_exact, to_text

Json = dict[str, Any]
_ROWS = (
    ("subscriptions", "subscriptions"), ("active", "active"), ("paused", "paused"),
    ("ended", "ended"), ("followers", "followers"), ("leaders", "leaders"),
    ("fixed_usdc", "USDC of one copy by each with a fixed size"), ("positions", "positions"),
    ("shares", "shares"), ("cost", "USDC that they have cost"),
)  # fmt: skip


class Cost(msgspec.Struct, rename="camel", kw_only=True):
    """The price of following, by the leaders' buys that the log has."""

    days: int
    trades: int
    before: str | None
    """USDC under the old sizes; null: the log has no trade of these leaders."""
    after: str | None
    """USDC under the new ones."""


def cost(
    olds: Sequence[Json], news: Sequence[Json], buys: Mapping[str, Sequence[int]], days: int
) -> Cost:
    """Add up what old and new subscriptions would have bought.

    Args:
        olds: leader, sizing and limits, in our words, of all that had not ended.
        news: the same, of those that are created.
        buys: notional of each buying transaction, micros, by leader.
        days: of the log.
    """
    trades = sum(map(len, buys.values()))
    if not trades:
        return Cost(days=days, trades=0, before=None, after=None)
    sums = (sum(_bought(one, buys.get(one["leader"], ())) for one in all_) for all_ in (olds, news))
    before, after = map(to_text, sums)
    return Cost(days=days, trades=trades, before=before, after=after)


def _bought(one: Json, buys: Sequence[int]) -> int:
    mode = one["sizing"]
    most = one.get("limits", {}).get("maxPerTrade")
    if "fixed" in mode:
        desired = [parse_exact(mode["fixed"]["amount"])] * len(buys)
    elif "ratio" in mode:
        ratio = parse_exact(mode["ratio"]["ratio"])
        desired = [notional * ratio // MICROS for notional in buys]
    else:
        return 0
    return sum(desired if most is None else (min(one, parse_exact(most)) for one in desired))


def markdown(plan: Plan, known: Cost | None) -> list[str]:
    """Return the report, line by line."""
    counts = Counter(line.verdict for line in plan.lines)
    counted = (
        f"{counts['CREATED']} are created, paused; {counts['SKIPPED']} had ended;"
        f" {counts['REFUSED']} are refused."
    )
    return [
        f"# Migration of {plan.name}", "",
        f"Plan `{plan.hash}`. Nothing has been done; `--apply --plan {plan.hash}` does it.", "",
        counted, "",
        "| | before | after |", "|---|---:|---:|",
        *(_row(words, name, plan.before, plan.after) for name, words in _ROWS), "",
        *_costs(known), "",
        "## Refused", "",
        *_listed(plan, "REFUSED"), "",
        "## Changed or left out", "",
        *_changes(plan), "",
        "## Each of them", "",
        "| old | wallet | leader | becomes | state | positions |", "|---|---|---|---|---|---|",
        *(_reported(line) for line in plan.lines),
    ]  # fmt: skip


def _row(words: str, name: str, before: Totals, after: Totals) -> str:
    return f"| {words} | {getattr(before, name)} | {getattr(after, name)} |"


def _costs(known: Cost | None) -> list[str]:
    if known is None:
        return ["What following would have cost was not asked for (`--days 7`)."]
    if known.before is None:
        text = (
            f"What following would have cost in the last {known.days} days is not known: the log of"
            " events has no buy of these leaders."
        )
    else:
        text = (
            f"In the last {known.days} days these leaders bought in {known.trades} transactions"
            " that the log has. Copying all of them, before filters, books and limits other than"
            f" that per trade, would have cost {known.before} USDC by v1 and {known.after} USDC by"
            " what is created; sizes by equity are not counted."
        )
    return [text]


def _listed(plan: Plan, verdict: str) -> list[str]:
    found = [
        f"* `{_safe(line.old_id) or '(no id)'}`: {_safe('; '.join(line.refused))}."
        for line in plan.lines
        if line.verdict == verdict
    ]
    return found or ["None."]


def _changes(plan: Plan) -> list[str]:
    found = [
        f"* `{_safe(line.old_id)}`: {_safe('; '.join(line.changed))}."
        for line in plan.lines
        if line.changed
    ]
    return found or ["Nothing."]


def _reported(line: Line) -> str:
    if line.verdict != "CREATED":
        return f"| `{_safe(line.old_id)}` | | | {line.verdict.lower()} | | |"
    body = line.body
    state = "paused, then resumed" if line.active else "paused"
    return (
        f"| `{_safe(line.old_id)}` | `{body['follower']['followerProxy']}` | `{body['leader']}`"
        f" | {sizing(body)} | {state} | {len(line.positions)} |"
    )


def _safe(text: str) -> str:
    """Return a stranger's text so that it is only text in a table."""
    return "".join(c if c.isprintable() else "?" for c in text).replace("|", "/").replace("`", "'")
