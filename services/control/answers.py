"""Answers as JSON, as the edge's transcoder writes them.

Where a read goes past the transcoder its answer may not differ: the JSON of protobuf, in which
every field without presence is there, also when it is zero or empty. protobuf's own writer takes
five times as long, for it finds out anew what each field is; and the rows of a page need no
messages to become JSON.

Before it: a servicer's answer. After it: the bytes of `reads`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache, partial
from typing import Any, Generic, TypeVar

import msgspec
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

_Shown = Callable[[Any], Any]
Fields = dict[str, Any]
"""A message by the names of its fields, as its constructor takes it: enums by their names, instants
as datetime, messages as fields of their own. What is None or not there is not set."""
M = TypeVar("M", bound=Message)

_WIDE = {
    FieldDescriptor.TYPE_INT64,
    FieldDescriptor.TYPE_UINT64,
    FieldDescriptor.TYPE_SINT64,
}
_AS_IT_IS = {
    FieldDescriptor.TYPE_STRING,
    FieldDescriptor.TYPE_BOOL,
    FieldDescriptor.TYPE_INT32,
    FieldDescriptor.TYPE_UINT32,
    FieldDescriptor.TYPE_DOUBLE,
}


class AnswerError(Exception):
    """A contract holds something of which nobody has decided how it is written."""


@dataclass(frozen=True, slots=True)
class Answer(Generic[M]):
    """An answer that is a message only where somebody needs one."""

    kind: type[M]
    fields: Fields

    @property
    def message(self) -> M:
        """For gRPC."""
        return self.kind(**self.fields)


class Paged:
    """A servicer of which some reads give rows as they are."""

    plain: Mapping[str, Callable[[Any], Awaitable[Answer[Any]]]]
    """These reads, by the name of their RPC: what they answer needs no message to become JSON."""


def to_json(answer: Message | Answer[Any]) -> bytes:
    """The answer as a JSON object. Raises AnswerError: see ``fields_of``."""
    if isinstance(answer, Answer):
        return msgspec.json.encode(_listed(_plan(answer.kind.DESCRIPTOR), answer.fields))
    return msgspec.json.encode(_shown(answer))


def _listed(plan: _Plan, fields: Fields) -> dict[str, Any]:
    shown, given = {}, fields.get
    for name, json_name, default, show in plan:
        value = given(name)
        if value is not None:
            shown[json_name] = value if show is None else show(value)
        elif default is not None:
            shown[json_name] = default
    return shown


_Plan = list[tuple[str, str, Any, _Shown | None]]


@cache
def _plan(message: Descriptor) -> _Plan:
    """Of each field its name, its name in JSON, what it is when it is not set (None: left out), and
    how a value of ``Fields`` is written (None: as it is); raises AnswerError."""
    return [
        (name, json_name, _default(message.fields_by_name[name]), _field(message, name, many=many))
        for name, json_name, _, many, _ in fields_of(message)
    ]


def _default(field: FieldDescriptor) -> Any:
    if field.is_repeated:
        return []
    if field.has_presence:
        return None
    if field.enum_type is not None:
        return field.enum_type.values_by_number[0].name
    return str(field.default_value) if field.type in _WIDE else field.default_value


def _field(message: Descriptor, name: str, *, many: bool) -> _Shown | None:
    field = message.fields_by_name[name]
    inner = field.message_type
    show: _Shown | None = str if field.type in _WIDE else None
    if inner is not None and inner.full_name == "google.protobuf.Timestamp":
        show = _instant
    elif inner is not None:
        show = partial(_listed, _plan(inner))
    return show if show is None or not many else lambda values: [show(one) for one in values]


def _instant(at: datetime) -> datetime | str:
    """As protobuf writes it: UTC, with no, three or six digits of a second."""
    at = at if at.tzinfo is UTC else at.astimezone(UTC)
    # What is not three digits is written so by whoever writes the rest, in a tenth of the time.
    if at.microsecond % 1000 or not at.microsecond:
        return at
    return at.isoformat()[:-9] + "Z"


def _shown(message: Message) -> dict[str, Any]:
    shown = {}
    for name, json_name, presence, many, show in fields_of(message.DESCRIPTOR):
        if presence and not message.HasField(name):
            continue
        value = getattr(message, name)
        if many:
            shown[json_name] = list(value) if show is None else [show(one) for one in value]
        else:
            shown[json_name] = value if show is None else show(value)
    return shown


@cache
def fields_of(message: Descriptor) -> list[tuple[str, str, bool, bool, _Shown | None]]:
    """Of each field its name, its name in JSON, whether it may be absent, whether it is a list, and
    how a value is written; None: as it is.

    Raises:
        AnswerError: a kind of field that no answer has had.
    """
    return [
        (one.name, one.json_name, one.has_presence, one.is_repeated, _writer(one))
        for one in sorted(message.fields, key=lambda field: field.number)
    ]


def _writer(field: FieldDescriptor) -> _Shown | None:
    if field.type in _AS_IT_IS:
        return None
    if field.type in _WIDE:
        return str
    if field.enum_type is not None:
        names = {number: value.name for number, value in field.enum_type.values_by_number.items()}
        return lambda number: names.get(number, number)
    inner = field.message_type
    if inner is not None and inner.full_name == "google.protobuf.Timestamp":
        return lambda instant: instant.ToJsonString()
    if inner is None or inner.GetOptions().map_entry or inner.file.package.startswith("google."):
        raise AnswerError(f"{field.full_name}: a kind of field that is not known")
    return _shown
