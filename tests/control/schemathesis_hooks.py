"""Checks that schemathesis demands of every answer beyond its own checks."""

from __future__ import annotations

import os
from typing import Any

import schemathesis

CORE = frozenset(
    f"{verb} /{kind}{path}"
    for kind in ("subscriptions", "triggers")
    for verb, path in (("POST", ""), ("GET", ""), ("GET", "/{id}"), ("PATCH", "/{id}"))
)
"""What even few requests reach: create, list, get, change."""
PEOPLE = frozenset({"POST /users", "GET /users", "PATCH /users/{id}", "GET /user-events"})
"""The same, of routes that a person alone may ask, before the run disables its own user."""
SEALED = frozenset(
    {
        "POST /wallets",
        "GET /wallets/{id}",
        "DELETE /wallets/{id}",
        "POST /wallets/{id}/check",
        "POST /wallets/{id}/rotate",
        "POST /bots",
        "GET /bots/{id}",
        "POST /bots/{id}/start",
        "POST /bots/{id}/stop",
        "POST /bots/{id}/pause",
        "POST /bots/{id}/resume",
        "GET /bots/{id}/orders",
        "GET /bots/{id}/fills",
        "PUT /risk/limits",
        "GET /risk/kill-switch/{id}",
        "DELETE /risk/kill-switch/{id}",
        "POST /engines/{name}/drain",
        "POST /engines/{name}/undrain",
    }
)
"""Need credentials that an exchange takes, a wallet of them, or a kill switch; tests/signer,
tests/bots and tests/control/test_risk.py have them."""


@schemathesis.check
def every_error_has_the_one_shape(_context: Any, response: Any, _case: Any) -> None:
    """Code, sentence and ErrorInfo; what is refused for a field names it and what was expected."""
    if response.status_code < 400:
        return
    body = response.json()
    assert set(body) == {"code", "message", "details"}, body
    info = body["details"][0]
    assert info["@type"] == "type.googleapis.com/google.rpc.ErrorInfo"
    metadata = info.get("metadata", {})
    if info["reason"] == "INVALID_FIELD":
        assert metadata.get("field"), body
        assert metadata.get("expected"), body
    if info["reason"] == "UNKNOWN_FIELD":
        assert metadata.get("field"), body


@schemathesis.check
class EveryOperationWorks:
    """Each operation succeeded once, so that what was refused was not refused for its address."""

    def __init__(self) -> None:
        self.tried: set[str] = set()
        self.worked: set[str] = set()

    def after_response(self, _context: Any, response: Any, case: Any) -> None:
        """Note what became of a call."""
        self.tried.add(case.operation.label)
        if 200 <= response.status_code < 300:
            self.worked.add(case.operation.label)

    def after_run(self, _context: Any) -> None:
        """Judge the whole run."""
        desired = {
            "core": CORE,
            "people": PEOPLE,
            "all": self.tried - SEALED | CORE,
        }[os.environ["EDGE_MUST_WORK"]]
        assert desired <= self.worked, f"never worked: {sorted(desired - self.worked)}"


@schemathesis.check
class WhatIsDeletedStaysDeleted:
    """A deleted resource stays readable, in the state in which DELETE answered it."""

    def __init__(self) -> None:
        self.ends: dict[tuple[str, str], str] = {}
        self.undone: list[str] = []

    def after_response(self, _context: Any, response: Any, case: Any) -> None:
        """Note how a deletion left a resource, and what a later answer says of it."""
        if not 200 <= response.status_code < 300:
            return
        body = response.json()
        for field in ("state", "status"):
            if "id" not in body or field not in body:
                continue
            key = (body["id"], field)
            # Simple triggers are those of `/triggers`, and a repeated create answers as it stands.
            found = body[field].removeprefix("TRIGGER_STATUS_").lower()
            if case.operation.method.lower() == "delete":
                self.ends.setdefault(key, found)
            if self.ends.get(key, found) != found:
                self.undone.append(f"{body['id']}: {self.ends[key]}, then {found}")

    def after_run(self, _context: Any) -> None:
        """Judge the whole run."""
        assert not self.undone, self.undone
