"""Make fields of ours of those of an old subscription, or say why not. Pure.

Amounts are exact. What has more than six decimals is rounded against taking risk: limits and sizes
down, minimums up.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import ROUND_DOWN, ROUND_UP, Decimal, InvalidOperation
from typing import Any

from tradingtools.domain.money import to_text

Json = dict[str, Any]
_WALLET = re.compile("0x[0-9a-f]{40}")
_MILLION = Decimal(1_000_000)
_PER = {"usdc": Decimal(1), "fraction": Decimal(1), "percent": Decimal(100), "bps": Decimal(10_000)}
_LISTS = ("words", "conditions")


class MappingError(Exception):
    """The mapping itself is wrong; the message names the place."""


class Refused(Exception):
    """A value cannot become one of ours; the message says why, for people."""


@dataclass(slots=True)
class Read:
    """The outcome of a mapping for one old subscription."""

    body: Json = field(default_factory=dict)
    refused: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)


def at(old: Mapping[str, Any], path: str) -> Any:
    """Return what is at a dotted path; None where there is nothing."""
    found: Any = old
    for name in path.split("."):
        if not isinstance(found, Mapping):
            return None
        found = found.get(name)
    return None if found == "" else found


def put(body: Json, path: str, value: Any) -> None:
    """Put a value at a dotted path."""
    *parents, last = path.split(".")
    for parent in parents:
        body = body.setdefault(parent, {})
    body[last] = value


def leaves(old: Mapping[str, Any], before: str = "") -> Iterator[str]:
    """Return the dotted paths of all that is there; a list is one."""
    for name, value in old.items():
        path = f"{before}{name}"
        if isinstance(value, Mapping):
            yield from leaves(value, f"{path}.")
        elif value not in (None, "", []):
            yield path


def fields(old: Json, rules: Mapping[str, Mapping[str, Any]], read: Read) -> None:
    """Take over the fields that have a rule each: target, where it is from, and what it is."""
    for target, rule in rules.items():
        value = at(old, rule["from"])
        if value is None:
            if rule.get("needed"):
                read.refused.append(f"{rule['from']} is missing")
            continue
        try:
            put(read.body, target, converted(rule, value, read))
        except Refused as refusal:
            read.refused.append(f"{rule['from']}: {refusal}")


def converted(rule: Mapping[str, Any], value: Any, read: Read) -> Any:
    """Return a value as REST takes it. Raises Refused."""
    kind = rule.get("as", "text")
    if kind in _PER:
        return amount(rule, value, read)
    if kind == "text":
        return str(value)
    if kind == "wallet":
        return wallet(value)
    if kind in ("whole", "seconds"):
        return whole(value) * (1000 if kind == "seconds" else 1)
    if kind == "choice":
        return choice(rule, value)
    if kind in _LISTS:
        if not isinstance(value, list):
            raise Refused(f"{value!r} is no list")
        return [str(one).lower() for one in value]
    raise MappingError(f"{rule['from']}: no such kind: {kind}")


def amount(rule: Mapping[str, Any], value: Any, read: Read) -> str:
    """Return an amount as exact text, said where it was rounded. Raises Refused."""
    exact = number(value) / _PER[rule.get("as", "usdc")]
    up = bool(rule.get("up"))
    micros = int((exact * _MILLION).to_integral_value(ROUND_UP if up else ROUND_DOWN))
    if micros < 0:
        raise Refused(f"{value} is below zero")
    text = to_text(micros)
    if Decimal(text) != exact:
        way = "up" if up else "down"
        read.changed.append(f"{rule['from']}: {value} becomes {text}, rounded {way}")
    return text


def number(value: Any) -> Decimal:
    """Return a number exactly as it is written. Raises Refused: it is none, or not finite."""
    try:
        found = Decimal(str(value).strip())
    except InvalidOperation:
        raise Refused(f"{value!r} is no number") from None
    if isinstance(value, bool) or not found.is_finite() or abs(found) > 10**12:
        raise Refused(f"{value!r} is no amount")
    return found


def whole(value: Any) -> int:
    """Return a whole number. Raises Refused."""
    found = number(value)
    if found != found.to_integral_value() or found < 0:
        raise Refused(f"{value!r} is no whole number")
    return int(found)


def wallet(value: Any) -> str:
    """Return a wallet in lower case. Raises Refused."""
    text = str(value).strip().lower()
    if not _WALLET.fullmatch(text):
        raise Refused(f"{value!r} is no wallet (0x and 40 hex digits)")
    return text


def choice(rule: Mapping[str, Any], value: Any) -> Any:
    """Return which of ours an old word means. Raises Refused."""
    for ours, theirs in rule["values"].items():
        if str(value).lower() in [str(one).lower() for one in theirs]:
            return ours
    known = ", ".join(str(one) for theirs in rule["values"].values() for one in theirs)
    raise Refused(f"{value!r} is none of {known}")
