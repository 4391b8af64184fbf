"""A recorded day judged again: equal, and the first difference of a core that was changed."""

from __future__ import annotations

import asyncio
import shutil
import threading
from dataclasses import dataclass, field, fields, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from msgspec import structs

from replay.day import replay
from replay.journal import Journal
from services.router.core import judgement as core
from services.router.core.judgement import Decoder, Judgement
from services.router.core.records import Context, Plan
from services.router.recorder import Recorder
from services.router.worker import Router
from tests.replay import made
from tests.unit.router import test_restarts as tape
from tradingtools import clock
from tradingtools.domain.leader_facts import LeaderFacts
from tradingtools.domain.leader_trade import Side
from tradingtools.domain.money import to_text
from tradingtools.rpc.streams import Tail
from tradingtools.storage import recordings
from tradingtools.storage.postgres import lease
from tradingtools.testing.memory_database import MemoryDatabase, MemoryPool
from tradingtools.venues.insiders.order_body import order_body

SIZE = 10_000


@dataclass
class RecordedLife(tape.Life):
    """A router that records."""

    directory: Path = field(default_factory=Path)

    recorders: list[Recorder] = field(default_factory=list)

    async def live(self) -> None:
        await super().live()
        for each in self.recorders:
            each.close()

    async def born(self) -> Router:
        router = await super().born()
        pool = cast(Any, MemoryPool(self.database))
        owned = await lease.acquire(pool, "router", 0, "router-0")

        def keep(tx: Any) -> None:
            (row,) = tx.rows("partition_lease")
            tx.update("partition_lease", row, expires_at=tx.now + timedelta(days=1))

        self.database.write(keep)
        self.recorders.append(Recorder(self.directory, owned, self.settings))
        router = Router(
            pool,
            owned,
            cast(Any, tape.Shelf()),
            Tail(0, tape._nothing),
            self.settings,
            body_of=order_body,
            recorder=self.recorders[-1],
        )
        await router.recover()
        return router


class Payloads:
    """The journal of the memory database, as psycopg would answer."""

    def __init__(self, database: MemoryDatabase) -> None:
        self._rows = [
            row
            for row in database.table("journal").values()
            if row["kind"] == "CLAIMED" and row["role"] == "router"
        ]

    def execute(self, _sql: str, values: dict[str, Any]) -> list[tuple[Any, ...]]:
        if "keys" in values:
            desired = set(values["keys"])
            return [
                (r["record_key"], r["payload"]) for r in self._rows if r["record_key"] in desired
            ]
        return [(r["record_key"],) for r in self._rows]


@dataclass
class Recorded:
    """A recorded tape."""

    directory: Path
    day: date
    journal: Journal
    decisions: int


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    directory = tmp_path_factory.mktemp("recording")
    life = RecordedLife(seed=1, often=0.05, directory=directory)
    asyncio.run(life.live())
    (day,) = recordings.days(directory)
    return Recorded(
        directory, day, Journal(cast(Any, Payloads(life.database))), len(life.decisions())
    )


def test_recorded_day_replays_to_the_same_decisions(recorded: Recorded) -> None:
    report, _ = replay(recorded.directory, recorded.day, journal=recorded.journal)
    assert report.same, report
    assert report.unlike_first == ""
    assert report.decisions >= recorded.decisions
    assert report.orders > 0
    assert len(report.refused) > 3
    assert report.compared == len(recorded.journal.keys(recorded.day))


