"""Whatever passes without the interpreter passes with it, and usual reads need none."""

from __future__ import annotations

import protovalidate
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool
from google.protobuf.descriptor import FieldDescriptor, MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from hypothesis import given, settings
from hypothesis import strategies as st

from buf.validate import validate_pb2
from services.control.contract import PUBLIC_SERVICES
from tradingtools.runtime.grpc_rules import surely_kept
from tradingtools.v1 import control_service_pb2 as control
from tradingtools.v1 import trigger_service_pb2 as trigger

METHODS = [method for service in PUBLIC_SERVICES for method in service.methods]
ID = "sub_" + "0" * 32
SHORT = validate_pb2.StringRules(max_len=3)
NUMBERS = st.sampled_from([-(2**31), -1, 0, 1, 199, 200, 201, 2**31 - 1])


def _text(field: FieldDescriptor) -> st.SearchStrategy[str]:
    pattern = field.GetOptions().Extensions[validate_pb2.field].string.pattern
    near = st.from_regex(pattern) if pattern else st.text(max_size=300)
    spoilt = st.tuples(near, st.sampled_from(["\n", " ", "\x00", "é", "0", "\u0660"]))
    return near | spoilt.map("".join) | spoilt.map(lambda both: both[1] + both[0]) | st.just("")


@st.composite
def _requests(draw: st.DrawFn) -> Message:
    method: MethodDescriptor = draw(st.sampled_from(METHODS))
    message = GetMessageClass(method.input_type)()
    for field in method.input_type.fields:
        if field.is_repeated or field.message_type is not None or not draw(st.booleans()):
            continue
        if field.type == FieldDescriptor.TYPE_STRING:
            setattr(message, field.name, draw(_text(field)))
        elif field.type in (FieldDescriptor.TYPE_INT32, FieldDescriptor.TYPE_INT64):
            setattr(message, field.name, draw(NUMBERS))
    return message


@given(_requests())
@settings(max_examples=150, deadline=None)
def test_nothing_passes_that_the_interpreter_refuses(request: Message) -> None:
    if surely_kept(request):
        assert not protovalidate.collect_violations(request)


@pytest.mark.parametrize(
    "request_",
    [
        control.GetSubscriptionRequest(id=ID),
        control.ListSubscriptionsRequest(follower_proxy="0x" + "aB" * 20, page_size=200),
        control.ListSubscriptionDecisionsRequest(id=ID, reason="COPIED", from_ms=0),
        trigger.GetTriggerRequest(id="trg_" + "f" * 32),
    ],
)
def test_usual_reads_need_no_interpreter(request_: Message) -> None:
    assert surely_kept(request_)


@pytest.mark.parametrize(
    "request_",
    [
        control.GetSubscriptionRequest(),
        control.GetSubscriptionRequest(id=ID + "\n"),
        control.ListSubscriptionsRequest(follower_proxy="0x" + "aB" * 20, page_size=201),
        control.ListSubscriptionsRequest(follower_proxy="0x" + "aB" * 20, page_token="x" * 513),
        control.ListSubscriptionDecisionsRequest(id=ID, from_ms=-1),
    ],
)
def test_what_breaks_a_rule_is_left_to_the_interpreter(request_: Message) -> None:
    assert not surely_kept(request_)
    assert protovalidate.collect_violations(request_)


def _message(
    rules: validate_pb2.FieldRules | None, whole: validate_pb2.MessageRules | None = None
) -> Message:
    """A message of one text field under these rules."""
    file = descriptor_pb2.FileDescriptorProto(
        name="one.proto", package="one", dependency=["buf/validate/validate.proto"]
    )
    one = file.message_type.add(name="One")
    field = one.field.add(name="text", number=1, type=FieldDescriptor.TYPE_STRING, label=1)
    if rules is not None:
        field.options.Extensions[validate_pb2.field].CopyFrom(rules)
    if whole is not None:
        one.options.Extensions[validate_pb2.message].CopyFrom(whole)
    pool = descriptor_pool.DescriptorPool()
    for known in ("google/protobuf/descriptor.proto", "google/protobuf/duration.proto",
                  "google/protobuf/timestamp.proto", "google/protobuf/field_mask.proto",
                  "buf/validate/validate.proto"):  # fmt: skip
        copied = descriptor_pb2.FileDescriptorProto()
        try:
            descriptor_pool.Default().FindFileByName(known).CopyToProto(copied)
        except KeyError:
            continue
        pool.Add(copied)
    pool.Add(file)
    return GetMessageClass(pool.FindMessageTypeByName("one.One"))()


@pytest.mark.parametrize(
    "rules",
    [
        validate_pb2.FieldRules(required=True),
        validate_pb2.FieldRules(string=SHORT, required=True),
        validate_pb2.FieldRules(string=SHORT, cel_expression=["this == 'x'"]),
        validate_pb2.FieldRules(string=validate_pb2.StringRules(email=True)),
        validate_pb2.FieldRules(string=validate_pb2.StringRules(pattern=r"^\d*$")),
        validate_pb2.FieldRules(string=validate_pb2.StringRules(pattern="(?i)^$")),
    ],
)
def test_a_rule_that_is_not_known_here_is_left_to_the_interpreter(
    rules: validate_pb2.FieldRules,
) -> None:
    assert not surely_kept(_message(rules))


def test_a_rule_of_the_whole_message_is_left_to_the_interpreter() -> None:
    assert surely_kept(_message(None))
    assert surely_kept(_message(validate_pb2.FieldRules(string=SHORT)))
    assert not surely_kept(_message(None, validate_pb2.MessageRules(cel_expression=["false"])))
