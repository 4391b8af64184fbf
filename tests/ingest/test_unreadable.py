"""A venue whose rows have other names: said to people, and what can be read goes on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.ingest.fake import fake_venue
from tests.ingest.harness import running, until_health
from tests.ingest.world import LEADER, Tail, follow, pointing_at, row


def renamed(number: int) -> dict[str, Any]:
    """A row as of the first version, which the engine read until November 2026."""
    old = row(number)
    old["asset"] = old.pop("token_id")
    return old


async def test_rows_of_other_names_are_no_answer_until_readable(
    environ: dict[str, str], database_url: str, tmp_path: Path
) -> None:
    follow(database_url, LEADER)
    tail = Tail()
    async with fake_venue() as fake:
        fake.worth[LEADER] = "1"
        fake.trades = [row(1), renamed(2), renamed(3)]
        at = {**environ, **pointing_at(fake), "TT_INGEST_POLL_MS": "100"}
        async with running("ingest", at, tmp_path) as process, tail.reading(process):
            await until_health(process.target, {"venue-answers": "NOT_SERVING"})
            await tail.of_tx(1)
            fake.trades = [row(1), row(2), row(3)]
            await until_health(process.target, {"venue-answers": "SERVING"})
            await tail.of_tx(2)
            await tail.of_tx(3)
        assert "cannot be read" in (tmp_path / "ingest.log").read_text()


async def test_trades_are_told_though_holdings_cannot_be_read(
    environ: dict[str, str], database_url: str, tmp_path: Path
) -> None:
    follow(database_url, LEADER)
    tail = Tail()
    async with fake_venue() as fake:
        fake.worth[LEADER] = "1"
        fake.positions[LEADER] = [{"asset": "7", "size": 100}]
        fake.trades = [row(1, side="SELL", size=40)]
        at = {**environ, **pointing_at(fake), "TT_INGEST_POLL_MS": "100"}
        async with running("ingest", at, tmp_path) as process, tail.reading(process):
            [blind] = await tail.of_tx(1)
            await until_health(process.target, {"venue-answers": "NOT_SERVING"})
            fake.positions[LEADER] = [{"token_id": "7", "current_size": 60}]
            await until_health(process.target, {"venue-answers": "SERVING"})
            fake.positions[LEADER] = [{"token_id": "7", "current_size": 36}]
            fake.trades = [row(2, side="SELL", size=24), *fake.trades]
            [seeing] = await tail.of_tx(2)
    assert not blind.HasField("leader_held_before_micros")
    assert seeing.leader_held_before_micros == 60_000_000
