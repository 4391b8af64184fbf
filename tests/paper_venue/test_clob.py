"""The market channel and the CLOB's REST, which must tell of the same book."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest
import websockets

from paper.venue import tape
from tests.paper_venue.harness import Live, market, receive, row, venue

ROWS, _ = tape.load(None)
ASSET = ROWS[0].trade.asset
CONDITION = ROWS[0].trade.condition


class Copy:
    """A client's copy of one asset's book, kept by the messages alone."""

    def __init__(self, snapshot: Any) -> None:
        self.hash = snapshot["hash"]
        self.sides = {
            "BUY": {level["price"]: level["size"] for level in snapshot["bids"]},
            "SELL": {level["price"]: level["size"] for level in snapshot["asks"]},
        }

    def apply(self, entry: Any) -> None:
        side = self.sides[entry["side"]]
        if entry["size"] == "0":
            del side[entry["price"]]
        else:
            side[entry["price"]] = entry["size"]
        self.hash = entry["hash"]
        assert max(self.sides["BUY"], key=float, default="0") == entry["best_bid"]
        assert min(self.sides["SELL"], key=float, default="1") == entry["best_ask"]


async def message(socket: websockets.ClientConnection, kind: str) -> Any:
    """The next message of a kind; others are passed over."""
    while True:
        found = msgspec.json.decode(await receive(socket))
        if isinstance(found, dict) and found["event_type"] == kind:
            return found


async def snapshot(socket: websockets.ClientConnection) -> Any:
    return msgspec.json.decode(await receive(socket))


async def complement(live: Live) -> str:
    answer = await live.get(f"/clob/markets-by-token/{ASSET}")
    assert answer["condition_id"] == CONDITION
    return str(answer["secondary_token_id"])


async def test_changes_applied_to_the_snapshot_give_the_book_of_rest(tmp_path: Path) -> None:
    async with venue(tmp_path) as live:
        other = await complement(live)
        async with market(live, ASSET, other) as socket:
            books = {book["asset_id"]: Copy(book) for book in await snapshot(socket)}
            assert books.keys() == {ASSET, other}
            for _ in range(12):
                changed = await message(socket, "price_change")
                assert changed["market"] == CONDITION
                for entry in changed["price_changes"]:
                    books[entry["asset_id"]].apply(entry)
            for asset, copy in books.items():
                # REST may be ahead by a step; then the socket tells of that very step.
                rest = await live.get("/clob/book", token_id=asset)
                while copy.hash != rest["hash"]:
                    for entry in (await message(socket, "price_change"))["price_changes"]:
                        books[entry["asset_id"]].apply(entry)
                bids = {level["price"]: level["size"] for level in rest["bids"]}
                asks = {level["price"]: level["size"] for level in rest["asks"]}
                assert copy.sides == {"BUY": bids, "SELL": asks}


async def test_shapes_of_book_and_rest(tmp_path: Path) -> None:
    async with venue(tmp_path) as live, market(live, ASSET, "42") as socket:
        [book] = await snapshot(socket)
        assert book.keys() == {
            *("event_type", "market", "asset_id", "timestamp", "hash", "bids", "asks"),
            *("tick_size", "last_trade_price"),
        }
        rest = await live.get("/clob/book", token_id=ASSET)
        assert rest.keys() == book.keys() - {"event_type"} | {"min_order_size", "neg_risk"}
        assert rest["min_order_size"] == "5"
        for side, descending in (("bids", False), ("asks", True)):
            prices = [float(level["price"]) for level in rest[side]]
            assert prices == sorted(prices, reverse=descending)
            assert len(prices) > 1
            assert all(isinstance(v, str) for level in rest[side] for v in level.values())
        best_bid, best_ask = rest["bids"][-1]["price"], rest["asks"][-1]["price"]
        assert (await live.get("/clob/price", token_id=ASSET, side="BUY"))["price"] == best_bid
        assert (await live.get("/clob/price", token_id=ASSET, side="SELL"))["price"] == best_ask
        missing = await live.http.get("/clob/book", params={"token_id": "42"})
        assert missing.status_code == 404
        assert missing.json() == {"error": "No orderbook exists for the requested token id"}
        tokens = [{"token_id": ASSET}, {"token_id": "42"}]
        books = (await live.http.post("/clob/books", json=tokens)).json()
        assert [one["asset_id"] for one in books] == [ASSET]
        too_many = await live.http.post("/clob/books", json=[{"token_id": "1"}] * 501)
        assert too_many.status_code == 400
        info = await live.get(f"/clob/clob-markets/{CONDITION}")
        assert info.keys() == {
            *("gst", "r", "t", "mos", "mts", "mbf", "tbf", "rfqe", "itode", "ibce", "fd", "oas")
        }
        assert info["t"][0] == {"t": ASSET, "o": "Yes"}
        assert (info["mos"], info["mts"]) == (5, 0.001)
        assert info["fd"].keys() == {"r", "e", "to"}
        assert await live.get("/clob/last-trade-price", token_id=ASSET) == {
            "price": "0.5",
            "side": "",
        }
        assert await live.get("/clob/version") == {"version": 2}


async def test_a_trade_moves_the_book_and_is_told_without_its_wallet(tmp_path: Path) -> None:
    injected = row(asset=ASSET, conditionId=CONDITION, price=0.61, side="BUY")
    async with venue(tmp_path) as live, market(live, ASSET) as socket:
        await snapshot(socket)
        await live.notify("/inject", injected)
        rest = await live.get("/clob/book", token_id=ASSET)
        assert rest["asks"][-1]["price"] == "0.61"
        assert rest["last_trade_price"] == "0.61"
        reported = await message(socket, "last_trade_price")
        assert reported.keys() == {
            *("event_type", "market", "asset_id", "price", "size", "fee_rate_bps", "side"),
            *("timestamp", "transaction_hash"),
        }
        assert (reported["price"], reported["size"], reported["side"]) == ("0.61", "12.5", "BUY")


async def test_pins_force_the_book_and_are_mirrored(tmp_path: Path) -> None:
    async with venue(tmp_path) as live, market(live, ASSET, custom=True) as socket:
        await snapshot(socket)
        other = await complement(live)
        best = {"best_bid": "0.3", "best_ask": "0.32"}
        assert (await live.control.put(f"/books/{ASSET}", json=best)).status_code == 200
        reported = await message(socket, "best_bid_ask")
        assert (reported["best_bid"], reported["best_ask"], reported["spread"]) == (
            "0.3",
            "0.32",
            "0.02",
        )
        mirror = await live.get("/clob/book", token_id=other)
        assert (mirror["bids"][-1]["price"], mirror["asks"][-1]["price"]) == ("0.68", "0.7")
        levels = {"bids": [], "asks": [{"price": "0.5", "size": "3"}]}
        assert (await live.control.put(f"/books/{other}", json=levels)).status_code == 200
        own = await live.get("/clob/book", token_id=ASSET)
        assert (own["bids"], own["asks"]) == ([{"price": "0.5", "size": "3"}], [])
        bad = await live.control.put(f"/books/{ASSET}", json={"mid": "1.5"})
        assert (bad.status_code, bad.json()["error"][:4]) == (400, "mid:")
        unknown = await live.control.put(f"/books/{ASSET}", json={"middle": "0.5"})
        assert "middle" in unknown.json()["error"]
        assert (await live.control.delete(f"/books/{ASSET}")).status_code == 200
        assert len((await live.get("/clob/book", token_id=ASSET))["asks"]) > 1


async def test_assets_are_added_and_removed_in_place(tmp_path: Path) -> None:
    second = next(r.trade.asset for r in ROWS if r.trade.condition != CONDITION)
    async with venue(tmp_path) as live, market(live, ASSET) as socket:
        await snapshot(socket)
        add = {"assets_ids": [second], "operation": "subscribe"}
        await socket.send(msgspec.json.encode(add).decode())
        while not isinstance(found := await snapshot(socket), list):
            pass
        assert [book["asset_id"] for book in found] == [second]
        remove = {"assets_ids": [ASSET], "operation": "unsubscribe"}
        await socket.send(msgspec.json.encode(remove).decode())
        await socket.send("PING")
        while await receive(socket) != "PONG":
            pass
        assert (await live.state())["clob_markets_watched"] == 1
        for _ in range(3):
            assert (await message(socket, "price_change"))["market"] != CONDITION


async def test_resolution_is_told_and_closes_the_market(tmp_path: Path) -> None:
    async with (
        venue(tmp_path) as live,
        market(live, ASSET, custom=True) as socket,
        market(live, ASSET) as plain,
    ):
        await snapshot(socket)
        await snapshot(plain)
        await live.notify(f"/resolve/{CONDITION}", {"payouts": ["1", "0"]})
        reported = await message(socket, "market_resolved")
        assert reported.keys() == {
            *("event_type", "id", "market", "assets_ids", "winning_asset_id"),
            *("winning_outcome", "timestamp", "tags"),
        }
        assert (reported["winning_asset_id"], reported["winning_outcome"]) == (ASSET, "Yes")
        await plain.send("PING")
        kinds = set()
        while (text := await receive(plain)) != "PONG":
            kinds.add(msgspec.json.decode(text)["event_type"])
        assert "market_resolved" not in kinds
        gone = await live.http.get("/clob/book", params={"token_id": ASSET})
        assert gone.status_code == 404
        [gamma] = await live.get("/gamma/markets", clob_token_ids=ASSET, closed="true")
        assert (gamma["closed"], gamma["outcomePrices"]) == (True, '["1","0"]')
        assert gamma["umaResolutionStatus"] == "resolved"
        assert await live.get("/gamma/markets", clob_token_ids=ASSET) == []
        refused = await live.control.post("/inject", json=row(asset=ASSET, conditionId=CONDITION))
        assert (refused.status_code, "resolved" in refused.json()["error"]) == (400, True)
        half = {"payouts": ["0.5", "0.4"]}
        assert (await live.control.post(f"/resolve/{CONDITION}", json=half)).status_code == 400


async def test_the_tick_gets_finer_when_a_trade_needs_it(tmp_path: Path) -> None:
    sample = (Path(tape.__file__).parent / "sample" / tape.SAMPLE).read_bytes().splitlines()
    first = next(line for line in sample if b'"price":0.76,' in line)
    tx = next(r.trade.tx for r in ROWS if r.trade.price_text == "0.76").encode()
    second = first.replace(b'"price":0.76,', b'"price":0.97,').replace(tx, tx[:-1] + b"0")
    own = tmp_path / "tape.jsonl"
    own.write_bytes(first + b"\n" + second + b"\n")
    asset = tape.load(own)[0][0].trade.asset
    async with venue(tmp_path / "state", tape=str(own)) as live, market(live, asset) as socket:
        [book] = await snapshot(socket)
        assert book["tick_size"] == "0.01"
        await live.notify("/start")
        reported = await message(socket, "tick_size_change")
        assert (reported["old_tick_size"], reported["new_tick_size"]) == ("0.01", "0.001")
        assert (await live.get("/clob/tick-size", token_id=asset)) == {"minimum_tick_size": 0.001}


async def test_a_stalled_market_channel_answers_pings(tmp_path: Path) -> None:
    async with venue(tmp_path) as live, market(live, ASSET) as socket:
        await snapshot(socket)
        await live.notify("/stall", {"seconds": 60, "feed": "clob"})
        await live.control.put(f"/books/{ASSET}", json={"mid": "0.5"})
        await socket.send("PING")
        while await receive(socket) != "PONG":
            pass
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(socket.recv(), 0.4)


@pytest.mark.parametrize("wrong", ["{", '{"type":"market"}', '{"assets_ids":["1"]}', "[1]"])
async def test_a_malformed_request_drops_the_connection(tmp_path: Path, wrong: str) -> None:
    async with (
        venue(tmp_path) as live,
        websockets.connect(f"{live.ws}/clob/ws/market") as socket,
    ):
        await socket.send(wrong)
        with pytest.raises(websockets.ConnectionClosed):
            await receive(socket)


async def test_each_change_starts_from_the_book_told_before(tmp_path: Path) -> None:
    async with venue(tmp_path) as live, market(live, ASSET) as socket:
        [book] = await snapshot(socket)
        copy = Copy(book)
        for price, ask in (("0.2", "0.3"), ("0.4", "0.5"), ("0.2", "0.3")):
            pin = {
                side: [{"price": p, "size": "7"}] for side, p in (("bids", price), ("asks", ask))
            }
            assert (await live.control.put(f"/books/{ASSET}", json=pin)).status_code == 200
            rest = await live.get("/clob/book", token_id=ASSET)
            while copy.hash != rest["hash"]:
                for entry in (await message(socket, "price_change"))["price_changes"]:
                    if entry["asset_id"] == ASSET:
                        copy.apply(entry)
            assert copy.sides == {"BUY": {price: "7"}, "SELL": {ask: "7"}}
