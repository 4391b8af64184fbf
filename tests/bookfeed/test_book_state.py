"""Test how far a book may be trusted, from what was heard and when."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.bookfeed.core.book import ONE
from services.bookfeed.core.book_state import BookState, Status
from services.bookfeed.core.snapshot_audit import AuditVerdict, LevelChange, RestBook

BIDS, ASKS = [(400_000, 10), (390_000, 20)], [(420_000, 10), (430_000, 5)]


def whole() -> BookState:
    tracked = BookState()
    tracked.snapshot(BIDS, ASKS, 100, 1)
    return tracked


def status(tracked: BookState, now_ms: int = 1_000, last_message_ms: int | None = 1_000) -> Status:
    return tracked.status(now_ms, last_message_ms=last_message_ms, stale_ms=500, rest_ms=200)


def comparable(tracked: BookState) -> bool:
    return tracked.comparable


def doubtful(tracked: BookState) -> bool:
    return tracked.doubtful


def bid(price: int, size: int, best_bid: int | None, best_ask: int | None = 420_000) -> LevelChange:
    return LevelChange(True, price, size, best_bid, best_ask)


def test_nothing_is_fresh_before_a_snapshot() -> None:
    tracked = BookState()
    assert status(tracked) is Status.STALE
    tracked.snapshot(BIDS, ASKS, 100, 1)
    assert status(tracked) is Status.FRESH
    tracked.snapshot([], [], 101, 2)
    assert status(tracked) is Status.EMPTY


def test_silence_and_a_lost_connection_make_it_stale() -> None:
    tracked = whole()
    assert status(tracked, 1_499) is Status.FRESH
    assert status(tracked, 1_500) is Status.STALE
    assert status(tracked, last_message_ms=None) is Status.STALE
    tracked.disconnected()
    assert status(tracked) is Status.STALE


def test_changes_keep_it_whole_while_the_best_prices_agree() -> None:
    tracked = whole()
    tracked.changes([bid(410_000, 7, 410_000)], 110, 2)
    assert tracked.book.best_bid == 410_000
    assert (tracked.book_ms, tracked.received_ns) == (110, 2)
    assert status(tracked) is Status.FRESH
    assert not tracked.wants_resync(1_000)


def test_a_different_best_price_is_a_doubt_and_wants_a_resync() -> None:
    tracked = whole()
    tracked.changes([bid(395_000, 7, 405_000)], 110, 2)
    assert status(tracked) is Status.STALE
    assert tracked.wants_resync(1_000)


def test_only_the_last_change_of_a_message_is_checked() -> None:
    tracked = whole()
    tracked.changes([bid(410_000, 7, 405_000), bid(405_000, 7, 410_000)], 110, 2)
    assert status(tracked) is Status.FRESH


def test_a_crossed_book_says_so_and_wants_a_resync() -> None:
    tracked = whole()
    tracked.changes([bid(420_000, 7, None, None)], 110, 2)
    assert status(tracked) is Status.CROSSED
    assert tracked.wants_resync(1_000)


def test_a_resync_takes_the_answer_and_what_came_after_it() -> None:
    tracked = whole()
    tracked.changes([bid(395_000, 7, 405_000)], 110, 2)
    tracked.begin_resync(1_000)
    assert not tracked.wants_resync(9_000), "one at a time"
    tracked.changes([bid(405_000, 0, 400_000)], 120, 3)  # older than the answer
    tracked.changes([bid(406_000, 9, 406_000)], 140, 4)  # younger
    answer = RestBook([(405_000, 1), (400_000, 10)], [(420_000, 10)], 130)
    tracked.end_resync(answer, now_ms=1_100, received_ns=5)
    assert tracked.book.bids(9) == [(406_000, 9), (405_000, 1), (400_000, 10)]
    assert tracked.book.asks(9) == [(420_000, 10)]
    assert status(tracked) is Status.FRESH
    assert tracked.book_ms == 140


def test_a_resync_without_an_answer_leaves_the_doubt() -> None:
    tracked = whole()
    tracked.changes([bid(395_000, 7, 405_000)], 110, 2)
    tracked.begin_resync(1_000)
    tracked.end_resync(None, now_ms=1_050, received_ns=3)
    assert status(tracked) is Status.STALE
    assert not tracked.wants_resync(1_050)
    assert tracked.wants_resync(1_200)


def test_a_book_that_never_agrees_is_asked_for_ever_more_seldom() -> None:
    tracked = whole()
    requested, now_ms = 0, 0
    while now_ms < 120_000:
        tracked.changes([bid(395_000, 7, 405_000)], 110, 2)
        if tracked.wants_resync(now_ms):
            requested += 1
            tracked.begin_resync(now_ms)
            tracked.end_resync(None, now_ms=now_ms, received_ns=3)
        now_ms += 50
    assert 5 <= requested <= 12


def test_an_answer_older_than_a_good_book_is_left_aside() -> None:
    tracked = whole()
    tracked.end_resync(RestBook([(1, 1)], [], 99), now_ms=1_000, received_ns=5)
    assert tracked.book.best_bid == 400_000


def test_closed_connections_book_is_not_trusted_before_rest() -> None:
    tracked = whole()
    audit = tracked.begin_audit()
    assert not comparable(tracked), "one at a time"
    tracked.missed(0)
    assert not comparable(tracked), "in doubt"
    assert status(tracked) is Status.STALE
    tracked.end_audit(audit, AuditVerdict.MISSED, 1_000)
    assert tracked.misses == 1
    assert tracked.wants_resync(1_000)
    tracked.snapshot(BIDS, ASKS, 101, 2)
    assert comparable(tracked)
    tracked.end_audit(tracked.begin_audit(), AuditVerdict.NONE, 1_100)
    assert tracked.misses == 1, "an answer that proves nothing forgives nothing"
    tracked.end_audit(tracked.begin_audit(), AuditVerdict.SAME, 1_200)
    assert (tracked.misses, tracked.audited_ms) == (0, 1_200)


def test_a_resync_ends_a_look() -> None:
    tracked = whole()
    tracked.begin_audit()
    tracked.end_resync(RestBook(BIDS, ASKS, 101), now_ms=1_000, received_ns=5)
    assert tracked.audit is None


def test_a_book_from_rest_alone_is_fresh_for_a_while() -> None:
    tracked = BookState()
    tracked.end_resync(RestBook(BIDS, ASKS, 100), now_ms=1_000, received_ns=5)
    assert status(tracked, 1_199, last_message_ms=None) is Status.FRESH
    assert status(tracked, 1_200, last_message_ms=None) is Status.STALE


@given(st.lists(st.sampled_from(["snapshot", "changes", "disconnected", "rest"]), max_size=20))
def test_each_step_raises_the_revision(steps: list[str]) -> None:
    tracked = BookState()
    for number, step in enumerate(steps, start=1):
        before = tracked.revision
        match step:
            case "snapshot":
                tracked.snapshot(BIDS, ASKS, number, number)
            case "changes":
                tracked.changes([bid(380_000, number, None, None)], number, number)
            case "disconnected":
                tracked.disconnected()
            case _:
                tracked.end_resync(RestBook(BIDS, ASKS, number), now_ms=number, received_ns=number)
        assert tracked.revision > before


@pytest.mark.parametrize("best", [(0, 420_000), (400_000, ONE)])
def test_an_empty_side_on_the_wire_is_held_against_ours(best: tuple[int, int]) -> None:
    tracked = whole()
    tracked.changes([LevelChange(True, 390_000, 21, *best)], 110, 2)
    assert tracked.doubtful


def test_what_was_refused_since_rest_was_asked_stays_in_doubt() -> None:
    tracked = whole()
    tracked.refused()
    tracked.begin_resync(1_000)
    tracked.refused()
    tracked.end_resync(RestBook(BIDS, ASKS, 110), now_ms=1_050, received_ns=3)
    assert status(tracked) is Status.STALE
    tracked.begin_resync(1_500)
    tracked.end_resync(RestBook(BIDS, ASKS, 110), now_ms=1_550, received_ns=4)
    assert status(tracked, 1_550, 1_550) is Status.STALE
    tracked.begin_resync(3_000)
    tracked.end_resync(RestBook(BIDS, ASKS, 110), now_ms=3_050, received_ns=4)
    assert not tracked.doubtful
    assert status(tracked, 3_050, 3_050) is Status.FRESH


def test_more_changes_than_are_collected_stay_in_doubt() -> None:
    tracked = whole()
    tracked.changes([bid(395_000, 7, 405_000)], 105, 2)
    tracked.begin_resync(1_000)
    for number in range(1_001):
        tracked.changes([bid(390_000, 20 + number, 400_000)], 120, 2)
    tracked.end_resync(RestBook(BIDS, ASKS, 110), now_ms=1_050, received_ns=3)
    assert status(tracked) is Status.STALE


def test_older_answer_replaces_a_book_in_doubt() -> None:
    tracked = whole()
    tracked.changes([bid(390_000, 500, 400_000)], 120, 2)
    tracked.changes([bid(380_000, 7, 405_000)], 130, 3)
    late = RestBook([(405_000, 1), *BIDS], ASKS, 110)
    for now_ms in (1_000, 1_200, 1_700):
        assert tracked.wants_resync(now_ms)
        tracked.begin_resync(now_ms)
        tracked.end_resync(late, now_ms=now_ms + 50, received_ns=4)
        assert status(tracked, now_ms + 50, now_ms + 50) is Status.STALE, "it may not contain it"
        assert tracked.book.bids(2) == [(400_000, 10), (390_000, 500)]
    tracked.changes([bid(370_000, 3, 405_000)], 140, 3)
    assert tracked.wants_resync(2_500), "asked for then, it does whatever its time says"
    tracked.begin_resync(2_500)
    tracked.end_resync(late, now_ms=2_550, received_ns=7)
    assert not tracked.doubtful
    assert tracked.book.bids(9) == [(405_000, 1), *BIDS, (370_000, 3)]


def test_a_level_that_only_one_message_tells_of_is_not_kept() -> None:
    tracked = whole()
    tracked.changes([bid(410_000, 5, 400_000)], 120, 2)
    for now_ms in (1_000, 2_500):
        tracked.begin_resync(now_ms)
        tracked.end_resync(RestBook(BIDS, ASKS, 120), now_ms=now_ms + 50, received_ns=4)
    assert not tracked.doubtful
    assert tracked.book.bids(9) == BIDS


def test_of_what_rest_alone_tells_the_last_best_prices_decide() -> None:
    for reported_again, expected in ((True, BIDS), (False, [(410_000, 5), *BIDS])):
        tracked = whole()
        tracked.changes([bid(410_000, 5, 400_000)], 120, 2)
        tracked.begin_resync(1_000)
        tracked.refused()
        tracked.changes([bid(410_000, 5, 400_000 if reported_again else 405_000)], 130, 2)
        tracked.end_resync(None, now_ms=1_050, received_ns=4)
        tracked.begin_resync(2_500)
        tracked.end_resync(RestBook(BIDS, ASKS, 120), now_ms=2_550, received_ns=4)
        assert tracked.rest_alone
        assert tracked.book.bids(9) == expected


@pytest.mark.parametrize("book_ms", [110, 120, 900])
def test_long_contradicted_book_counts_as_rest_alone(book_ms: int) -> None:
    tracked = whole()
    tracked.changes([bid(390_000, 0, 405_000)], 120, 2)
    answer = RestBook([(400_000, 10)], ASKS, book_ms)
    for now_ms in (1_000, 1_700):
        tracked.begin_resync(now_ms)
        tracked.end_resync(answer, now_ms=now_ms + 50, received_ns=3)
        assert status(tracked, now_ms + 50, now_ms + 50) is Status.STALE
    tracked.begin_resync(2_500)
    tracked.end_resync(answer, now_ms=2_550, received_ns=3)
    assert doubtful(tracked)
    assert not tracked.comparable, "its connection is not given up for it"
    assert tracked.doubted_ms(2_550) == 1_550
    for now_ms in (2_550, 2_749):
        assert status(tracked, now_ms, now_ms) is Status.FRESH
    assert status(tracked, 2_750, 2_750) is Status.STALE
    assert not tracked.wants_resync(9_000), "at the pace of what no connection keeps"
    assert tracked.wants_refresh(9_000)
    tracked.changes([bid(395_000, 1, 405_000)], 901, 4)
    assert tracked.book.bids(2) == [(400_000, 10), (395_000, 1)], "what it tells is applied"
    tracked.begin_resync(5_500)
    tracked.end_resync(RestBook([(405_000, 1)], ASKS, 910), now_ms=5_550, received_ns=3)
    assert not doubtful(tracked)
    assert tracked.doubted_ms(5_550) == 0


def alone() -> BookState:
    """In doubt for so long that it is REST's."""
    tracked = whole()
    tracked.changes([bid(390_000, 0, 405_000)], 120, 2)
    for now_ms in (1_000, 2_500):
        tracked.begin_resync(now_ms)
        tracked.end_resync(RestBook(BIDS, ASKS, 110), now_ms=now_ms, received_ns=3)
    assert tracked.rest_alone
    return tracked


