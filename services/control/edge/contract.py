"""The public routes and the shapes of their requests, read from the contracts at start.

One source for REST: the `google.api.http` options that the edge's transcoder reads as well. What
this cannot judge strictly (a float, a map, a richer path pattern) stops the start, so that a new
kind of field is decided on before it is served.
"""

from __future__ import annotations

import re

from google.api import annotations_pb2  # type: ignore[import-untyped]
from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor

from services.control.edge.admission_rules import Route
from services.control.edge.shapes import Field, Kind, Shape
from tradingtools.rpc import validation, wording
from tradingtools.rpc.public_services import PUBLIC_SERVICES

_VERBS = ("get", "post", "put", "patch", "delete")
_SEGMENT = re.compile(r"[a-z]+([.-][a-z]+)*|\{[a-z]+\}")
_KINDS = {
    FieldDescriptor.TYPE_STRING: Kind.STRING,
    FieldDescriptor.TYPE_BOOL: Kind.BOOL,
    FieldDescriptor.TYPE_INT32: Kind.INT32,
    FieldDescriptor.TYPE_INT64: Kind.INT64,
    FieldDescriptor.TYPE_DOUBLE: Kind.NUMBER,
    FieldDescriptor.TYPE_ENUM: Kind.ENUM,
    FieldDescriptor.TYPE_MESSAGE: Kind.MESSAGE,
}
_WELL_KNOWN = {"google.protobuf.Timestamp": Kind.TIMESTAMP}


class ContractError(Exception):
    """The contracts hold something that strict checking does not know."""


def public_routes() -> tuple[Route, ...]:
    """The REST routes of the public services.

    Raises:
        ContractError: an RPC has no route, or its request cannot be checked strictly.
    """
    return tuple(_route(method) for service in PUBLIC_SERVICES for method in service.methods)


def _route(method: MethodDescriptor) -> Route:
    rule = method.GetOptions().Extensions[annotations_pb2.http]
    verb = next((verb for verb in _VERBS if getattr(rule, verb)), None)
    if verb is None or rule.body not in ("", "*") or rule.additional_bindings:
        raise ContractError(f"{method.full_name}: no route, or a form of route that is not known")
    segments = tuple(getattr(rule, verb)[1:].split("/"))
    if not all(_SEGMENT.fullmatch(segment) for segment in segments):
        raise ContractError(f"{method.full_name}: a path segment of a form that is not known")
    return Route(
        verb=verb.upper(),
        segments=segments,
        method=f"/{method.containing_service.full_name}/{method.name}",
        shape=shape_of(method.input_type),
        takes_body=rule.body == "*",
    )


def creates(method: MethodDescriptor) -> bool:
    """Return whether it makes a resource: answered with 201, repeatable under an
    Idempotency-Key."""
    rule = method.GetOptions().Extensions[annotations_pb2.http]
    return bool(rule.post) and method.name.startswith("Create")


def versioned(method: MethodDescriptor) -> bool:
    """Return whether it changes a resource that has a version, and so has to respect If-Match."""
    rule = method.GetOptions().Extensions[annotations_pb2.http]
    changes = not rule.get and not creates(method)
    return changes and "version" in method.output_type.fields_by_name


def shape_of(message: Descriptor) -> Shape:
    """The fields of a request message by JSON name, nested ones included."""
    return Shape({field.json_name: _field(field) for field in message.fields})


def _field(field: FieldDescriptor) -> Field:
    kind = _KINDS.get(field.type)
    if field.message_type is not None and field.message_type.full_name in _WELL_KNOWN:
        return Field(
            kind=_WELL_KNOWN[field.message_type.full_name],
            choice=_choice(field),
            many=field.is_repeated,
        )
    if kind is None or _is_foreign(field.message_type):
        raise ContractError(f"{field.full_name}: a kind of field that is not known")
    return Field(
        kind=kind,
        names=frozenset(field.enum_type.values_by_name) if field.enum_type else frozenset(),
        shape=shape_of(field.message_type) if field.message_type else None,
        choice=_choice(field),
        many=field.is_repeated,
        most=validation.most(field),
        expected=wording.of(field),
    )


def _choice(field: FieldDescriptor) -> str:
    # An optional field is alone in a group of its own, which never comes into play.
    return field.containing_oneof.name if field.containing_oneof else ""


def _is_foreign(message: Descriptor | None) -> bool:
    """Maps, and messages that JSON spells otherwise than as an object of their fields."""
    return message is not None and (
        message.GetOptions().map_entry or message.full_name.startswith("google.")
    )
