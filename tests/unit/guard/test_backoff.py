"""Test that who fails again and again is left alone for ever longer."""

from __future__ import annotations

from services.guard.core.backoff import Backoff


def _rests_ms(pauses: Backoff, now_ms: int) -> int:
    """For how long one is left alone from now on."""
    return next(ms for ms in range(0, 20_000, 50) if not pauses.rests("a", now_ms + ms))


def test_each_pause_is_longer_up_to_a_bound() -> None:
    pauses, now_ms, found = Backoff(250, 3_000), 7_000, []
    for _ in range(6):
        pauses.failed(["a"], now_ms)
        found.append(_rests_ms(pauses, now_ms))
        now_ms += found[-1]
    assert found == [0, 250, 750, 1_750, 3_000, 3_000]
    assert not pauses.rests("b", now_ms)


def test_success_or_long_calm_resets_the_backoff() -> None:
    pauses = Backoff(250, 3_000)
    for now_ms in (0, 0):
        pauses.failed(["a"], now_ms)
    pauses.succeeded(["a", "never failed"])
    pauses.failed(["a"], 0)
    assert _rests_ms(pauses, 0) == 0
    pauses.failed(["a"], 0)
    pauses.failed(["b"], 3_250)
    assert pauses._failed.keys() == {"b"}, "nothing is kept of whom nobody asks for any more"
    pauses.failed(["a"], 3_250)
    assert _rests_ms(pauses, 3_250) == 0