def test_a_book_of_the_same_connection_leaves_it_to_rest() -> None:
    """Or whoever cannot read its changes would doubt it again after each trade."""
    tracked = alone()
    tracked.snapshot([(410_000, 1)], ASKS, 130, 4)
    assert tracked.book.bids(9) == [(410_000, 1)]
    tracked.refused()
    assert tracked.rest_alone
    assert status(tracked, 2_600, 2_600) is Status.FRESH
    tracked.disconnected()
    assert status(tracked, 2_600, None) is Status.FRESH, "it was REST's"
    tracked.snapshot([(410_000, 1)], ASKS, 130, 4)
    assert not tracked.doubtful
    assert not tracked.rest_alone


def test_what_a_given_up_connection_said_leaves_rests_book() -> None:
    tracked = alone()
    tracked.missed(10_000)
    assert status(tracked, 2_600, None) is Status.FRESH
    assert tracked.wants_refresh(2_700)


def test_a_new_doubt_is_not_about_what_rest_said_before() -> None:
    tracked = alone()
    tracked.begin_resync(4_000)
    tracked.end_resync(RestBook([(405_000, 1)], ASKS, 130), now_ms=4_000, received_ns=3)
    assert not tracked.doubtful
    tracked.refused()
    assert status(tracked, 4_000, 4_000) is Status.STALE
    tracked.begin_resync(4_200)
    tracked.end_resync(RestBook(BIDS, ASKS, 131), now_ms=4_250, received_ns=3)
    assert status(tracked, 4_250, 4_250) is Status.STALE


