"""The largest requests of a contract: those that keep its rules, and those that do not.

Read from the descriptors, so that a new RPC, field or rule is covered by itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from buf.validate import validate_pb2

_parser: Any = getattr(re, "_parser")  # noqa: B009 - the module has no public name
_WITHOUT_END = 300
"""Characters of a text that no rule bounds."""
_INTEGERS = {FieldDescriptor.TYPE_INT32: 2**31 - 1, FieldDescriptor.TYPE_INT64: 2**63 - 1}


def longest(pattern: str) -> str:
    """A longest text that matches a pattern of the contracts."""
    return _longest(_parser.parse(pattern))


def _longest(parts: Any) -> str:
    return "".join(_part(str(operator), value) for operator, value in parts)


def _part(operator: str, value: Any) -> str:
    match operator:
        case "LITERAL":
            return chr(value)
        case "IN":
            kind, first = value[-1]
            return chr(first[1] if str(kind) == "RANGE" else first)
        case "MAX_REPEAT":
            _, most, inner = value
            return _longest(inner) * min(int(most), _WITHOUT_END)
        case "SUBPATTERN":
            return _longest(value[3])
        case "BRANCH":
            return max((_longest(branch) for branch in value[1]), key=len)
        case "AT":
            return ""
    raise AssertionError(f"a pattern has {operator}")


def valid(kind: Descriptor, limit: int) -> Message:
    """The largest message that keeps every rule, of at most so many bytes."""
    message = _valid(kind)
    while message.ByteSize() > limit:
        _shorten(message)
    return message


def _valid(kind: Descriptor) -> Message:
    message = GetMessageClass(kind)()
    chosen = {
        one.name: max(one.fields, key=lambda field: _with(kind, field).ByteSize()).name
        for one in kind.oneofs
    }
    for field in kind.fields:
        choice = field.containing_oneof
        if choice is None or chosen[choice.name] == field.name:
            message.MergeFrom(_with(kind, field))
    return message


def _with(kind: Descriptor, field: FieldDescriptor) -> Message:
    message = GetMessageClass(kind)()
    rules = field.GetOptions().Extensions[validate_pb2.field]
    if field.is_repeated:
        values = [_value(field, rules.repeated.items)] * rules.repeated.max_items
        getattr(message, field.name).extend(values)
    elif field.message_type is not None:
        getattr(message, field.name).CopyFrom(_value(field, rules))
    else:
        setattr(message, field.name, _value(field, rules))
    return message


def _value(field: FieldDescriptor, rules: validate_pb2.FieldRules) -> Any:
    if field.message_type is not None:
        if field.message_type.full_name.startswith("google.protobuf."):
            return GetMessageClass(field.message_type)()
        return _valid(field.message_type)
    if field.type == FieldDescriptor.TYPE_STRING:
        return _text(rules.string)
    if field.type == FieldDescriptor.TYPE_ENUM:
        refused, allowed = set(rules.enum.not_in), getattr(rules.enum, "in")
        return max(allowed or (_numbers(field) - refused))
    if field.type in _INTEGERS:
        given = getattr(rules, rules.WhichOneof("type") or "int64")
        return given.lte if given.HasField("lte") else _INTEGERS[field.type]
    if field.type == FieldDescriptor.TYPE_DOUBLE:
        return rules.double.lte if rules.double.HasField("lte") else 1e308
    assert field.type == FieldDescriptor.TYPE_BOOL, field.full_name
    return True


def _numbers(field: FieldDescriptor) -> set[int]:
    return set(field.enum_type.values_by_number) if field.enum_type else set()


def _text(rules: validate_pb2.StringRules) -> str:
    if getattr(rules, "in"):
        return str(max(getattr(rules, "in"), key=len))
    text = longest(rules.pattern) if rules.pattern else "x" * (rules.max_len or _WITHOUT_END)
    return text[: rules.max_len] if rules.max_len else text


def _shorten(message: Message) -> None:
    """Take the last element of the largest list out."""
    lists = [
        (sum(len(str(one)) for one in getattr(place, field.name)), place, field)
        for place, field in _lists(message)
    ]
    _, place, field = max(lists, key=lambda found: found[0])
    del getattr(place, field.name)[-1]


def _lists(message: Message) -> Iterator[tuple[Message, FieldDescriptor]]:
    for field, value in message.ListFields():
        if field.is_repeated:
            yield message, field
        elif field.message_type is not None:
            yield from _lists(value)


def stuffed(kind: Descriptor, limit: int) -> Iterator[tuple[str, Message]]:
    """Messages of about so many bytes, each with one place that holds nearly all of them.

    Yields:
        The place's path and the message; a text once of what its rule wants and once of spaces.
    """
    for field in kind.fields:
        for path, value in _stuffings(field, limit - 64):
            message = GetMessageClass(kind)()
            home = getattr(message, field.name)
            if field.is_repeated:
                home.extend(value)
            elif field.message_type is not None:
                home.CopyFrom(value)
            else:
                setattr(message, field.name, value)
            yield path, message


def _stuffings(field: FieldDescriptor, limit: int) -> Iterator[tuple[str, Any]]:
    rules = field.GetOptions().Extensions[validate_pb2.field]
    if field.is_repeated:
        # Two bytes each: the tag, and no length; a packed number has one.
        kind = field.message_type
        one: Any = GetMessageClass(kind)() if kind else "" if _is_text(field) else 0
        yield f"{field.name}[]", [one] * (limit // 2 if kind or _is_text(field) else limit)
        if not kind:
            value = _value(field, rules.repeated.items)
            yield f"{field.name}[valid]", [value] * (limit // (len(str(value)) + 3))
    elif field.message_type is not None:
        if not field.message_type.full_name.startswith("google.protobuf."):
            for path, inner in stuffed(field.message_type, limit):
                yield f"{field.name}.{path}", inner
    elif _is_text(field):
        yield field.name, " " * limit
        text = _text(rules.string) or "0"
        yield f"{field.name} valid", (text * (limit // len(text) + 1))[:limit]


def _is_text(field: FieldDescriptor) -> bool:
    return field.type == FieldDescriptor.TYPE_STRING


def last_wrong(message: Message) -> Iterator[tuple[str, Message]]:
    """The same with the last element of one of its lists broken, for each list."""
    for number, (_, field) in enumerate(_lists(message)):
        changed = type(message)()
        changed.CopyFrom(message)
        place, _ = list(_lists(changed))[number]
        home = getattr(place, field.name)
        if field.message_type is not None:
            home[-1].Clear()
        else:
            home[-1] = "" if _is_text(field) else 0
        yield f"{field.name}[-1]", changed
