"""Test that what people's clients may not send over gRPC is what they may not send over REST."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from services.control.edge.contract import shape_of
from services.control.edge.shapes import check_body
from tests.control.test_contract import _services
from tradingtools.domain import texts
from tradingtools.domain.errors import InvalidField
from tradingtools.domain.permissions import PERMISSIONS, Permission
from tradingtools.rpc.requests import check, read
from tradingtools.v1 import ingest_service_pb2 as ingest
from tradingtools.v1 import operator_service_pb2 as operator
from tradingtools.v1 import router_service_pb2 as router

REQUESTS = {
    method.input_type.full_name: method.input_type
    for service in _services()
    for method in service.methods
    if PERMISSIONS[f"/{service.full_name}/{method.name}"] is not Permission.ENGINE
}


def _with_each_text(kind: Descriptor, text: str) -> Iterator[tuple[str, Message]]:
    """A message for each text field that it or one inside it has, and the field's path."""
    for field in kind.fields:
        last = "[0]" if field.is_repeated else ""
        path = field.json_name + last
        if field.type == FieldDescriptor.TYPE_STRING:
            value: object = [text] if field.is_repeated else text
            yield path, GetMessageClass(kind)(**{field.name: value})
        elif field.message_type is not None:
            for inner_path, inner in _with_each_text(field.message_type, text):
                message = GetMessageClass(kind)()
                home = getattr(message, field.name)
                (home.add() if field.is_repeated else home).CopyFrom(inner)
                yield f"{path}.{inner_path}", message


@pytest.mark.parametrize("kind", REQUESTS.values(), ids=list(REQUESTS))
def test_no_text_of_a_request_may_have_nul(kind: Descriptor) -> None:
    for path, request in _with_each_text(kind, "a\x00"):
        with pytest.raises(InvalidField) as refused:
            read(request.SerializeToString(), type(request).FromString, strict=True)
        assert refused.value.metadata == {"field": path, "expected": texts.EXPECTED}


def test_there_are_texts_inside_of_messages_and_lists() -> None:
    paths = {path for kind in REQUESTS.values() for path, _ in _with_each_text(kind, "")}
    assert {"consumer", "follower.followerProxy", "filters.marketsAllowed[0]"} <= paths


def test_no_request_has_a_map() -> None:
    """Its keys and values would be looked at by nobody."""
    assert not [path for kind in REQUESTS.values() for path in _maps(kind)]


def _maps(kind: Descriptor) -> Iterator[str]:
    for field in kind.fields:
        if field.message_type is not None:
            if field.message_type.GetOptions().map_entry:
                yield field.full_name
            yield from _maps(field.message_type)


def _refused_by_rest(text: str) -> bool:
    try:
        check_body(
            shape_of(operator.ListDeadLettersRequest.DESCRIPTOR),
            json.dumps({"consumer": text}).encode(),
        )
    except InvalidField:
        return True
    return False


def _refused_by_grpc(text: str) -> bool:
    try:
        check(operator.ListDeadLettersRequest(consumer=text), strict=True)
    except InvalidField:
        return True
    return False


def test_grpc_refuses_a_character_when_rest_does() -> None:
    characters = [*map(chr, range(0xA1)), "\u2028", "\ufeff", "\U0001f600"]
    refused = [one for one in characters if _refused_by_grpc(one)]
    assert refused == [one for one in characters if _refused_by_rest(one)]
    assert refused == [*map(chr, range(0x20)), "\x7f"]


def test_text_of_the_venue_passes_between_processes() -> None:
    trade = ingest.LeaderTradeEvent(title="Will it\nrain?")
    check(router.PreviewRouteRequest(trade=trade), strict=False)
