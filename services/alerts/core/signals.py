"""Turn an event of the log into signals: the alerts of rules that begin and end with it.

Before it: the log's reader. After it: `open_alerts`. Facts are what texts are made of: all that an
event's data says, each under its name, those inside another with a dot.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec
from msgspec import Struct

from services.alerts.core.rules import Rule
from tradingtools.domain.money import AmountError, notional_ceil, parse_exact, to_text

Facts = Mapping[str, str]
_MAX = 400
"""Characters of a fact: a person reads it."""


class Event(Struct, frozen=True, kw_only=True):
    """An event of the log, as far as rules look at it."""

    type: str
    subject: str
    at_ms: int
    data: str


class Signal(Struct, frozen=True, kw_only=True):
    """Something that a rule watches began, or ended."""

    rule: str
    key: str
    at_ms: int
    started: bool
    group: str = ""
    facts: Facts = {}


def of_event(event: Event, rules: Iterable[Rule]) -> Iterator[Signal]:
    """Return what an event means to rules."""
    facts: Facts | None = None
    for rule in rules:
        if event.type in rule.until:
            yield Signal(rule=rule.name, key=event.subject, at_ms=event.at_ms, started=False)
        elif event.type in rule.events:
            facts = facts_of(event) if facts is None else facts
            if desired(rule, facts):
                yield Signal(
                    rule=rule.name,
                    key=event.subject,
                    at_ms=event.at_ms,
                    started=True,
                    group=group_of(rule, facts),
                    facts=facts,
                )


def facts_of(event: Event) -> Facts:
    """Return all that an event says, flat, and how much money its order is about."""
    found = {"subject": event.subject, "type": event.type}
    _flatten("", msgspec.json.decode(event.data), found)
    # The halt of everything is about "GLOBAL:".
    found["subjectId"] = found.get("subjectId", "").rstrip(":")
    try:
        size, limit = parse_exact(found["size"]), parse_exact(found["limit"])
        found["money"] = to_text(notional_ceil(size, limit))
    except (KeyError, AmountError):
        pass  # it is not about an order
    return found


def group_of(rule: Rule, facts: Facts) -> str:
    """Return which alerts of a rule share their messages: what they agree in."""
    return "|".join(facts.get(field, "") for field in rule.group_by)


def _flatten(prefix: str, value: Any, found: dict[str, str]) -> None:
    if isinstance(value, Mapping):
        for name, inner in value.items():
            _flatten(f"{prefix}.{name}" if prefix else str(name), inner, found)
    elif value is not None and not isinstance(value, list):
        found[prefix] = str(value)[:_MAX]


def desired(rule: Rule, facts: Facts) -> bool:
    """Return whether facts meet what a rule says of their values."""
    return (
        all(facts.get(field) in values for field, values in rule.where.items())
        and not any(facts.get(field) in values for field, values in rule.unless.items())
        and all(_above(facts.get(field), bound) for field, bound in rule.above.items())
    )


def _above(text: str | None, bound: str) -> bool:
    try:
        return text is not None and parse_exact(text) > parse_exact(bound)
    except AmountError:
        return False
