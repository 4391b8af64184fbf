"""The rules of a request's contract, which are protovalidate's, judged within a bounded time.

protovalidate itself interprets each rule in CEL, 1 to 2 ms of a core for each value: a list of 500
held the event loop for half a second, and one of 21,000 was judged to its end although 20 are
allowed. All rules of the contracts are patterns, lengths, bounds and counts. They are read from the
contract once, and a count is judged before anything that it counts. A contract with any other rule
is refused; tests compare with protovalidate, and find the contract that has one.

Before it: `requests` has parsed the bytes. After it: the servicer, or
`wording`, which says what was expected.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor, OneofDescriptor
from google.protobuf.message import Message
from google.protobuf.unknown_fields import UnknownFieldSet

from buf.validate import validate_pb2

Holds = Callable[[Any], bool]
"""Whether a value keeps a rule."""

REQUIRED = "required"
MAX_ITEMS = "repeated.max_items"
MIN_ITEMS = "repeated.min_items"

_ALIKE = re.compile(r"\^([ -\[\]-~]|\\\.)*\$")
"""Patterns that Python's engine reads as RE2 does: ASCII, and no escape but that of the dot."""


class UnknownRule(Exception):
    """A contract has a rule that is not known here."""


@dataclass(frozen=True, slots=True)
class Violation:
    """The first rule that a message breaks."""

    path: str
    """By JSON names, such as ``sizing.tiers.tiers[3].amount``."""
    rule: str
    """As protovalidate names it, such as ``string.pattern``."""
    field: FieldDescriptor | None
    """None: a choice, of which nothing was given."""
    bound: Any = None
    """What the rule says, such as a greatest count."""
    value: Any = None
    choice: OneofDescriptor | None = None


def too_many(message: Message) -> Violation | None:
    """Return the first list that is longer than its contract allows, found before its elements are
    seen.

    Raises:
        UnknownRule: see :func:`first`.
    """
    for one in _rules(message.DESCRIPTOR).counted:
        value = getattr(message, one.name)
        if one.repeated:
            if one.most is not None and len(value) > one.most:
                return Violation(one.json_name, MAX_ITEMS, one.field, one.most)
            for place, inner in enumerate(value if one.inside else ()):
                found = too_many(inner)
                if found is not None:
                    return _below(f"{one.json_name}[{place}]", found)
        elif message.HasField(one.name):
            found = too_many(value)
            if found is not None:
                return _below(one.json_name, found)
    return None


def first(message: Message) -> Violation | None:
    """Return the first rule that a message breaks, in protovalidate's order; None: it keeps all.

    Raises:
        UnknownRule: in its contract, or in that of a message inside of it.
    """
    rules = _rules(message.DESCRIPTOR)
    for choice in rules.choices:
        if message.WhichOneof(choice.name) is None:
            return Violation(_camel(choice.name), REQUIRED, None, choice=choice)
    for one in rules.fields:
        found = _of_list(one, message) if one.repeated else _of_value(one, message)
        if found is not None:
            return found
    return None


def most(field: FieldDescriptor) -> int | None:
    """Return how many values a list may have; None: it is none, or its contract says nothing."""
    rules = field.GetOptions().Extensions[validate_pb2.field].repeated
    return rules.max_items if rules.HasField("max_items") else None


def _of_value(one: _Field, message: Message) -> Violation | None:
    if one.presence and not message.HasField(one.name):
        return Violation(one.json_name, REQUIRED, one.field) if one.required else None
    value = getattr(message, one.name)
    for rule, bound, holds in one.rules:
        if not holds(value):
            return Violation(one.json_name, rule, one.field, bound, value)
    if not one.inside:
        return None
    found = first(value)
    return None if found is None else _below(one.json_name, found)


def _of_list(one: _Field, message: Message) -> Violation | None:
    values = getattr(message, one.name)
    if one.least is not None and len(values) < one.least:
        return Violation(one.json_name, MIN_ITEMS, one.field, one.least)
    if one.most is not None and len(values) > one.most:
        return Violation(one.json_name, MAX_ITEMS, one.field, one.most)
    for place, value in enumerate(values if one.rules else ()):
        for rule, bound, holds in one.rules:
            if not holds(value):
                return Violation(f"{one.json_name}[{place}]", rule, one.field, bound, value)
    for place, value in enumerate(values if one.inside else ()):
        found = first(value)
        if found is not None:
            return _below(f"{one.json_name}[{place}]", found)
    return None


def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(part.title() for part in rest)


