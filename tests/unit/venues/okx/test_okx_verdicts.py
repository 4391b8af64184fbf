"""What an answer proves, for each documented code, by REST and by socket."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import pytest

from tradingtools.venues.okx import error_codes, verdicts
from tradingtools.venues.okx.error_codes import Action
from tradingtools.venues.okx.verdicts import RequestedOrder, Verb
from tradingtools.venues.okx.wire import OperationAnswer, decode_frame
from tradingtools.venues.ports import Meaning
from tradingtools.venues.trading import Receipt

PLACE = RequestedOrder(verb=Verb.PLACE, order_id="a1")
CANCEL = RequestedOrder(verb=Verb.CANCEL, order_id="a1", venue_order_id="77")
AMEND = RequestedOrder(verb=Verb.AMEND, order_id="a1", request_id="r1")
DONE = {"sCode": "0", "sMsg": "", "clOrdId": "a1", "ordId": "77"}


def answer(code: str, *rows: Mapping[str, str], msg: str = "") -> bytes:
    return json.dumps({"code": code, "msg": msg, "data": list(rows)}).encode()


def rest(body: bytes, requested: RequestedOrder = PLACE, status: int = 200) -> Receipt:
    return verdicts.of_rest(status, body, requested)


def test_a_taken_order_has_the_venue_s_id() -> None:
    receipt = rest(answer("0", DONE))

    assert (receipt.meaning, receipt.venue_order_id) == (Meaning.ACCEPTED, "77")


@pytest.mark.parametrize(
    ("status", "body", "code"),
    [
        (200, b"<html>", "HTTP_200"),
        (200, b"", "HTTP_200"),
        (502, b"<html>bad gateway</html>", "HTTP_502"),
        (429, b"error code: 1015", "HTTP_429"),
        (403, b"<html>", "HTTP_403"),
        (500, answer("0", DONE), "HTTP_500"),
        (200, answer("0"), "NO_ROW"),
        (200, answer("0", {**DONE, "clOrdId": "b1"}), "ANOTHER_ORDER"),
        (200, answer("0", DONE, DONE), "ANOTHER_ORDER"),
        (200, answer("0", {"sCode": "0"}), "ANOTHER_ORDER"),
        (200, answer("0", {**DONE, "ordId": ""}), "0"),
        (200, answer("0", {"x": "y"}), "MALFORMED_ANSWER"),
        (200, answer("99999"), "99999"),
        (200, answer("1", {**DONE, "sCode": "99999"}), "99999"),
    ],
)
def test_what_proves_nothing_is_unknown(status: int, body: bytes, code: str) -> None:
    receipt = rest(body, status=status)

    assert (receipt.meaning, receipt.code) == (Meaning.UNKNOWN, code)


@pytest.mark.parametrize(
    ("code", "meaning"),
    [
        ("50011", Meaning.NOT_ACCEPTED),
        ("50061", Meaning.NOT_ACCEPTED),
        ("50102", Meaning.NOT_ACCEPTED),
        ("50004", Meaning.UNKNOWN),
        ("50013", Meaning.UNKNOWN),
        ("50026", Meaning.UNKNOWN),
        ("51054", Meaning.UNKNOWN),
        ("51149", Meaning.UNKNOWN),
        ("51016", Meaning.UNKNOWN),
        ("50036", Meaning.REJECTED),
        ("51008", Meaning.REJECTED),
        ("51022", Meaning.REJECTED),
        ("50111", Meaning.REJECTED),
        ("51603", Meaning.UNKNOWN),
    ],
)
def test_a_code_means_the_same_above_and_in_a_row(code: str, meaning: Meaning) -> None:
    status = 429 if code in ("50011", "50061") else 200

    assert rest(answer(code, msg="no"), status=status).meaning is meaning
    assert rest(answer("1", {**DONE, "ordId": "", "sCode": code, "sMsg": "no"})).meaning is meaning
    assert rest(answer("1", {"sCode": code, "sMsg": "no"})).meaning is meaning


def test_a_limit_says_when_to_come_again() -> None:
    assert rest(answer("50011"), status=429).retry_after_ms == verdicts.LATER_MS


def test_a_cancel_that_finds_no_order_says_not_that_there_is_none() -> None:
    # It may have overtaken its place.
    row = {"sCode": "51400", "sMsg": "", "clOrdId": "a1", "ordId": ""}

    receipt = rest(answer("1", row), CANCEL)

    assert (receipt.meaning, receipt.code) == (Meaning.REJECTED, "51400")
    assert error_codes.action_of("51400") is Action.ENDED


def test_a_cancel_by_the_venue_s_id_is_answered_by_it() -> None:
    row = {"sCode": "0", "clOrdId": "", "ordId": "77"}

    assert rest(answer("0", row), CANCEL).meaning is Meaning.ACCEPTED
    assert rest(answer("0", {**row, "ordId": "78"}), CANCEL).meaning is Meaning.UNKNOWN


def test_each_order_of_a_batch_has_its_own_row() -> None:
    requested = tuple(RequestedOrder(verb=Verb.PLACE, order_id=name) for name in ("a1", "a2", "a3"))
    rows = [
        {**DONE, "clOrdId": "a2", "ordId": "", "sCode": "51008"},
        {**DONE, "clOrdId": "a1"},
    ]

    receipts = verdicts.of_rest_batch(200, answer("2", *rows), requested)

    assert [one.meaning for one in receipts] == [
        Meaning.ACCEPTED,
        Meaning.REJECTED,
        Meaning.UNKNOWN,
    ]
    refused = verdicts.of_rest_batch(429, answer("50011"), requested)
    assert {one.meaning for one in refused} == {Meaning.NOT_ACCEPTED}


@pytest.mark.parametrize(
    ("code", "rows", "meaning"),
    [
        ("0", [DONE], Meaning.ACCEPTED),
        ("1", [{**DONE, "sCode": "51008"}], Meaning.REJECTED),
        ("60014", [], Meaning.NOT_ACCEPTED),
        ("60013", [], Meaning.REJECTED),
        ("63999", [], Meaning.UNKNOWN),
        ("60011", [], Meaning.UNKNOWN),
    ],
)
def test_a_socket_is_judged_by_the_same_table(
    code: str, rows: Sequence[Mapping[str, str]], meaning: Meaning
) -> None:
    frame = {"id": "7", "op": "order", "code": code, "msg": "", "data": rows}
    read = decode_frame(json.dumps(frame).encode())
    assert isinstance(read, OperationAnswer)

    assert verdicts.of_socket(read, (PLACE,))[0].meaning is meaning


def test_no_row_of_the_table_takes_an_order_for_done_but_zero() -> None:
    for code in error_codes.documented():
        taken = rest(answer(code, msg="?")).meaning
        assert taken is not Meaning.ACCEPTED, code
        row = rest(answer("1", {**DONE, "sCode": code})).meaning
        assert (row is Meaning.ACCEPTED) == (code == "0"), code


def test_every_code_that_has_a_row_says_what_it_means_and_ranges_do_not_overlap_rows() -> None:
    assert len(error_codes.ROWS) > 250
    for code in error_codes.documented():
        assert error_codes.meaning_of(code) not in ("", "not documented")
    for low, high, _ in error_codes.UNUSED:
        inside = [c for c in error_codes.ROWS if len(c) == 5 and low <= int(c) <= high]
        assert not inside
    assert error_codes.meaning_of("58350") == "funding account, transfers and withdrawals"
    assert error_codes.meaning_of("12345") == "not documented"
    assert error_codes.action_of("12345") is Action.READ
