"""The public socket: what is subscribed, what is told, and how a book becomes whole again."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace

import pytest

from tests.unit.venues.okx.far_side import far_side
from tests.unit.venues.okx.samples import (
    FUTURE,
    INVERSE,
    SPOT,
    SWAP,
    TAG,
    change,
    directory,
    instrument,
    listed,
)
from tradingtools.domain.book import BookStatus
from tradingtools.domain.instrument import TradingPhase
from tradingtools.tasks import run_in_background
from tradingtools.venues.mailbox import Mailbox
from tradingtools.venues.okx import market_feed, market_session
from tradingtools.venues.okx.market_session import (
    WHOLE_WITHIN_NS,
    EmitMarketEvent,
    MarketEffect,
    MarketSession,
    Warn,
)
from tradingtools.venues.okx.private_session import Renew, Send
from tradingtools.venues.okx.requests import Terms
from tradingtools.venues.okx.wallet import open_wallet
from tradingtools.venues.trading import (
    IndexPrice,
    MarketEvent,
    PhaseChange,
    Print,
    TradingBook,
)

OF = instrument(SWAP)
ALL = [instrument(fields) for fields in (SPOT, SWAP, INVERSE, FUTURE)]


def session() -> MarketSession:
    started = MarketSession(directory(), ALL)
    started.begin(0)
    return started


def frame(channel: str, *rows: object, action: str = "", **more: str) -> bytes:
    reported: dict[str, object] = {"arg": {"channel": channel, **more}, "data": rows}
    return json.dumps({**reported, "action": action} if action else reported).encode()


def book(seq: int, prev: int, action: str = "update") -> bytes:
    row = {"asks": [], "bids": [["100", str(seq), "0", "1"]], "ts": "1", "checksum": 0,
           "seqId": seq, "prevSeqId": prev}  # fmt: skip
    return frame("books", row, instId="BTC-USDT-SWAP", action=action)


def reported(effects: list[MarketEffect]) -> list[MarketEvent]:
    return [effect.event for effect in effects if isinstance(effect, EmitMarketEvent)]


def sent(effects: list[MarketEffect]) -> list[object]:
    return [json.loads(effect.frame) for effect in effects if isinstance(effect, Send)]


def test_each_kind_of_instrument_has_its_channels() -> None:
    started = MarketSession(directory(), ALL).begin(0)
    frames = [json.loads(one.frame) for one in started if isinstance(one, Send)]
    arguments = [tuple(sorted(arg.items())) for one in frames for arg in one["args"]]
    channels = {(dict(arg)["channel"], dict(arg).get("instId", "")) for arg in arguments}

    assert len(arguments) == len(set(arguments))
    assert ("funding-rate", "BTC-USDT-SWAP") in channels
    assert ("funding-rate", "BTC-USD-270326") not in channels
    assert ("mark-price", "BTC-USD-270326") in channels
    assert ("mark-price", "BTC-USDT") not in channels
    assert ("index-tickers", "BTC-USD") in channels
    assert {dict(a)["instType"] for a in arguments if dict(a)["channel"] == "instruments"} == {
        "SPOT", "SWAP", "FUTURES",
    }  # fmt: skip


def test_a_gap_is_told_before_a_whole_book_is_asked_for() -> None:
    market = session()
    market.receive(book(5, -1, "snapshot"), 1)

    effects = market.receive(book(9, 7), 2)

    (doubt,) = reported(effects)
    assert isinstance(doubt, TradingBook)
    assert doubt.status is BookStatus.STALE
    assert isinstance(effects[0], EmitMarketEvent)
    books = [{"channel": "books", "instId": "BTC-USDT-SWAP"}]
    assert sent(effects) == [
        {"op": "unsubscribe", "args": books},
        {"op": "subscribe", "args": books},
    ]
    assert market.receive(book(10, 9), 3) == []
    assert OF.symbol in market.overdue(10 * WHOLE_WITHIN_NS)
    (whole,) = reported(market.receive(book(20, -1, "snapshot"), 4))
    assert OF.symbol not in market.overdue(99 * WHOLE_WITHIN_NS)
    assert isinstance(whole, TradingBook)
    assert whole.status is BookStatus.FRESH


def test_a_book_that_does_not_come_is_asked_for_by_rest() -> None:
    market = session()
    assert market.overdue(WHOLE_WITHIN_NS) == []
    assert "BTC-USDT-SWAP" in market.overdue(WHOLE_WITHIN_NS + 1)
    market.receive(book(9, 7), 2)

    assert sent(market.join("BTC-USDT-SWAP", change(3, -1, snapshot=True), 3)), "too old"
    joined = market.join("BTC-USDT-SWAP", change(8, -1, snapshot=True, bids=[("7", "1")]), 3)
    (whole,) = reported(joined)
    assert isinstance(whole, TradingBook)
    assert (whole.status, len(whole.bids)) == (BookStatus.FRESH, 2)


def test_an_index_is_told_for_each_contract_on_it() -> None:
    effects = session().receive(
        frame("index-tickers", {"idxPx": "64000", "ts": "1"}, instId="BTC-USD"), 1
    )

    assert [one.instrument_id for one in reported(effects) if isinstance(one, IndexPrice)] == [
        "okx:BTC-USD-SWAP",
        "okx:BTC-USD-270326",
    ]


@pytest.mark.parametrize(
    ("row", "phase", "cause"),
    [
        ({**SWAP, "state": "suspend"}, TradingPhase.SUSPENDED, "suspension"),
        ({**SWAP, "tickSz": "0.01"}, TradingPhase.OPEN, "tick_change"),
        ({**FUTURE, "state": "expired"}, TradingPhase.ENDED, "expiry"),
        ({**SWAP, "state": "never seen"}, TradingPhase.SUSPENDED, "suspension"),
    ],
)
def test_new_rules_and_phases_are_told_once(
    row: Mapping[str, object], phase: TradingPhase, cause: str
) -> None:
    market = session()
    pushed = frame("instruments", row, SPOT, instType="SWAP")

    (news,) = reported(market.receive(pushed, 7_000_000))

    assert isinstance(news, PhaseChange)
    assert (news.phase, news.cause, news.venue_ms) == (phase, cause, 7)
    assert market.instrument(str(row["instId"])).phase is phase
    assert reported(market.receive(pushed, 8_000_000)) == []


def test_what_the_directory_has_meanwhile_is_told_all_the_same() -> None:
    """Whoever reads instruments over REST puts a change there before the socket tells it."""
    known, held = directory(), replace(OF, phase=TradingPhase.SUSPENDED)

    market = MarketSession(known, [held])
    (news, *_) = reported(market.begin(7_000_000))

    assert isinstance(news, PhaseChange)
    assert (news.instrument, news.phase, news.venue_ms) == (OF, TradingPhase.OPEN, 7)
    stopped = {**SWAP, "state": "suspend"}
    known.put([listed(stopped)])
    (news,) = reported(market.receive(frame("instruments", stopped, instType="SWAP"), 8_000_000))
    assert isinstance(news, PhaseChange)
    assert news.phase is TradingPhase.SUSPENDED


def test_units_that_change_make_the_book_unseen_until_a_whole_one_comes() -> None:
    market = session()
    market.receive(book(5, -1, "snapshot"), 1)

    effects = market.receive(frame("instruments", {**SWAP, "tickSz": "0.00000000001"}), 2)

    change, emptied = reported(effects)
    assert isinstance(change, PhaseChange)
    assert isinstance(emptied, TradingBook)
    assert emptied.status is BookStatus.UNSEEN
    assert sent(effects)


def test_books_are_in_doubt_without_a_connection() -> None:
    market = session()
    market.receive(book(5, -1, "snapshot"), 1)

    (one,) = market.lost(9)

    assert isinstance(one.event, TradingBook)
    assert one.event.status is BookStatus.STALE


@pytest.mark.parametrize(
    ("event", "kind"),
    [
        ({"event": "error", "code": "60018", "msg": "no such channel"}, Warn),
        ({"event": "error", "code": "60014", "msg": ""}, Renew),
        ({"event": "notice", "code": "64008", "msg": ""}, Renew),
        ({"odd": 1}, Renew),
    ],
)
def test_errors_of_one_channel_leave_the_others_alone(
    event: Mapping[str, str], kind: type[object]
) -> None:
    (effect,) = session().receive(json.dumps(event).encode(), 1)

    assert isinstance(effect, kind)


async def test_a_slow_reader_gets_the_newest_book_and_every_print() -> None:
    mail = Mailbox()
    market = session()
    trade = {"tradeId": "1", "px": "1", "sz": "1", "side": "buy", "ts": "1"}
    for at in range(5, 9):
        for effect in market.receive(book(at, at - 1, "snapshot" if at == 5 else "update"), at):
            assert isinstance(effect, EmitMarketEvent)
            mail.put(effect.event)
        for event in reported(market.receive(frame("trades", trade, instId="BTC-USDT"), 1)):
            mail.put(event)

    first = await mail.get()
    assert isinstance(first, TradingBook)
    assert first.received_ns == 8
    assert [type(await mail.get()) for _ in range(4)] == [Print] * 4


class Seen:
    """The statuses of the books that were told."""

    def __init__(self) -> None:
        self.statuses: list[BookStatus] = []
        self._there = asyncio.Event()

    async def listen(self, events: AsyncIterator[MarketEvent]) -> None:
        async for event in events:
            if isinstance(event, TradingBook):
                self.statuses.append(event.status)
                self._there.set()

    async def until(self, count: int) -> list[BookStatus]:
        async with asyncio.timeout(30):
            while len(self.statuses) < count:
                self._there.clear()
                await self._there.wait()
        return self.statuses


async def test_a_defect_of_the_feed_reaches_its_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> list[MarketEffect]:
        raise ZeroDivisionError

    monkeypatch.setattr(MarketSession, "receive", broken)
    async with far_side() as side, open_wallet(side.venue, None, Terms(tag=TAG)) as wallet:
        await wallet.instruments.find([OF.symbol])
        with pytest.raises(ZeroDivisionError):
            async for _ in wallet.markets.events([OF]):
                pass


async def test_over_the_wire_a_gap_is_mended_by_subscribing_anew() -> None:
    seen = Seen()
    async with far_side() as side, open_wallet(side.venue, None, Terms(tag=TAG)) as wallet:
        await wallet.instruments.find([OF.symbol])
        async with run_in_background(seen.listen(wallet.markets.events([OF]))):
            assert await seen.until(1) == [BookStatus.FRESH]
            await side.push_book(skip=3)
            assert (await seen.until(3))[1:] == [BookStatus.STALE, BookStatus.FRESH]
            await side.drop()
            assert (await seen.until(5))[3:] == [BookStatus.STALE, BookStatus.FRESH]


async def test_over_the_wire_a_book_that_does_not_come_is_read_by_rest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(market_session, "WHOLE_WITHIN_NS", 0)
    monkeypatch.setattr(market_feed, "_POLL_SECONDS", 0.01)
    seen = Seen()
    async with far_side() as side, open_wallet(side.venue, None, Terms(tag=TAG)) as wallet:
        side.mute = True
        await wallet.instruments.find([OF.symbol])
        async with run_in_background(seen.listen(wallet.markets.events([OF]))):
            assert await seen.until(1) == [BookStatus.FRESH]
