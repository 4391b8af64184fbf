"""The gateway sends an order once, knows its hash before, and says what an answer proves."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import httpx
import pytest
from eth_account import Account
from py_clob_client_v2.signing import build_hmac_signature

from tests.support.clob_signer import LocalSigner
from tradingtools import clock
from tradingtools.domain.instrument import Instrument, InstrumentKind
from tradingtools.venues.polymarket.clob_auth import ApiKey
from tradingtools.venues.polymarket.contracts import NEG_RISK, STANDARD, Exchange
from tradingtools.venues.polymarket.order_index import OrderIndex, TradingWallet
from tradingtools.venues.polymarket.order_signing import ClobOrder, SignatureType
from tradingtools.venues.polymarket.order_transport import PrivateClob, SigningError
from tradingtools.venues.polymarket.trading_gateway import PolymarketGateway
from tradingtools.venues.polymarket.trading_instruments import MarketFacts
from tradingtools.venues.ports import Meaning
from tradingtools.venues.trading import AmendOrder, CancelOrder, NewOrder, RestingTime

KEY = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"
SIGNER = Account.from_key(KEY).address
FUNDER = "0x1111111111111111111111111111111111111111"
ASSET = "71321045679252212594626385532706912750332728571942532289631379312455583992563"
API_KEY = ApiKey(
    key="key-1", secret="AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", passphrase="pass"
)
INSTRUMENT = Instrument(
    id=f"polymarket:{ASSET}",
    kind=InstrumentKind.BINARY,
    base=ASSET,
    quote="USDC",
    settle="USDC",
    price_digits=6,
    size_digits=6,
    money_digits=6,
    tick_size=10_000,
    lot_size=10_000,
    minimum_size=5_000_000,
    group="0xabc",
)
FACTS = MarketFacts(asset_id=ASSET, condition_id="0xabc", neg_risk=False, fee_rate_micros=0)

Answer = Callable[[httpx.Request], httpx.Response]


def new_order(**changes: object) -> NewOrder:
    now = clock.now_ms()
    order = NewOrder(
        order_id="bot1e1n1",
        instrument=INSTRUMENT,
        side="BUY",
        price=580_000,
        size=10_500_000,
        time_in_force=RestingTime.GTD,
        post_only=True,
        expires_ms=now + 600_000,
        not_after_ms=now + 5_000,
        created_ms=now,
    )
    return replace(order, **changes)  # type: ignore[arg-type]


def taking(**changes: object) -> NewOrder:
    return new_order(time_in_force=RestingTime.IOC, post_only=False, expires_ms=None, **changes)


class Far:
    """The far side: answers by a function, and remembers what came."""

    def __init__(self, answer: Answer) -> None:
        self.requests: list[httpx.Request] = []
        self._answer = answer

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        return self._answer(request)

    def body(self, number: int = -1) -> dict[str, object]:
        found: dict[str, object] = json.loads(self.requests[number].content)
        return found


def gateway(
    answer: Answer,
    *,
    facts: MarketFacts | None = FACTS,
    kind: SignatureType = SignatureType.SAFE,
    signer: LocalSigner | None = None,
) -> tuple[PolymarketGateway, Far]:
    far = Far(answer)
    clob = PrivateClob(
        httpx.AsyncClient(transport=httpx.MockTransport(far)),
        "http://clob/",
        signer=signer or LocalSigner(KEY, API_KEY),
        address=SIGNER,
        api_key=API_KEY,
    )
    wallet = TradingWallet(address=FUNDER, signer=SIGNER, signature_type=kind)
    made = PolymarketGateway(
        clob, wallet=wallet, api_key="key-1", facts=lambda _: facts, index=OrderIndex()
    )
    return made, far


TAKEN = {"success": True, "errorMsg": "", "status": "live", "takingAmount": "", "makingAmount": ""}


def lost(_: httpx.Request) -> httpx.Response:
    raise httpx.ReadTimeout("no answer")


def unreachable(_: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError("refused")


def test_an_order_is_forgotten_when_nothing_more_can_be_told_of_it() -> None:
    """Its last trade may fail long after it has ended; what never ends is never forgotten."""
    index = OrderIndex()
    for number, until_ms in enumerate((2_000, None, 1_000, 3_000)):
        index.note(f"o{number}", f"0x{number}", until_ms)
    index.prune(2_000)
    assert [index.order_id(f"0x{number}") for number in range(4)] == ["o0", "o1", "o2", "o3"]
    index.prune(2_001)
    assert [index.order_id(f"0x{number}") for number in range(4)] == ["", "o1", "", "o3"]
    assert index.venue_order_id("o2") == ""
    # What is asked for again is known again, and no sooner forgotten.
    index.note("o2", "0x2", 9_000)
    index.note("o3", "0x3", 9_000)
    index.note("o3", "0x3", 1_000)
    index.prune(9_000)
    assert (index.order_id("0x2"), index.order_id("0x3")) == ("o2", "o3")
    index.prune(9_001)
    assert index.order_id("0x2") == index.order_id("0x3") == ""
    assert index.order_id("0x1") == "o1"


async def test_a_gateway_knows_an_order_an_hour_beyond_its_last_trade(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    trader, _ = gateway(lambda _: httpx.Response(200, json={}))
    first = new_order()
    hash_ = trader.register_order(first)
    assert first.expires_ms is not None
    index = trader._index
    for after_ms, known in ((3_600_000, "mm1"), (3_600_001, "")):
        now_ms = first.expires_ms + after_ms
        monkeypatch.setattr(clock, "now_ms", lambda now=now_ms: now)
        trader.register_order(new_order(order_id="another"))
        assert index.order_id(hash_) == (known and first.order_id)
    trader.register_order(first)
    assert index.order_id(hash_) == first.order_id


async def test_an_order_is_known_by_its_hash_before_it_is_sent_and_after_a_crash() -> None:
    order = new_order()
    expected = ""

    def answer(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json=TAKEN | {"orderID": expected})

    before, far = gateway(answer)
    expected = before.prepare(order).venue_order_id
    receipt = await before.place(order)
    assert (receipt.meaning, receipt.venue_order_id) == (Meaning.ACCEPTED, expected)
    after, _ = gateway(answer)
    assert after.prepare(order).venue_order_id == expected
    sent = far.body()
    signed = sent["order"]
    assert isinstance(signed, dict)
    assert (sent["orderType"], sent["owner"], sent["postOnly"]) == ("GTD", "key-1", True)
    assert (signed["makerAmount"], signed["takerAmount"]) == ("6090000", "10500000")
    assert order.expires_ms is not None
    assert signed["expiration"] == str((order.expires_ms + 60_000) // 1000)
    assert isinstance(signed["salt"], int)
    assert signed["timestamp"] == str(order.created_ms)


async def test_the_request_is_signed_as_the_venues_client_does_it() -> None:
    made, far = gateway(lost)
    await made.place(new_order())
    request = far.requests[0]
    assert request.headers["POLY_SIGNATURE"] == build_hmac_signature(
        API_KEY.secret,
        request.headers["POLY_TIMESTAMP"],
        "POST",
        "/order",
        request.content.decode(),
    )
    assert request.headers["POLY_ADDRESS"] == SIGNER
    assert (request.headers["POLY_API_KEY"], request.headers["POLY_PASSPHRASE"]) == (
        "key-1",
        "pass",
    )


@pytest.mark.parametrize(
    ("answer", "meaning"),
    [(lost, Meaning.UNKNOWN), (unreachable, Meaning.NOT_ACCEPTED)],
)
async def test_no_answer_proves_something_only_if_no_byte_left(
    answer: Answer, meaning: Meaning
) -> None:
    made, far = gateway(answer)
    order = new_order()
    assert (await made.place(order)).meaning is meaning
    cancel = CancelOrder(
        order_id=order.order_id, instrument=INSTRUMENT, not_after_ms=clock.now_ms() + 5_000
    )
    assert (await made.cancel(cancel)).meaning is meaning
    # By hash, though nobody ever told it: the cancel may overtake the place.
    assert far.body() == {"orderID": made.prepare(order).venue_order_id}
    assert len(far.requests) == 2  # nothing is sent twice by anything below


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"order_id": "a-1"}, "BAD_ORDER_ID"),
        ({"price": 585_000}, "BAD_AMOUNT"),
        ({"size": 4_000_000}, "TOO_SMALL"),
        ({"reduce_only": True}, "NO_REDUCE_ONLY"),
        ({"time_in_force": RestingTime.FOK, "expires_ms": None}, "POST_ONLY_TAKES"),
        ({"expires_ms": None}, "BAD_EXPIRY"),
        ({"expires_ms": 60_000}, "BAD_EXPIRY"),
        ({"not_after_ms": -1}, "TOO_LATE"),
        ({"instrument": replace(INSTRUMENT, id="okx:BTC-USDT")}, "OTHER_VENUE"),
    ],
)
async def test_what_the_venue_cannot_do_is_refused_before_a_byte_leaves(
    changes: dict[str, Any], code: str
) -> None:
    # Instants are from now on: a case is collected long before it runs.
    now = clock.now_ms()
    since = {key: now + value for key, value in changes.items() if key.endswith("_ms") and value}
    order = new_order(**{**changes, **since})
    made, far = gateway(lost)
    receipt = await made.place(order)
    assert (receipt.meaning, receipt.code) == (Meaning.REJECTED, code)
    assert not far.requests


async def test_amends_and_unknown_instruments_are_refused() -> None:
    made, far = gateway(lost, facts=None)
    assert (await made.place(new_order())).code == "UNKNOWN_MARKET"
    change = AmendOrder(order_id="a", request_id="b", instrument=INSTRUMENT, not_after_ms=0)
    assert (await made.amend(change)).code == "NO_AMEND"
    cancel = CancelOrder(order_id="a", instrument=INSTRUMENT, not_after_ms=0)
    assert (await made.cancel(cancel)).code == "UNKNOWN_ORDER"
    assert not far.requests


async def test_what_is_not_signed_is_not_sent() -> None:
    class Locked(LocalSigner):
        async def sign_order(self, order: ClobOrder, exchange: Exchange) -> str:
            raise SigningError(f"{order.side} for {exchange.contract} is over the limit")

    made, far = gateway(lost, signer=Locked(KEY, API_KEY))
    receipt = await made.place(new_order())
    assert (receipt.meaning, receipt.code) == (Meaning.NOT_ACCEPTED, "NOT_SIGNED")
    assert not far.requests


async def test_after_a_restart_only_post_only_orders_go() -> None:
    made, far = gateway(lambda _: httpx.Response(425, headers={"retry-after": "0"}))
    first = await made.place(new_order())
    assert (first.meaning, first.code) == (Meaning.NOT_ACCEPTED, "ENGINE_RESTART")
    taker = await made.place(taking())
    assert (taker.meaning, taker.code) == (Meaning.NOT_ACCEPTED, "POST_ONLY_MODE")
    assert taker.retry_after_ms is not None
    assert 110_000 < taker.retry_after_ms <= 120_000
    assert len(far.requests) == 1
    await made.place(new_order())
    assert len(far.requests) == 2


async def test_a_taking_buy_spends_whole_cents() -> None:
    made, far = gateway(lost)
    await made.place(taking(price=330_000, size=10_000_000))
    signed = far.body()["order"]
    assert isinstance(signed, dict)
    assert (signed["makerAmount"], signed["takerAmount"]) == ("3300000", "10000000")
    assert (signed["expiration"], far.body()["orderType"]) == ("0", "FAK")


@pytest.mark.parametrize("kind", list(SignatureType))
@pytest.mark.parametrize("exchange", [STANDARD, NEG_RISK])
async def test_maker_signer_and_contract_follow_from_wallet_and_market(
    kind: SignatureType, exchange: Exchange
) -> None:
    facts = replace(FACTS, neg_risk=exchange is NEG_RISK)
    made, _ = gateway(lost, facts=facts, kind=kind)
    prepared = made.prepare(new_order())
    assert prepared.exchange == exchange
    assert prepared.order.maker == FUNDER
    deposit = kind is SignatureType.DEPOSIT_WALLET
    assert prepared.order.signer == (FUNDER if deposit else SIGNER)
