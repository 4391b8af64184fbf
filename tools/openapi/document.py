"""The whole document: operations by path, the components they share, and how to be let in."""

from __future__ import annotations

import json

from google.protobuf.descriptor import MethodDescriptor

from services.control.edge.admission_rules import Route
from services.control.edge.contract import public_routes
from tools.openapi.comments import comments
from tools.openapi.paths import ERRORS, WAITS, links, operation, path_of
from tools.openapi.schemas import Json, Schemas
from tradingtools.rpc.public_services import PUBLIC_SERVICES
from tradingtools.v1 import error_reason_pb2

_ABOUT = (
    "Copies the trades of leader wallets into follower wallets and guards what is held. Amounts,"
    " prices and shares are decimal strings with at most six decimals. Unknown fields, numbers for"
    " strings, null and doubled keys are refused. Whoever holds a token of scope manage acts for"
    " every follower."
)
_REASON = "ERROR_REASON_"


def text() -> str:
    """The document as it is stored; the same contracts give the same bytes."""
    return json.dumps(build(), indent=1, ensure_ascii=False) + "\n"


def build() -> Json:
    """The document.

    Raises:
        SchemaError: the contracts hold something that cannot be said.
    """
    schemas = Schemas(comments())
    methods = {
        f"/{service.full_name}/{method.name}": method
        for service in PUBLIC_SERVICES
        for method in service.methods
    }
    routes = {route.method.rsplit("/", 1)[1]: route for route in public_routes()}
    paths: dict[str, Json] = {}
    for route in public_routes():
        method = methods[route.method]
        described = operation(method, route, schemas)
        _link(described, method, routes)
        paths.setdefault(path_of(route), {})[route.verb.lower()] = described
    schemas.components["Error"] = _error_schema(schemas)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Trading Tools", "version": "1", "description": _ABOUT},
        "servers": [{"url": "/"}],
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "64 hex digits. Scope read reads; scope manage changes, too.",
                }
            },
            "parameters": _parameters(),
            "headers": _headers(),
            "responses": {status: _error(status) for status in ERRORS},
            "schemas": dict(sorted(schemas.components.items())),
        },
    }


def _link(described: Json, method: MethodDescriptor, routes: dict[str, Route]) -> None:
    found = links(method, routes)
    if found:
        described["responses"]["201"]["links"] = found


def _parameters() -> Json:
    return {
        "LastEventId": {
            "name": "Last-Event-ID",
            "in": "header",
            "description": "The id of the last event that was handled: what follows it comes.",
            "schema": {"type": "string", "pattern": "^[0-9]{1,18}$"},
        },
        "IdempotencyKey": {
            "name": "Idempotency-Key",
            "in": "header",
            "description": "The same key with the same request makes one resource, whose present"
            " state is answered; with another request 409.",
            "schema": {"type": "string", "pattern": "^[!-~]{1,128}$"},
            "example": "5f0c-1",
        },
        "IfMatch": {
            "name": "If-Match",
            "in": "header",
            "description": "The ETag of the state that the change is meant for; 412 when there is"
            " another one by now.",
            "schema": {"type": "string", "pattern": '^"[1-9][0-9]{0,17}"$'},
        },
    }


def _headers() -> Json:
    return {
        "ETag": {
            "description": "The version, quoted, for If-Match.",
            "schema": {"type": "string", "pattern": '^"[1-9][0-9]*"$'},
        },
        "RetryAfter": {
            "description": "Seconds after which to come again.",
            "schema": {"type": "integer", "minimum": 1},
        },
    }


def _error(status: str) -> Json:
    response: Json = {"description": ERRORS[status]}
    if status in WAITS:
        response["headers"] = {"Retry-After": {"$ref": "#/components/headers/RetryAfter"}}
    error = {"$ref": "#/components/schemas/Error"}
    response["content"] = {"application/json": {"schema": error}}
    return response


def _error_schema(schemas: Schemas) -> Json:
    reasons = error_reason_pb2.DESCRIPTOR.enum_types_by_name["ErrorReason"]
    names = [value.name for value in reasons.values if value.number != 0]
    words = [
        f"`{n.removeprefix(_REASON)}`: {schemas.comment(f'{reasons.full_name}.{n}')}" for n in names
    ]
    info = {
        "type": "object",
        "properties": {
            "@type": {"const": "type.googleapis.com/google.rpc.ErrorInfo"},
            "reason": {
                "type": "string",
                "enum": [name.removeprefix(_REASON) for name in names],
                "description": "\n".join(words),
            },
            "domain": {"const": "tradingtools"},
            "metadata": {"type": "object", "additionalProperties": {"type": "string"}},
        },
        "required": ["@type", "reason", "domain"],
    }
    return {
        "type": "object",
        "description": "The one shape of every error; its ErrorInfo says why.",
        "properties": {
            "code": {"type": "integer", "description": "google.rpc.Code"},
            "message": {"type": "string", "description": "For people."},
            "details": {
                "type": "array",
                "minItems": 1,
                "contains": info,
                "items": {"type": "object"},
            },
        },
        "required": ["code", "message", "details"],
    }
