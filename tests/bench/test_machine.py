"""Cores that are kept awake are kept so by processes that nobody else has to wait for."""

from __future__ import annotations

import os
import time

import psutil

from bench.machine import awake

_SECONDS = 20.0


def _spinning() -> list[psutil.Process]:
    return [
        each for each in psutil.Process().children()
        if os.sched_getscheduler(each.pid) == os.SCHED_IDLE
    ]  # fmt: skip


def test_cores_are_kept_awake_by_idle_processes_that_end_with_it() -> None:
    with awake(desired=True):
        deadline = time.monotonic() + _SECONDS
        while len(_spinning()) < (os.cpu_count() or 1):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        spinning = _spinning()
        for each in spinning:
            # In a session of its own: with the scheduler's groups, the niceness of one counts
            # inside of it only.
            assert os.getsid(each.pid) == each.pid
    assert not any(each.is_running() for each in spinning)


def test_nobody_spins_unasked() -> None:
    with awake(desired=False):
        assert not _spinning()
