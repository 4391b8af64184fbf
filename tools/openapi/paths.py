"""RPCs as operations: parameters, body, answers, errors, links and who may call.

Everything follows from the contracts and the table of permissions, so a new RPC is described
without a change here. Errors beyond those that every route has are read from the RPC's comment
("409 CONFLICT on another version").
"""

from __future__ import annotations

import re
from typing import Any

from google.protobuf.descriptor import MethodDescriptor

from services.control.edge.admission_rules import Route
from services.control.edge.contract import creates, versioned
from tools.openapi.examples import EXAMPLES
from tools.openapi.schemas import Json, SchemaError, Schemas
from tradingtools.domain.permissions import PERMISSIONS, Permission

ERRORS = {
    "400": "The request is malformed, a field is unknown or not what was expected.",
    "401": "No valid token; always the same body.",
    "403": "The token's scope does not reach this call.",
    "404": "No such resource.",
    "408": "The request took too long to arrive.",
    "409": "Somebody else changed it first, or the Idempotency-Key came with another request.",
    "412": "The resource has another version than If-Match says.",
    "413": "The body is larger than 64 KiB.",
    "429": "Too many requests; Retry-After says when to come again.",
    "431": "The headers are too large.",
    "500": "Our fault; the log has the rest under the incident.",
    "503": "A dependency does not answer; a change may or may not have happened.",
    "504": "No answer in time; a change may or may not have happened.",
}
"""Every status of an error, and what it means."""

WAITS = ("429", "503")
STREAM = "text/event-stream"
_TEXT = {"type": "string"}
_ALWAYS = ("400", "408", "429", "431", "500", "503", "504")
_NAMED = re.compile(r"\b([45][0-9]{2})\b")


def operation(method: MethodDescriptor, route: Route, schemas: Schemas) -> Json:
    """Return what OpenAPI says about one RPC.

    Raises:
        SchemaError: a body has no example, or the comment or the permission is missing.
    """
    comment = schemas.comment(method.full_name)
    if not comment:
        raise SchemaError(f"{method.full_name}: needs a comment")
    permission = PERMISSIONS.get(route.method)
    if permission is None:
        raise SchemaError(f"{method.full_name}: needs a line in tradingtools/domain/permissions.py")
    service = method.containing_service.name.removesuffix("Service").lower()
    scope = "no token" if permission is Permission.PUBLIC else f"scope {permission}"
    found: Json = {
        "operationId": method.name,
        "tags": [service],
        "summary": comment.split(". ")[0].rstrip(".") + ".",
        "description": f"{comment}\n\nNeeds {scope}.",
    }
    if permission is Permission.PUBLIC:
        found["security"] = []
    parameters = _parameters(method, route, schemas)
    if parameters:
        found["parameters"] = parameters
    if route.takes_body:
        found["requestBody"] = _body(method, route, schemas)
    found["responses"] = _responses(method, route, schemas, comment)
    return found


def path_of(route: Route) -> str:
    """The route's path as OpenAPI writes it."""
    return "/" + "/".join(route.segments)


def _parameters(method: MethodDescriptor, route: Route, schemas: Schemas) -> list[Json]:
    found: list[Json] = []
    example = EXAMPLES.get(method.name, {})
    for field in method.input_type.fields:
        place = "path" if field.json_name in route.bound else "query"
        if place == "query" and route.takes_body:
            continue
        needed = place == "path" or field.json_name in _required(method)
        parameter: Json = {"name": field.json_name, "in": place, "required": needed}
        words = schemas.comment(field.full_name)
        if words:
            parameter["description"] = words
        parameter["schema"] = schemas.parameter(field)
        if field.json_name in example and not route.takes_body:
            parameter["example"] = example[field.json_name]
        found.append(parameter)
    if method.server_streaming:
        found.append({"$ref": "#/components/parameters/LastEventId"})
    if creates(method):
        found.append({"$ref": "#/components/parameters/IdempotencyKey"})
    if versioned(method):
        found.append({"$ref": "#/components/parameters/IfMatch"})
    return found


def _required(method: MethodDescriptor) -> list[str]:
    scratch = Schemas({})
    scratch.body(method.input_type, frozenset())
    needed: list[str] = scratch.components[method.input_type.name].get("required", [])
    return needed


def _body(method: MethodDescriptor, route: Route, schemas: Schemas) -> Json:
    if method.name not in EXAMPLES:
        raise SchemaError(f"{method.full_name}: needs an example in tools/openapi/examples.py")
    return {
        "required": True,
        "content": {
            "application/json": {
                "schema": schemas.body(method.input_type, route.bound),
                "example": EXAMPLES[method.name],
            }
        },
    }


def _responses(method: MethodDescriptor, route: Route, schemas: Schemas, comment: str) -> Json:
    good: Json = {"description": _good(method, schemas)}
    if "version" in method.output_type.fields_by_name:
        good["headers"] = {"ETag": {"$ref": "#/components/headers/ETag"}}
    if method.server_streaming:
        good = {"description": "Server-sent events.", "content": {STREAM: {"schema": _TEXT}}}
    else:
        good["content"] = {"application/json": {"schema": _answer(method, schemas)}}
    responses: Json = {"201" if creates(method) else "200": good}
    statuses = {*_ALWAYS, *(status for status in _NAMED.findall(comment) if status in ERRORS)}
    if PERMISSIONS[route.method] is not Permission.PUBLIC:
        statuses |= {"401", "403"}
    if route.bound:
        statuses.add("404")
    if route.takes_body:
        statuses.add("413")
    if creates(method) or route.verb != "GET":
        statuses.add("409")
    if versioned(method):
        statuses.add("412")
    for status in sorted(statuses):
        responses[status] = {"$ref": f"#/components/responses/{status}"}
    return responses


def _answer(method: MethodDescriptor, schemas: Schemas) -> Json:
    if method.output_type.full_name == "google.api.HttpBody":
        return {"type": "object"}
    return schemas.answer(method.output_type)


def _good(method: MethodDescriptor, schemas: Schemas) -> str:
    return schemas.comment(method.output_type.full_name).split("\n\n")[0] or "The answer."


def links(method: MethodDescriptor, operations: dict[str, Route]) -> Json:
    """From what a create answers to every operation on one such resource."""
    if not creates(method):
        return {}
    # Where one is made need not be where it lives.
    home = next(
        (
            path_of(operations[other.name])
            for other in method.containing_service.methods
            if other.name.startswith("Get") and other.output_type is method.output_type
        ),
        None,
    )
    if home is None:
        return {}
    found: Json = {}
    for name, route in operations.items():
        path = path_of(route)
        if path.startswith(home) and route.bound == frozenset({"id"}):
            parameters: dict[str, Any] = {"id": "$response.body#/id"}
            found[name] = {"operationId": name, "parameters": parameters}
    return found
