"""The file of rules as values, and what makes one wrong.

Before it: `rules_file` reads the text. After it: `signals`, `probes` and `open_alerts` go by them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import time
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from msgspec import Meta, Struct

from tradingtools.domain.event_types import EventType
from tradingtools.domain.money import AmountError, parse_exact

Severity = Literal["critical", "warning"]
Probe = Literal["process", "dependency", "event_lag", "disk", "daily_loss", "bots", "counter"]
Name = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9-]{0,63}$")]
Seconds = Annotated[int, Meta(ge=0, le=7 * 86_400)]
Path = tuple[str | int, ...]
"""A place in the file: names of fields and positions in lists."""

KNOWN = frozenset(str(kind) for kind in EventType)
_CLOCK = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]")
_NEEDS: Mapping[Probe, tuple[str, ...]] = {
    "process": (),
    "dependency": ("services",),
    "event_lag": ("seconds",),
    "disk": ("percent",),
    "daily_loss": ("usdc",),
    "bots": (),
    "counter": ("counters",),
}
"""Fields that a rule must have besides, by its probe."""
_OF_PROBES = frozenset(name for names in _NEEDS.values() for name in names)
_OF_EVENTS = ("where", "unless", "above", "until")


class RuleError(Exception):
    """A rule is wrong. The message is one line; ``path`` says where in the file."""

    def __init__(self, path: Path, message: str) -> None:
        super().__init__(message)
        self.path = path


class _Part(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A part of the file: a name that nobody knows is refused, not passed over."""


class Rule(_Part, frozen=True, kw_only=True):
    """A condition that calls a person, and the text that the person reads."""

    name: Name
    severity: Severity
    events: tuple[str, ...] = ()
    """Types of events, each of which begins an alert about its subject."""
    probe: Probe | None = None
    """Instead of events: what is looked at again and again."""
    where: Mapping[str, tuple[str, ...]] = {}
    """Only events, or counters, whose field or label has one of the values."""
    unless: Mapping[str, tuple[str, ...]] = {}
    """None whose field or label has one of the values."""
    above: Mapping[str, str] = {}
    """Only events whose field, an amount, is above this one."""
    until: tuple[str, ...] = ()
    """Types of events that end an alert about the same subject."""
    for_seconds: Seconds = 0
    """It has to hold for so long."""
    ends_after_seconds: Seconds = 900
    """Without ``until``: an alert is over when so long nothing more has happened."""
    group_by: tuple[str, ...] = ()
    """Alerts that agree in these fields share their messages."""
    services: tuple[str, ...] = ()
    """Of the probe ``dependency``: names that the processes' health knows."""
    counters: tuple[str, ...] = ()
    """Of the probe ``counter``: metrics that must not rise."""
    seconds: Seconds | None = None
    percent: Annotated[int, Meta(ge=1, le=99)] | None = None
    usdc: Annotated[int, Meta(ge=1)] | None = None
    title: Annotated[str, Meta(min_length=1)]
    titles: Annotated[str, Meta(min_length=1)]
    """The same for more than one."""
    text: str = ""
    line: str = ""
    """About each alert of a message."""
    todo: Annotated[str, Meta(min_length=1)]
    ended: Annotated[str, Meta(min_length=1)]
    targets: tuple[str, ...] = ()
    """Names of targets; none: all."""


class Grouping(_Part, frozen=True, kw_only=True):
    """When the messages of a group leave."""

    wait_seconds: Seconds = 5
    """Seconds for which a group collects alerts before its first message."""
    interval_seconds: Seconds = 300
    """A group that grows, or begins again, is notified no sooner than this after its last
    message."""
    repeat_seconds: Annotated[int, Meta(ge=60)] = 14_400
    """A group that goes on is notified again."""


class QuietHours(_Part, frozen=True, kw_only=True):
    """When only what is critical is notified; the rest waits for the end."""

    begin: str
    end: str
    zone: str = "UTC"


class Target(_Part, frozen=True, kw_only=True):
    """Whom to tell."""

    name: Name
    url: str = ""
    url_file: str = ""
    """File with the URL, where it must not stand among the rules."""
    severities: tuple[Severity, ...] = ("critical", "warning")


class RuleFile(_Part, frozen=True, kw_only=True):
    """All that a file of rules says."""

    grouping: Grouping | None = None
    quiet_hours: QuietHours | None = None
    targets: tuple[Target, ...] = ()
    without: tuple[str, ...] = ()
    """Rules of the shipped file that are not wanted."""
    rules: tuple[Rule, ...] = ()


