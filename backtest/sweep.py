"""A sweep: every combination of settings, each a run of its own, on all cores.

Runs share nothing and come back in the order of the plan, so that any number of processes gives
the same rows. `play` takes any `concurrent.futures.Executor`: that of a cluster, too.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context

from backtest.plan import Plan, combinations, played, trial
from backtest.result import summed
from tradingtools.domain.backtests import Result


def run(plan: Plan, changes: dict[str, str]) -> Result:
    """Play one combination."""
    one = trial(plan, changes)
    return summed(one, played(one), changes)


def sweep(plan: Plan, jobs: int) -> Iterator[Result]:
    """Play all combinations of a plan, in its order.

    Args:
        plan: with settings to vary.
        jobs: processes; 1: this one alone.

    Raises:
        PlanError: one of them cannot be tried; none has begun then.
    """
    every = combinations(plan)
    for changes in every:
        trial(plan, changes)
    if jobs == 1:
        return map(partial(run, plan), every)
    return _spread(plan, every, jobs)


def _spread(plan: Plan, every: list[dict[str, str]], jobs: int) -> Iterator[Result]:
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as executor:
        yield from play(plan, every, executor)


def play(plan: Plan, every: list[dict[str, str]], executor: Executor) -> Iterator[Result]:
    """Play combinations by an executor."""
    return executor.map(partial(run, plan), every)
