"""Answers to reads, told apart and counted."""

from __future__ import annotations

import pytest

from bench.core.reads import Answer, Tally, scan


def _answer(status: str, body: str = "{}") -> bytes:
    length = f"Content-Length: {len(body)}"
    return f"HTTP/1.1 {status}\r\nserver: x\r\n{length}\r\n\r\n{body}".encode()


@pytest.mark.parametrize(
    ("status", "answer"),
    [
        ("200 OK", Answer.RIGHT),
        ("429 Too Many Requests", Answer.LIMITED),
        ("503 Service Unavailable", Answer.UNAVAILABLE),
        ("404 Not Found", Answer.WRONG),
        ("500 Internal Server Error", Answer.WRONG),
    ],
)
def test_an_answer_is_told_by_its_status(status: str, answer: Answer) -> None:
    assert scan(_answer(status)) is answer


def test_an_answer_counts_when_all_of_it_is_there() -> None:
    whole = _answer("200 OK", "x" * 30)
    assert [scan(whole[:n]) for n in (0, 20, len(whole) - 1)] == [None, None, None]
    assert scan(whole) is Answer.RIGHT
    assert scan(b"HTTP/1.1 200 OK\r\n\r\n") is Answer.WRONG


def test_stretches_add_up_and_late_answers_are_right_ones() -> None:
    first = Tally(requested=5, seconds=1.0, cpu_seconds={"control": 0.004})
    for answer, after in (
        (Answer.RIGHT, 0.1), (Answer.RIGHT, 1.5), (Answer.LIMITED, 0.1),
        (Answer.UNAVAILABLE, 2.0), (Answer.WRONG, 0.1),
    ):  # fmt: skip
        first.count(answer, after)
    both = first + Tally(requested=3, right=2, seconds=1.0, cpu_seconds={"control": 0.004})
    assert (both.right, both.late, both.limited, both.unavailable, both.wrong) == (4, 1, 1, 1, 1)
    assert (both.requested, both.answered, both.cpu_ms("control")) == (8, 2.0, 2.0)
    assert (Tally().answered, Tally().cpu_ms("control")) == (0.0, 0.0)
