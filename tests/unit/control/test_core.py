"""The pure decisions of control: tokens, seals, shapes, pages."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.control import paging
from services.control.auth.tokens import (
    PUBLIC,
    Caller,
    TokenError,
    authenticate,
    authorize,
    parse_tokens,
)
from services.control.edge.admission_rules import Routes
from services.control.edge.contract import public_routes
from services.control.edge.seal import LIFE_MS, Call, seal, unseal
from services.control.edge.shapes import Field, Kind, Shape, check_body, check_query
from tests.control.edge import MANAGE, READ, TOKENS, digest
from tradingtools.domain.errors import InvalidField, NotAllowed, TradingError, Unauthenticated
from tradingtools.domain.permissions import Permission

PAUSE = "/tradingtools.v1.ControlService/PauseSubscription"
READS = "/tradingtools.v1.ControlService/GetSubscription"
SHAPE = Shape(
    {
        "name": Field(kind=Kind.STRING),
        "count": Field(kind=Kind.INT32),
        "version": Field(kind=Kind.INT64),
        "on": Field(kind=Kind.BOOL),
        "kind": Field(kind=Kind.ENUM, names=frozenset({"A", "B"})),
        "inner": Field(kind=Kind.MESSAGE, shape=Shape({"name": Field(kind=Kind.STRING)})),
    }
)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " , ",
        "a:manage",
        "a:manage:xyz",
        "a:admin:" + "0" * 64,
        "A:manage:" + "0" * 64,
        f"a:manage:{digest('1')},a:read:{digest('2')}",
        f"a:manage:{digest('1')},b:read:{digest('1')}",
        ",".join(f"a{n}:manage:{digest(str(n))}" for n in range(3)),
    ],
)
def test_a_malformed_list_of_tokens_is_refused(text: str) -> None:
    with pytest.raises(TokenError) as refused:
        parse_tokens(text)
    assert "0" * 64 not in str(refused.value)


def test_two_tokens_of_a_scope_are_active_at_once() -> None:
    first, second = "11" * 32, "22" * 32
    tokens = parse_tokens(f"old:manage:{digest(first)},new:manage:{digest(second)}")
    assert authenticate(tokens, f"Bearer {first}") == Caller("old", Permission.MANAGE)
    assert authenticate(tokens, f"bearer {second}") == Caller("new", Permission.MANAGE)


def test_a_scope_reaches_so_far() -> None:
    tokens = parse_tokens(TOKENS)
    assert authorize(tokens, PAUSE, f"Bearer {MANAGE}").id == "backend"
    assert authorize(tokens, READS, f"Bearer {READ}").id == "viewer"
    with pytest.raises(NotAllowed):
        authorize(tokens, PAUSE, f"Bearer {READ}")
    with pytest.raises(NotAllowed):
        authorize(tokens, "/tradingtools.v1.OperatorService/SetHalt", f"Bearer {MANAGE}")
    with pytest.raises(Unauthenticated):
        authorize(tokens, READS, "")


def test_empty_token_is_none_even_if_its_digest_is_set() -> None:
    tokens = parse_tokens(f"a:manage:{digest('')}")
    with pytest.raises(Unauthenticated):
        authenticate(tokens, "Bearer ")


BACKEND = Caller("backend", Permission.MANAGE)
ACTIVE = parse_tokens(TOKENS)
PAUSED = Call(PAUSE, b"this one")


def _opened(value: str, **changes: Any) -> Caller | None:
    given: dict[str, Any] = {
        "key": b"k" * 32,
        "tokens": ACTIVE,
        "call": PAUSED,
        "now_ms": 50_000,
    } | changes
    return unseal(value=value, **given)


def test_a_seal_opens_one_call_for_one_caller_for_seconds() -> None:
    sealed = seal(b"k" * 32, BACKEND, ACTIVE, PAUSED, 40_000)
    assert _opened(sealed) == BACKEND
    assert _opened(sealed, now_ms=40_000 + LIFE_MS) == BACKEND
    assert _opened(sealed, now_ms=40_001 + LIFE_MS) is None
    assert _opened(sealed, now_ms=39_999 - LIFE_MS) is None
    assert _opened(sealed, key=b"x" * 32) is None
    assert _opened(sealed, call=Call(READS, b"this one")) is None
    assert _opened(sealed, call=Call(PAUSE, b"another one")) is None
    assert _opened(sealed.replace(":40000:", ":49000:"), now_ms=60_000) is None
    assert _opened(sealed.replace("backend:manage", "viewer:read")) is None
    for broken in ("", "a:b:é", "a:b:1:c", f"backend:root::1:{'0' * 64}", f"{sealed}0"):
        assert _opened(broken) is None


def test_a_seal_ends_with_its_token() -> None:
    sealed = seal(b"k" * 32, BACKEND, ACTIVE, PAUSED, 40_000)
    assert _opened(sealed, tokens=ACTIVE[1:]) is None
    again = parse_tokens(f"backend:manage:{digest('another')}")
    assert _opened(sealed, tokens=again) is None


def test_the_public_is_sealed_without_a_token() -> None:
    sealed = seal(b"k" * 32, PUBLIC, (), PAUSED, 40_000)
    assert _opened(sealed, tokens=()) == PUBLIC


@given(st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.sampled_from(
        list(SHAPE.fields)), inner), max_leaves=12))  # fmt: skip
def test_any_json_is_either_right_or_refused_by_name(value: object) -> None:
    """Test that whatever passes has only known fields of the right type."""
    raw = json.dumps(value).encode()
    try:
        check_body(SHAPE, raw)
    except TradingError:
        return
    assert isinstance(value, dict)
    kinds = {"name": str, "count": int, "on": bool, "kind": str, "inner": dict}
    for name, given_value in value.items():
        if name != "version":
            assert type(given_value) is kinds[name]


@given(st.binary(max_size=200))
def test_any_bytes_are_either_right_or_refused(raw: bytes) -> None:
    try:
        check_body(SHAPE, raw)
    except TradingError:
        return
    assert isinstance(json.loads(raw), dict)


@given(st.text(max_size=80))
def test_any_query_is_either_right_or_refused(query: str) -> None:
    try:
        check_query(SHAPE, query)
    except TradingError:
        return
    assert all(part.split("=")[0] in SHAPE.fields for part in query.split("&") if part)


@pytest.mark.parametrize(("value", "fits"), [
    ("9223372036854775807", True), ("9223372036854775808", False), ("01", False), ("1e3", False),
    (9223372036854775807, True), (9223372036854775808, False), (True, False), (1.0, False),
])  # fmt: skip
def test_a_version_may_be_sent_back_as_it_came(value: object, fits: bool) -> None:
    raw = json.dumps({"version": value}).encode()
    if fits:
        check_body(SHAPE, raw)
        return
    with pytest.raises(InvalidField) as refused:
        check_body(SHAPE, raw)
    assert refused.value.metadata["field"] == "version"


@pytest.mark.parametrize(
    "path",
    ["/subscriptions/", "//subscriptions", "/subscriptions/x%2fpause", "/subscriptions//pause",
     "subscriptions", "*", "", "/subscriptions/x/pause/", "/SUBSCRIPTIONS", "/subscriptions\u00e9"],
)  # fmt: skip
def test_a_path_is_matched_exactly_or_not_at_all(path: str) -> None:
    assert all(
        Routes(public_routes()).find(verb, path) is None for verb in ("GET", "POST", "DELETE")
    )


@given(
    st.datetimes(
        timezones=st.just(UTC), min_value=datetime(1970, 1, 1), max_value=datetime(9999, 1, 1)
    ),
    st.lists(st.from_regex("[!-~]{0,80}", fullmatch=True), max_size=4),
)
def test_a_page_token_comes_back_exactly(at: datetime, rest: list[str]) -> None:
    token = paging.encode("list", at, *rest)
    assert paging.decode("list", token, len(rest)) == (at, rest)
    with pytest.raises(InvalidField):
        paging.decode("another", token, len(rest))
    with pytest.raises(InvalidField):
        paging.decode("list", token, len(rest) + 1)


@given(st.text(min_size=1, max_size=60))
def test_a_made_up_page_token_is_refused(token: str) -> None:
    with pytest.raises(InvalidField):
        paging.decode("list", token, 1)


LISTS = Shape(
    {
        "names": Field(kind=Kind.STRING, many=True),
        "rungs": Field(kind=Kind.MESSAGE, many=True, shape=Shape({"on": Field(kind=Kind.BOOL)})),
        "since": Field(kind=Kind.TIMESTAMP),
    }
)


@pytest.mark.parametrize("body", [
    {"names": []}, {"names": ["a", "b"]}, {"rungs": [{"on": True}, {}]},
    {"since": "2026-01-31T12:00:00Z"}, {"since": "2026-01-31T12:00:00.123456+02:00"},
])  # fmt: skip
def test_lists_and_instants_that_fit(body: object) -> None:
    check_body(LISTS, json.dumps(body).encode())


@pytest.mark.parametrize(("body", "field"), [
    ({"names": "a"}, "names"), ({"names": {"a": "b"}}, "names"), ({"names": None}, "names"),
    ({"names": ["a", 1]}, "names[1]"), ({"names": [["a"]]}, "names[0]"),
    ({"rungs": [{}, {"on": 1}]}, "rungs[1].on"), ({"rungs": [{"off": True}]}, "rungs[0].off"),
    ({"rungs": {"on": True}}, "rungs"), ({"since": 5}, "since"), ({"since": "2026-01-31"}, "since"),
    ({"since": {"seconds": 5}}, "since"),
])  # fmt: skip
def test_lists_and_instants_that_do_not_fit_are_named(body: object, field: str) -> None:
    with pytest.raises(TradingError) as refused:
        check_body(LISTS, json.dumps(body).encode())
    assert refused.value.metadata["field"] == field
