"""Instants in, figures out; and a short match between the real contestants."""

from __future__ import annotations

import dataclasses
from dataclasses import replace

import pytest

from bench import rounds
from bench.core.figures import Line, Round, Setup, compare, line, spread
from bench.report import beside_reads

SETUP = Setup(followers=3, trades=1, noise=0, answer_ms=0)


def _line(system: list[float], floor: float = 2.0, setup: Setup = SETUP) -> Line:
    return line(setup, [Round(floor, floor)] * len(system), [Round(v / 2, v) for v in system])


def test_percentiles_are_values_that_were_measured() -> None:
    found = spread([float(v) for v in range(100, 0, -1)])
    assert (found.p50, found.p90, found.p99, found.max) == (50.0, 90.0, 99.0, 100.0)
    assert spread([7.0]).p99 == 7.0
    with pytest.raises(ValueError, match="no values"):
        spread([])


def test_ratios_compare_the_last_posts() -> None:
    found = _line([4.0, 6.0, 10.0], floor=2.0)
    assert found.ratio_p50 == 3.0
    assert found.ratio_p99 == 5.0
    assert found.system_first.p50 == 3.0


def test_slower_is_more_than_a_quarter_and_more_than_the_noise() -> None:
    steady = _line([4.0] * 9 + [4.2])
    assert [c.slower for c in compare([steady], [_line([4.8] * 10)])] == [False]
    assert [c.slower for c in compare([steady], [_line([6.0] * 10)])] == [True]
    # As much slower in the median, but a tenth of the rounds take three times as long: noise.
    noisy = _line([6.0] * 8 + [18.0] * 2)
    assert [c.slower for c in compare([steady], [noisy])] == [False]
    assert [c.slower for c in compare([_line([6.0] * 10)], [steady])] == [False]


def test_setups_that_only_one_run_has_are_not_compared() -> None:
    other = dataclasses.replace(SETUP, followers=9)
    assert compare([_line([4.0])], [_line([9.0], setup=other)]) == []


@pytest.mark.long
@pytest.mark.timeout(180)
async def test_every_follower_of_all_contestants_posts_in_every_round() -> None:
    said: list[str] = []
    async with rounds.match([2], said.append, bare=True) as match:
        found = await match.play(
            Setup(followers=2, trades=3, noise=50, answer_ms=5), 2, lambda _: None
        )
        alone, read = await match.play_beside(replace(found.setup, reads=20), 2, lambda _: None)
    assert found.rounds == 2
    assert found.system_first.p50 <= found.system_last.p50
    assert found.skeleton_last is not None
    assert [hop.name for hop in found.hops] == ["decide", "claim", "submit", "send"]
    assert all(hop.p50_ms > 0 for hop in found.hops)
    assert (alone.rounds, read.rounds, alone.setup) == (2, 2, found.setup)
    assert read.reads is not None
    assert 0 < read.reads.right <= read.reads.requested + 1
    assert "20 reads/s" in beside_reads([alone, read])[0]
    assert match.strays == 0, "a POST came that no burst explains"