def test_a_changed_core_is_told_by_its_first_difference_in_words(recorded: Recorded) -> None:
    number = 0

    def changed(judgement: Judgement, read: Decoder, facts: LeaderFacts | None) -> Plan:
        """Buy 0.01 shares less of every fifth plan with orders."""
        nonlocal number
        plan = core.judge(judgement, read, facts)
        number += bool(plan.orders)
        if not plan.orders or number % 5:
            return plan
        first, *others = plan.orders
        smaller = structs.replace(first, size_micros=first.size_micros - SIZE)
        touched.append((judgement, first, smaller))
        return replace(plan, orders=(smaller, *others))

    touched: list[tuple[Judgement, Any, Any]] = []
    report, _ = replay(recorded.directory, recorded.day, judge=changed)
    assert not report.same
    assert report.different == len(touched) > 1
    judgement, was, now = touched[0]
    words = report.first.words() if report.first else ""
    assert f"transaction {judgement.key.leader_tx}" in words
    assert f"buy of {judgement.key.leader}" in words
    assert f"follower {was.follower.proxy} ({was.subscription_id})" in words
    size = f"order size was {to_text(was.size_micros)} and is now {to_text(now.size_micros)}"
    assert size in words
    assert "Then: copied" in words


def test_a_core_that_refuses_more_says_why_then_and_now(
    recorded: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.router.core.fees.SIZE_STEP_MICROS", SIZE)
    monkeypatch.setattr(
        "services.router.core.entry_plan.too_old", lambda *_: "everything is too old"
    )
    report, _ = replay(recorded.directory, recorded.day)
    assert report.first is not None
    words = report.first.words()
    assert "is now nothing" in words
    assert "Then: copied" in words
    assert "Now: not copied, TOO_OLD (everything is too old)." in words


def test_what_is_durable_and_not_what_was_recorded_is_found(recorded: Recorded) -> None:
    keys = recorded.journal.keys(recorded.day)

    class Other(Journal):
        """A journal with one more record, and another size in the first order."""

        def __init__(self) -> None:
            self._touched = False

        def payloads(self, record_keys: Any) -> Any:
            found = recorded.journal.payloads(record_keys)
            for key, payload in found.items():
                if payload["orders"] and not self._touched:
                    self._touched = True
                    (first, *others) = payload["orders"]
                    other = {**first, "size_micros": first["size_micros"] + SIZE}
                    found[key] = {**payload, "orders": [other, *others]}
                    break
            return found

        def keys(self, day: date) -> list[str]:
            return [*keys, "router:of-nobody", "resync:rsy_1"]

    report, _ = replay(recorded.directory, recorded.day, journal=Other())
    assert report.unlike == 1
    assert "size_micros" in report.unlike_first
    assert report.unrecorded == ["router:of-nobody"]
    assert report.resyncs == 1
    assert not report.same


def test_what_a_killed_router_leaves_is_read_up_to_its_end(
    recorded: Recorded, tmp_path: Path
) -> None:
    (path, *_) = recordings.files(recorded.directory, recorded.day)
    whole = path.read_bytes()
    folder = tmp_path / recorded.day.isoformat()
    folder.mkdir()
    for cut in (len(whole) - 1, len(whole) // 2):
        (folder / path.name).write_bytes(whole[:cut])
        report, _ = replay(tmp_path, recorded.day)
        assert report.judgements > 0
        assert report.different == 0
    (folder / path.name).write_bytes(b"\x00\x00\x00\x02no recording")
    report, _ = replay(tmp_path, recorded.day)
    assert len(report.damaged) == 1
    assert not report.same


def test_what_is_appended_is_there_when_the_file_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "day" / "x.recording"
    for number in range(3):
        writer = recordings.RecordingWriter(path.with_name(f"{number}.recording"))
        writer.append([bytes([number]) * 100, b""])
        writer.append([b"last"])
        writer.close()
    found = [list(recordings.records(each)) for each in sorted(path.parent.iterdir())]
    assert found == [[bytes([number]) * 100, b"", b"last"] for number in range(3)]


def test_a_file_that_cannot_be_made_is_told_at_the_next_append(tmp_path: Path) -> None:
    path = tmp_path / "x.recording"
    path.write_bytes(b"")
    writer = recordings.RecordingWriter(path)
    writer.close()
    with pytest.raises(FileExistsError):
        writer.append([b"more"])


def test_a_disk_that_stands_still_fills_no_memory(tmp_path: Path) -> None:
    still = threading.Event()

    def stand() -> None:
        still.wait()

    writer = recordings.RecordingWriter(tmp_path / "x.recording", stand)

    def append_many() -> None:
        for _ in range(10_000):
            writer.append([b"more"])

    with pytest.raises(OSError, match="does not keep up"):
        append_many()
    still.set()
    writer.close()


def test_earlier_days_are_compressed_and_say_the_same(recorded: Recorded, tmp_path: Path) -> None:
    directory = tmp_path / "copy"
    shutil.copytree(recorded.directory, directory)
    before = [list(recordings.records(p)) for p in recordings.files(directory, recorded.day)]
    recordings.pack_before(directory, recorded.day)
    assert recordings.files(directory, recorded.day)[0].suffix == ".recording"
    recordings.pack_before(directory, recorded.day + timedelta(days=1))
    packed = recordings.files(directory, recorded.day)
    assert {path.suffix for path in packed} == {".gz"}
    assert [list(recordings.records(path)) for path in packed] == before
    # As a kill between the two leaves it: both are there, and count once.
    again = packed[0].with_name(packed[0].name.removesuffix(".gz"))
    again.write_bytes(b"")
    assert recordings.files(directory, recorded.day) == packed
    packed[0].write_bytes(packed[0].read_bytes()[:-10])
    report, _ = replay(directory, recorded.day)
    assert len(report.damaged) == 1


async def test_a_disk_that_is_full_costs_no_copy(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    life = RecordedLife(seed=1, often=0.0, directory=tmp_path / "file")
    await life.live()
    assert life.decisions()


async def test_growing_trades_are_recorded_as_they_were(tmp_path: Path) -> None:
    """What the second claim of both was judged by is not what it has made of them."""
    buys = [fact for fact in tape.FACTS if fact.key.side is Side.BUY]
    first = buys[0]
    others = [f for f in buys if f.key.leader == first.key.leader]
    second = next(f for f in others if f.key.leader_tx != first.key.leader_tx)
    now_ns = max(first.received_ns, second.received_ns)
    facts = [replace(f, received_ns=now_ns, traded_ms=now_ns // 10**6) for f in (first, second)]
    life, times = RecordedLife(seed=1, often=0.0, directory=tmp_path), tape.Times(now_ns)
    life.database.write(tape._subscribe)
    with clock.replaced(times):
        router = await life.born()
        await router.on_facts(facts)
        times.now_ns += 10**9
        grown = [replace(f, count=f.count + 1, received_ns=times.now_ns) for f in facts]
        await router.on_facts(grown)
        life.recorders[-1].close()
    (day,) = recordings.days(tmp_path)
    report, _ = replay(tmp_path, day, journal=Journal(cast(Any, Payloads(life.database))))
    assert report.judgements == 4
    assert report.same, report.first and report.first.words()


def test_every_input_of_a_plan_is_recorded() -> None:
    """A new field of the context needs its place in a recording, or replays miss it."""
    header = {field.name for field in structs.fields(core.Header)}
    judgement = {field.name for field in structs.fields(core.Judgement)}
    elsewhere = {
        "exposure": "followers", "entry_owner": "followers", "widening": "exit_floor_ppm",
    }  # fmt: skip
    never = {"body_of"}
    missing = [
        field.name
        for field in fields(Context)
        if field.name not in header | judgement | never
        and elsewhere.get(field.name) not in header | judgement
    ]
    assert missing == []


def test_a_recording_of_another_format_is_refused(tmp_path: Path) -> None:
    header = structs.replace(made.HEADER, format=core.FORMAT + 1)
    day = date(2026, 11, 24)
    writer = recordings.RecordingWriter(recordings.new_file(tmp_path, day, "router-0-1"))
    writer.append([core.Encoder().header(header)])
    writer.close()
    report, _ = replay(tmp_path, day)
    assert f"format {core.FORMAT + 1} of a recording is not {core.FORMAT}" in report.damaged[0]
