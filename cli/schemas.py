"""JSON schemas of what commands answer: of the OpenAPI document, the protos, or our own values."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib.resources import files
from typing import Any

Json = dict[str, Any]
Schema = Callable[[], Json]
"""Makes a schema; not before somebody asks for one."""


def rest(component: str, *, many: bool = False) -> Schema:
    """Return the schema of an answer of REST, or of a list of them."""

    def made() -> Json:
        text = files("docs").joinpath("openapi.json").read_text(encoding="utf-8")
        one = {"$ref": f"#/components/schemas/{component}"}
        shape = {"type": "array", "items": one} if many else one
        return shape | {"components": {"schemas": json.loads(text)["components"]["schemas"]}}

    return made


def operator(message: str, *, many: bool = False) -> Schema:
    """Return the schema of a message of the operators' service, or of a list of them."""

    def made() -> Json:
        from tradingtools.v1 import operator_service_pb2

        defined: Json = {}
        one = _reference(operator_service_pb2.DESCRIPTOR.message_types_by_name[message], defined)
        shape = {"type": "array", "items": one} if many else one
        return shape | {"$defs": defined}

    return made


def own(module: str, name: str) -> Schema:
    """Return the schema of a struct of ours."""

    def made() -> Json:
        from importlib import import_module

        import msgspec

        return msgspec.json.schema(getattr(import_module(module), name))

    return made


def _reference(message: Any, defined: Json) -> Json:
    name = message.name
    if name not in defined:
        defined[name] = {}
        needed = [f.json_name for f in message.fields if not f.has_presence]
        defined[name] = {
            "type": "object",
            "properties": {f.json_name: _field(f, defined) for f in message.fields},
            "required": needed,
            "additionalProperties": False,
        }
    return {"$ref": f"#/$defs/{name}"}


def _field(field: Any, defined: Json) -> Json:
    found = _value(field, defined)
    return {"type": "array", "items": found} if field.is_repeated else found


def _value(field: Any, defined: Json) -> Json:
    if field.message_type is not None:
        if field.message_type.full_name == "google.protobuf.Timestamp":
            return {"type": "string", "format": "date-time"}
        return _reference(field.message_type, defined)
    if field.enum_type is not None:
        return {"enum": [value.name for value in field.enum_type.values]}
    kinds: dict[int, Json] = {
        field.TYPE_BOOL: {"type": "boolean"},
        field.TYPE_INT32: {"type": "integer"},
        # Larger than a JavaScript number: written as text.
        field.TYPE_INT64: {"type": "string", "pattern": "^-?[0-9]+$"},
    }
    return kinds.get(field.type, {"type": "string"})
