"""Test what is expected of each field of the contracts can be said in words."""

from __future__ import annotations

from collections.abc import Iterator

from google.protobuf.descriptor import FieldDescriptor

from buf.validate import validate_pb2
from tests.control.test_contract import _services
from tradingtools.rpc import wording
from tradingtools.v1 import operator_service_pb2 as operator


def _fields() -> Iterator[FieldDescriptor]:
    todo = [method.input_type for service in _services() for method in service.methods]
    seen = set()
    while todo:
        message = todo.pop()
        if message.full_name in seen:
            continue
        seen.add(message.full_name)
        todo += [field.message_type for field in message.fields if field.message_type is not None]
        yield from message.fields


def _patterns() -> set[str]:
    found = set()
    for field in _fields():
        rules = field.GetOptions().Extensions[validate_pb2.field]
        found |= {rules.string.pattern, rules.repeated.items.string.pattern}
    return found - {""}


def test_every_pattern_has_words_and_no_other() -> None:
    assert _patterns() == set(wording.PATTERNS)


def test_no_words_are_a_pattern() -> None:
    for field in _fields():
        assert not {"^", "$", "[", "\\"} & set(wording.of(field)), field.full_name


def test_names_are_those_that_are_allowed() -> None:
    fields = operator.ResolveOrderRequest.DESCRIPTOR.fields_by_name
    assert wording.of(fields["to_state"]) == "one of ORDER_STATE_CONFIRMED, ORDER_STATE_FAILED"
    listed = operator.ListOrdersRequest.DESCRIPTOR.fields_by_name["states"]
    assert wording.of(listed).startswith("one of ORDER_STATE_CLAIMED, ")
