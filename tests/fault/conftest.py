"""A rig starts five processes and two stores, so a module's tests share one where they can."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.fault.rig import Rig, rig


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Rig]:
    """A rig whose entries live briefly, so that horizons are near."""
    async with rig(
        tmp_path_factory.mktemp("rig"),
        TT_ROUTER_ENTRY_TTL_MS="1200",
        # Each fault is to meet its order, also when many come in a row.
        TT_EXECUTOR_BREAKER_FAILURES="1000",
    ) as made:
        yield made


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def common(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Rig]:
    """A rig as it is, for tests that leave it whole."""
    async with rig(tmp_path_factory.mktemp("rig")) as made:
        yield made


@pytest_asyncio.fixture
async def own(tmp_path: Path) -> AsyncIterator[Rig]:
    """A rig of this test alone."""
    async with rig(tmp_path) as made:
        yield made
