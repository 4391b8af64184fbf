"""Test that a seeded day is the same each time, and that recordings and live feeds are followed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import Any

import httpx
import pytest

from paper.okx import listing
from paper.okx.core.codes import Refusal
from paper.okx.core.exchange import Exchange
from paper.okx.core.happenings import OrderChanged
from paper.okx.core.orders import OrderRequest
from paper.okx.feed.events import BookEvent, FundingEvent, LevelEvent, MarkEvent, TradeEvent, take
from paper.okx.feed.frames import Frames, Gap
from paper.okx.feed.generator import Generator
from paper.okx.wire.orders import order_row
from tests.paper_okx import shapes
from tests.paper_okx.crowd import CURRENCIES, START_MS, exchange
from tests.paper_okx.harness import Live, okx, until
from tests.paper_okx.shapes import same

SWAP = "BTC-USDT-SWAP"


def play(seed: int, steps: int, step_ms: int) -> tuple[str, Exchange]:
    """A seeded market with a trader whose dice are of the same seed; the digest of all that
    happened."""
    listed = listing.instruments(START_MS)
    generator = Generator(listed, seed=seed, start_ms=START_MS)
    at = exchange("ann")
    at.world.funding.clear()
    rng, digest, now_ms = Random(seed), sha256(), START_MS  # noqa: S311 - a test's dice
    for event in generator.begin():
        take(at, event, now_ms)
    for _ in range(steps):
        now_ms += step_ms
        for event in generator.step():
            take(at, event, now_ms)
        try:
            _trade(at, rng, now_ms)
        except Refusal as refusal:
            digest.update(refusal.code.encode())
        at.at(now_ms)
        for one in at.drain():
            shown = order_row(one.order) if isinstance(one, OrderChanged) else one
            digest.update(repr(shown).encode())
    return digest.hexdigest(), at


def _trade(at: Exchange, rng: Random, now_ms: int) -> None:
    of = at.world.instruments[SWAP]
    price = at.world.marks[SWAP] + rng.randint(-40, 40)
    at.place(
        "ann",
        OrderRequest(
            inst_id=SWAP,
            td_mode=rng.choice(["cross", "isolated"]),
            side=rng.choice(["buy", "sell"]),
            ord_type=rng.choice(["limit", "post_only", "ioc"]),
            sz=of.size_text(rng.randint(1, 2_000)),
            px=of.price_text(price),
        ),
        now_ms,
    )


def test_a_seeded_stretch_replays_the_same() -> None:
    first, at = play(7, 50, 600_000)
    assert play(7, 50, 600_000)[0] == first
    assert play(8, 50, 600_000)[0] != first
    assert at.world.fills["ann"]
    assert any(bill.kind == "8" for bill in at.world.bills["ann"])
    for currency in CURRENCIES:
        assert at.world.ledger.total(currency, at.world.marks) == at.world.ledger.put_in[currency]


@pytest.mark.long
@pytest.mark.timeout(600)
def test_a_whole_day_replays_the_same() -> None:
    first, _ = play(3, 2_880, 30_000)
    assert play(3, 2_880, 30_000)[0] == first


def test_the_seeded_book_never_crosses_itself() -> None:
    listed = listing.instruments(START_MS)
    generator = Generator(listed, seed=5, start_ms=START_MS)
    at = exchange()
    for event in generator.begin():
        take(at, event, START_MS)
    for _ in range(30):
        for event in generator.step():
            take(at, event, START_MS)
            if isinstance(event, (LevelEvent, BookEvent)):
                book = at.world.books[event.inst_id]
                bid, ask = book.best("buy"), book.best("sell")
                assert bid is None or ask is None or bid < ask


def frame(channel: str, inst_id: str, row: dict[str, object], action: str = "") -> dict[str, Any]:
    """A frame of a channel with one row."""
    found = {"arg": {"channel": channel, "instId": inst_id}, "data": [row]}
    return found | ({"action": action} if action else {})


def book_frame(
    action: str, bids: Sequence[tuple[str, str]], asks: Sequence[tuple[str, str]], seq: int
) -> dict[str, Any]:
    """A frame of `books`: levels of price and size; an update follows the number before its own."""
    levels = {
        name: [[price, size, "0", "1"] for price, size in side]
        for name, side in (("asks", asks), ("bids", bids))
    }
    before = -1 if action == "snapshot" else seq - 1
    row = {**levels, "ts": "1750000000000", "checksum": 0, "prevSeqId": before, "seqId": seq}
    same(row, shapes.BOOK)
    return frame("books", "BTC-USDT", row, action)


SNAPSHOT = book_frame(
    "snapshot",
    [("60000.04", "3.5"), ("59999", "2")],
    [("60000.26", "1.25"), ("60001", "4")],
    seq=70,
)
UPDATE = book_frame("update", [("60000.04", "0"), ("59998.5", "6")], [("60000.2", "8")], seq=71)
TRADE = frame(
    "trades",
    "BTC-USDT",
    {
        "instId": "BTC-USDT",
        "tradeId": "9001",
        "px": "60000.1",
        "sz": "0.25000001",
        "side": "buy",
        "ts": "1750000000500",
        "count": "2",
    },
)
FUNDING = frame(
    "funding-rate",
    SWAP,
    {
        "instId": SWAP,
        "fundingRate": "0.00015",
        "nextFundingRate": "0.00025",
        "fundingTime": "1750003200000",
        "nextFundingTime": "1750032000000",
        "ts": "1750000001000",
    },
)


def test_frames_are_read() -> None:
    same(TRADE["data"][0], shapes.PUSHED_TRADE)
    same(FUNDING["data"][0], shapes.FUNDING)
    listed = {one.inst_id: one for one in listing.instruments(START_MS)}
    frames = Frames(listed)

    def read(reported: dict[str, Any]) -> list[object]:
        return list(frames.read(json.dumps(reported)))

    (book,) = read(SNAPSHOT)
    bids = ((600_000, 350_000_000), (599_990, 200_000_000))  # 60000.04 at a tick of 0.1
    asks = ((600_003, 125_000_000), (600_010, 400_000_000))
    assert book == BookEvent("BTC-USDT", bids, asks)
    assert read(UPDATE) == [  # what goes comes first
        LevelEvent("BTC-USDT", "buy", 600_000, 0),
        LevelEvent("BTC-USDT", "buy", 599_985, 600_000_000),
        LevelEvent("BTC-USDT", "sell", 600_002, 800_000_000),
    ]
    assert read(TRADE) == [TradeEvent("BTC-USDT", "buy", 600_001, 25_000_001)]
    (funding,) = read(FUNDING)
    assert funding == FundingEvent(SWAP, 150_000, 250_000, 1_750_003_200_000, 28_800_000)
    with pytest.raises(Gap):
        read(UPDATE)  # the same once more does not follow itself
    mark = {"arg": {"channel": "mark-price", "instId": SWAP}}
    row = {"instType": "SWAP", "instId": SWAP, "markPx": "84660.14", "ts": "1"}
    assert list(frames.read(json.dumps({**mark, "data": [row]}))) == [MarkEvent(SWAP, 846_601)]
    with pytest.raises(ValueError, match="not a frame"):
        list(frames.read("[1"))


def _levels(live: Live, inst_id: str) -> tuple[list[list[str]], list[list[str]]]:
    answer = httpx.get(
        f"{live.rest}/api/v5/market/books?instId={inst_id}&sz=2", verify=live.tls
    ).json()["data"][0]
    return answer["bids"], answer["asks"]


def test_a_recording_is_played(tmp_path: Path) -> None:
    lines = [{"ts": 1_000 + at, "frame": one} for at, one in enumerate((SNAPSHOT, UPDATE, TRADE))]
    recording = tmp_path / "recording.jsonl"
    recording.write_text("".join(json.dumps(line) + "\n" for line in lines))
    with okx(tmp_path, feed="recording", recording=str(recording), limits="false") as live:
        until(
            lambda: httpx.get(
                f"{live.rest}/api/v5/market/trades?instId=BTC-USDT", verify=live.tls
            ).json()["data"]
        )
        bids, asks = _levels(live, "BTC-USDT")
        assert (bids[0][0], asks[0][0]) == ("59999", "60000.2")


def test_the_live_feed_is_followed_and_followed_again(
    live: Live, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another paper exchange stands for OKX itself."""
    monkeypatch.setenv("SSL_CERT_FILE", str(live.authority))
    live.notify("/running", limits=False)
    live.book(SWAP, "49990", "50010", "1000")
    with okx(tmp_path, feed="live", live_url=live.socket("public"), limits="false") as follower:
        until(lambda: _levels(follower, SWAP) == _levels(live, SWAP))
        live.book(SWAP, "49000", "51000", "3")
        until(lambda: _levels(follower, SWAP) == _levels(live, SWAP))
        live.notify("/books", instId=SWAP, sequence="gap")
        live.book(SWAP, "49100", "50900", "4")  # this update is lost
        live.book(SWAP, "49200", "50800", "5")
        until(lambda: _levels(follower, SWAP) == _levels(live, SWAP))
        live.notify("/drop")
        live.book(SWAP, "49300", "50700", "6")
        until(lambda: _levels(follower, SWAP) == _levels(live, SWAP))


def test_the_seeded_market_moves_while_it_is_served(tmp_path: Path) -> None:
    with okx(tmp_path, feed="seeded", step_ms="5", limits="false") as live:
        first = _levels(live, SWAP)
        until(lambda: _levels(live, SWAP) != first)
        live.notify("/running", feed=False)
        assert live.conserved()
