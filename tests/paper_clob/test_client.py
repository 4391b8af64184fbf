"""A client that the venue wrote trades here as it does there, unmodified but for the URL."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from eth_account import Account
from polymarket.models.clob import BalanceAllowance, ClobTrade, OpenOrder
from polymarket.models.clob.order_response import RawOrderResponse, normalize_order_response
from py_clob_client_v2.client import ClobClient
from py_clob_client_v2.clob_types import (
    AssetType,
    BalanceAllowanceParams,
    MarketOrderArgs,
    OrderArgs,
    OrderMarketCancelParams,
    OrderPayload,
    OrderType,
    PostOrdersV2Args,
)
from py_clob_client_v2.exceptions import PolyApiException

from tests.paper_clob.harness import CONDITION, KEYS, NO, WALLETS, YES, Live, exchange


def client(live: Live, key: str = KEYS[0], **options: Any) -> ClobClient:
    made = ClobClient(live.url, 137, key=key, **options)
    made.set_api_creds(made.create_or_derive_api_key())
    return made


async def played(directory: Path, play: Callable[[Live], None]) -> None:
    """Run a client, which blocks, beside the exchange."""
    async with exchange(directory) as live:
        await asyncio.to_thread(play, live)


def order(price: float, size: float, side: str, token: str = YES, expiration: int = 0) -> OrderArgs:
    return OrderArgs(token_id=token, price=price, size=size, side=side, expiration=expiration)


async def test_an_order_rests_is_read_and_is_cancelled(tmp_path: Path) -> None:
    def play(live: Live) -> None:
        trader = client(live)
        assert trader.get_ok() == "OK"
        assert trader.derive_api_key().api_key == trader.creds.api_key
        assert trader.get_tick_size(YES) == "0.01"
        placed = trader.create_and_post_order(order(0.4, 10, "BUY"), post_only=True)
        assert placed["success"]
        assert placed["status"] == "live"
        book = trader.get_order_book(YES)
        assert book["bids"] == [{"price": "0.4", "size": "10"}]
        other = trader.get_order_book(NO)
        assert other["asks"] == [{"price": "0.6", "size": "10"}]
        (open_order,) = trader.get_open_orders()
        assert open_order == trader.get_order(placed["orderID"])
        official = OpenOrder.parse_response(open_order)
        assert (official.id, official.status) == (placed["orderID"], "LIVE")
        ended = trader.cancel_order(OrderPayload(orderID=placed["orderID"]))
        assert ended == {"canceled": [placed["orderID"]], "not_canceled": {}}
        again = trader.cancel_order(OrderPayload(orderID=placed["orderID"]))
        assert again["not_canceled"] == {placed["orderID"]: "already canceled or matched"}
        assert trader.get_open_orders() == []
        assert trader.get_order(placed["orderID"])["status"] == "CANCELED"

    await played(tmp_path, play)


async def test_two_buyers_make_sets_and_their_money_adds_up(tmp_path: Path) -> None:
    def play(live: Live) -> None:
        yes, no = client(live), client(live, KEYS[1])
        resting = yes.create_and_post_order(order(0.4, 50, "BUY"))
        taken = no.create_and_post_order(order(0.62, 30, "BUY", NO))
        assert taken["status"] == "matched"
        # At the maker's price: 30 No at 0.60.
        assert (taken["makingAmount"], taken["takingAmount"]) == ("18", "30")
        assert len(taken["transactionsHashes"]) == 1  # the client waited for the chain
        (trade,) = no.get_trades()
        official = ClobTrade.parse_response(trade)
        assert (official.side, official.trader_side) == ("BUY", "TAKER")
        assert official.size == 30
        (maker,) = official.maker_orders
        assert (maker.order_id, maker.side) == (resting["orderID"], "BUY")
        assert str(maker.asset_id) == YES
        (seen,) = yes.get_trades()
        assert (seen["id"], seen["trader_side"]) == (trade["id"], "MAKER")
        collateral = BalanceAllowanceParams(asset_type=AssetType.COLLATERAL)
        held = BalanceAllowance.parse_response(yes.get_balance_allowance(collateral))
        assert held.balance == 1_000_000_000 - 12_000_000
        paid = BalanceAllowance.parse_response(no.get_balance_allowance(collateral))
        assert paid.balance == 1_000_000_000 - 18_000_000 - 360_000  # 5 % x 30 x 0.6 x 0.4
        shares = BalanceAllowanceParams(asset_type=AssetType.CONDITIONAL, token_id=NO)
        assert no.get_balance_allowance(shares)["balance"] == "130000000"
        (rest,) = yes.get_open_orders()
        assert rest["size_matched"] == "30"

    await played(tmp_path, play)


async def test_market_orders_spend_usdc_and_sell_shares(tmp_path: Path) -> None:
    async with exchange(tmp_path) as live:
        await live.level("SELL", "0.5", "20")
        await live.level("SELL", "0.52", "100")
        await live.level("BUY", "0.45", "10")

        def play() -> None:
            trader = client(live)
            args = MarketOrderArgs(token_id=YES, amount=20, side="BUY", order_type=OrderType.FAK)
            bought = trader.create_and_post_market_order(args, order_type=OrderType.FAK)
            # 20 for 10, and what 10 buy at 0.52.
            assert (bought["status"], bought["makingAmount"]) == ("matched", "20")
            assert bought["takingAmount"] == "39.230769"
            assert len(bought["tradeIDs"]) == 2
            sell = MarketOrderArgs(token_id=YES, amount=15, side="SELL", price=0.45)
            with pytest.raises(PolyApiException) as killed:
                trader.create_and_post_market_order(sell, order_type=OrderType.FOK)
            assert killed.value.status_code == 400
            assert "FOK orders are fully filled or killed" in str(killed.value)
            part = trader.create_and_post_market_order(sell, order_type=OrderType.FAK)
            assert (part["makingAmount"], part["takingAmount"]) == ("10", "4.5")
            with pytest.raises(PolyApiException, match="no orders found to match with FAK"):
                trader.create_and_post_market_order(sell, order_type=OrderType.FAK)

        await asyncio.to_thread(play)
        state = await live.state()
        assert state["backed"] == state["deposited"] == "3300"


@pytest.mark.parametrize(("kind", "neg_risk"), [(0, True), (1, False), (2, True), (3, False)])
async def test_every_kind_of_wallet_signs(tmp_path: Path, kind: int, neg_risk: bool) -> None:
    async with exchange(tmp_path, market=False) as live:
        await live.notify("/markets", condition=CONDITION, assets=[YES, NO], neg_risk=neg_risk)
        wallet = WALLETS[0] if kind == 0 else "0x" + "ab" * 20
        await live.notify(
            "/wallets", wallet=wallet, owner=WALLETS[0], signature_type=kind, usdc="100"
        )

        def play() -> None:
            trader = client(live, signature_type=kind, funder=wallet)
            placed = trader.create_and_post_order(order(0.4, 10, "BUY"))
            assert placed["status"] == "live"
            assert trader.get_open_orders()[0]["maker_address"] == wallet.lower()
            stranger = client(live, KEYS[1], signature_type=kind, funder=wallet)
            with pytest.raises(PolyApiException, match=r"maker address|Invalid order payload"):
                stranger.create_and_post_order(order(0.4, 10, "BUY"))

        await asyncio.to_thread(play)


async def test_refusals_are_the_venues_sentences(tmp_path: Path) -> None:
    async with exchange(tmp_path) as live:
        await live.level("SELL", "0.5", "20")

        def refused(call: Callable[[], Any], status: int, text: str) -> None:
            with pytest.raises(PolyApiException) as caught:
                call()
            assert caught.value.status_code == status
            assert text in str(caught.value.error_msg)

        def play() -> None:
            trader = client(live)
            buy = trader.create_and_post_order
            refused(lambda: buy(order(0.4, 4, "BUY")), 400, "Size (4) lower than the minimum: 5")
            refused(lambda: buy(order(0.9, 5000, "BUY")), 400, "not enough balance / allowance")
            refused(lambda: buy(order(0.9, 500, "SELL")), 400, "not enough balance / allowance")
            refused(lambda: buy(order(0.55, 5, "BUY"), post_only=True), 400, "crosses book")
            signed = trader.create_order(order(0.4, 10, "BUY"))
            assert trader.post_order(signed)["success"]
            refused(lambda: trader.post_order(signed), 400, "is invalid. Duplicated.")
            early = trader.create_order(order(0.4, 10, "BUY", expiration=1_800_000_000))
            refused(lambda: trader.post_order(early), 400, "invalid expiration")
            forged = trader.create_order(order(0.4, 11, "BUY"))
            forged.makerAmount = "5"
            refused(lambda: trader.post_order(forged), 400, "invalid signature")
            refused(lambda: trader.get_order_book("1"), 404, "No orderbook exists")
            refused(lambda: trader.get_order("0x1"), 404, "not found")
            trader.creds.api_secret = "A" * 43 + "="
            refused(trader.get_open_orders, 401, "Unauthorized/Invalid api key")
            bare = ClobClient(live.url, 80002, key=KEYS[0])
            refused(bare.create_api_key, 401, "Invalid L1 Request headers")

        await asyncio.to_thread(play)


async def test_a_batch_is_answered_order_by_order(tmp_path: Path) -> None:
    def play(live: Live) -> None:
        trader = client(live)
        good, small = (trader.create_order(order(0.4, size, "BUY")) for size in (10, 4))
        answers = trader.post_orders(
            [PostOrdersV2Args(order=one, orderType=OrderType.GTC) for one in (good, small)]
        )
        read = [normalize_order_response(RawOrderResponse.parse_response(one)) for one in answers]
        assert [one.ok for one in read] == [True, False]
        assert answers[1]["success"]  # as the venue does it
        trader.create_and_post_order(order(0.3, 10, "BUY", NO))
        only = trader.cancel_market_orders(OrderMarketCancelParams(market=CONDITION, asset_id=NO))
        assert len(only["canceled"]) == 1
        assert trader.cancel_orders([answers[0]["orderID"], "0x1"])["not_canceled"] == {
            "0x1": "order not found"
        }
        trader.create_and_post_order(order(0.3, 10, "BUY"))
        assert len(trader.cancel_all()["canceled"]) == 1

    await played(tmp_path, play)


async def test_a_readable_address_owns_its_key_alone(tmp_path: Path) -> None:
    def play(live: Live) -> None:
        mine, theirs = client(live), client(live, KEYS[1])
        placed = mine.create_and_post_order(order(0.4, 10, "BUY"))
        assert theirs.get_open_orders() == []
        ended = theirs.cancel_order(OrderPayload(orderID=placed["orderID"]))
        assert ended["not_canceled"] == {placed["orderID"]: "order not found"}
        assert Account.from_key(KEYS[0]).address == mine.get_address()
        assert mine.get_api_keys() == {"apiKeys": [mine.creds.api_key]}

    await played(tmp_path, play)
