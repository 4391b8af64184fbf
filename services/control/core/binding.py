"""The fields of a read by its target. Pure.

Before it: the gate has admitted the target, so every name is known and every value fits its field.
After it: the request's message.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl

from services.control.core.gate import Route
from services.control.core.shapes import Kind


def fields(route: Route, target: str) -> dict[str, Any]:
    """What path and query give, by JSON name, as the JSON of the request's message has it.

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
    for name, text in parse_qsl(query, keep_blank_values=True):
        known = route.shape.fields[name]
        value = text == "true" if known.kind is Kind.BOOL else text
        if known.many:
            found.setdefault(name, []).append(value)
        else:
            found[name] = value
    return found
