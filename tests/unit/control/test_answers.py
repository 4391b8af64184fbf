"""JSON of answers is protobuf's own, for every read there is."""

from __future__ import annotations

import json
from datetime import timedelta, timezone
from typing import Any

import pytest
from google.api import httpbody_pb2  # type: ignore[import-untyped]
from google.protobuf import json_format, message_factory
from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor
from google.protobuf.message import Message
from google.rpc import error_details_pb2

from services.control.answers import Answer, AnswerError, fields_of, to_json
from services.control.contract import PUBLIC_SERVICES

_VALUES: dict[int, list[Any]] = {
    FieldDescriptor.TYPE_STRING: ["", 'ünï \u2028 <b> " \\ \n', "0.1"],
    FieldDescriptor.TYPE_BOOL: [False, True],
    FieldDescriptor.TYPE_INT32: [0, -(2**31), 7],
    FieldDescriptor.TYPE_UINT32: [0, 2**32 - 1],
    FieldDescriptor.TYPE_INT64: [0, -(2**63), 2**53 + 1],
    FieldDescriptor.TYPE_UINT64: [0, 2**64 - 1],
    FieldDescriptor.TYPE_DOUBLE: [0.0, 0.1, 1.0, 1e-6, 123456789.25],
}
READS: list[MethodDescriptor] = [
    method
    for service in PUBLIC_SERVICES
    for method in service.methods
    if not method.output_type.full_name.startswith("google.")
]


def _filled(kind: Descriptor, turn: int) -> Message:
    """A message with all of its fields set, lists with two values each."""
    made = message_factory.GetMessageClass(kind)()
    for field in kind.fields:
        values = [_value(field, turn), _value(field, turn + 1)]
        if field.is_repeated:
            getattr(made, field.name).extend(values)
        elif field.message_type is not None:
            getattr(made, field.name).CopyFrom(values[0])
        else:
            setattr(made, field.name, values[0])
    return made


def _value(field: FieldDescriptor, turn: int) -> Any:
    if field.message_type is not None and field.message_type.name == "Timestamp":
        made: Any = message_factory.GetMessageClass(field.message_type)()
        made.FromNanoseconds([0, 10**18 + 123_456_000, 10**18 + 500_000_000][turn % 3])
        return made
    if field.message_type is not None:
        return _filled(field.message_type, turn)
    if field.enum_type is not None:
        numbers = sorted(field.enum_type.values_by_number)
        return numbers[turn % len(numbers)]
    values = _VALUES[field.type]
    return values[turn % len(values)]


@pytest.mark.parametrize("method", READS, ids=lambda method: method.name)
def test_answers_are_written_as_protobuf_writes_them(method: MethodDescriptor) -> None:
    empty = message_factory.GetMessageClass(method.output_type)()
    for message in (empty, *(_filled(method.output_type, turn) for turn in range(6))):
        expected = json_format.MessageToJson(message, always_print_fields_with_no_presence=True)
        assert json.loads(to_json(message)) == json.loads(expected)


def test_a_kind_of_field_that_no_answer_has_is_refused() -> None:
    for kind in (error_details_pb2.ErrorInfo.DESCRIPTOR, httpbody_pb2.HttpBody.DESCRIPTOR):
        with pytest.raises(AnswerError):
            fields_of(kind)


def _fields(message: Message) -> dict[str, Any]:
    """What a codec gives for a message: see ``Fields``."""
    found: dict[str, Any] = {}
    for field, value in message.ListFields():
        values = [_given(field, one) for one in (value if field.is_repeated else [value])]
        found[field.name] = values if field.is_repeated else values[0]
    return found


def _given(field: FieldDescriptor, value: Any) -> Any:
    if field.enum_type is not None:
        return field.enum_type.values_by_number[value].name
    if field.message_type is None:
        return value
    if field.message_type.name == "Timestamp":
        return value.ToDatetime(tzinfo=timezone(timedelta(hours=-5)))
    return _fields(value)


@pytest.mark.parametrize("method", READS, ids=lambda method: method.name)
def test_fields_and_their_message_are_the_same_answer(method: MethodDescriptor) -> None:
    kind = message_factory.GetMessageClass(method.output_type)
    for message in (kind(), *(_filled(method.output_type, turn) for turn in range(6))):
        answer = Answer(kind, _fields(message))
        assert answer.message == message
        assert to_json(answer) == to_json(message)
    names = [field.name for field in method.output_type.fields]
    assert to_json(Answer(kind, dict.fromkeys(names))) == to_json(kind())
