"""The venue's clock, read from its answers."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tradingtools.venues.okx.venue_clock import Sample, VenueClock, timestamp


def test_a_clock_off_by_forty_seconds_is_noticed_and_corrected() -> None:
    clock = VenueClock()
    assert not clock.known

    moved = clock.learn(Sample(requested_ms=1_000_000, reported_ms=1_040_015, took_ms=30))

    assert clock.off
    assert moved == 40_000
    assert clock.at(2_000_000) == 2_040_000


def test_a_small_offset_is_corrected_in_silence() -> None:
    clock = VenueClock()
    clock.learn(Sample(requested_ms=0, reported_ms=310, took_ms=20))

    assert not clock.off
    assert clock.at(1_000) == 1_300


def test_the_sample_with_the_shortest_way_is_believed() -> None:
    clock = VenueClock()
    clock.learn(Sample(requested_ms=0, reported_ms=500, took_ms=900))
    clock.learn(Sample(requested_ms=1_000, reported_ms=1_108, took_ms=16))
    clock.learn(Sample(requested_ms=2_000, reported_ms=2_300, took_ms=400))

    assert clock.offset_ms == 100


def test_a_step_of_a_clock_makes_older_samples_useless() -> None:
    clock = VenueClock()
    clock.learn(Sample(requested_ms=0, reported_ms=5, took_ms=10))
    clock.learn(Sample(requested_ms=1_000, reported_ms=41_100, took_ms=200))

    assert clock.offset_ms == 40_000


MICROS = st.integers(0, 5_000_000)


@given(st.integers(-(10**8), 10**8), MICROS, MICROS, st.integers(10**12, 2 * 10**12))
def test_a_deadline_is_never_later_by_the_venue_s_clock(
    offset: int, there: int, back: int, requested: int
) -> None:
    # Microseconds, which both sides cut to milliseconds.
    clock = VenueClock()
    reported = (requested + there + offset) // 1000
    clock.learn(Sample(requested // 1000, reported, (there + back) // 1000))

    assert clock.no_later(5_000_000) * 1000 <= 5_000_000_000 + offset


def test_timestamps_are_iso_with_milliseconds() -> None:
    assert timestamp(1607418537715) == "2020-12-08T09:08:57.715Z"
    assert timestamp(1607418537000) == "2020-12-08T09:08:57.000Z"
