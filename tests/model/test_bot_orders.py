"""Every course of a bot's order, and each guard of its code taken away once."""

from __future__ import annotations

import sys
from dataclasses import replace
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest

from services.bots.core import orders
from tests.model import bot_order_world
from tests.model.bot_order_world import (
    CAPABILITIES,
    CHANGE,
    LATE,
    NEW,
    World,
    explore,
    fill,
    report,
)
from tradingtools.domain.bot_order_states import LEGAL, BotOrderState, PendingRequest
from tradingtools.venues.ports import Meaning
from tradingtools.venues.trading import OrderStatus, Receipt

TOLD = report(World(engine=orders.intend(NEW, bot_id="b", epoch=1), status=OrderStatus.OPEN))
PLAIN: dict[str, Any] = {"lag": 2}
UNDONE: dict[str, Any] = {"lag": 0, "undoable": True}
AMENDED: dict[str, Any] = {"lag": 0, "amendable": True}


@pytest.mark.parametrize("options", [PLAIN, UNDONE, AMENDED], ids=["plain", "undone", "amended"])
def test_no_course_doubles_loses_or_forgets_an_order(options: dict[str, Any]) -> None:
    seen, wrong, story = explore(**options)

    assert not wrong, f"{wrong}: {'; '.join(story)}"
    assert seen > 500


@pytest.mark.long
def test_no_course_of_all_that_can_happen_at_once() -> None:
    _, wrong, story = explore(lag=2, amendable=True, undoable=True)

    assert not wrong, f"{wrong}: {'; '.join(story)}"


GUARDS: dict[str, tuple[str, str, dict[str, Any], str]] = {
    "an order is placed once": (
        (
            "if order.state is not _S.INTENDED:\n        raise OrderError("
            'f"{order.order.order_id} is {order.state}: an order is placed once")'
        ),
        (
            "if order.state in ENDED:\n        raise OrderError('')\n    "
            "order = replace(order, state=_S.INTENDED)"
        ),
        PLAIN,
        "two orders for one intent",
    ),
    "not found counts from the last arrival on": (
        "if requested_ms <= certain or",
        "if",
        PLAIN,
        "LOST, and the venue has it",
    ),
    "three times not found": (
        "NOT_FOUNDS_NEEDED = 3",
        "NOT_FOUNDS_NEEDED = 1",
        PLAIN,
        "LOST, and the venue has it",
    ),
    "while the venue remembers": (
        "if known_for is not None and",
        "if known_for is None and",
        {"lag": 0, "forgetful": True},
        "LOST, and the venue has it",
    ),
    "a silent place is UNKNOWN": (
        "if receipt.meaning is Meaning.UNKNOWN or _evidence(order):",
        "if _evidence(order):",
        PLAIN,
        "REJECTED, and the venue has it",
    ),
    "a dead owner's place is UNKNOWN": (
        "return _moved(order, _S.UNKNOWN, pending=_P.NONE)\n    return replace(order, pending",
        "return _moved(order, _S.REJECTED)\n    return replace(order, pending",
        PLAIN,
        "REJECTED, and the venue has it",
    ),
    "told but unbooked stays reserved": (
        "return max(self.reported_filled - self.filled - sum(self.undone.values()), 0)",
        "return 0",
        PLAIN,
        "reserved 0, booked 0",
    ),
    "a change reserves the greater size": (
        "return max(self.size, (self.change.size if self.change else None) or 0)",
        "return self.size",
        AMENDED,
        "reserved 2, booked 0",
    ),
    "an unanswered change stays": (
        "if not named and read_ms <= change.not_after_ms:",
        "if False:",
        AMENDED,
        "reserved 2, booked 0",
    ),
    "a change that nobody wrote is read": (
        "if not (order.unread and read_ms):",
        "if True:",
        AMENDED,
        "reserved 2, booked 0",
    ),
    "a row may be smaller than what it fills": (
        "order.filled > order.max_filled and not order.unread:",
        "order.filled > order.max_filled:",
        AMENDED,
        "a false alarm",
    ),
    "a fill is booked once": (
        (
            "if fill.trade_id in fills or fill.trade_id in order.undone:\n        return order\n"
            "    fills[fill.trade_id] = fill.size"
        ),
        "fills[fill.trade_id + str(len(fills))] = fill.size",
        PLAIN,
        "ends with 2 of 1",
    ),
    "an undone fill stays undone": (
        "if fill.trade_id in fills or fill.trade_id in order.undone:",
        "if fill.trade_id in fills:",
        UNDONE,
        "ends with",
    ),
    "the end tells the size": (
        "order, pending=_P.NONE, change=None, price=report.price, size=report.size",
        "order, pending=_P.NONE, change=None",
        AMENDED,
        "a false alarm",
    ),
}


