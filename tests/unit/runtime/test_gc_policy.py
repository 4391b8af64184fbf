"""Test that what a process keeps is visited by no search for cycles, and cycles go all the same."""

from __future__ import annotations

import asyncio
import gc
import sys
import weakref
from collections.abc import Iterator
from contextlib import suppress
from unittest.mock import patch

import pytest

from tradingtools.runtime import gc_policy


class Node:
    """Refers to itself."""

    def __init__(self) -> None:
        self.itself = self


@pytest.fixture
def own(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As in a process of its own, and a hundred times as fast."""
    monkeypatch.setattr(gc_policy, "_FREEZE_SECONDS", 0.01)
    monkeypatch.setattr(gc_policy, "_FREEZINGS", 1)
    thresholds = gc.get_threshold()
    gc.freeze()
    yield
    gc.unfreeze()
    gc.set_threshold(*thresholds)


async def kept_away() -> None:
    """Until it has frozen what there is; how long that takes depends on all that a worker has."""
    frozen, freeze = asyncio.Event(), gc.freeze

    def freeze_and_notify() -> None:
        freeze()
        frozen.set()

    with patch.object(gc, "freeze", freeze_and_notify):
        keeping = asyncio.ensure_future(gc_policy.keep_away())
        async with asyncio.timeout(60):
            await frozen.wait()
        keeping.cancel()
        await asyncio.wait([keeping])


def test_what_is_loaded_is_never_searched(own: None) -> None:
    found: list[str] = []

    def note(phase: str, info: object) -> None:
        found.append(phase)

    gc.callbacks.append(note)
    try:
        with gc_policy.unsearched():
            loaded = [[number] for number in range(50_000)]
        kept = len(found)
    finally:
        gc.callbacks.remove(note)
    assert kept == 0
    assert gc.isenabled()
    assert not any(one is loaded for one in gc.get_objects())


async def test_what_is_kept_later_is_not_searched_either(own: None) -> None:
    kept = [object(), [0]]
    assert any(one is kept for one in gc.get_objects())
    await kept_away()
    assert not any(one is kept for one in gc.get_objects())


async def test_a_full_search_finds_cycles_that_were_frozen(
    own: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = weakref.ref(Node())
    await kept_away()
    gc.collect()
    assert node() is not None
    monkeypatch.setattr(gc_policy, "_SEARCH_SECONDS", 0.0)
    await kept_away()
    assert node() is None
    assert gc.get_freeze_count() > 0


async def test_cycles_that_fill_memory_are_found_before_their_time(
    own: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gc_policy, "_GROWN", 1.02)
    keeping = asyncio.ensure_future(gc_policy.keep_away())
    await asyncio.sleep(0)
    gone = asyncio.Event()
    with gc_policy.unsearched():
        node = weakref.ref(Node(), lambda _: gone.set())
        for _ in range(sys.getallocatedblocks() // 10):
            Node()
    try:
        async with asyncio.timeout(20):
            await gone.wait()
    finally:
        keeping.cancel()
        await asyncio.wait([keeping])
    assert node() is None
    assert gc.get_freeze_count() > 0


async def test_a_test_that_outlives_what_it_runs_is_searched_as_always() -> None:
    thresholds = gc.get_threshold()
    with gc_policy.unsearched():
        assert gc.isenabled()
    with suppress(TimeoutError):
        async with asyncio.timeout(0.02):
            await gc_policy.keep_away()
    assert gc.get_freeze_count() == 0
    assert gc.get_threshold() == thresholds
