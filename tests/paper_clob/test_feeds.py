"""The market comes from a seed, from a recording, or from another exchange's market channel."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from paper.clob.core.values import ONE, Market
from paper.clob.feed.frames import (
    BookEvent,
    Event,
    Frames,
    LevelEvent,
    ResolvedEvent,
    TickSizeEvent,
    TradeEvent,
)
from paper.clob.feed.generator import Generator, seeded_markets
from tests.paper_clob.harness import CONDITION, NO, YES, Live, exchange
from tests.paper_clob.test_shapes import channel, until
from tests.unit.venues.polymarket.clob_frames import book, price_change, tick_size_change
from tradingtools.runtime.process import Startup


def read(frame: Any, market: Market) -> list[Event]:
    listed = dict.fromkeys(market.assets, market)
    return list(Frames(listed).read(json.dumps(frame)))


def test_frames_of_the_market_channel() -> None:
    market = Market(condition="0xc", assets=("1", "2"))
    assert read([book("1")], market) == [
        BookEvent(
            "0xc",
            ((6_200, 310 * ONE), (6_000, 45_500_000)),
            ((6_400, 120 * ONE), (6_700, 900 * ONE)),
        )
    ]
    assert read(price_change("1"), market) == [LevelEvent("0xc", "BUY", 6_300, 75 * ONE)]
    assert read(price_change("2"), market) == []
    assert read(tick_size_change("1"), market) == [TickSizeEvent("0xc", 10)]


def test_a_trade_of_the_other_outcome_is_turned_round() -> None:
    market = Market(condition="0xc", assets=("1", "2"))
    frame = {"event_type": "last_trade_price", "price": "0.3", "size": "12.345", "side": "BUY"}
    assert read(frame | {"asset_id": "1"}, market) == [TradeEvent("0xc", "BUY", 3_000, 12_340_000)]
    assert read(frame | {"asset_id": "2"}, market) == [TradeEvent("0xc", "SELL", 7_000, 12_340_000)]
    resolved = {"event_type": "market_resolved", "assets_ids": ["1", "2"]}
    assert read(resolved | {"winning_asset_id": "2"}, market) == [ResolvedEvent("0xc", (0, ONE))]
    assert read(resolved, market) == [ResolvedEvent("0xc", (ONE // 2, ONE // 2))]
    with pytest.raises(ValueError, match="truncated"):
        list(Frames({}).read("{"))


def test_a_seeded_day_is_the_same_every_time() -> None:
    def day(seed: int) -> list[Event]:
        generator = Generator(seeded_markets(seed), seed=seed)
        events = list(generator.begin())
        for _ in range(200):
            events += generator.step()
        return events

    assert day(5) == day(5)
    assert day(5) != day(6)
    kinds = {type(event) for event in day(5)}
    assert kinds == {BookEvent, LevelEvent, TradeEvent}


async def books(live: Live) -> Any:
    async with httpx.AsyncClient(base_url=live.url) as client:
        found = [
            (await client.get("/book", params={"token_id": each})).json() for each in (YES, NO)
        ]
    return [{name: book[name] for name in ("bids", "asks", "tick_size")} for book in found]


async def test_an_exchange_follows_another_ones_market_and_its_recording(tmp_path: Path) -> None:
    """Its live feed is any market channel, and what that has told can be played again."""
    market = {"condition": CONDITION, "assets": [YES, NO]}
    file = tmp_path / "markets.jsonl"
    file.write_text(json.dumps(market) + "\n")
    first = {"assets_ids": [YES, NO], "type": "market"}
    async with (
        exchange(tmp_path / "leader") as leader,
        exchange(
            tmp_path / "follower",
            market=False,
            markets=str(file),
            feed="live",
            live_url=f"{leader.ws}/ws/market",
        ) as follower,
        channel(f"{leader.ws}/ws/market", first) as reported,
    ):
        for side, price, size in [
            ("BUY", "0.4", "20"),
            ("SELL", "0.6", "30"),
            ("BUY", "0.41", "5.55"),
            ("BUY", "0.4", "0"),
        ]:
            await leader.level(side, price, size)
        await leader.notify("/tick", condition=CONDITION, tick="0.001")
        expected = await books(leader)
        await _equal(follower, expected)
        await until(reported, lambda frames: any("new_tick_size" in frame for frame in frames))
        recording = tmp_path / "recording.jsonl"
        lines = [{"ts": number, "frame": frame} for number, frame in enumerate(reported)]
        recording.write_text("".join(json.dumps(line) + "\n" for line in lines))
    async with exchange(
        tmp_path / "again",
        market=False,
        markets=str(file),
        feed="recording",
        recording=str(recording),
    ) as again:
        await _equal(again, expected)


async def _equal(live: Live, expected: Any) -> None:
    await live.until(lambda _: True)
    for _ in range(6_000):
        if await books(live) == expected:
            return
    raise AssertionError(f"{await books(live)} is not {expected}")


async def test_a_seeded_exchange_has_markets_and_wallets(tmp_path: Path) -> None:
    wallets = tmp_path / "wallets.jsonl"
    wallets.write_text('{"wallet":"0xAB","usdc":"12.5"}\n')
    async with exchange(
        tmp_path, market=False, feed="seeded", step_ms="10", wallets=str(wallets)
    ) as live:
        assert (await live.state())["usdc"] == {"0xab": "12.5"}
        (market, *_) = seeded_markets(1)
        first = {"assets_ids": [market.assets[0]], "type": "market"}
        async with channel(f"{live.ws}/ws/market", first) as reported:
            await until(reported, lambda frames: len(frames) > 5)


@pytest.mark.parametrize(
    ("name", "content"),
    [("markets", "{"), ("wallets", '{"wallet":"0x1","sets":{"0xc":"1"}}'), ("recording", None)],
)
async def test_a_bad_file_is_named(tmp_path: Path, name: str, content: str | None) -> None:
    file = tmp_path / "file"
    if content is not None:
        file.write_text(content)
    feed = "recording" if name == "recording" else "none"
    with pytest.raises(Startup, match=f"TT_PAPER_CLOB_{name.upper()}"):
        async with exchange(tmp_path, market=False, feed=feed, **{name: str(file)}):
            pass
