"""The settings of an engine of bots against what its bots need."""

from __future__ import annotations

import dataclasses

from services.bots.core.requests import PermitRequest
from services.bots.core.risk import RiskLimits
from services.bots.settings import Settings
from tests.unit.bots.samples import AMENDS
from tests.unit.bots.simulated import Run
from tests.unit.bots.test_bot import FRESH, quoted, started


def test_under_the_shortest_lease_orders_leave_until_it_is_renewed() -> None:
    (setting,) = (one for one in dataclasses.fields(Settings) if one.name == "lease_ms")
    run = Run(1, AMENDS)
    bot = started(run, quoted(10), limits=RiskLimits())

    # A third of it has passed when it is renewed.
    bot.leased(run.now + setting.metadata["minimum"] * 2 // 3)

    assert [type(one) for one in bot.market(FRESH, run.now)] == [PermitRequest]
