"""Without ClickHouse the embedded store is filled from recorded trades and the venue's REST."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator
from hashlib import sha256
from pathlib import Path

import pytest
from aiohttp import web

from launcher.ports import free_port
from services.enrichment.core.leader_statistics import leader_statistics
from services.enrichment.core.values import Activity
from services.enrichment.fill import recorded
from tests.enrichment.world import World, eventually, world
from tradingtools.v1 import enrichment_pb2 as pb

TAPE = Path(__file__).resolve().parents[2] / "paper/venue/sample/leader_trades_2026-07.jsonl"
WALLET = "0x" + "d" * 40


@pytest.fixture
async def around(
    database_url: str, redis_url: str, server: str, tmp_path: Path
) -> AsyncIterator[World]:
    """What is around the process; it knows no ClickHouse."""
    async with world(database_url, redis_url, server, tmp_path) as made:
        nobody = f"http://127.0.0.1:{free_port()}"
        made.environment |= {
            "TT_CLICKHOUSE_URL": "",
            "TT_CLICKHOUSE_OWN_URL": "",
            "TT_ANALYTICS_DIR": str(tmp_path / "analytics"),
            "TT_ENRICHMENT_HISTORY_FILE": str(TAPE),
            "TT_ENRICHMENT_DATA_API_URL": nobody,
            "TT_ENRICHMENT_CLOB_URL": nobody,
            "TT_ENRICHMENT_GAMMA_URL": nobody,
        }
        yield made


async def test_recorded_trades_give_documents_while_the_venue_is_away(around: World) -> None:
    by_wallet: dict[str, list[Activity]] = defaultdict(list)
    for row in recorded(TAPE):
        by_wallet[row.leader].append(
            Activity(
                tx=row.tx, condition_id=row.condition_id, asset_id=row.asset_id, side=row.side,
                size_micros=row.size_micros, price_micros=row.price_micros, at_ms=row.traded_ms,
            )
        )  # fmt: skip
    assert len(by_wallet) == 7
    around.start()
    for wallet, activity in by_wallet.items():
        found = await _leader(around, wallet)
        # In the store's order: of one second buys come first, then by transaction.
        expected = leader_statistics(
            wallet,
            sorted(activity, key=lambda row: (row.at_ms, row.side, _again(row.tx), row.asset_id)),
            {},
            as_of_ms=max(row.at_ms for row in activity),
        )
        reported, desired = found.windows[-1], expected.windows[-1]
        assert (reported.trades, reported.markets) == (desired.trades, desired.markets)
        assert reported.bought_micros == desired.bought_micros
        assert reported.realised_micros == desired.realised_micros
        assert found.first_trade_ms < found.last_trade_ms <= found.as_of_ms


def _again(tx: str) -> str:
    """A recorded transaction under the name by which it is no played one."""
    return sha256(f"recorded {tx}".encode()).hexdigest()


async def _leader(around: World, wallet: str) -> pb.LeaderStatistics:
    async def there() -> bool:
        return await around.leader(wallet) is not None

    await eventually(there, wallet)
    found = await around.leader(wallet)
    assert found is not None
    return found


class _Venue:
    """The Data API and Gamma, as far as they are asked; keeps what they were asked."""

    def __init__(self) -> None:
        self.rows: list[dict[str, object]] = []
        self.requested: list[str] = []
        self.payouts = '["0.4", "0.6"]'

    async def trades(self, request: web.Request) -> web.Response:
        """Rows of one wallet, newest first, two a page."""
        self.requested.append(str(request.rel_url))
        start, at = int(request.query["start"]), int(request.query.get("cursor", "0"))
        rows = [row for row in self.rows if int(str(row["timestamp"])) >= start]
        more = at + 2 < len(rows)
        page = {"has_more": more, "next_cursor": str(at + 2) if more else None}
        return web.json_response({"data": rows[at : at + 2], "pagination": page})

    async def nothing(self, _: web.Request) -> web.Response:
        """No movements."""
        return web.json_response(
            {"data": [], "pagination": {"has_more": False, "next_cursor": None}}
        )

    async def markets(self, request: web.Request) -> web.Response:
        """The one market."""
        resolved = self.payouts == '["1", "0"]'
        desired = (request.query["closed"] == "true") == resolved
        market = {
            "conditionId": "0x" + "e" * 64, "question": "Will it?", "category": "sports",
            "endDate": "2026-01-01T00:00:00Z", "outcomes": '["Yes", "No"]', "version": "v1",
            "outcomePrices": self.payouts, "clobTokenIds": '["11", "22"]', "closed": resolved,
            "umaResolutionStatus": "resolved" if resolved else None, "feesEnabled": False,
        }  # fmt: skip
        return web.json_response([market] if desired else [])


async def test_wallet_activity_is_fetched_once_then_only_new_rows(around: World) -> None:
    venue = _Venue()
    app = web.Application()
    app.router.add_get("/data/v2/trades", venue.trades)
    app.router.add_get("/data/v2/activity", venue.nothing)
    app.router.add_get("/gamma/markets", venue.markets)
    runner = web.AppRunner(app)
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        await _followed(around, venue, f"http://127.0.0.1:{port}")
    finally:
        await runner.cleanup()


async def _followed(around: World, venue: _Venue, url: str) -> None:
    second = 1_790_000_000
    # Two fills of a transaction that are equal are two.
    venue.rows = [_trade(second + n // 2, tx=n // 2, price="0.5") for n in range(5)][::-1]
    around.environment |= {
        "TT_ENRICHMENT_HISTORY_FILE": "",
        "TT_ENRICHMENT_DATA_API_URL": f"{url}/data",
        "TT_ENRICHMENT_GAMMA_URL": f"{url}/gamma",
    }
    around.sql(
        "insert into subscription (id, follower_user_id, follower_wallet_id, follower_proxy,"
        " leader, state, version, sizing_mode, sizing_micros, changed_seq)"
        " values (%s, 'u', 'w', %s, %s, 'ACTIVE', 1, 'FIXED', 1, 1)",
        "sub_" + "1" * 32, "0x" + "2" * 40, WALLET,
    )  # fmt: skip
    around.start()
    found = await _leader(around, WALLET)
    assert (found.windows[-1].trades, found.windows[-1].bought_micros) == (3, 25_000_000)
    assert [c.category for c in found.categories] == ["sports"]
    venue.rows.insert(0, _trade(second + 9, tx=9, price="0.7"))
    around.kill()
    venue.payouts = '["1", "0"]'
    around.start()

    async def all_reported() -> bool:
        now = await around.leader(WALLET)
        return now is not None and now.windows[-1].trades == 4

    await eventually(all_reported, "the new trade")
    # What was told once is asked for no more, but for the last minutes.
    await eventually(lambda: "start=0" not in venue.requested[-1], "only what is new")
    now = await around.leader(WALLET)
    assert now is not None
    assert now.windows[-1].bought_micros == 32_000_000


def _trade(second: int, *, tx: int, price: str) -> dict[str, object]:
    return {
        "proxy_wallet": WALLET, "side": "BUY", "token_id": "11", "condition_id": "0x" + "e" * 64,
        "size": 10, "price": float(price), "timestamp": second, "title": "Will it?",
        "outcome": "Yes", "outcome_index": 0, "transaction_hash": f"0x{tx:064x}",
    }  # fmt: skip
