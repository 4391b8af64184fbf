"""The account is read in full or not at all."""

from __future__ import annotations

from decimal import Decimal

import httpx
import pytest

from tests.support.clob_signer import LocalSigner
from tests.unit.venues.polymarket.clob_frames import YES, balance, open_order, trade_row, word
from tradingtools import clock
from tradingtools.domain.instrument import Instrument, InstrumentKind
from tradingtools.venues.polymarket.clob_auth import ApiKey
from tradingtools.venues.polymarket.data_api import DataApi
from tradingtools.venues.polymarket.http import Http
from tradingtools.venues.polymarket.order_index import OrderIndex, TradingWallet
from tradingtools.venues.polymarket.order_signing import SignatureType
from tradingtools.venues.polymarket.order_transport import PrivateClob
from tradingtools.venues.polymarket.trading_accounts import SETTLES_WITHIN_MS, PolymarketAccounts
from tradingtools.venues.polymarket.user_socket import UserSocket
from tradingtools.venues.trading import CancelOrder, OrderStatus, ReadError

KEY = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"
WALLET = "0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266"
API_KEY = ApiKey(key="key-1", secret="AAAA", passphrase="pass")
ORDER = open_order()
TRADE = trade_row()
INSTRUMENT = Instrument(
    id=f"polymarket:{YES}",
    kind=InstrumentKind.BINARY,
    base=YES,
    quote="USDC",
    settle="USDC",
    price_digits=6,
    size_digits=6,
    money_digits=6,
    tick_size=10_000,
    lot_size=10_000,
    minimum_size=5_000_000,
)


class Far:
    """Answers by path; what it has no answer for is a fault of its own."""

    def __init__(self, **answers: object) -> None:
        self.answers = answers
        self.requested: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requested.append(request)
        name = request.url.path.strip("/").replace("/", "_").replace("-", "_")
        if name.startswith("data_order_"):
            name = "data_order"
        answer = self.answers.get(name)
        if isinstance(answer, list):
            answer = answer[int(request.url.params.get("next_cursor", "0").replace("MA==", "0"))]
        if isinstance(answer, httpx.Response):
            return answer
        return httpx.Response(500) if answer is None else httpx.Response(200, json=answer)


def accounts(far: Far) -> PolymarketAccounts:
    client = httpx.AsyncClient(transport=httpx.MockTransport(far))
    clob = PrivateClob(
        client, "http://clob", signer=LocalSigner(KEY, API_KEY), address=WALLET, api_key=API_KEY
    )
    index = OrderIndex()
    index.note("ours", word("rests"))
    return PolymarketAccounts(
        clob,
        DataApi(Http(client, "http://data", name="data api")),
        UserSocket("ws://nowhere", API_KEY),
        wallet=TradingWallet(address=WALLET, signer=WALLET, signature_type=SignatureType.EOA),
        api_key="key-1",
        facts=lambda _: None,
        index=index,
    )


def desired(**changes: object) -> CancelOrder:
    known = {"order_id": "ours", "instrument": INSTRUMENT, "not_after_ms": 0}
    return CancelOrder(**(known | changes))  # type: ignore[arg-type]


async def test_open_orders_come_from_all_pages_strangers_included() -> None:
    pages = [
        {"data": [ORDER], "next_cursor": "1"},
        {"data": [ORDER | {"id": "0xb"}], "next_cursor": "2"},
        {"data": None, "next_cursor": "LTE="},
    ]
    found = await accounts(Far(data_orders=pages)).open_orders()
    assert [order.order_id for order in found] == ["ours", ""]


async def test_an_order_is_found_by_its_hash_or_is_not_there() -> None:
    found = await accounts(Far(data_order=ORDER)).find(desired())
    assert found is not None
    assert found.status is OrderStatus.PARTIALLY_FILLED
    assert await accounts(Far(data_order=httpx.Response(404))).find(desired()) is None
    empty = httpx.Response(200, content=b"null")
    assert await accounts(Far(data_order=empty)).find(desired()) is None


@pytest.mark.parametrize(
    "answer",
    [None, ORDER | {"id": "0xb"}, ORDER | {"side": "?"}, httpx.Response(401), {"id": ORDER["id"]}],
)
async def test_an_answer_that_cannot_be_read_is_no_not_found(answer: object) -> None:
    far = Far() if answer is None else Far(data_order=answer)
    with pytest.raises(ReadError):
        await accounts(far).find(desired())
    with pytest.raises(ReadError):
        await accounts(far).find(desired(order_id="another"))


async def test_fills_are_those_of_all_pages_and_of_what_may_have_failed_since() -> None:
    mine = TRADE | {"maker_address": WALLET}
    pages = [
        {"data": [mine | {"id": "b", "match_time": "1769904100"}], "next_cursor": "1"},
        {"data": [mine | {"id": "a", "status": "FAILED"}], "next_cursor": "LTE="},
    ]
    far = Far(data_trades=pages)
    since = 1_769_904_050_000
    found = await accounts(far).fills(since)
    assert [(fill.trade_id, fill.undone) for fill in found] == [("a", True), ("b", False)]
    params = far.requested[0].url.params
    assert params["after"] == str((since - SETTLES_WITHIN_MS) // 1000)
    assert params["maker_address"] == WALLET
    broken = Far(data_trades=[{"data": [mine | {"status": "?"}], "next_cursor": "LTE="}])
    with pytest.raises(ReadError):
        await accounts(broken).fills(since)


async def test_what_resting_buys_may_cost_is_not_available() -> None:
    far = Far(
        data_orders=[{"data": [ORDER], "next_cursor": "LTE="}],
        balance_allowance=balance(1_000_000_000),
        v2_positions={
            "data": [{"proxy_wallet": WALLET, "token_id": "77", "current_size": "2.5"}],
            "pagination": {"has_more": False, "next_cursor": None},
        },
    )
    state = await accounts(far).state()
    (usdc,) = state.balances
    assert (usdc.total, usdc.available) == (Decimal(1000), Decimal("987.5"))  # 50 shares at 0.25
    assert [(p.instrument_id, p.size) for p in state.positions] == [("polymarket:77", 2_500_000)]
    assert state.venue_ms <= clock.now_ms()
    for missing in ("data_orders", "balance_allowance", "v2_positions"):
        with pytest.raises(ReadError):
            await accounts(Far(**{k: v for k, v in far.answers.items() if k != missing})).state()
