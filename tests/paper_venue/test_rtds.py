"""The trade feed over real sockets, two clients as the engine has them."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import pytest
import websockets
from aiohttp import web

from paper.venue import tape
from tests.paper_venue.harness import LEADER, feed, frames, receive, request, row, venue

FIELDS = {
    *("asset", "bio", "conditionId", "eventSlug", "icon", "name", "outcome", "outcomeIndex"),
    *("price", "profileImage", "proxyWallet", "pseudonym", "side", "size", "slug", "timestamp"),
    *("title", "transactionHash"),
}
ROWS, _ = tape.load(None)
PROMPT = {"late_permille": "0", "lone_permille": "0"}


def read(text: str) -> Any:
    return msgspec.json.decode(text)


async def test_two_sockets_each_get_every_row_on_both_topics(tmp_path: Path) -> None:
    async with venue(tmp_path, **PROMPT) as live, feed(live) as one, feed(live) as two:
        await live.notify("/start")
        seen: dict[int, Counter[tuple[str, str, str]]] = {}
        for number, socket in enumerate((one, two)):
            seen[number] = Counter()
            while len(seen[number]) < 24:
                frame = read((await frames(socket, 1))[0])
                payload = frame["payload"]
                assert frame.keys() == {"connection_id", "payload", "timestamp", "topic", "type"}
                assert payload.keys() - {"fee"} == FIELDS
                if payload["proxyWallet"].lower() in {r.trade.wallet for r in ROWS}:
                    fill = payload["transactionHash"], str(payload["price"]), frame["type"]
                    seen[number][fill] += 1
        first = {fill for fill in seen[0] if fill in seen[1]}
        assert len(first) >= 16
        assert {kind for _, _, kind in first} == {"trades", "orders_matched"}
        assert all(count == 1 for count in seen[0].values())
        assert not {r.trade.tx for r in ROWS} & {tx for tx, _, _ in first}


async def test_numbers_keep_their_digits_and_wallets_mix_their_case(tmp_path: Path) -> None:
    async with venue(tmp_path, repeat="true", **PROMPT) as live, feed(live) as socket:
        await live.notify("/start")
        first = ROWS[0].trade
        texts = [text for text in await frames(socket, 12) if first.tx in text]
        own = next(text for text in texts if LEADER in text.lower())
        assert f'"price":{first.price_text},' in own
        assert f'"size":{first.size_text},' in own
        wallet = read(own)["payload"]["proxyWallet"]
        assert wallet.lower() == LEADER != wallet
        sent_s = read(own)["timestamp"] / 1000
        lag_s = ROWS[0].lag_ms / 1000
        assert -0.1 <= sent_s - lag_s - read(own)["payload"]["timestamp"] <= 1.5


async def test_the_journal_says_what_left_on_which_socket(tmp_path: Path) -> None:
    async with venue(tmp_path) as live, feed(live) as one, feed(live) as two:
        await live.notify("/inject", row())
        for socket in (one, two):
            assert len(await frames(socket, 2)) == 2
        entries = (await live.control.get("/journal")).json()["entries"]
        assert [entry["seq"] for entry in entries] == [1, 2, 3, 4]
        assert {(e["topic"], e["socket"]) for e in entries} == {
            (topic, number) for topic in ("trades", "orders_matched") for number in (1, 2)
        }
        assert {(e["wallet"], e["price"], e["size"]) for e in entries} == {(LEADER, "0.51", "12.5")}
        later = (await live.control.get("/journal", params={"after": 3})).json()
        assert [entry["seq"] for entry in later["entries"]] == [4]


async def test_a_lone_row_reaches_one_of_two_sockets(tmp_path: Path) -> None:
    more = {"late_permille": "0", "lone_permille": "1000", "mean_gap_ms": "20"}
    async with venue(tmp_path, **more) as live, feed(live), feed(live):
        await live.notify("/start")
        await live.state_where(lambda state: state["journal_last"] >= 40)
        entries = (await live.control.get("/journal")).json()["entries"]
        per_fill = Counter((e["tx"], e["price"], e["size"], e["topic"]) for e in entries)
        assert set(per_fill.values()) == {1}
        assert {e["socket"] for e in entries} == {1, 2}


@pytest.mark.parametrize("late", ["0", "1000"])
async def test_it_says_what_has_not_arrived_yet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, late: str
) -> None:
    send = web.WebSocketResponse.send_str

    async def slowly(response: web.WebSocketResponse, text: str) -> None:
        await asyncio.sleep(0.05)
        await send(response, text)

    monkeypatch.setattr(web.WebSocketResponse, "send_str", slowly)
    more = {"late_permille": late, "ping_grace_s": "600"}
    async with venue(tmp_path, **more) as live, feed(live) as socket:
        await live.notify("/start")
        await live.state_where(lambda state: state["rows_played"] > 0)
        await live.notify("/pause")
        left = await live.state_where(lambda state: state["under_way"] == 0)
        # Each row comes on both topics, and is listed after a while of its own.
        assert left["journal_last"] == 2 * left["rows_played"]
        assert len(await frames(socket, left["journal_last"])) == left["journal_last"]
        listed = await live.get("/data/trades", takerOnly="false", limit=10_000)
        assert len(listed) == left["rows_played"]


async def test_without_pings_a_socket_goes_silent_and_a_ping_wakes_it(tmp_path: Path) -> None:
    async with venue(tmp_path, ping_grace_s="1") as live, feed(live) as socket:
        await asyncio.sleep(1.1)
        await live.notify("/inject", row())
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(socket.recv(), 0.3)
        for word in ("ping", "PING"):
            await socket.send(word)
            assert await receive(socket) == "PONG"
        await live.notify("/inject", row(size=7))
        assert all('"size":7,' in text for text in await frames(socket, 2))


async def test_a_stalled_feed_answers_pings_and_loses_rows(tmp_path: Path) -> None:
    async with venue(tmp_path) as live, feed(live) as socket:
        await live.notify("/stall", {"seconds": 60, "feed": "rtds"})
        await live.notify("/inject", row())
        await socket.send("PING")
        assert await receive(socket) == "PONG"
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(socket.recv(), 0.2)
        await live.notify("/stall", {"seconds": 0})
        await live.notify("/inject", row(size=7))
        assert all('"size":7,' in text for text in await frames(socket, 2))


@pytest.mark.parametrize(
    "wrong",
    [
        "{",
        "[]",
        '{"action":"subscribe"}',
        request("subscribe", []),
        request("shout"),
        request("subscribe", [{"topic": "activity", "type": 5}]),
        request("subscribe", [{"topic": "activity", "type": "trades", "filters": "{"}]),
        request("subscribe", [{"topic": "activity", "type": "trades"}] * 2),
    ],
)
async def test_a_malformed_subscription_drops_the_connection(tmp_path: Path, wrong: str) -> None:
    async with venue(tmp_path) as live, websockets.connect(f"{live.ws}/rtds") as socket:
        await socket.send(wrong)
        with pytest.raises(websockets.ConnectionClosed):
            await receive(socket)
        await live.state_where(lambda state: state["rtds_sockets"] == 0)


async def test_subscriptions_are_by_topic_and_can_be_taken_back(tmp_path: Path) -> None:
    async with venue(tmp_path) as live, websockets.connect(f"{live.ws}/rtds") as socket:
        await socket.send(request("subscribe", [{"topic": "activity", "type": "orders_matched"}]))
        assert await receive(socket) == ""
        await live.notify("/inject", row())
        assert [read(text)["type"] for text in await frames(socket, 1)] == ["orders_matched"]
        await socket.send(request("unsubscribe", [{"topic": "activity", "type": "orders_matched"}]))
        assert await receive(socket) == ""
        await socket.send(request("subscribe", [{"topic": "activity", "type": "*"}]))
        assert await receive(socket) == ""
        await live.notify("/inject", row(size=7))
        kinds = {read(text)["type"] for text in await frames(socket, 2)}
        assert kinds == {"trades", "orders_matched"}


async def test_a_filter_yields_nothing(tmp_path: Path) -> None:
    async with venue(tmp_path) as live, websockets.connect(f"{live.ws}/rtds") as socket:
        filters = '{"event_slug":"will-it-be-injected"}'
        command = [{"topic": "activity", "type": "trades", "filters": filters}]
        await socket.send(request("subscribe", command))
        assert await receive(socket) == ""
        await live.notify("/inject", row())
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(socket.recv(), 0.2)


async def test_garbage_and_drops_reach_every_socket(tmp_path: Path) -> None:
    async with venue(tmp_path) as live:
        async with feed(live) as one, feed(live) as two:
            assert await live.notify("/garbage", {"frame": '{"topic":'}) == {"sockets": 2}
            assert [await receive(one), await receive(two)] == ['{"topic":'] * 2
            assert await live.notify("/drop", {"feed": "rtds"}) == {"dropped": 2}
            for socket in (one, two):
                with pytest.raises(websockets.ConnectionClosed):
                    await receive(socket)
        async with feed(live) as socket:
            await live.notify("/drop", {"abort": True})
            with pytest.raises(websockets.ConnectionClosedError):
                await receive(socket)
        await live.state_where(lambda state: state["rtds_sockets"] == 0)


async def test_the_crowd_fills_the_feed_with_other_wallets(tmp_path: Path) -> None:
    async with venue(tmp_path, firehose_per_second="300") as live, feed(live) as socket:
        found = [read(text)["payload"] for text in await frames(socket, 200)]
        leaders = {r.trade.wallet for r in ROWS}
        assert leaders.isdisjoint(payload["proxyWallet"].lower() for payload in found)
        assert {payload["side"] for payload in found} == {"BUY", "SELL"}
        assert any("fee" in payload for payload in found)
        assert any("fee" not in payload for payload in found)
        market = await live.get("/gamma/markets", clob_token_ids=found[0]["asset"])
        assert market[0]["conditionId"] == found[0]["conditionId"]


async def test_pausing_stops_the_tape_and_resuming_goes_on(tmp_path: Path) -> None:
    async with venue(tmp_path, mean_gap_ms="20") as live:
        await live.notify("/start")
        await live.state_where(lambda state: state["rows_played"] >= 5)
        held = (await live.notify("/pause"))["rows_played"]
        await asyncio.sleep(0.3)
        assert (await live.state())["rows_played"] == held
        await live.notify("/resume")
        await live.state_where(lambda state: state["rows_played"] >= held + 5)
