"""What the simulation makes the router judge, judged again: exits, fills, halts, changed settings.

The services are the real ones, under a clock and disasters that a seed decides.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any, cast

import pytest

from replay.core.report import Report
from replay.day import replay
from replay.journal import Journal
from services.router.settings import Settings
from tests.replay.test_day import Payloads
from tests.simulation import seeds, world
from tradingtools.settings import SharedSettings
from tradingtools.storage import recordings


def simulated(
    seed: int, directory: Path, monkeypatch: pytest.MonkeyPatch, *, calm: bool
) -> list[Report]:
    """Run a seed whose router records, and replay its days."""
    worlds: list[world.World] = []

    class Kept(world.World):
        def __init__(self, *arguments: Any, **named: Any) -> None:
            super().__init__(*arguments, **named)
            worlds.append(self)

    shared = SharedSettings(recording_dir=str(directory))
    monkeypatch.setattr(seeds, "World", Kept)
    monkeypatch.setattr(world, "RouterSettings", partial(Settings, shared=shared))
    outcome = seeds.run_seed(seed, calm=calm)
    assert not outcome.breaches
    journal = Journal(cast(Any, Payloads(worlds[0].database)))
    return [replay(directory, day, journal=journal)[0] for day in recordings.days(directory)]


def test_calm_run_replays_to_the_same_decisions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (report,) = simulated(3, tmp_path, monkeypatch, calm=True)
    assert report.same, report
    assert report.orders > 0
    assert report.copied > 0


@pytest.mark.parametrize("seed", [1, 5, 9])
def test_disaster_loses_at_most_the_record_being_committed(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (report,) = simulated(seed, tmp_path, monkeypatch, calm=False)
    assert report.first is None, report.first.words()
    assert report.unlike_first == ""
    assert not report.damaged
    assert len(report.unrecorded) <= len(list(tmp_path.glob("*/*.recording")))
    assert report.judgements > 0
