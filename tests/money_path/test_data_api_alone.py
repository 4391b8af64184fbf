"""A feed that never speaks: what the Data API alone tells is copied, and sold in proportion."""

from __future__ import annotations

from pathlib import Path

import pytest

from launcher.embedded import role_urls
from tests.ingest import world as ingest_world
from tests.ingest.fake import fake_venue
from tests.ingest.harness import running as process_running
from tests.ingest.world import Tail, pointing_at
from tests.money_path.world import World

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_trade_of_the_data_api_alone_is_copied_and_partly_sold(
    running: World, redis_url: str, tmp_path: Path
) -> None:
    path = running.scene()
    await path.set_book({"0.50": "1000", "0.51": "1000"}, {"0.49": "1000", "0.48": "1000"})
    await path.subscribe(1)
    about = {
        "proxy_wallet": path.leader,
        "token_id": path.asset,
        "condition_id": path.condition,
        "outcome": "",
        "outcome_index": 999,
    }

    def holding(shares: int) -> None:
        fake.positions[path.leader] = [{**about, "current_size": shares, "status": "OPEN"}]

    async with fake_venue() as fake:
        fake.trades = [ingest_world.row(1, **about, size=100)]
        holding(100)
        at = {
            "TT_DATABASE_URL": running.database_url,
            **role_urls(running.database_url),
            "TT_ENGINE_OPEN": "true",
            "TT_REDIS_URL": redis_url,
            "TT_INGEST_POLL_MS": "200",
            **pointing_at(fake),
        }
        tail = Tail()
        async with process_running("ingest", at, tmp_path) as process, tail.reading(process):
            path.put(*await tail.of_tx(1))
            await path.settled(1)
            bought = path.lot()["shares_micros"]
            fake.trades = [ingest_world.row(2, **about, side="SELL", price=0.49, size=40),
                           *fake.trades]  # fmt: skip
            holding(60)
            path.put(*await tail.of_tx(2))
            await path.settled(2)
    [bought_once, sold] = path.orders()
    assert (bought_once["purpose"], bought_once["state"]) == ("ENTRY", "CONFIRMED")
    assert bought == 19_130_000
    # 40 % of it, in steps of a hundredth of a share.
    assert (sold["purpose"], sold["size_micros"]) == ("COPY_EXIT", 7_650_000)
    assert path.lot()["shares_micros"] == bought - 7_650_000
