"""kill -9 at every line of an engine of bots (`kill_lines.py`), and what judges it."""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from math import inf
from pathlib import Path

import pytest

from launcher.temporary import create_database
from services.bots.core.strategy import Quote, SignalEvent, View
from services.bots.strategies.signal import Signal, SignalState
from tests.bots.clob_world import ClobBots, clob_bots
from tests.bots.kill_lines import PIECES, plan_of, run
from tests.bots.kill_people import MAKER, MAX, OTHER, clob_wrongs, turner
from tests.bots.order_audit import log_leases, wrongs
from tests.bots.world import SWAP, Bots, bots, until
from tests.fault.at_step import instrumented
from tests.fault.steps import ROOT
from tests.unit.bots.samples import book, swap
from tradingtools.domain.strategies import config


@pytest.fixture
def url(postgres_server: str, migrated_template: str) -> str:
    return create_database(postgres_server, template=migrated_template)


@pytest.fixture
def world(url: str, tmp_path: Path) -> Iterator[Bots]:
    with bots(url, tmp_path) as made:
        log_leases(made)
        yield made


@pytest.fixture
def clob(url: str, tmp_path: Path) -> Iterator[ClobBots]:
    with clob_bots(url, tmp_path) as made:
        yield made


@pytest.mark.long
@pytest.mark.timeout(7_200)
@pytest.mark.parametrize("piece", PIECES)
def test_killed_at_every_line_no_order_is_doubled_forgotten_or_taken_after_its_lease(
    piece: str, url: str, tmp_path: Path
) -> None:
    # All steps, unless one has less time.
    seconds = float(os.environ.get("KILL_LINES_SECONDS") or inf)
    outcome = run(piece, tmp_path, url, seconds=seconds)
    print(outcome.text())  # noqa: T201
    assert outcome.broken == []
    assert outcome.killed, "it never came to a line of these"


@pytest.mark.parametrize("path", sorted({path for paths in PIECES.values() for path in paths}))
def test_each_step_of_a_module_has_its_call(path: str) -> None:
    piece = next(one for one, paths in PIECES.items() if path in paths)
    plan = plan_of(piece)

    tree = instrumented((ROOT / path).read_text(), path, plan)

    compile(tree, path, "exec")
    calls = [
        tuple(one.value for one in call.args if isinstance(one, ast.Constant))
        for call in ast.walk(tree)
        if isinstance(call, ast.Call)
        if isinstance(call.func, ast.Name) and call.func.id == "__tests_fault_at_step__"
    ]
    assert sorted(calls) == sorted(step.place for step in plan if step.path == path)


@pytest.mark.parametrize("before", [-1, 0, 1])
def test_the_last_signal_leads_to_the_turn_whatever_was_heard_before(before: int) -> None:
    one = replace(swap(), id=f"okx:{OTHER}")
    settings = config("signal", turner())
    view = View(
        now_ms=1_000, instruments={one.id: one}, books={one.id: book(one, [(639, 9)], [(640, 9)])}
    )
    last = SignalEvent("last", one.id, 1, Decimal("0.8"), 1_000, 10_000)

    _, intents = Signal().on(settings, SignalState(direction=before), last, view)

    assert [(it.side, it.size) for it in intents if isinstance(it, Quote)] == [
        ("BUY", settings.position)
    ]


@pytest.mark.long
def test_what_is_missing_is_found(world: Bots) -> None:
    """An audit that finds nothing proves nothing; this shows that it can find."""
    world.bot(MAKER)
    engine = world.engine()
    engine.start()
    try:
        until(lambda: world.rows("select 1 from bot_fill"), "a fill")
        world.command(MAKER, "STOPPED")
        until(lambda: world.state(MAKER)[0] == "STOPPED", "the end")
    finally:
        engine.stop()
    assert wrongs(world, MAX) == []

    for query, reported in (
        ("update lease_log set until = at", "was accepted under the lease"),
        ("delete from bot_permit", "was accepted without a permit"),
        ("update bot_order set filled = filled + 1", "its row has"),
        ("update bot_order set settled = false", "is "),
        ("delete from bot_fill", "was filled and not booked"),
    ):
        world.rows(query)
        found = wrongs(world, MAX)
        assert any(reported in one for one in found), query
    assert any("stood at" in one for one in wrongs(world, {SWAP: 0}))


@pytest.mark.long
def test_what_is_missing_at_a_clob_is_found(clob: ClobBots) -> None:
    """The same for the other exchange."""
    stranger = clob.stranger()
    clob.bot(MAKER)
    engine = clob.engine()
    engine.start()

    def filled() -> bool:
        clob.prints()
        return bool(clob.rows("select 1 from bot_fill"))

    try:
        until(filled, "a fill")
        clob.command(MAKER, "STOPPED")
        until(lambda: clob.state(MAKER)[0] == "STOPPED", "the end")
        until(lambda: clob.held() == clob.booked(), "the same books")
    finally:
        engine.stop()
    assert clob_wrongs(clob, stranger) == []
    assert clob_wrongs(clob, "another") == ["a stranger's order is gone"]

    for query, reported in (
        ("update bot_order set filled = filled + 1", "its row has"),
        ("update bot_order set settled = false", "is "),
        ("delete from bot_fill", "the bots' fills make"),
        ("delete from bot_order", "was accepted and is forgotten"),
    ):
        clob.rows(query)
        found = clob_wrongs(clob, stranger)
        assert any(reported in one for one in found), query