class Rules(Struct, frozen=True, kw_only=True):
    """The rules in force: the shipped ones, with an operator's changes."""

    grouping: Grouping
    quiet_hours: QuietHours | None
    targets: tuple[Target, ...]
    rules: Mapping[str, Rule]

    def types(self) -> list[str]:
        """Return the types of events that some rule needs and that the log has."""
        named = {kind for rule in self.rules.values() for kind in (*rule.events, *rule.until)}
        return sorted(named & KNOWN)

    def of_probe(self, probe: Probe) -> Iterator[Rule]:
        """Return the rules that go by a probe."""
        return (rule for rule in self.rules.values() if rule.probe == probe)


def merge_rules(shipped: RuleFile, own: RuleFile) -> Rules:
    """Return the shipped rules with an operator's: his replace those of the same name.

    Raises:
        RuleError: his file takes away a rule that there is not, or names an unknown target.
    """
    rules = {rule.name: rule for rule in shipped.rules}
    for place, name in enumerate(own.without):
        if rules.pop(name, None) is None:
            raise RuleError(("without", place), f"no shipped rule is called {name!r}")
    rules |= {rule.name: rule for rule in own.rules}
    names = {target.name for target in own.targets}
    for place, rule in enumerate(own.rules):
        for at, name in enumerate(rule.targets):
            if name not in names:
                raise RuleError(("rules", place, "targets", at), f"no target is called {name!r}")
    return Rules(
        grouping=own.grouping or shipped.grouping or Grouping(),
        quiet_hours=own.quiet_hours,
        targets=own.targets,
        rules=rules,
    )


def check(file: RuleFile) -> None:
    """Judge what the types of the fields cannot.

    Raises:
        RuleError: something is wrong; the first one found.
    """
    _once(("rules",), (rule.name for rule in file.rules))
    _once(("targets",), (target.name for target in file.targets))
    for place, rule in enumerate(file.rules):
        _check_rule(("rules", place), rule)
    for place, target in enumerate(file.targets):
        if bool(target.url) == bool(target.url_file):
            raise RuleError(("targets", place), "one of url and url_file is needed")
    if file.quiet_hours is not None:
        _check_quiet(file.quiet_hours)


def _once(path: Path, names: Iterable[str]) -> None:
    seen: set[str] = set()
    for place, name in enumerate(names):
        if name in seen:
            raise RuleError((*path, place, "name"), f"{name!r} is there before")
        seen.add(name)


def _check_rule(path: Path, rule: Rule) -> None:
    if bool(rule.events) == (rule.probe is not None):
        raise RuleError(path, "one of events and probe is needed")
    for field in ("events", "until"):
        for place, kind in enumerate(getattr(rule, field)):
            if kind not in KNOWN:
                raise RuleError((*path, field, place), f"no event is of type {kind!r}")
    _check_probe(path, rule)
    for field, text in rule.above.items():
        try:
            parse_exact(text)
        except AmountError as error:
            raise RuleError((*path, "above", field), f"{text!r} {error}") from None


def _check_probe(path: Path, rule: Rule) -> None:
    needed = () if rule.probe is None else _NEEDS[rule.probe]
    for field in needed:
        if not getattr(rule, field):
            raise RuleError(path, f"{field}: needed with the probe {rule.probe}")
    foreign = _OF_PROBES - set(needed)
    if rule.probe is not None:
        foreign |= set(_OF_EVENTS) - ({"where", "unless"} if rule.probe == "counter" else set())
    for field in sorted(foreign):
        if getattr(rule, field):
            raise RuleError((*path, field), "does not go with what the rule looks at")


def _check_quiet(quiet: QuietHours) -> None:
    for field in ("begin", "end"):
        text = getattr(quiet, field)
        if not _CLOCK.fullmatch(text):
            raise RuleError(("quiet_hours", field), f"{text!r} is not a time like '22:00'")
    if quiet.begin == quiet.end:
        raise RuleError(("quiet_hours", "end"), "is the same as begin")
    try:
        ZoneInfo(quiet.zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise RuleError(("quiet_hours", "zone"), f"{quiet.zone!r} is no time zone") from None


def is_quiet(quiet: QuietHours | None, local: time) -> bool:
    """Return whether a time of day, in the zone of the quiet hours, is within them."""
    if quiet is None:
        return False
    begin, end = time.fromisoformat(quiet.begin), time.fromisoformat(quiet.end)
    if begin < end:
        return begin <= local < end
    return local >= begin or local < end
