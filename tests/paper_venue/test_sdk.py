"""The venue's own SDK as judge: it reads what the paper venue answers, and reads it as we do.

polymarket-client is in no process (docs/adr/0044): its models are an independent reading of each
shape, here and in `tests/unit/venues/polymarket/test_recorded.py`'s recorded answers.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from polymarket._internal.actions.orders.market_data import (
    _parse_condition_by_token,
    _parse_market_info,
)
from polymarket._internal.data_envelope import parse_data_envelope, parse_data_page
from polymarket._internal.eoa.rpc import _parse_eth_call_result
from polymarket.environments import PRODUCTION
from polymarket.models.clob.market_events import parse_market_event
from polymarket.models.clob.order_book import OrderBook
from polymarket.models.data.activity import Trade, parse_activities
from polymarket.models.data.portfolio import PortfolioValue, Position
from polymarket.models.gamma.market import Market

from paper.venue import tape
from paper.venue.rpc import PUSD
from services.ingest.settings import Settings
from tests.paper_venue.harness import LEADER, Live, market, receive, venue
from tradingtools.venues.polymarket.activity import KINDS, decode_activity
from tradingtools.venues.polymarket.instruments import (
    decode_clob_market,
    decode_condition,
    decode_gamma_markets,
)
from tradingtools.venues.polymarket.market_channel import decode_message, decode_rest_book
from tradingtools.venues.polymarket.trade_rows import decode_data_row, decode_page, decode_position

FIRST = tape.load(None)[0][0].trade
RECORDED = Path(__file__).parents[1] / "unit/venues/polymarket/recorded"
MICROS = 10**6


def parsed(body: bytes) -> Any:
    """JSON without a float: the SDK makes its decimals of what it is given."""
    return json.loads(body, parse_float=Decimal)


@pytest.fixture
async def live(tmp_path: Path) -> AsyncIterator[Live]:
    """A venue that has played a part of the tape, and has a leader who merged."""
    async with venue(tmp_path, mean_gap_ms="5") as running:
        await running.notify("/start")
        await running.state_where(lambda state: state["rows_played"] >= 300)
        for number, kind in enumerate(KINDS):
            asset = FIRST.asset if kind == "REDEEM" else ""
            await running.notify("/move", {
                "type": kind, "proxyWallet": LEADER, "conditionId": FIRST.condition, "size": "0.5",
                "transactionHash": f"0x{number:064x}", "usdcSize": "0.25", "asset": asset,
            })  # fmt: skip
        await running.notify("/pause")
        await running.state_where(lambda state: state["under_way"] == 0)
        yield running


async def body(live: Live, path: str, **params: str | int) -> bytes:
    """A 200's body, as it came."""
    answer = await live.http.get(path, params=params)
    assert answer.status_code == 200, answer.text
    return answer.content


def same_trades(page: bytes) -> int:
    """Compare our reading of a page of trades with the SDK's; how many there are."""
    theirs: Any = parse_data_page(parsed(page), Trade.parse_response_list).items
    ours = [decode_data_row(row) for row in decode_page(page)[0]]
    assert [
        (one.transaction_hash, one.wallet, one.asset_id, one.condition_id, one.side, one.price,
         one.size * MICROS, one.timestamp.timestamp() * 1000)
        for one in theirs
    ] == [
        (one.tx, one.leader, one.asset_id, one.condition_id, one.side, Decimal(one.price_text),
         one.size_micros, one.traded_ms)
        for one in ours
    ]  # fmt: skip
    return len(ours)


async def test_trades_are_one_thing_to_the_sdk_and_to_us(live: Live) -> None:
    page = await body(live, "/data/v2/trades", limit=1000, taker_only="false")
    assert same_trades(page) >= 300
    rows = parsed(page)["data"]
    # The traps are there: averages with ten decimals, and rows that lost their labels.
    assert any(one["price"] != round(one["price"], 4) for one in rows)
    assert all(one["price"] == round(one["price"], 10) for one in rows)
    assert any(one["outcome_index"] == 999 and one["outcome"] == "" for one in rows)


async def test_activity_is_one_thing_to_the_sdk_and_to_us(live: Live) -> None:
    page = await body(live, "/data/v2/activity", user=LEADER, limit=1000)
    theirs: Any = parse_data_page(parsed(page), parse_activities).items
    assert {str(one.type) for one in theirs} == {"TRADE", *KINDS}
    moved = await body(live, "/data/v2/activity", user=LEADER, limit=9, type=",".join(KINDS))
    movements = parse_data_page(parsed(moved), parse_activities).items
    ours = [decode_activity(row) for row in decode_page(moved)[0]]
    assert [(str(one.type), one.wallet, one.transaction_hash) for one in movements] == [
        (one.action, one.leader, one.tx) for one in ours if one is not None
    ]
    assert len(ours) == len(KINDS)