def test_a_doubt_that_a_book_ended_long_ago_is_another_one() -> None:
    for later_ms, expected in ((2_600, Status.FRESH), (62_600, Status.STALE)):
        tracked = whole()
        tracked.refused()
        tracked.begin_resync(1_000)
        tracked.end_resync(None, now_ms=1_050, received_ns=3)
        tracked.snapshot(BIDS, ASKS, 120, 4)
        assert not tracked.doubtful
        tracked.refused()
        tracked.begin_resync(later_ms)
        tracked.end_resync(RestBook(BIDS, ASKS, 110), now_ms=later_ms, received_ns=5)
        assert status(tracked, later_ms, later_ms) is expected


def test_a_crossed_book_of_the_socket_states_no_best_prices() -> None:
    tracked = whole()
    tracked.snapshot([(430_000, 1)], ASKS, 110, 2)
    assert status(tracked) is Status.CROSSED
    tracked.begin_resync(1_000)
    tracked.end_resync(RestBook(BIDS, ASKS, 111), now_ms=1_050, received_ns=3)
    assert status(tracked, 1_050, 1_050) is Status.FRESH


def test_what_no_connection_keeps_is_put_in_doubt_by_none() -> None:
    tracked = whole()
    tracked.disconnected()
    tracked.begin_resync(1_000)
    tracked.refused()
    tracked.end_resync(RestBook(BIDS, ASKS, 110), now_ms=1_000, received_ns=3)
    tracked.refused()
    tracked.changes([bid(395_000, 7, 405_000)], 120, 4)
    assert not tracked.doubtful
    assert status(tracked, 1_100, None) is Status.FRESH


