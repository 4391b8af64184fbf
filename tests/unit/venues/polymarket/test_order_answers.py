"""What the CLOB's answers prove: a table of all that it is known to say."""

from __future__ import annotations

import json

import pytest

from tests.unit.venues.polymarket import clob_frames as clob
from tradingtools.venues.polymarket.order_answers import (
    ClobAnswer,
    of_cancel,
    of_mass_cancel,
    of_place,
)
from tradingtools.venues.ports import Meaning

HASH = clob.word("rests")


def answer(status: int, body: object, retry_after_ms: int | None = None) -> ClobAnswer:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return ClobAnswer(status=status, body=raw, retry_after_ms=retry_after_ms)


def placed(**changes: object) -> dict[str, object]:
    return {
        "success": True,
        "errorMsg": "",
        "orderID": HASH,
        "takingAmount": "",
        "makingAmount": "",
        "status": "live",
    } | changes


@pytest.mark.parametrize("status", ["live", "matched", "delayed"])
def test_an_order_is_taken_when_the_venue_says_so_of_its_hash(status: str) -> None:
    found = of_place(answer(200, placed(status=status)), HASH)
    assert (found.meaning, found.code) == (Meaning.ACCEPTED, status.upper())
    assert found.venue_order_id == HASH


@pytest.mark.parametrize(
    "body",
    [
        placed(orderID="0x99"),
        placed(orderID=""),
        placed(orderID=None),
        placed(status="unmatched"),
        placed(status="surprised"),
        placed(success=False),
        {"success": True},
        {},
        b"",
        b"<html>gateway</html>",
        b"[]",
        clob.order_taken("rests"),  # without a status
        clob.order_refused(),  # a sentence that the venue does not have
    ],
)
def test_what_does_not_say_so_proves_nothing(body: object) -> None:
    assert of_place(answer(200, body), HASH).meaning is Meaning.UNKNOWN
    assert of_place(answer(500, clob.fault()), HASH).meaning is Meaning.UNKNOWN


SENTENCES = [
    (400, "not enough balance / allowance: the balance is not enough", Meaning.REJECTED, "BALANCE"),
    (
        400,
        "order couldn't be fully filled. FOK orders are fully filled or killed.",
        Meaning.REJECTED,
        "FOK_KILLED",
    ),
    (
        400,
        (
            "no orders found to match with FAK order. "
            "FAK orders are partially filled or killed if no match is found."
        ),
        Meaning.REJECTED,
        "FAK_KILLED",
    ),
    (
        400,
        "order 0x1 is invalid. Price (0.5001) breaks minimum tick size rule: 0.01",
        Meaning.REJECTED,
        "TICK",
    ),
    (
        400,
        "order 0x1 is invalid. Size (1) lower than the minimum: 5",
        Meaning.REJECTED,
        "TOO_SMALL",
    ),
    (400, "order 0x1 is invalid. Duplicated.", Meaning.UNKNOWN, "DUPLICATED"),
    (400, "invalid post-only order: order crosses book", Meaning.REJECTED, "POST_ONLY_CROSSES"),
    (400, "order 0x1 crosses the book", Meaning.REJECTED, "POST_ONLY_CROSSES"),
    (400, "invalid expiration", Meaning.REJECTED, "BAD_EXPIRY"),
    (400, "order match delayed due to market conditions", Meaning.UNKNOWN, "HTTP_400"),
    (
        400,
        "the market is not yet ready to process new orders",
        Meaning.NOT_ACCEPTED,
        "MARKET_NOT_READY",
    ),
    (
        400,
        (
            "invalid amounts, the market buy orders maker amount supports a max accuracy of "
            "2 decimals, taker amount a max of 4 decimals"
        ),
        Meaning.REJECTED,
        "BAD_AMOUNT",
    ),
    (
        400,
        "the order signer address has to be the address of the API KEY",
        Meaning.REJECTED,
        "BAD_SIGNER",
    ),
    (400, "'0x1' address in closed only mode", Meaning.REJECTED, "CLOSED_ONLY"),
    (401, "Unauthorized/Invalid api key", Meaning.REJECTED, "UNAUTHORIZED"),
    (
        503,
        "post-only mode: only post-only orders and cancels are allowed",
        Meaning.NOT_ACCEPTED,
        "POST_ONLY_MODE",
    ),
    (
        503,
        "Trading is currently disabled. Check polymarket.com for updates",
        Meaning.NOT_ACCEPTED,
        "TRADING_DISABLED",
    ),
    (503, "not enough balance / allowance", Meaning.UNKNOWN, "HTTP_503"),
    (500, "there are no matching orders", Meaning.UNKNOWN, "HTTP_500"),
    (500, "FOK orders are filled or killed", Meaning.UNKNOWN, "HTTP_500"),
    (
        500,
        "order couldn't be fully filled. FOK orders are fully filled or killed.",
        Meaning.UNKNOWN,
        "HTTP_500",
    ),
    (502, "not enough balance / allowance", Meaning.UNKNOWN, "HTTP_502"),
    (400, "a sentence of tomorrow", Meaning.UNKNOWN, "HTTP_400"),
]


@pytest.mark.parametrize(("status", "text", "meaning", "code"), SENTENCES)
def test_the_venues_sentences(status: int, text: str, meaning: Meaning, code: str) -> None:
    found = of_place(answer(status, {"error": text}), HASH)
    assert (found.meaning, found.code) == (meaning, code)
    assert (found.retry_after_ms is not None) == (meaning is Meaning.NOT_ACCEPTED)
    # In a batch, a refused order comes with success and a sentence.
    if status == 400:
        inside = of_place(answer(200, placed(errorMsg=text, orderID="", status="")), HASH)
        assert inside.meaning is meaning


def test_a_restart_and_a_limit_say_when_to_come_again() -> None:
    for status, code in ((425, "ENGINE_RESTART"), (429, "RATE_LIMIT")):
        for judge in (of_place, of_cancel):
            found = judge(answer(status, b"", 7_000), HASH)
            assert (found.meaning, found.code) == (Meaning.NOT_ACCEPTED, code)
            assert found.retry_after_ms == 7_000
    body = {
        "error": "post-only mode: only post-only orders and cancels are allowed",
        "code": "post_only_mode",
        "retry_after_seconds": 93,
    }
    assert of_place(answer(503, body), HASH).retry_after_ms == 93_000


def test_cancels() -> None:
    done = of_cancel(answer(200, clob.cancels("rests")), HASH)
    assert done.meaning is Meaning.ACCEPTED
    ended = of_cancel(answer(200, clob.cancels(ended=["rests"])), HASH)
    assert (ended.meaning, ended.code) == (Meaning.REJECTED, "ENDED")
    many = of_mass_cancel(answer(200, clob.cancels("rests", "placed", ended=["sold"])))
    assert many.meaning is Meaning.ACCEPTED


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, {"canceled": [], "not_canceled": {}}),
        (200, {"canceled": ["0x99"], "not_canceled": {}}),
        (200, {"canceled": [], "not_canceled": {HASH: "order is in a delay window"}}),
        (200, {}),
        (200, b"ok"),
        (500, {"error": "could not insert order"}),
        (500, clob.fault()),
        (504, b"timeout"),
    ],
)
def test_a_cancel_that_proves_nothing(status: int, body: object) -> None:
    assert of_cancel(answer(status, body), HASH).meaning is Meaning.UNKNOWN
    if status != 200 or body in ({}, b"ok"):
        assert of_mass_cancel(answer(status, body)).meaning is Meaning.UNKNOWN
