"""Orders over the real wire: taken once, or provably not, or to be read."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from decimal import Decimal

import pytest

from tests.unit.venues.okx.far_side import CREDENTIALS, FarSide, Signer, far_side
from tests.unit.venues.okx.samples import SWAP, TAG, instrument
from tradingtools import clock
from tradingtools.domain.instrument import InstrumentKind, TradingPhase
from tradingtools.venues.okx.requests import Terms
from tradingtools.venues.okx.signing import Credentials, SigningError
from tradingtools.venues.okx.wallet import OkxVenue, OkxWallet, open_wallet
from tradingtools.venues.ports import Meaning
from tradingtools.venues.trading import (
    AmendOrder,
    Balance,
    CancelOrder,
    NewOrder,
    OrderStatus,
    ReadError,
)

OF = instrument(SWAP)


def order(name: str = "a1", *, within_ms: int = 20_000) -> NewOrder:
    return NewOrder(
        order_id=name, instrument=OF, side="BUY", price=OF.price_of("100"), size=OF.size_of("2"),
        not_after_ms=clock.now_ms() + within_ms,
    )  # fmt: skip


def cancel(name: str = "a1") -> CancelOrder:
    return CancelOrder(order_id=name, instrument=OF, not_after_ms=clock.now_ms() + 20_000)


@pytest.fixture
async def side() -> AsyncIterator[FarSide]:
    async with far_side() as running:
        yield running


@asynccontextmanager
async def opened(
    venue: OkxVenue, credentials: Credentials = CREDENTIALS, *, timeout_ms: int = 20_000
) -> AsyncIterator[OkxWallet]:
    async with open_wallet(venue, credentials, Terms(tag=TAG), timeout_ms=timeout_ms) as wallet:
        await wallet.instruments.find(["BTC-USDT-SWAP"])
        yield wallet


async def test_an_order_is_taken_found_and_cancelled(side: FarSide) -> None:
    async with opened(side.venue) as wallet:
        receipt = await wallet.orders.place(order())
        assert receipt.meaning is Meaning.ACCEPTED
        found = await wallet.accounts.find(cancel())
        assert found is not None
        assert (found.status, found.venue_order_id) == (OrderStatus.OPEN, receipt.venue_order_id)
        assert [one.order_id for one in await wallet.accounts.open_orders()] == ["a1"]

        assert (await wallet.orders.cancel(cancel())).meaning is Meaning.ACCEPTED
        ended = await wallet.accounts.find(cancel())
        assert ended is not None
        assert ended.status is OrderStatus.CANCELLED
        assert await wallet.accounts.find(cancel("b2")) is None


async def test_a_clock_off_by_forty_seconds_is_noticed_and_corrected(
    side: FarSide, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    side.clock_off_ms = 40_000
    async with opened(side.venue) as wallet:
        sent = order()
        receipt = await wallet.orders.place(sent)

        assert receipt.meaning is Meaning.ACCEPTED
        (deadline,) = side.deadlines
        assert 0 <= sent.not_after_ms + 40_000 - deadline <= 20_000
        assert wallet.rest.venue_clock.off
        assert "our clock is off, by that of okx" in capsys.readouterr().out + caplog.text

        # It jumps once more, while the offset is believed.
        side.clock_off_ms = -40_000
        later = order("a2")
        assert (await wallet.orders.place(later)).meaning is Meaning.ACCEPTED
        assert later.not_after_ms - 40_000 - side.deadlines[-1] >= 0
        assert [taken["clOrdId"] for taken in side.taken] == ["a1", "a2"]
        assert await wallet.accounts.open_orders()


async def test_an_order_whose_answer_is_lost_is_unknown_and_resolved_by_reading(
    side: FarSide,
) -> None:
    async with opened(side.venue) as wallet:
        side.lose_answer = True

        receipt = await wallet.orders.place(order())

        assert (receipt.meaning, receipt.code) == (Meaning.UNKNOWN, "NO_ANSWER")
        assert len(side.taken) == 1
        found = await wallet.accounts.find(cancel())
        assert found is not None
        assert found.status is OrderStatus.OPEN


@pytest.mark.parametrize(
    ("status", "raw", "meaning"),
    [
        (502, b"<html>", Meaning.UNKNOWN),
        (429, b"<html>", Meaning.UNKNOWN),
        (302, b"", Meaning.UNKNOWN),
        (429, b'{"code":"50011","msg":"","data":[]}', Meaning.NOT_ACCEPTED),
        (200, b'{"code":"50026","msg":"","data":[]}', Meaning.UNKNOWN),
        (200, b'{"code":"51022","msg":"","data":[]}', Meaning.REJECTED),
    ],
)
async def test_an_answer_is_judged_with_its_status(
    side: FarSide, status: int, raw: bytes, meaning: Meaning
) -> None:
    async with opened(side.venue) as wallet:
        side.status, side.raw = status, raw

        assert (await wallet.orders.place(order())).meaning is meaning
        assert side.requested.count("POST /api/v5/trade/order") == 1


async def test_no_redirect_carries_the_key_elsewhere(side: FarSide) -> None:
    async with opened(side.venue) as wallet:
        side.status, side.raw, side.location = 307, b"", "/api/v5/public/elsewhere"

        assert (await wallet.orders.place(order())).meaning is Meaning.UNKNOWN
        assert "POST /api/v5/public/elsewhere" not in side.requested


async def test_what_never_left_was_not_sent(side: FarSide) -> None:
    async with opened(side.venue) as wallet:
        assert (await wallet.orders.place(order(within_ms=0))).code == "TOO_LATE"
        gtd = replace(order(), price=OF.price_of("100.05"))
        assert (await wallet.orders.place(gtd)).code == "BAD_REQUEST"
        assert side.taken == []
    nowhere = replace(side.venue, rest_url="http://127.0.0.1:1")
    async with open_wallet(nowhere, CREDENTIALS, Terms(tag=TAG)) as wallet:
        receipt = await wallet.orders.place(order())
        assert receipt.meaning is Meaning.NOT_ACCEPTED


async def test_without_a_signature_nothing_is_sent(side: FarSide) -> None:
    class Refusing(Signer):
        async def sign_request(self, *, timestamp: str, method: str, path: str, body: str) -> str:
            raise SigningError("not this wallet")

    credentials = Credentials(api_key=CREDENTIALS.api_key, signer=Refusing())
    async with opened(side.venue, credentials) as wallet:
        receipt = await wallet.orders.place(order())

        assert (receipt.meaning, receipt.code) == (Meaning.NOT_ACCEPTED, "NOT_SIGNED")
        assert "POST /api/v5/trade/order" not in side.requested
        with pytest.raises(ReadError, match="not signed"):
            await wallet.accounts.open_orders()


async def test_a_deadline_that_passes_on_the_way_is_kept_by_the_venue(side: FarSide) -> None:
    async with opened(side.venue) as wallet:
        side.clock_off_ms = 25_000  # Below what the venue refuses a timestamp for.
        receipt = await wallet.orders.place(order(within_ms=10_000))

        assert (receipt.meaning, receipt.code) == (Meaning.REJECTED, "50036")
        assert side.taken == []


async def test_a_cancel_that_overtakes_its_place_proves_nothing_about_it(side: FarSide) -> None:
    async with opened(side.venue) as wallet:
        early = await wallet.orders.cancel(cancel())
        assert (early.meaning, early.code) == (Meaning.REJECTED, "51400")
        assert (await wallet.orders.place(order())).meaning is Meaning.ACCEPTED
        assert (await wallet.orders.cancel(cancel())).meaning is Meaning.ACCEPTED


async def test_an_id_that_is_used_again_makes_a_second_order(side: FarSide) -> None:
    # The venue takes it, so nothing here may ever send an order twice.
    async with opened(side.venue) as wallet:
        await wallet.orders.place(order())
        side.fill("a1", "1")
        second = await wallet.orders.place(order())

        assert second.meaning is Meaning.ACCEPTED
        assert len(side.taken) == 2
        assert not wallet.orders.capabilities.unique_order_id


async def test_settings_have_receipts_too(side: FarSide) -> None:
    async with opened(side.venue) as wallet:
        side.raw = b'{"code":"0","msg":"","data":[{"triggerTime":"1","tag":"","ts":"1"}]}'
        assert (await wallet.orders.cancel_all_after(30)).meaning is Meaning.ACCEPTED
        assert (await wallet.orders.cancel_all_after(5)).meaning is Meaning.REJECTED
        assert (await wallet.orders.set_leverage("BTC-USDT-SWAP", Decimal(5))).meaning is (
            Meaning.ACCEPTED
        )
        side.raw = b'{"code":"59102","msg":"","data":[]}'
        refused = await wallet.orders.set_leverage("BTC-USDT-SWAP", Decimal(5))
        assert (refused.meaning, refused.code) == (Meaning.REJECTED, "59102")
        change = AmendOrder(
            order_id="a1", request_id="r1", instrument=OF, size=OF.size_of("3"),
            not_after_ms=clock.now_ms() + 9_000,
        )  # fmt: skip
        side.raw = b'{"code":"1","msg":"","data":[{"sCode":"51510","clOrdId":"a1","reqId":"r1"}]}'
        assert (await wallet.orders.amend(change)).code == "51510"


async def test_fills_and_balances_are_read_by_rest(side: FarSide) -> None:
    async with opened(side.venue) as wallet:
        await wallet.orders.place(order())
        side.fill("a1", "31")

        (fill,) = await wallet.accounts.fills(clock.now_ms() - 60_000)
        assert (fill.trade_id, fill.order_id, fill.maker) == ("31", "a1", True)
        assert (await wallet.accounts.history(0))[0].status is OrderStatus.FILLED
        state = await wallet.accounts.state()
        assert state.balances == (
            Balance(currency="USDT", total=Decimal(1000), available=Decimal(900)),
        )


async def test_what_is_told_of_instruments_that_are_listed_no_more(side: FarSide) -> None:
    """Of one that was traded it is read; of a stranger's it is left alone, and blocks nothing."""
    async with opened(side.venue) as wallet:
        await wallet.orders.place(order())
        side.fill("a1", "31")
        (ours,) = side.fills
        for number, symbol in enumerate(("BTC-USDT-250101", "ETH-USDT-250101", "X-USDT-250101")):
            side.fills.append(
                {**ours, "instId": symbol, "tradeId": str(number), "instType": "FUTURES"}
            )
        gone = replace(OF, id="okx:BTC-USDT-250101", kind=InstrumentKind.FUTURE)
        wallet.instruments.restore([gone, replace(OF, tick_size=7)])
        found = await wallet.accounts.fills(clock.now_ms() - 60_000)
        assert {one.instrument_id for one in found} == {OF.id, gone.id}
        # What the venue lists is as it says.
        known = await wallet.instruments.find(["BTC-USDT-250101", "BTC-USDT-SWAP"])
        assert list(known) == [replace(gone, phase=TradingPhase.ENDED), OF]