def _below(path: str, found: Violation) -> Violation:
    return Violation(
        f"{path}.{found.path}", found.rule, found.field, found.bound, found.value, found.choice
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Field:
    field: FieldDescriptor
    name: str
    json_name: str
    presence: bool
    repeated: bool
    required: bool
    least: int | None
    most: int | None
    rules: tuple[tuple[str, Any, Holds], ...]
    """Of the value, or of each in the list."""
    inside: bool
    """It is a message that has rules of its own, or holds one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rules:
    choices: tuple[OneofDescriptor, ...]
    fields: tuple[_Field, ...]
    counted: tuple[_Field, ...]
    """Lists, and messages with lists in them."""


@cache
def _rules(message: Descriptor) -> _Rules:
    if message.GetOptions().HasExtension(validate_pb2.message):
        raise UnknownRule(message.full_name)
    fields = [_field(field) for field in message.fields]
    return _Rules(
        choices=tuple(one for one in message.oneofs if _demanded(one)),
        fields=tuple(
            one
            for one in fields
            if one.required or one.rules or one.inside or one.least or one.most is not None
        ),
        counted=tuple(one for one in fields if one.most is not None or _counts(one)),
    )


def _counts(one: _Field) -> bool:
    return one.inside and bool(_rules(one.field.message_type).counted)


def _demanded(choice: OneofDescriptor) -> bool:
    if not choice.GetOptions().HasExtension(validate_pb2.oneof):
        return False
    rules = choice.GetOptions().Extensions[validate_pb2.oneof]
    _only(rules, {"required"})
    return bool(rules.required)


def _field(field: FieldDescriptor) -> _Field:
    given = field.GetOptions().Extensions[validate_pb2.field]
    kind = given.WhichOneof("type")
    _only(given, {"required", kind})
    if given.required and not field.has_presence:
        raise UnknownRule(field.full_name)
    least = None
    if kind == "repeated":
        _only(given.repeated, {"min_items", "max_items", "items"})
        least = given.repeated.min_items if given.repeated.HasField("min_items") else None
        items = given.repeated.items
        kind = items.WhichOneof("type")
        _only(items, {kind})
        given = items
    return _Field(
        field=field,
        name=field.name,
        json_name=field.json_name,
        presence=field.has_presence,
        repeated=field.is_repeated,
        required=given.required,
        least=least,
        most=most(field),
        rules=tuple(_of_kind(field, kind, given)) if kind is not None else (),
        inside=_has_rules(field.message_type),
    )


def _has_rules(message: Descriptor | None) -> bool:
    if message is None or message.full_name.startswith("google.protobuf."):
        return False
    if message.GetOptions().map_entry:
        raise UnknownRule(message.full_name)
    rules = _rules(message)
    return bool(rules.choices or rules.fields or rules.counted)


def _of_kind(
    field: FieldDescriptor, kind: str, given: validate_pb2.FieldRules
) -> Iterable[tuple[str, Any, Holds]]:
    rules = getattr(given, kind)
    known = _KINDS.get(kind)
    if known is None or len(UnknownFieldSet(rules)) > 0 or _turned_round(rules):
        raise UnknownRule(field.full_name)
    for rule, value in rules.ListFields():
        if rule.name == "defined_only" and field.enum_type is not None:
            defined = frozenset(field.enum_type.values_by_number) if value else None
            if defined is not None:
                yield f"{kind}.{rule.name}", value, defined.__contains__
            continue
        make = known.get(rule.name)
        holds = make(value) if make is not None else None
        if holds is None:
            raise UnknownRule(field.full_name)
        yield f"{kind}.{rule.name}", value, holds


def _turned_round(rules: Any) -> bool:
    """Return whether the bounds exclude what is between them: the lower is not below the upper."""
    given = {rule.name: value for rule, value in rules.ListFields()}
    low = given.get("gt", given.get("gte"))
    high = given.get("lt", given.get("lte"))
    return low is not None and high is not None and low >= high


def _only(rules: Message, known: set[str | None]) -> None:
    """Raise UnknownRule when anything else is demanded: ignore, CEL of its own, what is new."""
    strange = {rule.name for rule, _ in rules.ListFields()} - known
    if strange or len(UnknownFieldSet(rules)) > 0:
        raise UnknownRule(f"{rules.DESCRIPTOR.full_name}: {', '.join(sorted(strange))}")


def _pattern(text: str) -> Holds | None:
    if not _ALIKE.fullmatch(text) or "(?" in text:
        return None
    whole = re.compile(text).fullmatch
    # Of the whole text: `$` alone allows a line's end behind it.
    return lambda value: whole(value) is not None


def _among(values: Iterable[Any]) -> Holds:
    return frozenset(values).__contains__


def _not_among(values: Iterable[Any]) -> Holds:
    refused = frozenset(values)
    return lambda value: value not in refused


_Makers = Mapping[str, Callable[[Any], Holds | None]]
_STRING: _Makers = {
    "pattern": _pattern,
    "min_len": lambda bound: lambda value: len(value) >= bound,
    "max_len": lambda bound: lambda value: len(value) <= bound,
    "in": _among,
}
_NUMBER: _Makers = {
    "gt": lambda bound: lambda value: bool(value > bound),
    "gte": lambda bound: lambda value: bool(value >= bound),
    "lt": lambda bound: lambda value: bool(value < bound),
    "lte": lambda bound: lambda value: bool(value <= bound),
    "in": _among,
    "not_in": _not_among,
}
_KINDS: Mapping[str, _Makers] = {
    "string": _STRING,
    "int32": _NUMBER,
    "int64": _NUMBER,
    "double": _NUMBER,
    "enum": {"in": _among, "not_in": _not_among},
}
