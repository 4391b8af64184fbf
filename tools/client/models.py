"""The document's schemas as typed dictionaries.

A request's field that takes a few names is a Literal, so that a type checker finds a misspelt one;
an answer's is a string, for answers may gain names.
"""

from __future__ import annotations

from typing import Any

from tools.client.names import docstring, reference

Json = dict[str, Any]

_HEADER = '''"""What requests and answers hold. Generated from docs/openapi.json by `make proto`."""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypedDict
'''
_SCALARS = {
    "string": "str",
    "integer": "int",
    "number": "float",
    "boolean": "bool",
    "object": "dict[str, Any]",
}
# The session raises it; it is no value.
_NOT_MODELS = frozenset({"Error"})


class DocumentError(Exception):
    """The document holds something that has no place in the client; the message names it."""


def models(document: Json) -> str:
    """The source of the module.

    Raises:
        DocumentError: a schema of a form that is not known.
    """
    lines = [_HEADER]
    for name, schema in document["components"]["schemas"].items():
        if name not in _NOT_MODELS:
            lines += ["", "", *_model(name, schema)]
    return "\n".join(lines) + "\n"


def _model(name: str, schema: Json) -> list[str]:
    lines = [f"class {name}(TypedDict):"]
    lines += docstring(schema.get("description", ""), "    ")
    needed = schema.get("required", [])
    closed = schema.get("additionalProperties") is False
    fields = schema.get("properties", {})
    for field, of in fields.items():
        kind = type_of(of, where=f"{name}.{field}", closed=closed)
        lines.append(f"    {field}: {kind if field in needed else f'NotRequired[{kind}]'}")
        lines += docstring(of.get("description", ""), "    ")
    return lines if len(lines) > 1 else [*lines, "    pass"]


def type_of(schema: Json, *, where: str, closed: bool) -> str:
    """The Python type of a schema.

    Args:
        schema: of a field, a parameter or an answer.
        where: named by an error.
        closed: it is asked, not answered.

    Raises:
        DocumentError: a form that is not known.
    """
    if "$ref" in schema:
        return reference(schema)
    if "anyOf" in schema:
        kinds = [type_of(of, where=where, closed=closed) for of in schema["anyOf"]]
        return " | ".join(dict.fromkeys(kinds))
    if closed and "enum" in schema:
        return f"Literal[{', '.join(repr(name) for name in schema['enum'])}]"
    if schema.get("type") == "array":
        return f"list[{type_of(schema['items'], where=where, closed=closed)}]"
    if schema.get("type") in _SCALARS:
        return _SCALARS[schema["type"]]
    raise DocumentError(f"{where}: a form of schema that is not known")
