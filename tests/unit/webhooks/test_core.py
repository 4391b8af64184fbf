"""The decisions of webhooks: when, to whom, and what an answer means."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks.webhooks import Webhook

from services.webhooks.core import lane as lanes
from services.webhooks.core import schedule
from services.webhooks.core.addresses import may_connect, networks
from services.webhooks.core.lane import Lane, Pending, Range, Times
from services.webhooks.core.verdict import Answer, Verdict, retry_after_ms, verdict

_S, _M, _H = 1_000, 60_000, 3_600_000
_DAY = 24 * _H


def test_the_pauses_are_those_that_are_promised() -> None:
    pauses = [schedule.pause_ms(attempt, 5 * _S, 0.5) for attempt in range(1, 9)]
    assert pauses == [
        5 * _S, 5 * _M, 30 * _M, 2 * _H, 5 * _H, 10 * _H, 24 * _H, 24 * _H,
    ]  # fmt: skip
    assert schedule.pause_ms(1, 5 * _S, 0.0) == 4 * _S
    assert schedule.pause_ms(1, 5 * _S, 1.0) == 6 * _S
    assert schedule.wait_ms(1, 5 * _S, 0.5, 3 * _M) == 3 * _M
    assert schedule.wait_ms(2, 5 * _S, 0.5, 3 * _M) == 5 * _M
    assert schedule.wait_ms(1, 5 * _S, 0.5, 10**12) == _DAY


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (200, Verdict.DELIVERED), (204, Verdict.DELIVERED), (299, Verdict.DELIVERED),
        (410, Verdict.GONE),
        (0, Verdict.FAILED), (100, Verdict.FAILED), (301, Verdict.FAILED), (307, Verdict.FAILED),
        (400, Verdict.FAILED), (404, Verdict.FAILED), (429, Verdict.FAILED),
        (500, Verdict.FAILED), (503, Verdict.FAILED), (999, Verdict.FAILED),
    ],
)  # fmt: skip
def test_only_success_takes_a_message(status: int, expected: Verdict) -> None:
    assert verdict(Answer(status=status, text="")) is expected


@pytest.mark.parametrize(
    ("status", "text", "expected"),
    [
        (429, "120", 120 * _S),
        (503, " 7 ", 7 * _S),
        (503, "Thu, 01 Jan 1970 00:01:40 GMT", 90 * _S),
        (503, "Thu, 01 Jan 1970 00:00:01 GMT", 0),
        (503, "soon", 0),
        (503, "-5", 0),
        (503, "9" * 40, 999_999_999 * _S),
        (500, "120", 0),
        (200, "120", 0),
    ],
)
def test_who_is_busy_is_believed_when_to_come_again(status: int, text: str, expected: int) -> None:
    answer = Answer(status=status, text="", retry_after=text)
    assert retry_after_ms(answer, 10 * _S) == expected


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.1.1", "169.254.169.254",
        "168.63.129.16", "100.64.0.1", "100.127.255.255", "0.0.0.0",  # noqa: S104 - refused
        "255.255.255.255", "224.0.0.1", "240.0.0.1",
        "192.0.0.170", "198.18.0.1", "203.0.113.7", "::", "::1", "::127.0.0.1", "::ffff:10.0.0.1",
        "::ffff:7f00:1", "fe80::1", "fe80::1%eth0", "fc00::1", "fdff::1", "ff02::1", "64:ff9b::1",
        "64:ff9b::a00:1", "2002:a00:1::", "2001::1", "2001:db8::1", "fec0::1", "not an address", "",
    ],
)  # fmt: skip
def test_no_message_goes_inside(address: str) -> None:
    assert not may_connect(address, (), public=True)


@pytest.mark.parametrize("address", ["8.8.8.8", "1.1.1.1", "100.128.0.1", "2606:4700::1111"])
def test_a_public_address_is_for_https_alone(address: str) -> None:
    assert may_connect(address, (), public=True)
    assert not may_connect(address, (), public=False)


def test_a_network_that_the_operator_allows_is_open_and_no_other() -> None:
    allowed = networks("10.1.0.0/16, fd00:1::/32")
    for public in (True, False):
        assert may_connect("10.1.2.3", allowed, public=public)
        assert may_connect("::ffff:10.1.2.3", allowed, public=public)
        assert may_connect("fd00:1::5", allowed, public=public)
        assert not may_connect("10.2.2.3", allowed, public=public)


def test_the_published_vector_of_svix_gives_its_signature() -> None:
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    signed = Webhook(secret).sign(
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        datetime.fromtimestamp(1614265330, UTC),
        '{"test": 2432232314}',
    )
    assert signed == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def _times(now_ms: int = 0) -> Times:
    return Times(now_ms=now_ms, first_pause_ms=5 * _S, chance=0.5)


def test_five_days_of_failure_disable_and_a_success_resets() -> None:
    lane = lanes.take(Lane(position=0, width=1), 1)
    settled = lanes.settle(lane, 1, Verdict.FAILED, _times(0))
    assert (settled.disable, settled.lane.failing_since_ms) == ("", 0)
    settled = lanes.settle(settled.lane, 1, Verdict.FAILED, _times(5 * _DAY - 1))
    assert settled.disable == ""
    again = lanes.settle(settled.lane, 1, Verdict.FAILED, _times(5 * _DAY))
    assert "five days" in again.disable
    taken = lanes.settle(settled.lane, 1, Verdict.DELIVERED, _times(5 * _DAY))
    assert taken.lane == Lane(position=1, width=1)


def test_what_is_gone_is_disabled_at_once_and_keeps_its_message() -> None:
    settled = lanes.settle(lanes.take(Lane(position=0, width=1), 1), 1, Verdict.GONE, _times())
    assert "410" in settled.disable
    assert set(settled.lane.pending) == {1}


def test_ordered_message_never_expires_unordered_after_eight() -> None:
    for width, given_up in ((1, False), (16, True)):
        lane = lanes.take(Lane(position=0, width=width), 1)
        for attempt in range(1, 9):
            settled = lanes.settle(lane, 1, Verdict.FAILED, _times(attempt))
            lane = settled.lane
            assert (settled.verdict is Verdict.GIVEN_UP) == (given_up and attempt == 8)
        assert (1 not in lane.pending) == given_up


def test_a_replay_comes_first_and_moves_no_position() -> None:
    lane = lanes.replayed(Lane(position=10, width=1), 3, 99)
    assert lanes.read_from(lane) == (3, 10)
    lane = lanes.passed(lane, 7)
    assert lanes.read_from(lane) == (7, 10)
    assert lanes.read_from(lanes.passed(lane, 10)) == (10, None)
    assert lanes.replayed(lane, 10, 20) == lane
    two = lanes.replayed(lane, 0, 5)
    assert two.replays == (Range(after=7, to=10), Range(after=0, to=5))


_STEPS = st.lists(
    st.tuples(
        st.sampled_from(["take", "pass", "settle", "crash"]),
        st.sampled_from([Verdict.DELIVERED, Verdict.FAILED]),
        st.integers(0, 15),
    ),
    max_size=80,
)


@given(_STEPS, st.sampled_from([1, 3]))
def test_whatever_fails_and_dies_no_event_is_lost_or_overtaken(
    steps: list[tuple[str, Verdict, int]], width: int
) -> None:
    """A crash goes on from any earlier state that was written; then all is delivered in the end."""
    lane = kept = Lane(position=0, width=width)
    delivered: list[int] = []
    for what, said, which in steps:
        if what == "take" and lanes.has_room(lane):
            lane = lanes.take(lane, lane.position + 1)
        elif what == "settle" and lane.pending:
            number = sorted(lane.pending)[which % len(lane.pending)]
            lane = lanes.settle(lane, number, said, _times()).lane
            if said is Verdict.DELIVERED:
                delivered.append(number)
        elif what == "pass":
            kept = lane
        elif what == "crash":
            lane = kept
        assert len(lane.pending) <= width
    end = lane.position
    for number in sorted(lane.pending):
        delivered.append(number)
    assert set(range(1, end + 1)) <= set(delivered)
    if width == 1:
        assert list(dict.fromkeys(delivered)) == sorted(set(delivered))


def test_waiting_message_is_due_on_time_and_one_under_way_is_not() -> None:
    lane = Lane(
        position=9, width=3, pending={7: Pending(attempts=1, next_ms=50), 8: Pending(next_ms=20)}
    )
    assert lanes.due(lane, 10, frozenset()) is None
    assert lanes.due(lane, 20, frozenset()) == 8
    assert lanes.due(lane, 60, frozenset({8})) == 7
    assert lanes.next_due_ms(lane, frozenset({8})) == 50
    assert lanes.next_due_ms(lane, frozenset({7, 8})) is None