async def test_positions_and_the_value_are_one_thing_to_the_sdk_and_to_us(live: Live) -> None:
    page = await body(live, "/data/v2/positions", user=LEADER, limit=500)
    theirs: Any = parse_data_page(parsed(page), Position.parse_response_list).items
    ours = dict(decode_position(row) for row in decode_page(page)[0])
    assert len(ours) > 0
    assert {one.asset_id: (one.current_size * MICROS, one.condition_id) for one in theirs} == {
        asset: (one.size_micros, one.condition_id) for asset, one in ours.items()
    }
    value = parse_data_envelope(
        parsed(await body(live, "/data/v2/value", user=LEADER)), PortfolioValue.parse_response
    )
    assert value.wallet == LEADER
    assert value.value == pytest.approx(
        sum(one.current_value for one in theirs), rel=Decimal("0.1")
    )


async def test_books_and_markets_are_one_thing_to_the_sdk_and_to_us(live: Live) -> None:
    raw = await body(live, "/clob/book", token_id=FIRST.asset)
    book: Any = OrderBook.parse_response(parsed(raw))
    ours = decode_rest_book(raw)
    assert book.asset_id == ours.asset_id
    assert book.tick_size * MICROS == ours.tick_micros
    for levels, own in ((book.bids, ours.bids), (book.asks, ours.asks)):
        assert sorted((one.price * MICROS, one.size * MICROS) for one in levels) == sorted(own)
    raw = await body(live, f"/clob/markets-by-token/{FIRST.asset}")
    assert _parse_condition_by_token(parsed(raw)) == decode_condition(raw) == FIRST.condition
    raw = await body(live, f"/clob/clob-markets/{FIRST.condition}")
    rules, own_rules = _parse_market_info(json.loads(raw)), decode_clob_market(raw)
    assert rules.token_ids == own_rules.outcomes.keys()
    assert Decimal(str(rules.tick_size)) * MICROS == own_rules.tick_micros
    assert rules.fee_info.rate * MICROS == own_rules.fee_rate_micros
    raw = await body(live, "/gamma/markets", clob_token_ids=FIRST.asset)
    [gamma] = [Market.parse_response(one) for one in parsed(raw)]
    [known] = decode_gamma_markets(raw)
    assert gamma.condition_id == known.condition_id
    yes, no = gamma.outcomes.yes, gamma.outcomes.no
    assert {yes.token_id: yes.label, no.token_id: no.label} == known.outcomes
    assert gamma.trading.fee_schedule is not None
    assert gamma.trading.fee_schedule.rate * MICROS == known.fee_rate_micros
    assert gamma.state.end_date is not None
    assert gamma.state.end_date.timestamp() * 1000 == known.end_ms


async def test_messages_of_the_market_channel_are_read_by_the_sdk_and_by_us(live: Live) -> None:
    kinds: set[str] = set()
    async with market(live, FIRST.asset, custom=True) as socket:
        first = await receive(socket)
        await live.notify("/resume")
        await live.notify(f"/resolve/{FIRST.condition}", {"payouts": ["1", "0"]})
        texts = [first]
        while '"market_resolved"' not in texts[-1]:
            texts.append(await receive(socket))
    for text in texts:
        if text == "PONG":
            continue
        found = parsed(text.encode())
        for one in found if isinstance(found, list) else [found]:
            kinds.add(parse_market_event(one).type)
        decode_message(text.encode())
    assert {"book", "market_resolved"} <= kinds


async def test_the_node_answers_what_the_sdk_reads_and_the_cash_is_the_sdks_token(
    live: Live,
) -> None:
    assert PRODUCTION._config.collateral_token.lower() == PUSD
    assert PUSD in Settings().collateral_tokens.lower()
    call = {"to": PUSD, "data": "0x70a08231" + LEADER[2:].zfill(64)}
    requested = {"jsonrpc": "2.0", "id": 1, "method": "eth_call", "params": [call, "latest"]}
    answer = (await live.http.post("/rpc", json=requested)).json()
    assert int(_parse_eth_call_result(answer["result"]), 16) > 0


def test_recorded_answers_are_one_thing_to_the_sdk_and_to_us() -> None:
    assert same_trades((RECORDED / "v2_trades.json").read_bytes()) == 2
    activity = (RECORDED / "v2_activity.json").read_bytes()
    assert same_trades(activity) == 2
    assert len(parse_data_page(parsed(activity), parse_activities).items) == 2
    page = (RECORDED / "v2_positions.json").read_bytes()
    theirs: Any = parse_data_page(parsed(page), Position.parse_response_list).items
    ours = dict(decode_position(row) for row in decode_page(page)[0])
    assert {one.asset_id: one.current_size * MICROS for one in theirs} == {
        asset: one.size_micros for asset, one in ours.items()
    }


def test_the_old_names_are_none_to_the_sdk() -> None:
    """Return what the paper venue wrote until November 2026, so that no test noticed."""
    [row, _] = parsed((RECORDED / "v2_trades.json").read_bytes())["data"]
    row["asset"] = row.pop("token_id")
    with pytest.raises(Exception, match="expected shape"):
        Trade.parse_response(row)