@pytest.mark.parametrize("name", GUARDS)
def test_without_one_guard_a_promise_breaks(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    old, new, options, expected = GUARDS[name]
    source = Path(orders.__file__).read_text()
    assert source.count(old) == 1, f"the guard is written otherwise now: {name}"
    path = tmp_path / "orders_without_a_guard.py"
    path.write_text(source.replace(old, new))
    spec = spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    broken = module_from_spec(spec)
    monkeypatch.setitem(sys.modules, path.stem, broken)
    spec.loader.exec_module(broken)
    monkeypatch.setattr(bot_order_world, "orders", broken)

    _, wrong, story = explore(**options)

    assert wrong.startswith(expected), f"{wrong}: {'; '.join(story)}"


def test_a_refusal_of_what_has_filled_decides_nothing() -> None:
    one = orders.sending(orders.intend(NEW, bot_id="b", epoch=1))
    one = orders.filled(one, fill(1))

    one = orders.answered(
        one, PendingRequest.PLACE, Receipt(meaning=Meaning.REJECTED, code="51016")
    )

    assert (one.state, one.reserved) == (BotOrderState.PARTIALLY_FILLED, 1)


@pytest.mark.parametrize("meaning", [Meaning.REJECTED, Meaning.NOT_ACCEPTED])
@pytest.mark.parametrize("silent", [False, True], ids=["at once", "late"])
def test_a_refusal_beside_evidence_that_it_was_taken_decides_nothing(
    meaning: Meaning, *, silent: bool
) -> None:
    """Its settlement failed before the answer came, so the venue had it."""
    one = orders.sending(orders.intend(NEW, bot_id="b", epoch=1))
    if silent:
        one = orders.answered(one, PendingRequest.PLACE, Receipt(meaning=Meaning.UNKNOWN))
    one = orders.filled(one, fill(1, undone=True))

    one = orders.answered(one, PendingRequest.PLACE, Receipt(meaning=meaning))

    assert (one.state, one.reserved) == (BotOrderState.UNKNOWN, 2)


def test_a_report_of_a_refusal_beside_evidence_decides_nothing() -> None:
    refused = replace(TOLD, status=OrderStatus.REJECTED)
    one = orders.sending(orders.intend(NEW, bot_id="b", epoch=1))
    assert orders.reported(one, refused).state is BotOrderState.UNKNOWN
    one = orders.answered(one, PendingRequest.PLACE, Receipt(meaning=Meaning.UNKNOWN))
    assert orders.reported(one, refused).state is BotOrderState.REJECTED
    one = orders.filled(one, fill(1, undone=True))

    one = orders.reported(one, refused)

    assert (one.state, one.reserved) == (BotOrderState.UNKNOWN, 2)


def test_a_late_refusal_ends_what_nobody_has_seen() -> None:
    one = orders.sending(orders.intend(NEW, bot_id="b", epoch=1))
    one = orders.answered(one, PendingRequest.PLACE, Receipt(meaning=Meaning.UNKNOWN))

    one = orders.answered(one, PendingRequest.PLACE, Receipt(meaning=Meaning.REJECTED))

    assert (one.state, one.reserved) == (BotOrderState.REJECTED, 0)


def rests() -> orders.BotOrder:
    sent = orders.sending(orders.intend(NEW, bot_id="b", epoch=1))
    taken = orders.answered(sent, PendingRequest.PLACE, Receipt(meaning=Meaning.ACCEPTED))
    return orders.reported(taken, TOLD)


def test_a_change_is_asked_for_alone_and_of_what_rests() -> None:
    changing = orders.amending(rests(), CHANGE)
    for one in (
        changing,
        orders.answered(changing, PendingRequest.AMEND, Receipt(meaning=Meaning.UNKNOWN)),
        orders.cancelling(rests()),
        orders.not_found(rests(), CAPABILITIES, requested_ms=LATE),
    ):
        with pytest.raises(orders.OrderError):
            orders.amending(one, CHANGE)


def test_a_refused_change_leaves_the_order_as_it_was() -> None:
    changing = orders.amending(rests(), CHANGE)

    refused = orders.answered(changing, PendingRequest.AMEND, Receipt(meaning=Meaning.REJECTED))
    reported = orders.reported(changing, replace(TOLD, request_id="r", code="51503", size=3))

    for one in (refused, reported):
        assert (one.change, one.size, one.reserved, one.pending) == (None, 2, 2, "NONE")


def test_a_part_that_is_filled_stays_until_it_is_undone() -> None:
    one = orders.filled(rests(), fill(1))
    assert orders.reported(one, TOLD).state is BotOrderState.PARTIALLY_FILLED

    assert orders.filled(one, fill(1, undone=True)).state is BotOrderState.OPEN


def test_a_fill_beyond_what_its_end_told_is_a_breach() -> None:
    one = orders.reported(rests(), replace(TOLD, status=OrderStatus.CANCELLED))

    one = orders.filled(one, fill(1))

    assert one.state is BotOrderState.RESURRECTED
    assert one.breach


def test_a_dead_owner_s_request_is_nobody_s() -> None:
    one = orders.orphaned(orders.cancelling(rests()))

    assert (one.state, one.pending) == (BotOrderState.OPEN, PendingRequest.NONE)


def test_a_sight_of_it_begins_the_denials_anew() -> None:
    one = rests()
    for second in range(2):
        one = orders.not_found(one, CAPABILITIES, requested_ms=LATE + 2_000 * second)
    one = orders.reported(one, TOLD)

    one = orders.not_found(one, CAPABILITIES, requested_ms=LATE + 10_000)

    assert (one.state, one.not_founds) == (BotOrderState.UNKNOWN, 1)


def test_denials_within_two_seconds_count_once() -> None:
    """Whoever asks three times at once has one answer of one lagging replica."""
    one = orders.sending(orders.intend(NEW, bot_id="b", epoch=1))
    one = orders.answered(one, PendingRequest.PLACE, Receipt(meaning=Meaning.UNKNOWN))

    for _ in range(orders.NOT_FOUNDS_NEEDED):
        one = orders.not_found(one, CAPABILITIES, requested_ms=LATE)

    assert (one.state, one.not_founds) == (BotOrderState.UNKNOWN, 1)


@pytest.mark.parametrize("status", list(OrderStatus))
@pytest.mark.parametrize("state", list(BotOrderState))
def test_no_report_leads_where_the_table_does_not(
    state: BotOrderState, status: OrderStatus
) -> None:
    sent = orders.sending(orders.intend(NEW, bot_id="b", epoch=1))
    one = replace(sent, state=state, pending=PendingRequest.NONE)

    after = orders.reported(one, replace(TOLD, status=status))

    # What never was and is told to have ended comes back first.
    again = {(state, BotOrderState.RESURRECTED), (BotOrderState.RESURRECTED, after.state)}
    assert after.state is state or (state, after.state) in LEGAL or again <= LEGAL


def test_an_old_report_changes_nothing_of_what_has_ended() -> None:
    one = orders.sending(orders.intend(NEW, bot_id="b", epoch=1))
    one = orders.orphaned(orders.reported(one, replace(TOLD, status=OrderStatus.CANCELLED)))

    after = orders.reported(one, replace(TOLD, size=3, price=11), read_ms=LATE)

    assert (after.state, after.size, after.price) == (BotOrderState.CANCELLED, 2, 10)


def test_a_venue_that_denies_what_it_had_is_no_proof() -> None:
    one = orders.sending(orders.intend(NEW, bot_id="b", epoch=1))
    one = orders.answered(
        one, PendingRequest.PLACE, Receipt(meaning=Meaning.ACCEPTED, venue_order_id="v")
    )

    for second in range(4):
        one = orders.not_found(one, CAPABILITIES, requested_ms=LATE + 2_000 * second)

    assert (one.state, one.reserved) == (BotOrderState.DEAD, 2)


def test_what_appears_after_its_end_is_a_breach() -> None:
    one = orders.sending(orders.intend(NEW, bot_id="b", epoch=1))
    one = orders.answered(one, PendingRequest.PLACE, Receipt(meaning=Meaning.REJECTED))

    one = orders.filled(one, fill(1))

    assert one.state is BotOrderState.RESURRECTED
    assert one.breach
    assert one.reserved == 1