def test_lost_connection_clears_stated_prices_and_doubt() -> None:
    tracked = alone()
    tracked.disconnected()
    tracked.snapshot([(400_000, 11)], ASKS, 90, 4)
    assert doubtful(tracked), "it is older than REST's and another one"
    tracked.begin_resync(2_700)
    tracked.end_resync(RestBook(BIDS, ASKS, 100), now_ms=2_750, received_ns=3)
    assert status(tracked, 2_750, 2_750) is Status.STALE
    tracked.begin_resync(2_900)
    tracked.end_resync(RestBook(BIDS, ASKS, 120), now_ms=2_950, received_ns=3)
    assert not doubtful(tracked), "its best price is not what the lost one stated"


def test_failed_requests_are_reset_by_a_socket_book() -> None:
    tracked = whole()
    tracked.refused()
    for now_ms in range(0, 400_000, 40_000):
        tracked.begin_resync(now_ms)
        tracked.end_resync(None, now_ms=now_ms, received_ns=1)
    tracked.snapshot(BIDS, ASKS, 110, 2)
    tracked.refused()
    tracked.begin_resync(400_000)
    tracked.end_resync(None, now_ms=400_000, received_ns=1)
    assert tracked.wants_resync(400_200)


def test_unrequested_newer_answer_replaces_a_good_book() -> None:
    tracked = whole()
    tracked.end_resync(RestBook([(405_000, 1)], ASKS, 110), now_ms=1_000, received_ns=3)
    assert tracked.book.best_bid == 405_000
    assert status(tracked) is Status.FRESH


