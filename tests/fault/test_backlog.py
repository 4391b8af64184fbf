"""A backlog that grows while somebody is away costs no memory, and ends in reasons.

The executor is away while leaders trade on, at many times their speed; then it comes back.
"""

from __future__ import annotations

import asyncio
import time

import psutil
import pytest

from tests.fault.rig import Rig
from tests.fault.workload import Workload
from tests.money_path.world import SERVICES, eventually

_MEBI = 1 << 20
_FLAT = 16 * _MEBI
_REMEMBERED = 4 << 10
"""Bytes of a leader trade in the router, which remembers an hour of them."""
_PAGE = 50
_MAX_AGE_SECONDS = 30
"""What a subscription allows here: enough for the first trades, which an executor awaits."""


async def _feed(own: Rig, workload: Workload, trades: int) -> None:
    """So many leader trades, as fast as the router decides them."""
    until = len(workload.trades) + trades
    while len(workload.trades) < until:
        await workload.trade(_PAGE, pause=0)

        async def decided() -> bool:
            # The journal has what was decided; its rows are the executor's to build.
            (row,) = own.world.sql("select count(*) as n from journal where kind = 'CLAIMED'")
            return bool(row["n"] >= len(workload.trades) - _PAGE)

        await eventually(decided, 60)


def _memory(own: Rig) -> dict[str, int]:
    pids = own.world.pids()
    return {n: psutil.Process(pids[n]).memory_info().rss for n in SERVICES if n in pids}


async def _through(own: Rig, first: int, then: int) -> None:
    """Feed a backlog; past its first part nobody grows, but for what the router remembers."""
    workload = Workload(own, seed=11, terms={"max_age_ms": _MAX_AGE_SECONDS * 1000})
    await workload.prepare()
    await workload.probe(40)
    async with own.without("executor"):
        await _feed(own, workload, first)
        before = _memory(own)
        too_old = time.monotonic() + _MAX_AGE_SECONDS
        await _feed(own, workload, then)
        # However fast this machine is: what was fed first is too old by then.
        await asyncio.sleep(max(0, too_old - time.monotonic()))
        grown = {name: rss - before[name] for name, rss in _memory(own).items()}
    grown["router"] -= then * _REMEMBERED
    assert max(grown.values()) < _FLAT, {name: rss / _MEBI for name, rss in grown.items()}
    assert await workload.verdict(300) == []
    assert own.peak_rss["executor"] < max(before.values()) + _FLAT
    ends = own.world.sql(
        "select state, reason, count(*) as n from orders where reason = 'EXPIRED' group by 1, 2"
    )
    assert [end["state"] for end in ends] == ["FAILED"]
    assert ends[0]["n"] >= first // 2, "what waited too long was sent"


@pytest.mark.timeout(300)
async def test_an_hour_of_backlog_ends_in_reasons_and_costs_no_memory(own: Rig) -> None:
    # The busiest hour of the tape has 193 rows.
    await _through(own, 100, 200)


@pytest.mark.long
@pytest.mark.timeout(3600)
async def test_a_backlog_beyond_every_window_costs_no_memory(own: Rig) -> None:
    # Four times the tape's five days, at speed: more than streams keep in memory.
    await _through(own, 4_500, 4_500)
