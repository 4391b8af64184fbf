"""Messages as JSON schemas: types as the edge spells them, protovalidate's rules as constraints.

A request's schema is closed, as the edge refuses what it does not know; an answer's is open, since
answers may gain fields. What a rule says and JSON schema cannot is put into words.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor, OneofDescriptor

from buf.validate import validate_pb2

Json = dict[str, Any]

_INTS = {
    FieldDescriptor.TYPE_INT32: ("int32", -(2**31), 2**31 - 1),
    FieldDescriptor.TYPE_INT64: ("int64", -(2**63), 2**63 - 1),
}
_WHOLE = "^-?(0|[1-9][0-9]{0,18})$"
_PRINTABLE = r"^[^\u0000-\u001f\u007f]*$"


class SchemaError(Exception):
    """The contracts hold something that this generator cannot say; the message names it."""


class Schemas:
    """Collects the components that a document refers to.

    Args:
        comments: by full name.
    """

    def __init__(self, comments: Mapping[str, str]) -> None:
        self._comments = comments
        self.components: dict[str, Json] = {}

    def answer(self, message: Descriptor) -> Json:
        """A reference to what is answered."""
        return self._reference(message, message.name, request=False)

    def body(self, message: Descriptor, bound: frozenset[str]) -> Json:
        """A reference to a request's body: its fields without those that the path gives."""
        return self._reference(message, message.name, request=True, without=bound)

    def parameter(self, field: FieldDescriptor) -> Json:
        """The schema of a path or query parameter; its comment stays with the parameter."""
        found = self._field(field, request=True)
        found.pop("description", None)
        return found

    def comment(self, full_name: str) -> str:
        """Return what the protos say about it; empty: nothing."""
        return self._comments.get(full_name, "")

    def _reference(
        self,
        message: Descriptor,
        name: str,
        *,
        request: bool,
        without: frozenset[str] = frozenset(),
    ) -> Json:
        # What goes both ways has one component of each kind only where they differ.
        if request and not name.endswith("Request"):
            name += "Input"
        if name not in self.components:
            self.components[name] = {}
            self.components[name] = self._message(message, request=request, without=without)
        return {"$ref": f"#/components/schemas/{name}"}

    def _message(self, message: Descriptor, *, request: bool, without: frozenset[str]) -> Json:
        fields = [f for f in message.fields if f.json_name not in without]
        schema: Json = {"type": "object"}
        _describe(schema, self.comment(message.full_name), *_cel_of(message))
        schema["properties"] = {f.json_name: self._field(f, request=request) for f in fields}
        needed = [f.json_name for f in fields if (_needed(f) if request else _printed(f))]
        if needed:
            schema["required"] = needed
        if request:
            schema["additionalProperties"] = False
        choices = [_choice(o) for o in message.oneofs if len(o.fields) > 1]
        if choices:
            schema["allOf"] = choices
        return schema

    def _field(self, field: FieldDescriptor, *, request: bool) -> Json:
        rules = _rules(field)
        schema = self._value(field, rules, request=request)
        if field.is_repeated:
            schema = self._list(schema, rules)
        words = [self.comment(field.full_name), *(rule.message for rule in rules.cel)]
        if "$ref" in schema and any(words):
            # Beside a reference only a description is allowed to stand.
            return schema | {"description": " ".join(word for word in words if word)}
        _describe(schema, *words)
        return schema

    @staticmethod
    def _list(items: Json, rules: Any) -> Json:
        schema: Json = {"type": "array", "items": items}
        if rules.repeated.HasField("min_items"):
            schema["minItems"] = rules.repeated.min_items
        if rules.repeated.HasField("max_items"):
            schema["maxItems"] = rules.repeated.max_items
        if rules.repeated.unique:
            schema["uniqueItems"] = True
        return schema

    def _value(self, field: FieldDescriptor, rules: Any, *, request: bool) -> Json:
        if field.is_repeated:
            rules = rules.repeated.items
        if field.message_type is not None:
            if field.message_type.full_name == "google.protobuf.Timestamp":
                return {"type": "string", "format": "date-time"}
            if field.message_type.full_name == "google.protobuf.Struct":
                return {"type": "object"}
            return self._reference(field.message_type, field.message_type.name, request=request)
        if field.type == FieldDescriptor.TYPE_BOOL:
            return {"type": "boolean"}
        if field.type == FieldDescriptor.TYPE_STRING:
            return _string(rules.string, request=request)
        if field.type == FieldDescriptor.TYPE_ENUM:
            return self._enum(field, rules.enum)
        if field.type in _INTS:
            return _integer(field, rules, request=request)
        if field.type == FieldDescriptor.TYPE_DOUBLE:
            return _number(rules.double)
        raise SchemaError(f"{field.full_name}: a kind of field that is not known")

    def _enum(self, field: FieldDescriptor, rules: Any) -> Json:
        enum = field.enum_type
        if enum is None:
            raise SchemaError(f"{field.full_name}: an enum without its type")
        values = [v for v in enum.values if v.number not in rules.not_in]
        words = [self.comment(enum.full_name)]
        for value in values:
            meaning = self.comment(f"{enum.full_name}.{value.name}")
            if meaning:
                words.append(f"`{value.name}`: {meaning}")
        schema: Json = {"type": "string", "enum": [value.name for value in values]}
        _describe(schema, "\n".join(word for word in words if word))
        return schema


