"""`docs/insiders-api.yaml`, read once, as something answers can be checked against."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

_FILE = Path(__file__).parents[2] / "docs" / "insiders-api.yaml"
_URI = "urn:insiders-api"


@cache
def document() -> Any:
    """The whole document."""
    return yaml.safe_load(_FILE.read_text())


@cache
def _registry() -> Registry[Any]:
    resource = Resource.from_contents(document(), default_specification=DRAFT202012)
    registry: Registry[Any] = Registry().with_resource(_URI, resource)
    return registry


def resolve(node: Any) -> Any:
    """The node, or what its `$ref` points at."""
    while isinstance(node, dict) and "$ref" in node:
        found = document()
        for part in node["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        node = found
    return node


def check(schema: Any, value: Any) -> None:
    """Fail unless the value has the schema."""
    absolute = _absolute(schema)
    Draft202012Validator(absolute, registry=_registry()).validate(value)


def _absolute(node: Any) -> Any:
    if isinstance(node, dict):
        return {
            name: _URI + value if name == "$ref" else _absolute(value)
            for name, value in node.items()
        }
    return [_absolute(item) for item in node] if isinstance(node, list) else node


def operations() -> Iterator[tuple[str, str, Any]]:
    """(path, method, operation) of each route."""
    for path, methods in document()["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def media(container: Any) -> Any:
    """The JSON media type of a request body or response."""
    return resolve(container)["content"]["application/json"]


def check_answer(path: str, method: str, status: int, headers: Any, value: Any) -> None:
    """Fail unless the contract has this answer of this route."""
    operation = document()["paths"][path][method]
    assert str(status) in operation["responses"], f"{method} {path} must not answer {status}"
    response = resolve(operation["responses"][str(status)])
    check(media(response)["schema"], value)
    for name, header in response.get("headers", {}).items():
        if name in headers:
            check(resolve(header)["schema"], headers[name])
