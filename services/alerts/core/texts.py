"""Write messages: what happened, to whom, how much, what to do, and where to look.

Before it: `open_alerts`, which says that a group is to be sent. After it: `store` keeps the
message, `targets` sends it in the form that each of them knows.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from msgspec import Struct

from services.alerts.core.grouping import Kind
from services.alerts.core.open_alerts import Notice
from services.alerts.core.rules import Severity
from services.alerts.core.signals import Facts
from tradingtools.domain.money import parse_exact, to_text

SHOWN = 5
"""Alerts of a group that are notified one by one."""
_FIELD = re.compile(r"\{([A-Za-z][\w.]*)\}")
_BEFORE: Mapping[Kind, str] = {
    Kind.FIRING: "",
    Kind.MORE: "More: ",
    Kind.STILL: "Still: ",
    Kind.RESOLVED: "Over: ",
    Kind.PASSED: "Over already: ",
}
_WALLET = "follower.followerProxy"
_PAGES = ("orders/", "subscriptions/", "triggers/")
"""Subjects that have a page of their own."""


class Message(Struct, frozen=True, kw_only=True):
    """One message to each target that a rule has."""

    id: str
    thread: str
    """The message that opened the group; its own when it opens one."""
    rule: str
    kind: Kind
    severity: Severity
    title: str
    body: str
    at_ms: int
    targets: tuple[str, ...] = ()
    """Names; none: all that take its severity."""


class Links(Struct, frozen=True, kw_only=True):
    """Addresses that messages link to."""

    console: str = ""
    """Before ``/orders/...``; empty: no links."""
    runbook: str = ""
    """The page that says what to do; each rule has its anchor there, by its name."""


def message_id(notice: Notice) -> str:
    """Return the id of a message: the same for the same group and time."""
    what = "|".join((notice.rule.name, notice.group.key, notice.kind, str(notice.at_ms)))
    return f"msg_{hashlib.sha256(what.encode()).hexdigest()[:24]}"


def message(notice: Notice, links: Links) -> Message:
    """Word a message."""
    rule, over = notice.rule, notice.kind in (Kind.RESOLVED, Kind.PASSED)
    count = notice.group.total if over or notice.kind is Kind.MORE else len(notice.alerts)
    first = notice.alerts[0] if notice.alerts else {}
    ours = {"count": str(count), "for": str(rule.for_seconds)}
    facts = {**first, **_sums(notice.alerts), **ours}
    name = message_id(notice)
    lines = [_filled(rule.text, facts), *_one_by_one(notice, links)]
    if notice.kind is Kind.MORE:
        lines.insert(0, f"{notice.group.counts.pending} more since the last message.")
    if over:
        lines += ["", _filled(rule.ended, facts)]
    if notice.kind is not Kind.RESOLVED:
        lines += ["", f"What to do: {_filled(rule.todo, facts)}"]
    lines.append(f"Since {_instant(notice.group.since_ms)}.")
    if links.runbook:
        lines.append(f"{links.runbook}#{rule.name}")
    title = _filled(rule.title if count == 1 else rule.titles, facts)
    return Message(
        id=name,
        thread=notice.group.thread if notice.kind not in (Kind.FIRING, Kind.PASSED) else name,
        rule=rule.name,
        kind=notice.kind,
        severity=rule.severity,
        title=f"{_BEFORE[notice.kind]}{title}",
        body="\n".join(lines).strip(),
        at_ms=notice.at_ms,
        targets=rule.targets,
    )


def _one_by_one(notice: Notice, links: Links) -> list[str]:
    if not notice.rule.line:
        return []
    shown = [_line(notice.rule.line, facts, links) for facts in notice.alerts[:SHOWN]]
    rest = len(notice.alerts) - len(shown)
    return [*shown, f"... and {rest} more."] if rest > 0 else shown


def _line(template: str, facts: Facts, links: Links) -> str:
    subject = facts.get("subject", "")
    shown = links.console and subject.startswith(_PAGES)
    return f"- {_filled(template, facts)}{f' {links.console}/{subject}' if shown else ''}"


def _sums(alerts: Sequence[Facts]) -> dict[str, str]:
    amounts = [parse_exact(facts["money"]) for facts in alerts if facts.get("money")]
    wallets = {facts[_WALLET] for facts in alerts if facts.get(_WALLET)}
    found = {"money": to_text(sum(amounts))} if amounts else {}
    return {**found, "wallets": _plural(len(wallets), "wallet")}


def _plural(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def _filled(template: str, facts: Facts) -> str:
    """Put facts in their places; one that is not known must not keep a message from being sent."""
    return _FIELD.sub(lambda found: facts.get(found[1], "") or "(not known)", template)


def _instant(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
