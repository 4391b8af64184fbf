"""Each guard is needed: without any one of them the checker finds what goes wrong.

A checker that finds nothing proves nothing; this shows that it can find.
"""

from __future__ import annotations

import pytest

from services.confirm.core import unknown_order_policy
from services.confirm.core.unknown_order_policy import NextAction
from tools.model import gateway, runs, state
from tools.model.__main__ import main
from tools.model.guards import Guard

INVARIANTS = {
    Guard.COMMIT_BEFORE_STREAM: "I2",
    Guard.POLLING: "SILENT",
    Guard.FENCE: "SILENT",
    Guard.SUBMITTING_BEFORE_POST: "I5",
    Guard.LOST_ACK_NOT_SENT: "I5",
    Guard.NOT_AFTER_IN_STATEMENT: "I8",
    Guard.PAUSE_IN_STATEMENT: "I8",
    Guard.PAUSE_LOCK: "I8",
    Guard.NO_RESEND_WITHOUT_A: "I1",
    Guard.RETRY_BEFORE_POST: "I5",
    Guard.ATTEMPTS_BOUNDED: "ATTEMPTS",
    Guard.WISH_OF_ONE_EPOCH: "ATTEMPTS",
    Guard.BODY_FROZEN: "I7",
    Guard.DEAD_KEEPS_MONEY: "MONEY",
    Guard.PART_UNIQUE: "I1",
    Guard.PARTS_REBUILT: "SILENT",
    Guard.LOST_CLAIM_READ_AGAIN: "SILENT",
    Guard.ROUTER_LEASE: "SILENT",
    Guard.ROWS_BY_MAX: "I13",
    Guard.FAILED_TRADE_NOTED: "BREACH",
    Guard.CONTRADICTION_NOT_BOOKED: "BOOKED",
    Guard.ENDS_WATCHED: "SILENT",
    Guard.DEAD_ASKED_AGAIN: "SILENT",
    Guard.DEAD_STAYS: "CALLED",
    Guard.REDUCED_TOGETHER: "BREACH",
    Guard.RESERVED_AGAIN: "MONEY",
}
"""The nearest promise that breaks; the others break I4: the row denies what the far side has."""


@pytest.mark.parametrize("guard", list(Guard), ids=lambda guard: guard.name)
def test_without_one_guard_a_promise_breaks(guard: Guard) -> None:
    found = runs.without(guard)

    assert found.broken, f"nothing breaks without {guard.name}: {guard.value}"
    assert found.broken.split(":")[0] == INVARIANTS.get(guard, "I4"), runs.readable(found)
    assert found.trace


def test_a_counterexample_reads_as_a_story(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--without", "pause_lock"]) == 0

    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("without PAUSE_LOCK")
    assert lines[1] == "I8: SUBMITTING was committed after an acknowledged pause"
    story = lines[2:-1]
    assert [line.split(".")[0].strip() for line in story] == [
        str(number) for number in range(1, len(story) + 1)
    ]
    assert any("a pause is acknowledged" in line for line in story)
    assert story[-1].endswith("commits SUBMITTING")


def test_an_unknown_guard_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as refused:
        main(["--without", "LUCK"])

    assert refused.value.code == 2
    assert "no guard 'LUCK'" in capsys.readouterr().err


def test_the_fate_that_is_checked_is_the_one_that_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unknown_order_policy, "after_lookup", lambda *_: NextAction.GIVE_UP)

    assert runs.one_order("C", lives=2).broken.startswith("I4: the row says LOST")


def test_one_not_found_is_not_enough_for_the_code_that_runs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(unknown_order_policy, "NOT_FOUNDS_NEEDED", 1)

    assert runs.one_order("BC", lives=2).broken.startswith("I4: the row says LOST")


def test_an_answer_taken_for_a_refusal_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    assert gateway.MEANINGS["200 cut off"] == "UNKNOWN"
    monkeypatch.setitem(gateway.MEANINGS, "200 cut off", "REJECTED")

    assert runs.one_order("", lives=2).broken.startswith("I4: the row says FAILED REJECTED")


def test_a_transition_missing_in_the_table_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state, "_LEGAL", state._LEGAL - {(state.UNKNOWN, state.LOST)})

    assert runs.one_order("D", lives=2).broken == "I6: UNKNOWN -> LOST is not legal"
