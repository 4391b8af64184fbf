"""Test what a leader is worth: positions and cash, or unknown; his trades are told either way."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from services.router.core.caps import Skip
from services.router.core.sizing_modes import mode_money
from tests.ingest.fake import fake_venue
from tests.ingest.harness import running
from tests.ingest.world import LEADER, Tail, follow, pointing_at, row
from tests.unit.router.test_resync import ratio
from tradingtools.domain.reasons import Reason
from tradingtools.domain.subscription import SizingMode, Subscription

USDC = 1_000_000


def proportional() -> Subscription:
    """Somebody who sizes by both equities."""
    return replace(ratio(), sizing_mode=SizingMode.PROPORTIONAL)


async def test_equity_sizing_counts_a_leaders_cash(
    environ: dict[str, str], database_url: str, tmp_path: Path
) -> None:
    follow(database_url, LEADER)
    tail = Tail()
    async with fake_venue() as fake:
        fake.worth[LEADER] = "500"
        fake.cash[LEADER] = 100_000
        fake.trades = [row(1)]
        at = {**environ, **pointing_at(fake)}
        async with running("ingest", at, tmp_path) as process, tail.reading(process):
            [event] = await tail.of_tx(1)
    assert event.leader_equity_micros == 100_500 * USDC
    worth = event.leader_equity_micros
    # 1,000 USDC of the leader, 2,000 USDC of the follower: 20, not 4,000.
    assert mode_money(proportional(), 1_000 * USDC, worth, 2_000 * USDC) == 19_900_497


@pytest.mark.parametrize("known", ["cash", "positions", "nothing is asked"])
async def test_half_of_it_is_nothing_and_the_trade_is_told(
    environ: dict[str, str], database_url: str, tmp_path: Path, known: str
) -> None:
    follow(database_url, LEADER)
    tail = Tail()
    async with fake_venue() as fake:
        if known != "cash":
            fake.worth[LEADER] = "500"
        if known != "positions":
            fake.cash[LEADER] = 100_000
        fake.trades = [row(1)]
        at = {**environ, **pointing_at(fake)}
        if known == "nothing is asked":
            at["TT_INGEST_RPC_URL"] = ""
        async with running("ingest", at, tmp_path) as process, tail.reading(process):
            [event] = await tail.of_tx(1)
    assert not event.HasField("leader_equity_micros")
    skipped = mode_money(proportional(), USDC, None, 2_000 * USDC)
    assert isinstance(skipped, Skip)
    assert (skipped.reason, skipped.detail) == (
        Reason.EQUITY_UNKNOWN,
        "the leader's equity is not known",
    )
