"""The real process: how it starts, how it refuses to, and that kill -9 loses nothing."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from paper.venue import tape
from paper.venue.app import PORTS
from paper.venue.core.schedule import Kind, Pace, timeline
from paper.venue.store import RowPlayed, Started, Store, StoreError
from tests.paper_venue.harness import WAIT_S, Live, clients, row
from tests.paper_venue.test_tape import line
from tests.support.prepared import Popen, run

ROOT = Path(__file__).parents[2]
GAP_MS = "30"
INJECTED = row()["title"]


def environ(directory: Path, **more: str) -> dict[str, str]:
    own = {"STATE_DIR": str(directory), "FIREHOSE_PER_SECOND": "0", "MEAN_GAP_MS": GAP_MS} | more
    return {**os.environ, **{f"TT_VENUE_{name}": value for name, value in own.items()}}


@contextmanager
def process(directory: Path, **more: str) -> Iterator[subprocess.Popen[bytes]]:
    """`python -m paper.venue`, listening."""
    ports = directory / PORTS
    started = time.time_ns()
    command = [sys.executable, "-m", "paper.venue"]
    with Popen(command, cwd=ROOT, env=environ(directory, **more)) as running:
        try:
            end = time.monotonic() + WAIT_S
            while not _written_since(ports, started):
                assert running.poll() is None, "the venue did not start"
                assert time.monotonic() < end, "the venue does not listen"
                time.sleep(0.02)
            yield running
        finally:
            running.kill()


def _written_since(ports: Path, started: int) -> bool:
    # One of an earlier life is there at first, and then is taken away.
    try:
        return ports.stat().st_mtime_ns > started
    except FileNotFoundError:
        return False


def refused(directory: Path, **more: str) -> str:
    """Return what a process says that must not start."""
    done = run("paper.venue", environ(directory, **more))
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    return done.stderr


async def shown(live: Live, least: int, title: str = "") -> list[Any]:
    """The trades that the Data API shows once there are enough, one with the title among them."""
    for _ in range(500):
        found = await live.get("/data/trades", limit=10_000, takerOnly="false")
        if len(found) >= least and (not title or any(one["title"] == title for one in found)):
            return list(found)
        await asyncio.sleep(0.02)
    raise AssertionError(f"{len(found)} rows")


async def indexed(live: Live) -> None:
    """Wait until the indexer has caught up with what was played."""
    for _ in range(500):
        status = await live.get("/data/v2/status")
        if status["data"]["indexer_lag_seconds"] == 0:
            return
        await asyncio.sleep(0.02)
    raise AssertionError("the indexer still lags")


async def test_a_killed_process_goes_on_where_it_was(tmp_path: Path) -> None:
    with process(tmp_path) as running:
        async with clients(tmp_path / PORTS) as live:
            await live.notify("/inject", row())
            await live.state_where(lambda state: state["rows_played"] >= 60)
            before = await shown(live, 20, INJECTED)
            asset = next(one["asset"] for one in before if one["title"] != INJECTED)
            await live.notify(f"/resolve/{row()['conditionId']}", {"payouts": ["1", "0"]})
            positions = await live.get("/data/positions", user=before[-1]["proxyWallet"])
            running.send_signal(signal.SIGKILL)
            running.wait(WAIT_S)
    ports = (tmp_path / PORTS).read_bytes()
    with process(tmp_path, START_WHEN_TOLD="true"):
        assert (tmp_path / PORTS).read_bytes() == ports
        async with clients(tmp_path / PORTS) as live:
            played = (await live.state())["rows_played"]
            assert played >= 60
            after = await shown(live, len(before), INJECTED)
            assert {one["transactionHash"] for one in before} <= {
                one["transactionHash"] for one in after
            }
            gone = await live.http.get("/clob/book", params={"token_id": row()["asset"]})
            assert gone.status_code == 404
            assert (await live.http.get("/clob/book", params={"token_id": asset})).is_success
            assert {one["asset"] for one in positions} <= {
                one["asset"]
                for one in await live.get(
                    "/data/positions", user=before[-1]["proxyWallet"], limit=500, sizeThreshold=0
                )
            }
            await live.state_where(lambda state: state["rows_played"] >= played + 60)
            everything = await shown(live, played + 40)
            fills = [
                (one["transactionHash"], one["price"], one["size"], one["side"], one["asset"])
                for one in everything
            ]
            assert len(set(fills)) == len(fills)
    lines = (tmp_path / "venue.played.jsonl").read_bytes().splitlines()
    rows = [one["row"] for line in lines if (one := msgspec.json.decode(line))["type"] == "row"]
    # Rows of one transaction are neighbours in time, not on the tape.
    pace = Pace(mean_gap_ms=int(GAP_MS), max_gap_ms=2_000)
    steps = [step.row for step in timeline(tape.load(None)[0], pace) if step.kind is Kind.ROW]
    assert rows == steps[: len(rows)]


def test_it_stops_cleanly_when_told(tmp_path: Path) -> None:
    with process(tmp_path) as running:
        running.send_signal(signal.SIGTERM)
        assert running.wait(WAIT_S) == 0


def test_a_tape_with_two_ids_for_one_market_is_refused_by_name_before_anything_is_played(
    tmp_path: Path,
) -> None:
    own = tmp_path / "own.jsonl"
    own.write_bytes(line() + b"\n" + line(asset="124", outcomeIndex=1) + b"\n")
    said = refused(tmp_path / "state", TAPE=str(own))
    named = f"asset: 124 is a second id for market 0x{'a' * 64}"
    assert f"TT_VENUE_TAPE: own.jsonl line 2: {named}" in said
    assert not (tmp_path / "state").exists()


def test_wrong_settings_are_refused_in_one_line(tmp_path: Path) -> None:
    assert "TT_VENUE_TAPE: " in refused(tmp_path / "a", TAPE=str(tmp_path / "none"))
    assert "TT_VENUE_MEAN_GAP" in refused(tmp_path / "b", MEAN_GAP_MS="0")
    assert "TT_VENUE_SEAD: no such setting" in refused(tmp_path / "c", SEAD="1")
    both = refused(tmp_path / "d", RESOLVE_MARKETS="1", LOOP="true")
    assert "TT_VENUE_RESOLVE_MARKETS" in both
    with process(tmp_path / "e"):
        found = msgspec.json.decode((tmp_path / "e" / PORTS).read_bytes())
        taken = refused(tmp_path / "f", PORT=str(found["port"]))
        assert "TT_VENUE_PORT" in taken
        assert "in use by another process" in refused(tmp_path / "e")
    assert "another seed" in refused(tmp_path / "e", SEED="2")


def test_a_cut_last_line_is_dropped_and_the_rest_kept(tmp_path: Path) -> None:
    def opened(*, repeat: bool = False) -> Store:
        return Store.open(tmp_path, seed=1, tape="t", repeat=repeat, now_ms=5)

    first = opened()
    first.append(Started(6))
    first.append(RowPlayed(0, 1, 7))
    with pytest.raises(StoreError, match="another process"):
        opened()
    first.close()
    log = tmp_path / "venue.played.jsonl"
    log.write_bytes(log.read_bytes() + b'{"type":"row","lap":0,"r')
    second = opened()
    assert second.run == first.run
    assert second.records == [Started(6), RowPlayed(0, 1, 7)]
    second.append(RowPlayed(0, 2, 8))
    second.close()
    third = opened()
    assert third.records[-1] == RowPlayed(0, 2, 8)
    third.close()
    with pytest.raises(StoreError, match="repeat mode"):
        opened(repeat=True)


async def test_laps_salt_anew_and_repeats_do_not_trade_anew(tmp_path: Path) -> None:
    sample = ROOT / "paper/venue/sample/leader_trades_2026-07.jsonl"
    own = tmp_path / "tape.jsonl"
    own.write_bytes(b"".join(sample.read_bytes().splitlines(keepends=True)[:4]))
    for repeat, different in (("false", 3), ("true", 1)):
        directory = tmp_path / repeat
        with process(directory, TAPE=str(own), LOOP="true", REPEAT=repeat):
            async with clients(directory / PORTS) as live:
                state = await live.state_where(lambda state: state["rows_played"] >= 12)
                assert state["lap"] >= 2
                assert state["transactions_played"] >= different
                if repeat == "true":
                    assert state["transactions_played"] == 1
                    await live.notify("/pause")
                    await indexed(live)
                    assert len(await shown(live, 4)) == 4
                if repeat == "false":
                    found = await shown(live, 12)
                    assert len({one["transactionHash"] for one in found}) >= different