def test_crossing_change_of_a_rest_only_book_is_dropped() -> None:
    tracked = whole()
    tracked.changes([bid(410_000, 1, None, None), bid(420_000, 7, None, None)], 120, 2)
    for now_ms in (1_000, 1_700):
        tracked.begin_resync(now_ms)
        tracked.end_resync(None, now_ms=now_ms, received_ns=3)
    tracked.refused()
    tracked.changes([bid(420_000, 7, None, None)], 130, 2)
    tracked.begin_resync(2_500)
    tracked.end_resync(RestBook(BIDS, ASKS, 120), now_ms=2_500, received_ns=3)
    assert tracked.rest_alone
    assert status(tracked, 2_500, 2_500) is Status.FRESH


def test_a_time_of_next_year_is_no_measure() -> None:
    second_ns, next_year = 10**9, 40_000_000_000
    tracked = whole()
    tracked.changes([bid(390_000, 21, 400_000)], next_year, second_ns)
    assert tracked.book_ms == 1_000
    tracked.changes([bid(390_000, 22, 405_000)], 1_010, 2 * second_ns)
    tracked.begin_resync(1_000)
    answer = RestBook([(405_000, 1)], ASKS, 1_020)
    tracked.end_resync(answer, now_ms=1_050, received_ns=3 * second_ns)
    assert not tracked.doubtful
    tracked.changes([bid(390_000, 23, 405_000)], 61_000, 4 * second_ns)
    assert tracked.book_ms == 61_000, "the venue's clock may be ahead"
    audit = tracked.begin_audit()
    requested = RestBook([(400_000, 1)], ASKS, 61_010)
    assert audit.judge(requested, over=True) is AuditVerdict.MISSED
    tracked.end_audit(audit, AuditVerdict.NONE, 1)
    tracked.refused()
    tracked.changes([bid(390_000, 24, 400_000)], 61_001, 5 * second_ns)
    late = RestBook(BIDS, ASKS, next_year)
    for now_ms, expected in ((2_000, Status.STALE), (3_500, Status.FRESH)):
        tracked.begin_resync(now_ms)
        tracked.end_resync(late, now_ms=now_ms, received_ns=70 * second_ns)
        assert status(tracked, now_ms, now_ms) is expected, "it may be of before the doubt"
    assert not tracked.doubtful
    assert tracked.book_ms <= 61_001


