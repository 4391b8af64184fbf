"""Looks over REST: what is the same, what was missed, what proves nothing, and when to look."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from services.bookfeed.core.book_state import BookState
from services.bookfeed.core.snapshot_audit import (
    AuditVerdict,
    LevelChange,
    RestBook,
    Watched,
    first_time_ms,
    is_quiet,
    next_audit_ms,
    witnesses,
)
from services.bookfeed.settings import Settings

BIDS, ASKS = [(400_000, 10), (390_000, 20)], [(420_000, 10), (430_000, 5)]
DEFAULT = Settings()


def whole(book_hash: str = "h0") -> BookState:
    tracked = BookState()
    tracked.snapshot(BIDS, ASKS, 100, 1, book_hash)
    return tracked


def inner(size: int) -> list[LevelChange]:
    """A change behind the best bid, which therefore says nothing of it."""
    return [LevelChange(True, 390_000, size, 400_000, 420_000)]


def answer(size: int, book_ms: int, book_hash: str = "") -> RestBook:
    return RestBook([(400_000, 10), (390_000, size)], ASKS, book_ms, book_hash)


def test_rest_answer_may_be_any_state_during_the_request() -> None:
    for seen in (20, 21, 22):
        tracked = whole()
        audit = tracked.begin_audit()
        tracked.changes(inner(21), 110, 2, "h1")
        tracked.changes(inner(22), 120, 3, "h2")
        assert audit.judge(answer(seen, 100 + seen), over=False) is AuditVerdict.SAME


def test_what_the_socket_tells_within_its_time_is_not_missed() -> None:
    tracked = whole()
    audit = tracked.begin_audit()
    assert audit.judge(answer(22, 120), over=False) is AuditVerdict.OPEN
    tracked.changes(inner(21), 110, 2)
    assert audit.judge(answer(22, 120), over=False) is AuditVerdict.OPEN
    tracked.changes(inner(22), 120, 3)
    assert audit.judge(answer(22, 120), over=True) is AuditVerdict.SAME


def test_a_new_snapshot_within_a_look_is_a_state_too() -> None:
    tracked = whole()
    audit = tracked.begin_audit()
    tracked.snapshot([(400_000, 10), (390_000, 7)], ASKS, 130, 2, "h1")
    tracked.changes(inner(8), 140, 3, "h2")
    assert audit.judge(answer(7, 130), over=False) is AuditVerdict.SAME


def test_what_the_socket_never_tells_is_missed() -> None:
    audit = whole().begin_audit()
    assert audit.judge(answer(22, 120), over=True) is AuditVerdict.MISSED


def test_lost_inner_level_is_found_behind_equal_best_prices() -> None:
    tracked = whole()
    tracked.changes(inner(21), 110, 2, "h2")  # the venue also took 380,000 in, which was lost
    assert not tracked.doubtful
    audit = tracked.begin_audit()
    there = RestBook([*BIDS[:1], (390_000, 21), (380_000, 3)], ASKS, 110, "h2")
    assert audit.judge(there, over=True) is AuditVerdict.MISSED


def test_older_answer_proves_nothing_without_a_known_hash() -> None:
    assert whole().begin_audit().judge(answer(22, 99), over=True) is AuditVerdict.NONE
    assert whole().begin_audit().judge(answer(22, 99, "other"), over=True) is AuditVerdict.NONE
    assert whole().begin_audit().judge(answer(22, 99, "h0"), over=True) is AuditVerdict.MISSED
    assert whole("").begin_audit().judge(answer(22, 99, ""), over=True) is AuditVerdict.NONE


def test_more_than_is_kept_proves_nothing() -> None:
    tracked = whole()
    audit = tracked.begin_audit()
    for number in range(5_001):
        tracked.changes(inner(number + 30), 110, 2)
    assert audit.judge(answer(22, 120), over=True) is AuditVerdict.NONE


@given(st.lists(st.integers(1, 9), max_size=8), st.integers(0, 8), st.integers(0, 8))
def test_whatever_happens_a_true_answer_is_never_called_missed(
    sizes: list[int], asked_at: int, received_before: int
) -> None:
    """REST answers with some state of the venue; the socket tells all of them, sooner or later."""
    tracked = whole()
    audit = tracked.begin_audit()
    states = [20, *sizes]
    seen = min(asked_at, len(sizes))
    for number, size in enumerate(sizes):
        if number == received_before:
            assert audit.judge(answer(states[seen], 100 + seen), over=False) in (
                AuditVerdict.SAME,
                AuditVerdict.OPEN,
            )
            if audit.judge(answer(states[seen], 100 + seen), over=False) is AuditVerdict.SAME:
                return
        tracked.changes(inner(size), 101 + number, 2, f"h{number + 1}")
    assert audit.judge(answer(states[seen], 100 + seen), over=True) is AuditVerdict.SAME


def test_connection_clock_follows_books_not_pongs() -> None:
    quiet_ms = DEFAULT.quiet_ms
    assert not is_quiet(quiet_ms + 999, moved_ms=1_000, queried_ms=0, quiet_ms=quiet_ms)
    assert is_quiet(quiet_ms + 1_000, moved_ms=1_000, queried_ms=0, quiet_ms=quiet_ms)
    assert not is_quiet(9_000, moved_ms=1_000, queried_ms=9_000, quiet_ms=quiet_ms), (
        "asked just now"
    )


def test_witnesses_are_what_moved_last_and_what_waited_longest() -> None:
    seen = [Watched("a", 5, 70), Watched("b", 9, 80), Watched("c", 7, 90), Watched("d", 1, 60)]
    assert witnesses(seen) == ["b", "c", "d"]
    assert witnesses(seen[:1]) == ["a"]
    assert witnesses([]) == []


def test_quiet_connection_audits_ten_books_a_second() -> None:
    """300 assets at rest for an hour, as by default; the venue bears 150 books a second."""
    every, quiet = DEFAULT.look_ms, DEFAULT.quiet_ms
    due = {str(n): first_time_ms(str(n), 0, every) for n in range(DEFAULT.shard)}
    looked = dict.fromkeys(due, 0)
    by_second: Counter[int] = Counter()
    queried_ms = 0
    for now in range(0, 3_600_000, 500):
        if is_quiet(now, moved_ms=0, queried_ms=queried_ms, quiet_ms=quiet):
            queried_ms = now
            for asset in witnesses(Watched(a, 0, looked[a]) for a in due):
                due[asset] = now
        for asset in [a for a, at in due.items() if at <= now]:
            by_second[now // 1_000] += 1
            looked[asset] = now
            due[asset] = next_audit_ms(now, every, quiet, 0)
    assert by_second.total() / 3_600 < 11
    assert max(by_second.values()) < 40


def test_book_that_never_matches_is_audited_less_often() -> None:
    now, looks = 0, 0
    while now < 24 * 3_600_000:
        looks += 1
        now = next_audit_ms(now, DEFAULT.look_ms, DEFAULT.quiet_ms, looks)
    assert looks < 80
