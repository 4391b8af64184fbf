"""Messages as JSON, as the edge's transcoder writes them.

Where a read goes past the transcoder its answer may not differ: the JSON of protobuf, in which
every field without presence is there, also when it is zero or empty. protobuf's own writer takes
five times as long, for it finds out anew what each field is.

Before it: a servicer's answer. After it: the bytes of `reads`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import msgspec
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

_Shown = Callable[[Any], Any]

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


def to_json(message: Message) -> bytes:
    """The message as a JSON object. Raises AnswerError: see ``fields_of``."""
    return msgspec.json.encode(_shown(message))


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