def test_an_older_book_replaces_no_newer_one() -> None:
    tracked = whole()
    tracked.changes([LevelChange(True, 400_000, 0, 390_000, 420_000)], 200, 2)
    tracked.snapshot([(400_000, 10), (390_000, 20)], ASKS, 150, 3)
    assert tracked.book.best_bid == 390_000
    assert status(tracked) is Status.STALE, "its best price is another one"
    tracked.snapshot([(400_000, 10), (390_000, 20)], ASKS, 160, 3)
    assert status(tracked) is Status.STALE
    tracked.begin_resync(1_000)
    tracked.end_resync(RestBook([(390_000, 20)], ASKS, 150), now_ms=1_000, received_ns=4)
    assert status(tracked) is Status.STALE, "nor does an older answer"
    tracked.begin_resync(1_200)
    tracked.end_resync(RestBook([(390_000, 20)], ASKS, 200), now_ms=1_200, received_ns=4)
    assert status(tracked, 1_200, 1_200) is Status.FRESH
    tracked.snapshot([(390_000, 21)], ASKS, 190, 5)
    assert tracked.book.bids(9) == [(390_000, 20)]
    assert status(tracked, 1_200, 1_200) is Status.FRESH, "its best prices are ours"


def test_older_first_book_counts_when_it_is_the_same() -> None:
    for bids, expected in ((BIDS, Status.FRESH), ([(400_000, 11)], Status.STALE)):
        tracked = whole()
        tracked.disconnected()
        tracked.snapshot(bids, ASKS, 90, 3)
        assert tracked.on_socket
        assert status(tracked) is expected
        assert tracked.book.bids(9) == BIDS


