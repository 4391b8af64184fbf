"""Test how long the log waits between two looks."""

from __future__ import annotations

from itertools import pairwise

from services.events.core.pacing import ReadResult, next_pause

_BUSY, _IDLE = 0.020, 0.100


def after(pause: float, found: ReadResult) -> float:
    return next_pause(pause, found, busy=_BUSY, idle=_IDLE)


def test_what_moves_is_looked_at_soon_however_long_nothing_did() -> None:
    for before in (_IDLE, _BUSY, _BUSY / 2):
        assert after(before, ReadResult.INCOMPLETE) < after(before, ReadResult.COMPLETE) == _BUSY


def test_open_transaction_is_polled_with_growing_pauses() -> None:
    pauses = [after(_BUSY, ReadResult.INCOMPLETE)]
    while pauses[-1] < _IDLE:
        pauses.append(after(pauses[-1], ReadResult.NOTHING))
    assert all(later > sooner for sooner, later in pairwise(pauses))
    assert after(pauses[-1], ReadResult.NOTHING) == _IDLE
    # A leader who trades each second never meets the longest pause.
    assert sum(pause for pause in pauses if pause < 0.6 * _IDLE) > 0.9


def test_after_an_outage_it_is_as_usual() -> None:
    assert after(1.0, ReadResult.NOTHING) == _IDLE
