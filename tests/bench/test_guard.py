"""A small run of the guard's benchmark: every stop that a dip reached has its exit."""

from __future__ import annotations

import pytest

from bench.guard import RunParameters, measure


@pytest.mark.long
@pytest.mark.timeout(300)
async def test_every_dip_has_its_exit() -> None:
    requested = RunParameters(triggers=1_000, assets=10, deltas=50, fires=5, seconds=2.0)
    found = await measure(requested)
    assert found.exits.stalled + found.exits.others
    assert found.taken_ms.max >= found.taken_ms.p50 > 0
    assert found.bare_ms.max >= found.bare_ms.p50 > 0