def test_unreadable_frames_leave_a_quiet_book_in_doubt_briefly() -> None:
    tracked = whole()
    for now_ms in range(0, 200_000, 20_000):
        tracked.refused()
        for requested_ms in (0, 200, 700, 1_500):
            assert tracked.doubtful
            assert tracked.wants_resync(now_ms + requested_ms)
            tracked.begin_resync(now_ms + requested_ms)
            # Its best price is not what was stated before what could not be read.
            answer = RestBook([(300_000 + now_ms // 10, 1)], ASKS, 100)
            tracked.end_resync(answer, now_ms=now_ms + requested_ms + 50, received_ns=3)
        assert not tracked.doubtful


def test_answer_with_an_unreadable_frames_time_may_lack_it() -> None:
    tracked = whole()
    tracked.changes([bid(390_000, 21, 400_000)], 120, 2)
    tracked.refused()
    tracked.changes([bid(380_000, 1, 400_000)], 120, 2)
    tracked.begin_resync(1_000)
    answer = RestBook([(400_000, 10), (390_000, 21)], ASKS, 120)
    tracked.end_resync(answer, now_ms=1_050, received_ns=3)
    assert status(tracked) is Status.STALE


def test_last_best_prices_are_checked_against_a_newer_answer() -> None:
    tracked = whole()
    tracked.changes([bid(390_000, 0, 405_000)], 120, 2)
    tracked.begin_resync(1_000)
    tracked.end_resync(RestBook(BIDS, ASKS, 900), now_ms=1_050, received_ns=3)
    assert status(tracked, 1_050, 1_050) is Status.STALE
    tracked.begin_resync(1_200)
    tracked.end_resync(RestBook([(405_000, 1)], ASKS, 900), now_ms=1_250, received_ns=3)
    assert status(tracked, 1_250, 1_250) is Status.FRESH


def test_failed_requests_do_not_slow_a_rest_only_book() -> None:
    tracked = BookState()
    for now_ms in range(0, 100_000, 10_000):
        tracked.begin_resync(now_ms)
        tracked.end_resync(None, now_ms=now_ms, received_ns=1)
    assert not tracked.wants_refresh(100_000)
    tracked.begin_resync(120_000)
    tracked.end_resync(RestBook(BIDS, ASKS, 100), now_ms=120_050, received_ns=2)
    assert tracked.wants_refresh(123_000)


def test_questions_in_vain_are_forgotten_when_one_was_not() -> None:
    tracked = whole()
    tracked.refused()
    for now_ms in range(0, 1_000_000, 10_000):
        tracked.begin_resync(now_ms)
        tracked.end_resync(None, now_ms=now_ms, received_ns=1)
    tracked.changes([bid(390_000, 1, 400_000)], 200, 2)
    tracked.begin_resync(2_000_000)
    tracked.end_resync(RestBook(BIDS, ASKS, 200), now_ms=2_000_050, received_ns=2)
    assert not tracked.doubtful
    tracked.refused()
    assert not tracked.wants_resync(2_000_199)
    assert tracked.wants_resync(2_000_200)


SECOND = 1_000
T = 1_700_000_000 * SECOND
CENT = 10_000
HIGH = RestBook([(60 * CENT, 100)], [(62 * CENT, 100)], T)
LOW = RestBook([(40 * CENT, 100)], [(42 * CENT, 100)], T)


def shown(tracked: BookState, book: RestBook, at_ms: int) -> None:
    tracked.snapshot(book.bids, book.asks, at_ms, at_ms * 1_000_000)


def said(tracked: BookState, book: RestBook, *, requested_ms: int, book_ms: int) -> None:
    """REST is asked, and answers 50 ms later."""
    tracked.begin_resync(requested_ms)
    now_ms = requested_ms + 50
    tracked.end_resync(
        book._replace(book_ms=book_ms), now_ms=now_ms, received_ns=now_ms * 1_000_000
    )


def best_bid(tracked: BookState, at_ms: int) -> tuple[Status, int | None]:
    found = tracked.status(at_ms, last_message_ms=at_ms, stale_ms=15_000, rest_ms=5_000)
    return found, tracked.book.best_bid


def test_connections_whole_book_beats_an_older_one_of_rest() -> None:
    tracked = BookState()
    shown(tracked, HIGH, T)
    # A best bid that nobody has: the book is REST's alone after a while.
    tracked.changes([bid(59 * CENT, 50, 61 * CENT, 62 * CENT)], T + 100, (T + 100) * 1_000_000)
    for requested_ms in (T + 100, T + 1_700):
        said(tracked, HIGH, requested_ms=requested_ms, book_ms=T + 100)
    assert tracked.rest_alone
    now_ms = T + 5_000
    tracked.begin_resync(now_ms)
    shown(tracked, LOW, now_ms + 10)
    tracked.end_resync(
        HIGH._replace(book_ms=now_ms - 300), now_ms=now_ms + 60, received_ns=now_ms * 1_000_000
    )
    assert best_bid(tracked, now_ms + 60) == (Status.FRESH, 40 * CENT)
    said(tracked, HIGH, requested_ms=now_ms + 3_000, book_ms=now_ms - 300)
    assert best_bid(tracked, now_ms + 3_050) == (Status.FRESH, 60 * CENT), "contained by then"


def test_ended_doubt_does_not_shorten_a_later_one() -> None:
    tracked = BookState()
    shown(tracked, HIGH, T)
    tracked.changes([bid(59 * CENT, 50, 58 * CENT, 62 * CENT)], T + 100, (T + 100) * 1_000_000)
    tracked.begin_resync(T + 110)
    shown(tracked, HIGH, T + 150)
    tracked.end_resync(
        HIGH._replace(book_ms=T + 90), now_ms=T + 160, received_ns=(T + 160) * 1_000_000
    )
    later = T + 30_000
    tracked.changes([bid(59 * CENT, 60, 60 * CENT, 62 * CENT)], later - 10, later * 1_000_000)
    # It falls, and what told so is lost.
    tracked.changes([bid(40 * CENT, 70, 40 * CENT, 42 * CENT)], later, later * 1_000_000)
    said(tracked, HIGH, requested_ms=later + 50, book_ms=later - 10)
    assert best_bid(tracked, later + 100)[0] is Status.STALE
