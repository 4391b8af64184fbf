"""A message that cannot be handled is put aside, whatever the error says."""

from __future__ import annotations

from tradingtools.adapters.postgres.pool import open_pool
from tradingtools.runtime.intake import Intake
from tradingtools.v1 import ingest_service_pb2 as pb


async def test_an_error_with_nul_in_its_text_is_quarantined(database_url: str) -> None:
    async def refuse(message: pb.StreamLeaderTradesResponse) -> None:
        raise ValueError(f"bad \x00 in {message.cursor}")

    async with open_pool(database_url, name="test", size=1) as pool:
        intake = Intake(pool, "trades", "nul-0", pb.StreamLeaderTradesResponse, refuse)
        await intake.take(pb.StreamLeaderTradesResponse(cursor="7"), "7")
        async with pool.connection() as one:
            query = "select reason from poison where consumer = 'nul-0'"
            rows = await (await one.execute(query)).fetchall()
    assert [row["reason"] for row in rows] == ["ValueError: bad \ufffd in 7"]
