"""Test that what catch-up finds goes in behind live trades: judged by the order of the router's
decisions."""

from __future__ import annotations

from pathlib import Path

from launcher.embedded import role_urls
from tests.ingest.fake import fake_venue, frame
from tests.ingest.harness import running, until
from tests.ingest.test_backfill import SELDOM, rows
from tests.ingest.world import LEADER, OTHER, Tail, connected, follow, pointing_at, row
from tests.money_path.world import world

_MISSED = 400
_LIVE = {0xA: LEADER, 0xB: OTHER}


async def test_live_trades_are_decided_before_what_catch_up_has_found(
    database_url: str, redis_url: str, tmp_path: Path
) -> None:
    follow(database_url, LEADER, OTHER)
    at = {
        "TT_DATABASE_URL": database_url,
        **role_urls(database_url),
        "TT_ENGINE_OPEN": "true",
        "TT_REDIS_URL": redis_url,
        **SELDOM,
    }
    tail = Tail()
    async with (
        fake_venue() as fake,
        world(database_url, redis_url, tmp_path) as made,
        running("ingest", {**at, **pointing_at(fake)}, tmp_path) as ingest,
        tail.reading(ingest),
    ):
        made.start("router", TT_ROUTER_INGEST_TARGET=ingest.target)

        def decided() -> list[int]:
            found = made.sql("select leader_tx from decision order by journal_seq")
            return [int(one["leader_tx"], 16) for one in found]

        async def first() -> bool:
            return decided() == [0x1]

        await until(lambda: connected(fake, 2))
        await fake.send(frame(row(0x1)), 0)
        await until(first)
        made.freeze("router")
        # Sells, which a router with a backlog decides before any buy.
        fake.trades = rows(0x1000, _MISSED, side="SELL")
        await fake.sockets[1].close()

        async def found() -> bool:
            return len(tail.events) > 1

        await until(found)
        for number, leader in _LIVE.items():
            await fake.send(frame(row(number, proxy_wallet=leader)), 0)
            await tail.of_tx(number)
        made.thaw("router")

        async def all_decided() -> bool:
            return len(decided()) == 1 + _MISSED + len(_LIVE)

        await until(all_decided)
        order = decided()
    assert max(order.index(number) for number in _LIVE) < _MISSED // 4
