"""Test what a person is told of books that stay in doubt."""

from __future__ import annotations

from opentelemetry.metrics import CallbackOptions
from structlog.testing import capture_logs

from services.bookfeed import metrics
from services.bookfeed.hub import Hub, now_ms
from services.bookfeed.rest_books import TICK_SECONDS


def observed() -> int:
    (one,) = metrics.observe_doubted(CallbackOptions())
    return int(one.value)


def test_books_that_stay_in_doubt_are_counted_and_told_of_once() -> None:
    hub = Hub(stale_ms=15_000, rest_ms=5_000, depth=100)
    asset, other, good = "7", "8", "9"
    for name in (asset, other, good):
        hub.track(name).snapshot([(400_000, 10)], [], 100, 1)
    hub.tracked[asset].refused()
    hub.tracked[asset].begin_resync(now_ms() - 10_000)
    hub.tracked[other].refused()
    hub.tracked[other].begin_resync(now_ms() - round(TICK_SECONDS * 1000))
    with capture_logs() as logs:
        hub.notice_statuses()
        hub.notice_statuses()
    (reported,) = logs
    assert (reported["alert"], reported["books"], reported["asset"]) == (True, 1, asset)
    assert observed() == 1
    hub.tracked[asset].disconnected()
    hub.tracked[asset].snapshot([(400_000, 10)], [], 101, 1)
    with capture_logs() as logs:
        hub.notice_statuses()
    assert [one["event"] for one in logs] == ["no book stays in doubt"]
    assert observed() == 0
