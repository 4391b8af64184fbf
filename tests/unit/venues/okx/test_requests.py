"""What is sent, byte by byte, what it counts for, and what is not sent at all."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from dataclasses import replace
from decimal import Decimal

import pytest

from tests.unit.venues.okx.samples import FUTURE, SPOT, SWAP, TAG, instrument, listed
from tradingtools.venues.okx import questions, requests
from tradingtools.venues.okx.limits import Charge, Scope
from tradingtools.venues.okx.requests import RequestError, Terms
from tradingtools.venues.okx.signing import ApiKey, headers, login_prehash, prehash
from tradingtools.venues.okx.venue_clock import timestamp
from tradingtools.venues.trading import AmendOrder, CancelOrder, NewOrder, RestingTime

OF = instrument(SWAP)
TERMS = Terms(tag=TAG)
ORDER = NewOrder(
    order_id="a1", instrument=OF, side="BUY", price=OF.price_of("64250.5"),
    size=OF.size_of("3.25"), not_after_ms=99,
)  # fmt: skip
SPOT_ORDER = replace(ORDER, instrument=instrument(SPOT), size=instrument(SPOT).size_of("0.5"))
CANCEL = CancelOrder(order_id="a1", instrument=OF, not_after_ms=99)
AMEND = AmendOrder(order_id="a1", request_id="r1", instrument=OF, not_after_ms=99)


def body(request: requests.RestRequest) -> object:
    return json.loads(request.body)


def test_the_signature_of_the_public_vector() -> None:
    text = prehash(
        timestamp=timestamp(1607418537715), method="GET", path="/api/v5/account/balance", body=""
    )
    secret = b"chNOOS4KvNXR_Xq4k4c9qsfoKWvnDecLATCRlcBwyKDYnWgO"
    signature = base64.b64encode(hmac.digest(secret, text.encode(), hashlib.sha256)).decode()

    assert signature == "PJ61e1nb2F2Qd7D8SPiaIcx2gjdELc+o0ygzre9z33k="
    assert headers(ApiKey("k", "p"), timestamp="t", signature=signature) == {
        "OK-ACCESS-KEY": "k",
        "OK-ACCESS-SIGN": signature,
        "OK-ACCESS-TIMESTAMP": "t",
        "OK-ACCESS-PASSPHRASE": "p",
    }
    assert login_prehash(1538054050) == "1538054050GET/users/self/verify"


def test_key_and_passphrase_are_in_no_text() -> None:
    assert repr(ApiKey("the-key", "the-passphrase")) == "ApiKey()"


def test_a_swap_is_placed_with_margin_tag_and_our_id() -> None:
    sent = requests.place([ORDER], TERMS, not_after_ms=1796000000123)

    assert (sent.method, sent.path, sent.signed) == ("POST", "/api/v5/trade/order", True)
    assert sent.not_after_ms == 1796000000123
    assert body(sent) == {
        "instId": "BTC-USDT-SWAP", "tdMode": "cross", "clOrdId": "a1", "tag": TAG, "side": "buy",
        "ordType": "limit", "px": "64250.5", "sz": "3.25",
    }  # fmt: skip
    assert sent.charges == (Charge(Scope.PLACE, "BTC-USDT-SWAP"), Charge(Scope.SUB_ACCOUNT))


def test_a_socket_names_the_instrument_by_its_code() -> None:
    sent = requests.place_by_socket([(ORDER, listed(SWAP))], TERMS, not_after_ms=1796000000123)

    assert json.loads(sent.encode("77")) == {
        "id": "77", "op": "order", "expTime": "1796000000123",
        "args": [{
            "instIdCode": 10002, "tdMode": "cross", "clOrdId": "a1", "tag": TAG, "side": "buy",
            "ordType": "limit", "px": "64250.5", "sz": "3.25",
        }],
    }  # fmt: skip
    assert sent.charges == requests.place([ORDER], TERMS, not_after_ms=1).charges


def test_an_instrument_without_a_code_goes_by_rest_alone() -> None:
    cancel = replace(CANCEL, instrument=instrument(FUTURE))
    with pytest.raises(RequestError, match="instIdCode"):
        requests.cancel_by_socket([(cancel, listed(FUTURE))])


@pytest.mark.parametrize(
    ("change", "fields"),
    [
        ({"time_in_force": RestingTime.IOC}, {"ordType": "ioc"}),
        ({"time_in_force": RestingTime.FOK}, {"ordType": "fok"}),
        ({"post_only": True}, {"ordType": "post_only"}),
        ({"reduce_only": True}, {"reduceOnly": True}),
        ({"side": "SELL"}, {"side": "sell"}),
    ],
)
def test_each_kind_of_order_has_its_fields(
    change: dict[str, object], fields: dict[str, object]
) -> None:
    sent = requests.place_fields(replace(ORDER, **change), TERMS)  # type: ignore[arg-type]

    assert fields.items() <= sent.items()


def test_spot_is_paid_in_cash_and_isolated_is_a_choice() -> None:
    assert requests.place_fields(SPOT_ORDER, TERMS)["tdMode"] == "cash"
    isolated = Terms(tag=TAG, margin="isolated")
    assert requests.place_fields(ORDER, isolated)["tdMode"] == "isolated"


@pytest.mark.parametrize(
    ("order", "said"),
    [
        (replace(ORDER, time_in_force=RestingTime.GTD, expires_ms=9), "GTD"),
        (replace(ORDER, post_only=True, time_in_force=RestingTime.IOC), "post_only"),
        (replace(SPOT_ORDER, reduce_only=True), "reduce_only"),
        (replace(ORDER, order_id="a-1"), "order_id"),
        (replace(ORDER, order_id="a" * 33), "order_id"),
        (replace(ORDER, order_id=""), "order_id"),
        (replace(ORDER, price=ORDER.price + 1), "tick"),
        (replace(ORDER, price=0), "tick"),
        (replace(ORDER, size=ORDER.size + 1), "lot"),
        (replace(ORDER, size=0), "minimum"),
        (replace(ORDER, size=OF.size_of("100000000.01")), "maximum"),
    ],
)
def test_what_the_venue_would_refuse_is_not_sent(order: NewOrder, said: str) -> None:
    with pytest.raises(RequestError, match=said):
        requests.place([order], TERMS, not_after_ms=1)


def test_cancels_go_by_the_venue_s_id_where_it_is_known() -> None:
    assert body(requests.cancel([CANCEL])) == {"instId": "BTC-USDT-SWAP", "clOrdId": "a1"}
    known = replace(CANCEL, venue_order_id="312269865356374016")
    assert body(requests.cancel([known])) == {
        "instId": "BTC-USDT-SWAP",
        "ordId": "312269865356374016",
    }
    assert requests.cancel([CANCEL]).charges == (Charge(Scope.CANCEL, "BTC-USDT-SWAP"),)
    assert requests.cancel([CANCEL]).not_after_ms is None


def test_amends_carry_their_own_id_and_the_whole_size() -> None:
    sent = requests.amend([replace(AMEND, size=OF.size_of("4"))], not_after_ms=5)

    assert body(sent) == {
        "instId": "BTC-USDT-SWAP", "reqId": "r1", "clOrdId": "a1", "newSz": "4",
    }  # fmt: skip
    with pytest.raises(RequestError, match="price or a size"):
        requests.amend([AMEND], not_after_ms=5)
    with pytest.raises(RequestError, match="tick"):
        requests.amend([replace(AMEND, price=1)], not_after_ms=5)


def test_batches_count_by_orders_and_instrument() -> None:
    sent = requests.place([ORDER, replace(ORDER, order_id="a2"), SPOT_ORDER], TERMS, not_after_ms=1)

    assert sent.path == "/api/v5/trade/batch-orders"
    assert [row["clOrdId"] for row in json.loads(sent.body)] == ["a1", "a2", "a1"]
    assert set(sent.charges) == {
        Charge(Scope.PLACE_BATCH, "BTC-USDT-SWAP", 2),
        Charge(Scope.PLACE_BATCH, "BTC-USDT", 1),
        Charge(Scope.SUB_ACCOUNT, "", 3),
    }
    with pytest.raises(RequestError, match="1 to 20"):
        requests.cancel([CANCEL] * 21)


def test_the_dead_man_s_switch_is_of_our_tag() -> None:
    assert body(requests.cancel_all_after(30, TAG)) == {"timeOut": "30", "tag": TAG}
    with pytest.raises(RequestError):
        requests.cancel_all_after(9, TAG)


def test_leverage_stays_below_the_instrument_s() -> None:
    assert body(requests.set_leverage(listed(SWAP), Decimal("2.50"), "cross")) == {
        "instId": "BTC-USDT-SWAP", "lever": "2.5", "mgnMode": "cross",
    }  # fmt: skip
    with pytest.raises(RequestError, match="at most 100"):
        requests.set_leverage(listed(SWAP), Decimal(101), "cross")


def test_questions_are_gets_with_their_query_in_the_path() -> None:
    assert questions.order(CANCEL).path == "/api/v5/trade/order?instId=BTC-USDT-SWAP&clOrdId=a1"
    assert questions.fills(5).path == "/api/v5/trade/fills?begin=5&limit=100"
    assert questions.fills(5, "77").path == "/api/v5/trade/fills?begin=5&after=77&limit=100"
    assert not questions.venue_time().signed
    assert questions.balance().signed


@pytest.mark.parametrize("tag", ["", "a-b", "a" * 17])
def test_a_tag_that_the_venue_refuses_is_refused_first(tag: str) -> None:
    with pytest.raises(ValueError, match="tag"):
        Terms(tag=tag)
