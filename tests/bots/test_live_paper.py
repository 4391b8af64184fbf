"""Paper trading of a bot: the paper exchange follows a live market."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from launcher.temporary import create_database
from tests.bots.world import SWAP, bots, until
from tests.paper_okx import harness as okx

BOOK = f"/api/v5/market/books?instId={SWAP}&sz=1"


@pytest.mark.long
@pytest.mark.timeout(600)
def test_a_bot_trades_on_paper_by_a_live_market(
    postgres_server: str,
    migrated_template: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Another exchange's public channels stand for OKX's; it never hears of the bot's orders.

    Its short forms: a feed that is followed (tests/paper_okx, tests/paper_clob), a bot on a seeded
    market (test_engine).
    """
    bot_id = "live00000001"
    leader_directory = tmp_path / "leader"
    leader_directory.mkdir()
    url = create_database(postgres_server, template=migrated_template)
    with okx.okx(leader_directory, feed="seeded", step_ms="50", limits="false") as leader:
        monkeypatch.setenv("SSL_CERT_FILE", str(leader.authority))
        live = {"feed": "live", "live_url": leader.socket("public"), "limits": "false"}
        with bots(url, tmp_path, **live) as world:

            def near() -> bool:
                prices = [
                    float(
                        httpx.get(one.rest + BOOK, verify=one.tls).json()["data"][0]["bids"][0][0]
                    )
                    for one in (leader, world.okx)
                ]
                return abs(prices[0] - prices[1]) < prices[0] / 100

            world.bot(bot_id)
            engine = world.engine()
            engine.start()
            try:
                fills = "select count(*) from bot_fill having count(*) > 2"
                until(lambda: world.rows(fills), "fills by the live market's prints", 300)
                assert near()
                world.command(bot_id, "STOPPED")
                until(lambda: world.state(bot_id)[0] == "STOPPED", "the end", 100)
                until(lambda: world.booked(bot_id) == world.position(), "the same books")
                assert world.okx.conserved()
            finally:
                engine.stop()
            assert not [one for one in leader.journal() if bot_id in str(one)]
