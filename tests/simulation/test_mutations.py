"""Each protection that is missing is missed: some seed fails without it."""

from __future__ import annotations

import pytest

from tests.simulation.test_simulation import simulate


@pytest.mark.slow
@pytest.mark.timeout(420)
def test_each_protection_that_is_missing_is_missed() -> None:
    ended = simulate("--mutations", seconds=400)
    assert ended.returncode == 0, ended.stdout[-20_000:] + ended.stderr
