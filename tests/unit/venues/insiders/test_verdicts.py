"""Only two answers are proofs; every other status, code and byte string says nothing."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.executor.core.retry_delay import PAUSE_MS, next_try_ms
from tradingtools.venues.insiders.schemas import DEFINITIVE_REJECTIONS
from tradingtools.venues.insiders.verdicts import classify
from tradingtools.venues.ports import Meaning, Verdict

KEY = "4b227777d4dd1fc61c6f884f48641d02b4d121d3fd328cb08b5531fcacdabf8a"
CODES = [
    *sorted(DEFINITIVE_REJECTIONS),
    "RATE_LIMITED", "IN_PROGRESS", "KEY_REUSED", "DUPLICATED", "NOT_FOUND", "INTERNAL",
    "UNAVAILABLE", "min_size", "",
]  # fmt: skip


def error(code: str, **more: object) -> bytes:
    return json.dumps({"error": {"code": code, "message": "why", **more}}).encode()


def accepted(**changes: object) -> bytes:
    order = {
        "idempotencyKey": KEY,
        "orderId": "0xab",
        "status": "MATCHED",
        "closed": True,
        "trades": [
            {"tradeId": "t1", "size": "5", "notional": "2.2", "fee": "0.01", "status": "MATCHED"}
        ],
    }
    return json.dumps({**order, **changes}).encode()


@given(st.integers(100, 599), st.sampled_from(CODES))
def test_every_status_with_every_code(status: int, code: str) -> None:
    verdict = classify(status, error(code), KEY)
    if status in (400, 403) and code in DEFINITIVE_REJECTIONS:
        assert verdict.meaning is Meaning.REJECTED
        assert verdict.code == code
    elif status == 429 and code == "RATE_LIMITED":
        assert verdict.meaning is Meaning.NOT_ACCEPTED
    else:
        assert verdict.meaning is Meaning.UNKNOWN


@pytest.mark.parametrize("status", [404, 409, 422, 429, 500, 502, 503, 504, 301, 302, 307, 408])
@pytest.mark.parametrize("code", sorted(DEFINITIVE_REJECTIONS))
def test_a_definitive_code_under_another_status_proves_nothing(status: int, code: str) -> None:
    assert classify(status, error(code), KEY).meaning is Meaning.UNKNOWN


nested = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.sampled_from([KEY]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["error", "code", "message", "idempotencyKey", "orderId", "closed"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=8,
)


@given(
    st.integers(100, 599),
    st.binary(max_size=80) | nested.map(lambda value: json.dumps(value).encode()),
)
def test_arbitrary_bytes_never_prove_anything_by_accident(status: int, body: bytes) -> None:
    verdict = classify(status, body, KEY)
    if verdict.meaning is Meaning.ACCEPTED:
        assert 200 <= status < 300
        assert json.loads(body)["idempotencyKey"] == KEY
    elif verdict.meaning is Meaning.REJECTED:
        assert status in (400, 403)
        assert json.loads(body)["error"]["code"] in DEFINITIVE_REJECTIONS
    elif verdict.meaning is Meaning.NOT_ACCEPTED:
        assert status == 429


@pytest.mark.parametrize("status", [200, 201, 202])
def test_an_acceptance_echoes_the_key(status: int) -> None:
    verdict = classify(status, accepted(), KEY)
    assert verdict.meaning is Meaning.ACCEPTED
    assert verdict.order is not None
    assert [trade.size_micros for trade in verdict.order.trades] == [5_000_000]


@pytest.mark.parametrize(
    "body",
    [
        accepted(idempotencyKey="0" * 64),
        accepted(idempotencyKey=KEY.upper()),
        accepted(idempotencyKey=""),
        accepted(orderId=""),
        accepted(orderId=None),
        accepted(status="VOIDED"),
        accepted(closed="true"),
        accepted(trades=[{"tradeId": "t", "size": 5, "notional": "1", "fee": "0"}]),
        accepted(trades=[{**json.loads(accepted())["trades"][0], "size": "0.0000001"}]),
        accepted(trades=[{**json.loads(accepted())["trades"][0], "size": "NaN"}]),
        accepted(trades=[{**json.loads(accepted())["trades"][0], "fee": "-1"}]),
        accepted(trades=[{**json.loads(accepted())["trades"][0], "status": "DONE"}]),
        accepted()[:-1],
        accepted(padding="x" * 300_000),
        b'{"x":' + b"[" * 100_000,
        b"",
        b"<html>200 OK</html>",
        error("MIN_SIZE"),
    ],
)
def test_a_doubtful_acceptance_is_unknown(body: bytes) -> None:
    verdict = classify(201, body, KEY)
    assert verdict.meaning is Meaning.UNKNOWN
    assert verdict.order is None
    assert verdict.code


@pytest.mark.parametrize("status", [199, 300, 301, 400, 409, 500])
def test_an_order_under_another_status_is_unknown(status: int) -> None:
    assert classify(status, accepted(), KEY).meaning is Meaning.UNKNOWN


def test_a_page_of_a_proxy_is_unknown_and_names_the_status() -> None:
    verdict = classify(400, b"<html>Bad Request</html>", KEY)
    assert (verdict.meaning, verdict.code) == (Meaning.UNKNOWN, "HTTP_400")
    assert classify(400, b'{"error":' + b"[" * 100_000, KEY).meaning is Meaning.UNKNOWN


@pytest.mark.parametrize(("given_ms", "kept"), [(None, None), (0, 0), (1_500, 1_500)])
def test_a_pause_that_was_asked_for_is_kept(given_ms: int | None, kept: int | None) -> None:
    verdict = classify(429, error("RATE_LIMITED", retryAfterMs=given_ms), KEY)
    assert (verdict.meaning, verdict.retry_after_ms) == (Meaning.NOT_ACCEPTED, kept)


@pytest.mark.parametrize(
    ("requested_ms", "left_ms", "wait_ms"),
    [
        (None, PAUSE_MS + 1, PAUSE_MS),
        (None, PAUSE_MS, None),
        (20, 21, 20),
        (20, 20, None),
        (600_000, 1_200, None),
        (20, -1, None),
    ],
)
def test_what_cannot_be_sent_in_its_time_is_not_waited_for(
    requested_ms: int | None, left_ms: int, wait_ms: int | None
) -> None:
    verdict = Verdict(
        meaning=Meaning.NOT_ACCEPTED, code="RATE_LIMITED", retry_after_ms=requested_ms
    )
    assert next_try_ms(verdict, left_ms) == wait_ms


@pytest.mark.parametrize("pause", [-1, 1.5, "1", 10**30])
def test_a_pause_that_is_none_is_not_the_schema(pause: object) -> None:
    body = error("RATE_LIMITED", retryAfterMs=pause)
    assert classify(429, body, KEY).meaning is Meaning.UNKNOWN
