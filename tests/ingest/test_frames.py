"""Test what is done with a frame: any bytes give a row, nothing, or a reason, and never an
accident."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.venues.polymarket.test_trades import FRAME
from tradingtools.venues.polymarket.trade_frames import Ignored, read_frame
from tradingtools.venues.ports import RowError

LEADER = b"0x1015bb260154f51e5f432cb0a3227c1619fcbac8"
SOMEBODY = frozenset({LEADER})
NOBODY: frozenset[bytes] = frozenset()


def test_leader_is_found_whatever_the_case_of_his_wallet() -> None:
    found = read_frame(FRAME, SOMEBODY)
    assert isinstance(found, tuple)
    assert found[1].leader.encode() == LEADER
    spaced = FRAME.replace(b'"proxyWallet":"', b'"proxyWallet" : "')
    assert read_frame(spaced, SOMEBODY) == found


def test_a_wallet_that_is_written_in_another_way_is_still_found() -> None:
    escaped = FRAME.replace(b'"proxyWallet"', rb'"proxy\u0057allet"')
    assert read_frame(escaped, SOMEBODY) == read_frame(FRAME, SOMEBODY)
    assert read_frame(escaped, NOBODY) is Ignored.OTHERS


def test_frames_of_others_are_not_even_decoded() -> None:
    assert read_frame(FRAME, NOBODY) is Ignored.OTHERS
    assert read_frame(FRAME.replace(b'"size":4.33', b'"size":{{{'), NOBODY) is Ignored.OTHERS


@pytest.mark.parametrize("frame", [b"", b" \n", b"PONG", b"pong"])
def test_empty_frames_and_answers_to_pings_are_nothing(frame: bytes) -> None:
    assert read_frame(frame, SOMEBODY) is Ignored.IDLE


def test_a_damaged_frame_of_a_leader_is_refused() -> None:
    with pytest.raises(RowError):
        read_frame(FRAME[:-5], SOMEBODY)


@given(st.binary(max_size=200), st.integers(0, len(FRAME)))
def test_any_bytes_give_a_row_nothing_or_a_reason(noise: bytes, at: int) -> None:
    for frame in (noise, FRAME[:at] + noise, FRAME[:at] + noise + FRAME[at:]):
        try:
            found = read_frame(frame, SOMEBODY)
        except RowError as error:
            assert error.reason  # noqa: PT017 - a refusal is one of the three right answers
            continue
        assert isinstance(found, (Ignored, tuple))
