"""Every malformed request is a 400 that names the field, and changes nothing."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from tests.control.edge import RunningEdge
from tests.control.requests import (
    Database,
    count,
    create_subscription,
    error_of,
    subscription_body,
)

Wallet = Callable[[], str]
JSON = {"Content-Type": "application/json"}
PROXY = "0x" + "ab" * 20
VALID = json.dumps(subscription_body(PROXY))
FOLLOWER = json.dumps(subscription_body(PROXY)["follower"])


def _with(**changes: object) -> str:
    return json.dumps(subscription_body(PROXY, **changes))


def _raw(more: str) -> str:
    """The valid body with something written behind its last field."""
    return VALID[:-1] + ", " + more + "}"


@pytest.mark.parametrize(
    ("body", "reason", "field"),
    [
        pytest.param("", "MALFORMED_BODY", None, id="empty"),
        pytest.param("   ", "MALFORMED_BODY", None, id="blank"),
        pytest.param("{", "MALFORMED_BODY", None, id="not-json"),
        pytest.param("[]", "MALFORMED_BODY", None, id="array"),
        pytest.param("null", "MALFORMED_BODY", None, id="null"),
        pytest.param(VALID + "{}", "MALFORMED_BODY", None, id="two-values"),
        pytest.param("[" * 5000, "MALFORMED_BODY", None, id="deep"),
        pytest.param('{"a":' * 5000, "MALFORMED_BODY", None, id="deep-objects"),
        pytest.param(_raw('"x": NaN'), "MALFORMED_BODY", None, id="nan"),
        pytest.param(_raw('"x": -Infinity'), "MALFORMED_BODY", None, id="infinity"),
        pytest.param(_raw('"x": ' + "9" * 5000), "MALFORMED_BODY", None, id="huge-number"),
        pytest.param(_raw('"x": 1e99999999999999999999'), "MALFORMED_BODY", None, id="exponent"),
        pytest.param("{}", "INVALID_FIELD", "follower", id="nothing"),
        pytest.param(_raw('"maxSlipage": "0.1"'), "UNKNOWN_FIELD", "maxSlipage", id="unknown"),
        pytest.param(
            _with(limits={"maxSlipage": "0.1"}),
            "UNKNOWN_FIELD",
            "limits.maxSlipage",
            id="unknown-nested",
        ),
        pytest.param(
            _with(limits={"max_slippage": "0.1"}),
            "UNKNOWN_FIELD",
            "limits.max_slippage",
            id="snake-case",
        ),
        pytest.param(_raw('"id": "sub_1"'), "UNKNOWN_FIELD", "id", id="id-in-create"),
        pytest.param(
            _raw('"leader": "0x' + "cd" * 20 + '"'), "MALFORMED_BODY", "leader", id="twice"
        ),
        pytest.param(
            VALID.replace('"amount": "25"', '"amount": "25", "amount": "9"'),
            "MALFORMED_BODY",
            "sizing.fixed.amount",
            id="twice-nested",
        ),
        pytest.param(
            _with(sizing={"fixed": {"amount": 25}}),
            "INVALID_FIELD",
            "sizing.fixed.amount",
            id="amount-as-number",
        ),
        pytest.param(
            _with(sizing={"fixed": {"amount": "2.5e1"}}),
            "INVALID_FIELD",
            "sizing.fixed.amount",
            id="exponent-amount",
        ),
        pytest.param(
            _with(sizing={"fixed": {"amount": "NaN"}}),
            "INVALID_FIELD",
            "sizing.fixed.amount",
            id="nan-amount",
        ),
        pytest.param(
            _with(sizing={"fixed": {"amount": "0"}}),
            "INVALID_FIELD",
            "sizing.fixed.amount",
            id="zero-amount",
        ),
        pytest.param(
            _with(sizing={"fixed": {"amount": "1\n"}}),
            "INVALID_FIELD",
            "sizing.fixed.amount",
            id="newline",
        ),
        pytest.param(
            _with(sizing={"ratio": {"ratio": "100.000001"}}),
            "INVALID_FIELD",
            "sizing.ratio.ratio",
            id="ratio-above-100",
        ),
        pytest.param(_with(sizing={}), "INVALID_FIELD", "sizing.mode", id="no-sizing-mode"),
        pytest.param(
            _with(sizing={"fixed": {"amount": "1"}, "ratio": {"ratio": "1"}}),
            "INVALID_FIELD",
            "sizing.ratio",
            id="two-sizing-modes",
        ),
        pytest.param(_with(limits=None), "INVALID_FIELD", "limits", id="null-message"),
        pytest.param(
            _with(limits={"maxPerTrade": None}),
            "INVALID_FIELD",
            "limits.maxPerTrade",
            id="null-amount",
        ),
        pytest.param(
            _with(limits={"maxPerTrade": "-1"}),
            "INVALID_FIELD",
            "limits.maxPerTrade",
            id="negative",
        ),
        pytest.param(
            _with(limits={"maxSlippage": "1"}),
            "INVALID_FIELD",
            "limits.maxSlippage",
            id="slippage-1",
        ),
        pytest.param(
            _with(limits={"maxAgeMs": "5000"}),
            "INVALID_FIELD",
            "limits.maxAgeMs",
            id="number-as-text",
        ),
        pytest.param(
            _with(limits={"maxAgeMs": 5000.5}), "INVALID_FIELD", "limits.maxAgeMs", id="fraction"
        ),
        pytest.param(
            _with(limits={"maxAgeMs": True}), "INVALID_FIELD", "limits.maxAgeMs", id="bool"
        ),
        pytest.param(
            _with(limits={"maxAgeMs": 2**31}), "INVALID_FIELD", "limits.maxAgeMs", id="too-big"
        ),
        pytest.param(
            _with(limits={"maxAgeMs": 99}), "INVALID_FIELD", "limits.maxAgeMs", id="below-range"
        ),
        pytest.param(_with(leader=["0x"]), "INVALID_FIELD", "leader", id="list-for-string"),
        pytest.param(_with(leader="0x12"), "INVALID_FIELD", "leader", id="pattern"),
        pytest.param(_with(leader=PROXY), "INVALID_FIELD", "leader", id="follows-himself"),
        pytest.param(
            VALID.replace("user-1", "user\\u0000"),
            "INVALID_FIELD",
            "follower.followerUserId",
            id="nul",
        ),
        pytest.param(
            VALID.replace("user-1", "user\\ud800"),
            "INVALID_FIELD",
            "follower.followerUserId",
            id="lone-surrogate",
        ),
        pytest.param(
            VALID.replace("user-1", "us er"),
            "INVALID_FIELD",
            "follower.followerUserId",
            id="pattern-nested",
        ),
    ],
)
def test_a_bad_create_names_the_field(
    edge: RunningEdge, database: Database, body: str, reason: str, field: str | None
) -> None:
    before = count(database, "control_change")
    response = edge.call("POST", "/subscriptions", content=body, headers=JSON)
    status, found, metadata = error_of(response)
    assert (status, found, metadata.get("field")) == (400, reason, field)
    assert count(database, "control_change") == before


_MODES = "one of EXIT_MODE_MIRROR, EXIT_MODE_ALL, EXIT_MODE_NONE"
_FRACTION = 'a decimal string in quotes, such as "0.1", more than 0 and less than 1'
_AMOUNT = 'a decimal string in quotes, such as "25", 0 or more, at most six decimals'


@pytest.mark.parametrize(
    ("body", "field", "expected"),
    [
        (_with(sizing={"fixed": {"amount": 25}}), "sizing.fixed.amount", _AMOUNT),
        (_with(sizing={"fixed": {"amount": "1e3"}}), "sizing.fixed.amount", _AMOUNT),
        (
            _with(sizing={"fixed": {}}),
            "sizing.fixed.amount",
            f"is required: {_AMOUNT}",
        ),
        (_with(triggers={"stopLoss": "1.5"}), "triggers.stopLoss", _FRACTION),
        (_with(triggers={"stopLoss": 0.5}), "triggers.stopLoss", _FRACTION),
        (_with(exits={"mode": "ALL"}), "exits.mode", _MODES),
        (_with(filters={"leader": {}}), "filters.leader", "at least one bound"),
        (
            _with(filters={"leader": {"minWinRate": "1.5"}}),
            "filters.leader.minWinRate",
            "at most 1",
        ),
        (_with(exits={"mode": "EXIT_MODE_UNSPECIFIED"}), "exits.mode", _MODES),
        (_with(leader=None), "leader", "a string in quotes: a wallet: 0x and 40 hex digits"),
        (_with(leader=""), "leader", "is required: a wallet: 0x and 40 hex digits"),
        (_with(limits={"maxAgeMs": 99}), "limits.maxAgeMs", "a whole number from 100 to 3600000"),
        (_with(limits={"maxAgeMs": "x"}), "limits.maxAgeMs", "a whole number from 100 to 3600000"),
        ("{}", "follower", "is required"),
        (
            _with(sizing={}),
            "sizing.mode",
            "is required: exactly one of fixed, ratio, proportional, tiers",
        ),
        (_with(sizing={"tiers": {}}), "sizing.tiers.tiers", "at least 1 elements"),
        (
            VALID.replace("user-1", "us er"),
            "follower.followerUserId",
            "1 to 128 characters, visible ASCII only",
        ),
    ],
)
def test_what_is_expected_is_said_in_words(
    edge: RunningEdge, body: str, field: str, expected: str
) -> None:
    response = edge.call("POST", "/subscriptions", content=body, headers=JSON)
    assert error_of(response) == (400, "INVALID_FIELD", {"field": field, "expected": expected})


@pytest.mark.parametrize(
    ("path", "field", "expected"),
    [
        ("/simple-triggers", "walletAddress", "is required: a wallet: 0x and 40 hex digits"),
        ("/triggers?wallet=me", "wallet", "a wallet: 0x and 40 hex digits; or empty"),
        (f"/triggers?wallet={PROXY}&pageSize=201", "pageSize", "a whole number from 0 to 200"),
        (f"/triggers?wallet={PROXY}&pageSize=many", "pageSize", "a whole number from 0 to 200"),
        ("/triggers/trg_1", "id", "trg_ and 32 hex digits"),
    ],
)
def test_what_a_parameter_expects_is_said_in_words(
    edge: RunningEdge, path: str, field: str, expected: str
) -> None:
    assert error_of(edge.call("GET", path)) == (
        400, "INVALID_FIELD", {"field": field, "expected": expected},
    )  # fmt: skip


def test_a_control_character_is_named_as_what_is_wrong(edge: RunningEdge) -> None:
    body = VALID.replace("user-1", "user\\n")
    response = edge.call("POST", "/subscriptions", content=body, headers=JSON)
    assert error_of(response)[2] == {
        "field": "follower.followerUserId", "expected": "a string without control characters",
    }  # fmt: skip


def test_bytes_that_are_no_text_are_refused(edge: RunningEdge) -> None:
    body = VALID.encode().replace(b"user-1", b"user\xff")
    response = edge.call("POST", "/subscriptions", content=body, headers=JSON)
    assert error_of(response)[:2] == (400, "MALFORMED_BODY")


@pytest.mark.parametrize("kind", [None, "text/plain", "application/x-www-form-urlencoded"])
def test_a_body_has_to_say_that_it_is_json(edge: RunningEdge, kind: str | None) -> None:
    headers = {} if kind is None else {"Content-Type": kind}
    response = edge.call("POST", "/subscriptions", content=VALID, headers=headers)
    status, reason, metadata = error_of(response)
    assert (status, reason, metadata["field"]) == (400, "INVALID_FIELD", "Content-Type")


def test_a_body_above_64_kib_is_refused(edge: RunningEdge) -> None:
    response = edge.call("POST", "/subscriptions", content=b" " * 65537, headers=JSON)
    assert error_of(response)[:2] == (413, "MALFORMED_BODY")


@pytest.mark.parametrize("name", ["*", "!", "^|`", "x-other", "grpc-timeout", "user-agent"])
def test_a_header_that_nobody_reads_does_no_harm(
    edge: RunningEdge, wallet: Wallet, name: str
) -> None:
    body = subscription_body(wallet())
    response = edge.call("POST", "/subscriptions", json=body, headers={name: "1n"})
    assert response.status_code == 201, response.text


def test_too_large_headers_are_refused(edge: RunningEdge) -> None:
    response = edge.call("GET", "/health", headers={"X-Large": "x" * 20_000})
    assert error_of(response)[:2] == (431, "MALFORMED_BODY")


@pytest.mark.parametrize(
    ("query", "reason", "field"),
    [
        (f"followerProxy={PROXY}&foo=1", "UNKNOWN_FIELD", "foo"),
        (f"follower_proxy={PROXY}", "UNKNOWN_FIELD", "follower_proxy"),
        (f"followerProxy={PROXY}&followerProxy={PROXY}", "INVALID_FIELD", "followerProxy"),
        (f"followerProxy={PROXY}%0A", "INVALID_FIELD", "followerProxy"),
        (f"followerProxy={PROXY}%00", "INVALID_FIELD", "followerProxy"),
        (f"followerProxy={PROXY}%FF", "INVALID_FIELD", "followerProxy"),
        (f"followerProxy={PROXY}&pageToken=%00", "INVALID_FIELD", "pageToken"),
        # A space as forms write it: it was read in two ways, and the seal fitted neither.
        (f"followerProxy={PROXY}&pageToken=a+b", "INVALID_FIELD", "pageToken"),
        ("followerProxy=0x12", "INVALID_FIELD", "followerProxy"),
        (f"followerProxy={PROXY}&=1", "UNKNOWN_FIELD", '""'),
        (f"followerProxy={PROXY}&pageSize=1e2", "INVALID_FIELD", "pageSize"),
        (f"followerProxy={PROXY}&pageSize=201", "INVALID_FIELD", "pageSize"),
        (f"followerProxy={PROXY}&pageSize=-1", "INVALID_FIELD", "pageSize"),
    ],
)
def test_a_bad_query_names_the_parameter(
    edge: RunningEdge, query: str, reason: str, field: str
) -> None:
    status, found, metadata = error_of(edge.call("GET", f"/subscriptions?{query}"))
    assert (status, found, metadata["field"]) == (400, reason, field)


def test_the_path_alone_says_which_subscription(edge: RunningEdge, wallet: Wallet) -> None:
    """Neither body nor query can turn a call on one subscription into a call on another."""
    mine = create_subscription(edge, wallet())["id"]
    other = create_subscription(edge, wallet())["id"]
    for response in (
        edge.call("PATCH", f"/subscriptions/{mine}", json={"id": other, "limits": {}}),
        edge.call("POST", f"/subscriptions/{mine}/pause?id={other}"),
        edge.call("DELETE", f"/subscriptions/{mine}?id={other}"),
        edge.call("GET", f"/subscriptions/{mine}?id={other}"),
    ):
        assert error_of(response) == (400, "UNKNOWN_FIELD", {"field": "id"})
    for identifier in (mine, other):
        assert edge.call("GET", f"/subscriptions/{identifier}").json()["version"] == "1"


def test_a_route_without_a_body_takes_an_empty_object_at_most(
    edge: RunningEdge, wallet: Wallet
) -> None:
    path = f"/subscriptions/{create_subscription(edge, wallet())['id']}"
    assert edge.call("POST", f"{path}/pause", json={}).status_code == 200
    refused = edge.call("POST", f"{path}/resume", json={"state": "ACTIVE"})
    assert error_of(refused)[:2] == (400, "MALFORMED_BODY")
    assert edge.call("GET", path).json()["state"] == "SUBSCRIPTION_STATE_PAUSED"


@pytest.mark.parametrize("body", ["{}", '{"version": "1"}'])
def test_a_patch_of_nothing_is_refused(edge: RunningEdge, wallet: Wallet, body: str) -> None:
    path = f"/subscriptions/{create_subscription(edge, wallet())['id']}"
    status, reason, metadata = error_of(edge.call("PATCH", path, content=body, headers=JSON))
    assert (status, reason, metadata["field"]) == (400, "INVALID_FIELD", "body")


def test_a_malformed_id_is_refused(edge: RunningEdge) -> None:
    status, reason, metadata = error_of(edge.call("GET", "/subscriptions/sub_1"))
    assert (status, reason, metadata["field"]) == (400, "INVALID_FIELD", "id")
