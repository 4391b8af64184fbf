"""Decisions under leaders' filters name a version of the statistics, and replay equal by it."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pytest

from replay import analytics
from replay.core.report import Report
from replay.day import replay
from replay.statistics import Versions
from services.router.worker import Router
from tests.replay.test_day import RecordedLife
from tests.unit.router import test_restarts as tape
from tradingtools.codec.leader_facts import facts_of
from tradingtools.storage import recordings
from tradingtools.storage.analytics import embedded
from tradingtools.v1 import enrichment_pb2 as pb

DESIRED = {"leader": {"min_trades_30d": 100, "min_win_rate_micros": 500_000}}
VERSIONS = ("v1", "v2")


class Kept(msgspec.Struct, frozen=True):
    """A row of leader_documents."""

    wallet: str
    version: str
    as_of_ms: int
    document: str


def document(leader: str, version: str, as_of_ms: int) -> pb.LeaderStatistics:
    """Return statistics that pass the filter in the second version alone."""
    return pb.LeaderStatistics(
        version=version,
        wallet=leader,
        as_of_ms=as_of_ms,
        windows=[
            pb.LeaderWindow(days=30, trades=150),
            pb.LeaderWindow(days=90, win_rate_low=0.4 if version == "v1" else 0.6),
        ],
    )


@dataclass
class JudgedLife(RecordedLife):
    """A router whose leaders have statistics, of another version after each restart."""

    documents: list[pb.LeaderStatistics] = field(default_factory=list)

    async def born(self) -> Router:
        router = await super().born()
        version = VERSIONS[len(self.documents) > 0]
        now_ms = tape.FACTS[-1].received_ns // 1_000_000
        made = [
            document(leader, version, now_ms - 60_000) for leader in {k.leader for k in tape.TRADES}
        ]
        self.documents += made
        router.state.leaders = {one.wallet: facts_of(one) for one in made}
        return router


async def _keep(directory: Path, documents: list[pb.LeaderStatistics]) -> None:
    async with embedded.opened(directory, timeout_seconds=10) as store:
        await store.prepare()
        await store.insert(
            "leader_documents",
            [
                Kept(d.wallet, d.version, d.as_of_ms, b64encode(d.SerializeToString()).decode())
                for d in documents
            ],
        )


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("recording")
    rows = tape.subscription_rows
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tape, "subscription_rows", lambda: _judged(rows()))
        life = JudgedLife(seed=4, often=0.02, directory=directory)
        asyncio.run(life.live())
    asyncio.run(_keep(directory / "analytics", life.documents))
    return directory


def _judged(rows: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for row in rows:
        yield {**row, "settings": DESIRED}


def by_version(directory: Path, store: Path) -> Report:
    """Replay with statistics that are read back from the store."""
    (day,) = recordings.days(directory)
    with analytics.opened({"TT_ANALYTICS_DIR": str(store)}, own=True) as own:
        assert own is not None
        report, _ = replay(directory, day, read_back=Versions(own).facts)
    return report


def test_decisions_replay_equal_with_the_version_read_back(recorded: Path) -> None:
    report = by_version(recorded, recorded / "analytics")
    assert report.same, report.first and report.first.words()
    assert report.versions > 50
    assert report.refused["LEADER_STATISTICS"] > 0  # type: ignore[index]
    assert report.copied > 0


async def test_another_document_of_the_same_version_is_found(
    recorded: Path, tmp_path: Path
) -> None:
    leaders = {key.leader for key in tape.TRADES}
    now_ms = tape.FACTS[-1].received_ns // 1_000_000
    worse = [document(leader, "v1", now_ms) for leader in leaders]
    for one in worse:
        one.version = "v2"
    await _keep(tmp_path, worse)
    report = await asyncio.to_thread(by_version, recorded, tmp_path)
    assert report.first is not None
    assert "LEADER_STATISTICS (win rate 0.4 < 0.5 (snapshot v2))" in report.first.words()
