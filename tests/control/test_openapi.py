"""The description of REST: what the edge serves, and that what it shows is so."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from tests.control.edge import MANAGE, READ, RunningEdge
from tests.control.leader_documents import leader, publish
from tests.control.requests import (
    Database,
    create_subscription,
    create_trigger,
    error_of,
    put_order,
)
from tools.openapi.__main__ import DOCUMENT
from tools.openapi.document import text
from tools.openapi.examples import LEADER

Wallet = Callable[[], str]
STORED: dict[str, Any] = json.loads(DOCUMENT.read_text(encoding="utf-8"))
OPERATIONS = [
    pytest.param(path, verb, operation, id=operation["operationId"])
    for path, verbs in STORED["paths"].items()
    for verb, operation in verbs.items()
    # Behind this edge is control alone; tests of their own ask the others, and those of people.
    if not operation["tags"][0].startswith(
        ("eventfeed", "webhook", "wallet", "bot", "risk", "login", "user")
    )
]
VERSIONED = [
    (path, verb, operation["operationId"])
    for path, verbs in STORED["paths"].items()
    for verb, operation in verbs.items()
    if {"$ref": "#/components/parameters/IfMatch"} in operation.get("parameters", [])
    # Those of bots fit some of their states alone: tests/control/test_bot_reports.py.
    and not path.startswith("/bots")
]


def test_the_stored_document_is_what_the_protos_say() -> None:
    assert DOCUMENT.read_text(encoding="utf-8") == text(), "run make proto"


def test_whatever_a_client_sends_is_described() -> None:
    schemas = STORED["components"]["schemas"]
    sent = {name: of for name, of in schemas.items() if of.get("additionalProperties") is False}
    assert {"CreateSubscriptionRequest", "CreateTriggerRequest", "ManualLotInput"} <= set(sent)
    bare = [
        f"{name}.{field}"
        for name, of in sent.items()
        for field, words in of.get("properties", {}).items()
        if "description" not in words and "$ref" not in words
    ]
    bare += [
        f"{verb} {path} {given['name']}"
        for path, verbs in STORED["paths"].items()
        for verb, operation in verbs.items()
        for given in operation.get("parameters", [])
        if "$ref" not in given and "description" not in given
    ]
    assert bare == []


def test_the_edge_serves_it_behind_the_token(edge: RunningEdge) -> None:
    answer = edge.call("GET", "/openapi.json", READ)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    assert answer.json() == STORED
    assert error_of(edge.call("GET", "/openapi.json", None))[0] == 401


def _ids(edge: RunningEdge, wallet: str, database: Database) -> dict[str, str]:
    subscription = create_subscription(edge, wallet)["id"]
    resync = edge.call("POST", f"/subscriptions/{subscription}/resync").json()["id"]
    return {
        "/subscriptions": subscription,
        "/resyncs": resync,
        "/orders": put_order(database, wallet, subscription, "UNKNOWN"),
        "/triggers": create_trigger(edge, wallet, subscription)["id"],
    }


def _validator(schema: Any) -> Draft202012Validator:
    # The schema stands beside the components that it refers to.
    return Draft202012Validator(schema | {"components": STORED["components"]})


def _example(operation: dict[str, Any], wallet: str, subscription: str) -> dict[str, Any]:
    """Arguments of the call that the document shows, about resources that exist."""
    changed: dict[str, Any] = {}
    body = operation.get("requestBody", {}).get("content", {}).get("application/json")
    if body is not None:
        shown = dict(body["example"])
        assert list(_validator(body["schema"]).iter_errors(shown)) == []
        for name in ("wallet", "walletAddress"):
            if name in shown:
                shown |= {name: wallet}
        if "follower" in shown:
            # Another test may have seen the example's wallet first, with another user.
            fresh = f"0x{secrets.token_hex(20)}"
            shown |= {"follower": shown["follower"] | {"followerProxy": fresh}}
        if "subscriptionId" in shown:
            shown |= {"subscriptionId": subscription}
        changed["json"] = shown
    query = {
        p["name"]: p["example"] for p in operation.get("parameters", []) if p.get("in") == "query"
        and "example" in p
    }  # fmt: skip
    for name in ("wallet", "walletAddress", "followerProxy"):
        if name in query:
            query[name] = wallet
    return changed | {"params": query}


@pytest.mark.parametrize(("path", "verb", "operation"), OPERATIONS)
def test_every_example_works_and_the_answer_is_as_described(
    edge: RunningEdge,
    wallet: Wallet,
    database: Database,
    path: str,
    verb: str,
    operation: dict[str, Any],
) -> None:
    follower = wallet()
    ids = _ids(edge, follower, database)
    publish(edge.redis_url, leader(LEADER))
    target = path.replace("{id}", ids.get("/" + path.split("/")[1], ""))
    target = target.replace("{wallet}", LEADER)
    example = _example(operation, follower, ids["/subscriptions"])
    answer = edge.call(verb.upper(), target, MANAGE, **example)
    good = next(status for status in operation["responses"] if status.startswith("2"))
    assert str(answer.status_code) == good, answer.text
    described = operation["responses"][good]
    schema = described["content"]["application/json"]["schema"]
    assert list(_validator(schema).iter_errors(answer.json())) == []
    assert ("headers" in described) == ("etag" in answer.headers)


@pytest.mark.parametrize("body", [
    b"", b"[]", b"null", b"{", b'{"x":1}', b'{"leader":1,"leader":1}',
])  # fmt: skip
def test_every_error_is_as_described(edge: RunningEdge, body: bytes) -> None:
    headers = {"content-type": "application/json"}
    answer = edge.call("POST", "/subscriptions", content=body, headers=headers)
    assert answer.status_code == 400
    schema = {"$ref": "#/components/schemas/Error"}
    assert list(_validator(schema).iter_errors(answer.json())) == []


def _versions(answer: Any) -> Iterator[str]:
    yield answer.headers["etag"]
    yield '"' + answer.json()["version"] + '"'


@pytest.mark.parametrize(("path", "verb", "name"), VERSIONED)
def test_a_change_of_another_state_is_refused(
    edge: RunningEdge, wallet: Wallet, database: Database, path: str, verb: str, name: str
) -> None:
    follower = wallet()
    ids = _ids(edge, follower, database)
    resource = "/" + path.split("/")[1]
    one = f"{resource}/{ids[resource]}"
    target = path.replace("{id}", ids[resource])
    operation = STORED["paths"][path][verb]
    example = _example(operation, follower, ids["/subscriptions"])
    etag, version = _versions(edge.call("GET", one))
    assert etag == version
    for stale in ('"99"', '"2"'):
        answer = edge.call(verb.upper(), target, headers={"If-Match": stale}, **example)
        assert error_of(answer)[:2] == (412, "CONFLICT"), name
    for malformed in ("1", '"0"', "*", 'W/"1"', '"1", "2"', ""):
        answer = edge.call(verb.upper(), target, headers={"If-Match": malformed}, **example)
        assert error_of(answer)[:2] == (400, "INVALID_FIELD"), (name, malformed)
        assert error_of(answer)[2]["field"] == "If-Match"
    assert edge.call("GET", one).headers["etag"] == etag
    answer = edge.call(verb.upper(), target, headers={"If-Match": etag}, **example)
    assert answer.status_code == 200, answer.text
    assert len(set(_versions(answer))) == 1
