"""The fields of a read by its target. Pure.

Before it: the gate has admitted the target, so every name is known and every value fits its field.
After it: the request's message.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl

from services.control.core.gate import Route
from services.control.core.shapes import Kind


def fields(route: Route, target: str) -> dict[str, Any]:
    """What path and query give, by JSON name, as the fields of the request's message take it.

    Args:
        route: that of the target.
        target: path and query, admitted.
    """
    path, _, query = target.partition("?")
    found: dict[str, Any] = {
        wanted[1:-1]: given
        for wanted, given in zip(route.segments, path[1:].split("/"), strict=True)
        if wanted.startswith("{")
    }
    for name, text in parse_qsl(query, keep_blank_values=True) if query else ():
        known = route.shape.fields[name]
        value = _VALUES[known.kind](text)
        if known.many:
            found.setdefault(name, []).append(value)
        else:
            found[name] = value
    return found


_VALUES: Mapping[Kind, Callable[[str], Any]] = {
    Kind.STRING: str,
    Kind.ENUM: str,
    Kind.BOOL: "true".__eq__,
    Kind.INT32: int,
    Kind.INT64: int,
}
"""How a parameter's text becomes its field's value, of the kinds that parameters have had."""