def _describe(schema: Json, *words: str) -> None:
    text = " ".join(word for word in words if word)
    if text:
        schema["description"] = (
            f"{text} {schema['description']}" if "description" in schema else text
        )


def _rules(field: FieldDescriptor) -> Any:
    return field.GetOptions().Extensions[validate_pb2.field]


def _cel_of(message: Descriptor) -> list[str]:
    return [rule.message for rule in message.GetOptions().Extensions[validate_pb2.message].cel]


def _string(rules: Any, *, request: bool) -> Json:
    schema: Json = {"type": "string"}
    if rules.HasField("min_len"):
        schema["minLength"] = rules.min_len
    if rules.HasField("max_len"):
        schema["maxLength"] = rules.max_len
    if getattr(rules, "in"):
        schema["enum"] = list(getattr(rules, "in"))
    if rules.HasField("pattern"):
        schema["pattern"] = rules.pattern
    elif request and "enum" not in schema:
        schema["pattern"] = _PRINTABLE
    return schema


def _integer(field: FieldDescriptor, rules: Any, *, request: bool) -> Json:
    name, low, high = _INTS[field.type]
    own = getattr(rules, name)
    if not request and name == "int64":
        # Larger than a JavaScript number: the edge writes it as text.
        return {"type": "string", "format": "int64", "pattern": _WHOLE}
    if own.HasField("gte"):
        low = own.gte
    if own.HasField("gt"):
        low = own.gt + 1
    if own.HasField("lte"):
        high = own.lte
    if own.HasField("lt"):
        high = own.lt - 1
    number: Json = {"type": "integer", "format": name, "minimum": low, "maximum": high}
    if name == "int32":
        return number
    return {"anyOf": [number, {"type": "string", "pattern": _WHOLE}]}


def _number(rules: Any) -> Json:
    schema: Json = {"type": "number", "format": "double"}
    if rules.HasField("gte"):
        schema |= {"minimum": rules.gte, "maximum": rules.lte}
    return schema


def _needed(field: FieldDescriptor) -> bool:
    """Return whether a request without this field is refused by a rule."""
    rules = _rules(field)
    if rules.required:
        return True
    if field.has_presence or field.message_type is not None:
        return False
    if field.is_repeated:
        return bool(rules.repeated.min_items > 0)
    if rules.ignore == validate_pb2.IGNORE_IF_ZERO_VALUE:
        return False
    if field.type == FieldDescriptor.TYPE_STRING:
        text = rules.string
        allowed = list(getattr(text, "in"))
        return bool(
            text.min_len > 0
            or (text.pattern and not re.search(text.pattern, ""))
            or (allowed and "" not in allowed)
        )
    if field.type == FieldDescriptor.TYPE_ENUM:
        return 0 in rules.enum.not_in
    if field.type == FieldDescriptor.TYPE_DOUBLE:
        return bool(rules.double.gte > 0)
    if field.type in _INTS:
        own = getattr(rules, _INTS[field.type][0])
        return bool(own.gte > 0 or (own.HasField("gt") and own.gt >= 0))
    return False


def _printed(field: FieldDescriptor) -> bool:
    """Return whether an answer always has this field: the edge prints zero values, not absent
    ones."""
    return field.is_repeated or not (field.has_presence or field.message_type is not None)


def _choice(oneof: OneofDescriptor) -> Json:
    alone: list[Json] = [{"required": [field.json_name]} for field in oneof.fields]
    if oneof.GetOptions().Extensions[validate_pb2.oneof].required:
        return {"oneOf": alone}
    return {"oneOf": [*alone, {"not": {"anyOf": alone}}]}
