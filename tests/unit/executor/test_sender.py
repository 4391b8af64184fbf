"""Test who leaves when, and that each attempt ends in one outcome, against a far side that can
wait."""

from __future__ import annotations

import asyncio
import hashlib
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, cast

import msgspec
import psycopg
import pytest
from aiohttp import web
from msgspec import structs
from structlog.testing import capture_logs

from services.executor import store
from services.executor.breaker import CircuitBreaker
from services.executor.core.attempt import Attempt
from services.executor.core.breaker import Breaker, BreakerState, Event, Policy
from services.executor.core.post_states import PostState
from services.executor.gate_recheck import RecheckResult
from services.executor.post import Post
from services.executor.pre_send_check import PreSendCheck
from services.executor.promise_check import ASK_MS, PromiseCheck
from services.executor.recorder import Outcome
from services.executor.sender import Sender
from tests.unit.samples import order
from tradingtools import clock
from tradingtools.domain.leader_trade import Side
from tradingtools.domain.order import Follower, Order, Purpose
from tradingtools.domain.order_states import OrderState
from tradingtools.venues.insiders.order_gateway import InsidersClient, open_client
from tradingtools.venues.insiders.promises import fetch_capabilities

FAILURES = 1_000
LEASE_MS = 600_000


@dataclass
class Far:
    """insiders-api: what has come, and what it answers to a key."""

    came: list[str] = field(default_factory=list)
    held: dict[str, asyncio.Event] = field(default_factory=dict)
    """Keys that are answered when their event is set."""
    statuses: dict[str, list[int]] = field(default_factory=dict)
    """Of the next answers to a key; 201 when there are none left."""
    retry_after_ms: int = 1
    promised: bool = True
    """Whether one key is one order."""

    async def capabilities(self, _: web.Request) -> web.Response:
        on = self.promised
        reported = {"idempotency": on, "notAfter": on, "getByKey": on, "void": on}
        return web.json_response({**reported, "longestProcessingMs": 1})

    async def answer(self, request: web.Request) -> web.Response:
        key = request.headers["Idempotency-Key"]
        self.came.append(key)
        if key in self.held:
            await self.held[key].wait()
        status = self.statuses[key].pop(0) if self.statuses.get(key) else 201
        if status == 429:
            error = {
                "code": "RATE_LIMITED",
                "message": "slow down",
                "retryAfterMs": self.retry_after_ms,
            }
            return web.json_response({"error": error}, status=429)
        return web.json_response(_accepted(key) if status == 201 else {}, status=status)


def _accepted(key: str) -> dict[str, Any]:
    return {
        "orderId": f"o-{key}", "idempotencyKey": key, "status": "LIVE", "closed": False,
        "filledSize": "0", "filledNotional": "0", "fee": "0", "trades": [],
    }  # fmt: skip


@dataclass
class Scene:
    """A sender and what it said."""

    far: Far
    client: InsidersClient
    breaker: CircuitBreaker
    sender: Sender
    outcomes: list[Outcome]
    died: list[str]

    def ended(self, *attempts: Attempt) -> Callable[[], bool]:
        keys = {attempt.order.order_key for attempt in attempts}
        return lambda: keys <= {outcome.fields["order_key"] for outcome in self.outcomes}


async def _nothing_holds_it_back(_order: Order, _epoch: int) -> RecheckResult:
    return "", clock.monotonic_ns()


@asynccontextmanager
async def scene(
    record: Callable[[Outcome], None] | None = None,
    hurried: Callable[[], bool] = lambda: False,
    poll: Callable[[Order, int], Awaitable[RecheckResult]] = _nothing_holds_it_back,
    timeout_ms: int = 20_000,
) -> AsyncIterator[Scene]:
    far = Far()
    app = web.Application()
    app.router.add_post("/api/trade/{side}", far.answer)
    app.router.add_get("/api/capabilities", far.capabilities)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    policy = Policy(failures=FAILURES, open_ms=1, longest_ms=600_000, probe_ms=1)
    # It moves only after more failures than there are, so it needs no database.
    breaker = CircuitBreaker(cast(Any, None), "test", policy)
    outcomes: list[Outcome] = []
    died: list[str] = []
    try:
        async with open_client(f"http://127.0.0.1:{runner.addresses[0][1]}", warm=4) as client:
            reported = record or outcomes.append
            promise = PromiseCheck(partial(fetch_capabilities, client, ASK_MS))
            leave = PreSendCheck(breaker, promise, poll)
            sender = Sender(
                client, breaker, leave, timeout_ms, LEASE_MS, reported, died.append, hurried
            )
            yield Scene(far, client, breaker, sender, outcomes, died)
    finally:
        for event in far.held.values():
            event.set()
        await runner.cleanup()


def attempt(name: str, wallet: str = "1", purpose: Purpose = Purpose.ENTRY) -> Attempt:
    made: Order = structs.replace(
        order(),
        order_key=hashlib.sha256(name.encode()).hexdigest(),
        purpose=purpose,
        side=Side.BUY if purpose is Purpose.ENTRY else Side.SELL,
        follower=Follower(user_id="u", wallet_id="w", proxy="0x" + wallet * 40),
        not_after_ms=clock.now_ms() + 600_000,
    )
    return Attempt(order=made, gates_checked_ns=clock.monotonic_ns())


def _a_second_ago() -> int:
    return clock.monotonic_ns() - 1_000_000_000


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 - what is waited for is on the other side
            await asyncio.sleep(0.005)


async def test_entries_of_a_wallet_leave_in_turn_and_exits_at_once() -> None:
    first, second, third = (attempt(name) for name in "abc")
    other, leaving = attempt("d", wallet="2"), attempt("e", purpose=Purpose.COPY_EXIT)
    async with scene() as here:
        held = here.far.held[first.order.order_key] = asyncio.Event()
        here.sender.send([first, second])
        here.sender.send([third, other, leaving])
        await until(here.ended(other, leaving))
        assert second.order.order_key not in here.far.came
        held.set()
        await until(here.ended(first, second, third))
        mine = [a.order.order_key for a in (first, second, third)]
        assert [key for key in here.far.came if key in mine] == mine


async def test_next_order_of_a_wallet_leaves_before_the_verdict(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first, second = attempt("a"), attempt("b")
    happened: list[str] = []
    done = asyncio.Event()

    def record(outcome: Outcome) -> None:
        happened.append("recorded " + outcome.fields["order_key"])
        if outcome.fields["order_key"] == second.order.order_key:
            done.set()

    async with scene(record) as here:
        begin = here.sender._send_first_bytes

        def note(one: Post) -> None:
            happened.append("begun " + one.attempt.order.order_key)
            begin(one)

        monkeypatch.setattr(here.sender, "_send_first_bytes", note)
        await until(lambda: _warm(here.client) == 4)
        here.sender.send([first, second])
        await until(done.is_set)
        assert happened == [
            f"{what} {each.order.order_key}"
            for what in ("begun", "recorded")
            for each in (first, second)
        ]


async def test_who_is_sent_again_holds_up_its_wallet_until_it_is_over() -> None:
    first, second = attempt("a"), attempt("b")
    async with scene() as here:
        here.far.statuses[first.order.order_key] = [429, 429]
        await until(lambda: _warm(here.client) == 4)
        here.sender.send([first, second])
        await until(here.ended(first, second))
        assert here.far.came == [first.order.order_key] * 3 + [second.order.order_key]


@pytest.mark.parametrize("together", [1, 8])
@pytest.mark.parametrize("ready", [True, False], ids=["warm", "no connection is ready"])
async def test_each_attempt_of_a_fan_out_has_one_outcome(
    ready: bool, together: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.executor.sender._PROCESSED_PER_TURN", together)
    wallets = "0123456789abcdef"
    crowd = [attempt(f"{ready}{n}", wallet=wallets[n % 16]) for n in range(60)]
    async with scene() as here:
        for n, each in enumerate(crowd):
            here.far.statuses[each.order.order_key] = [[], [429], [500], [429, 429]][n % 4]
        if ready:
            await until(lambda: _warm(here.client) == 4)
        here.sender.send(crowd)
        await until(here.ended(*crowd))
        assert len(here.outcomes) == len(crowd)
        found = {o.fields["order_key"]: o.fields["to_state"] for o in here.outcomes}
        for n, each in enumerate(crowd):
            expected = OrderState.UNKNOWN if n % 4 == 2 else OrderState.SUBMITTED
            assert found[each.order.order_key] == expected
        posts = sum([1, 2, 1, 3][n % 4] for n in range(len(crowd)))
        assert len(here.far.came) == posts, "only what was not taken is sent again"
        for wallet in range(16):
            mine = [each.order.order_key for each in crowd[wallet::16]]
            came = dict.fromkeys(key for key in here.far.came if key in mine)
            assert list(came) == mine, "a wallet's order"


async def test_who_waits_goes_between_the_first_bytes_of_a_crowd(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("services.executor.sender._SENT_PER_TURN", 4)
    crowd = [attempt(f"c{n}", wallet=f"{n % 16:x}") for n in range(16)]
    single, mine = attempt("s", wallet="g"), attempt("m", wallet="f")
    started: list[str] = []
    hurried = True
    async with scene(hurried=lambda: hurried) as here:
        begin = here.sender._send_first_bytes

        def note(one: Post) -> None:
            started.append(one.attempt.order.order_key)
            begin(one)

        monkeypatch.setattr(here.sender, "_send_first_bytes", note)
        here.sender.send(crowd)
        assert 0 < len(started) < len(crowd)
        here.sender.send([single])
        assert started[-1] == single.order.order_key
        here.sender.send([mine])
        assert mine.order.order_key not in started, "its wallet's first entry has not left"
        hurried = False
        await until(here.ended(*crowd, single, mine))
        keys = [each.order.order_key for each in (*crowd, single, mine)]
        assert sorted(started) == sorted(keys)
        assert [key for key in started if key in keys[:16]] == keys[:16]
        assert len(here.outcomes) == len(keys)


@asynccontextmanager
async def captured() -> AsyncIterator[None]:
    with capture_logs() as logged:
        yield
    assert [each["event"] for each in logged] == ["an attempt died; its order becomes UNKNOWN"]


async def test_dead_attempt_blocks_neither_its_lane_nor_others() -> None:
    dying, after, other = attempt("a"), attempt("b"), attempt("c", wallet="2")
    outcomes: list[Outcome] = []

    def record(outcome: Outcome) -> None:
        if outcome.fields["order_key"] == dying.order.order_key:
            raise msgspec.ValidationError("nobody has thought of this")
        outcomes.append(outcome)

    # Captured: to write the exception with all that its frames hold takes seconds.
    async with scene(record) as here, captured():
        await until(lambda: _warm(here.client) == 4)
        here.sender.send([dying, after, other])
        keys = {after.order.order_key, other.order.order_key}
        await until(lambda: {o.fields["order_key"] for o in outcomes} == keys)
        assert here.died == [dying.order.order_key]


async def test_attempt_dead_before_its_first_byte_blocks_nobody() -> None:
    first, after, other = attempt("a"), attempt("b"), attempt("c", wallet="2")
    # Nothing writes such a body; no bytes can be made of it.
    sound = attempt("d")
    dying = structs.replace(sound, order=structs.replace(sound.order, body="\ud800"))
    async with scene() as here, captured():
        await until(lambda: _warm(here.client) == 4)
        here.sender.send([first, dying, after, other])
        await until(here.ended(first, after, other))
        assert here.died == [dying.order.order_key]
    async with scene() as here, captured():
        await until(lambda: _warm(here.client) == 4)
        here.sender.send([dying, first, other])
        await until(here.ended(first, other))
        assert here.died == [dying.order.order_key]


async def test_an_attempt_that_dies_in_its_task_is_told_as_well() -> None:
    late = Attempt(order=structs.replace(attempt("a").order, not_after_ms=1))

    def record(outcome: Outcome) -> None:
        raise msgspec.ValidationError("nobody has thought of this")

    async with scene(record) as here, captured():
        here.sender.send([late])
        await until(lambda: here.died == [late.order.order_key])


@pytest.mark.parametrize("away", [psycopg.OperationalError("away"), None], ids=["away", "silent"])
async def test_nothing_leaves_while_the_gates_cannot_be_checked(
    away: Exception | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.executor.pre_send_check._POLL_SECONDS", 0.01)
    waited = structs.replace(attempt("a"), gates_checked_ns=_a_second_ago())
    requested = 0

    async def poll(_order: Order, _epoch: int) -> RecheckResult:
        nonlocal requested
        requested += 1
        assert here.far.came == []
        assert here.breaker._failures == 0, "insiders-api has nothing to do with it"
        if requested == 1:
            if away is not None:
                raise away
            await asyncio.Event().wait()
        return "", clock.monotonic_ns()

    async with scene(poll=poll) as here:
        here.sender.send([waited])
        await until(here.ended(waited))
        assert here.far.came == [waited.order.order_key]


@pytest.mark.parametrize("probe", [0, 2])
async def test_connection_lost_during_a_check_proves_nothing(
    probe: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.executor.pre_send_check._FRESH_NS", 0)
    one = structs.replace(attempt("a"), probe=probe)
    at_hand: list[Any] = []
    ended, reported = 0, []

    async def poll(_order: Order, _epoch: int) -> RecheckResult:
        nonlocal ended
        if at_hand and ended < 2:
            at_hand.pop().close()
            ended += 1
        return "", clock.monotonic_ns()

    async with scene(poll=poll) as here:
        connections = here.client._connections
        newest = connections._newest

        def taken() -> Any:
            at_hand.append(newest())
            return at_hand[-1]

        async def note(status: int | None, *, probe: int) -> None:
            reported.append((status, probe))

        monkeypatch.setattr(connections, "_newest", taken)
        monkeypatch.setattr(here.breaker, "report", note)
        await until(lambda: _warm(here.client) == 4)
        post = Post(one, LEASE_MS)
        post.state = PostState.HELD
        here.sender._start_slow_path(post, None)
        here.sender._lanes[one.lane] = deque()
        await until(here.ended(one))
        assert ended == 2
        # The breaker is told once the outcome is recorded.
        await until(lambda: bool(reported))
        assert reported == [(201, probe)]


async def test_who_waits_for_the_breaker_tries_less_and_less_often(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    one = attempt("a")
    pauses: list[float] = []

    async def open_it(_status: int | None, *, probe: int) -> None:
        assert not probe
        if not pauses:
            _stands(here, BreakerState.OPEN)

    async def pause(seconds: float, *, probes: bool) -> None:
        assert not probes, "it is an entry"
        pauses.append(seconds)
        if len(pauses) == 6:
            _stands(here, BreakerState.CLOSED)

    async with scene() as here:
        here.far.statuses[one.order.order_key] = [429]
        monkeypatch.setattr(here.breaker, "report", open_it)
        monkeypatch.setattr(here.breaker, "pause", pause)
        here.sender.send([one])
        await until(lambda: len(here.far.came) == 2)
        assert pauses == [0.05, 0.1, 0.2, 0.4, 0.5, 0.5]


async def test_who_waits_for_the_breaker_leaves_when_it_closes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("services.executor.slow_path.PAUSE_MS", 600_000)
    one, other = attempt("a"), attempt("b", wallet="2")
    async with scene() as here:
        for _ in range(2):
            _stands(here, BreakerState.OPEN)
            here.sender.send([one, other])
            await until(lambda: len(here.breaker._closes._waiters) == 2)
            _stands(here, BreakerState.HALF_OPEN)
            _stands(here, BreakerState.CLOSED)
            await until(here.ended(one, other))
            here.outcomes.clear()


async def test_an_exit_that_waits_is_there_when_it_is_time_for_a_probe(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Test that whoever comes later, as an entry that polling finds, would have the probe instead
    of it."""
    monkeypatch.setattr("services.executor.slow_path.PAUSE_MS", 600_000)
    monkeypatch.setattr("services.executor.slow_path._MAX_PAUSE_MS", 600_000)
    entry, leaving = attempt("a"), attempt("b", purpose=Purpose.GUARD_EXIT)

    async def moved(*_: Any) -> bool:
        return True

    monkeypatch.setattr(store, "move_breaker", moved)
    async with scene() as here:
        opened = Breaker(state=BreakerState.OPEN, retry_at_ms=clock.now_ms() + 200)
        here.breaker._take(opened, here.breaker._row)
        here.sender.send([entry, leaving])
        await until(here.ended(entry, leaving))
        assert here.far.came == [leaving.order.order_key, entry.order.order_key]
        assert here.breaker.closed


@pytest.mark.parametrize("over", ["its time", "its lease"])
async def test_order_queued_behind_its_wallet_ends_unsent(over: str) -> None:
    first, after = attempt("a"), attempt("c")
    second = attempt("b")
    if over == "its time":
        late = structs.replace(second.order, not_after_ms=clock.now_ms() + 50)
        second = structs.replace(second, order=late)
    else:
        second = structs.replace(
            second, gates_checked_ns=clock.monotonic_ns() - LEASE_MS * 1_000_000
        )
    async with scene() as here:
        answer = here.far.held[first.order.order_key] = asyncio.Event()
        here.sender.send([first, second, after])
        await until(here.ended(second))
        (outcome,) = here.outcomes
        assert outcome.fields["failed_kind"] == "UNSENT"
        assert outcome.fields["reason"] == "EXPIRED"
        answer.set()
        await until(here.ended(first, after))
        assert here.far.came == [first.order.order_key, after.order.order_key]
        assert len(here.outcomes) == 3


@pytest.mark.parametrize(
    "waits_for", ["the breaker", "the breaker's row", "a connection", "what was asked for"]
)
async def test_unsent_exit_ends_before_its_lease(
    waits_for: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Later nobody could tell that it was never sent, and the guard would sell no next slice."""
    made = attempt("a", purpose=Purpose.COPY_EXIT)
    late_ns = clock.monotonic_ns() - (LEASE_MS - 2_500) * 1_000_000
    one = structs.replace(made, gates_checked_ns=late_ns)
    async with scene() as here:
        if waits_for == "the breaker":
            monkeypatch.setattr("services.executor.slow_path.PAUSE_MS", 600_000)
            _stands(here, BreakerState.OPEN)
        elif waits_for == "the breaker's row":
            here.breaker._take(Breaker(state=BreakerState.OPEN), here.breaker._row)

            async def slow(*_: Any) -> bool:
                await asyncio.Event().wait()
                return True

            monkeypatch.setattr(here.breaker, "_move", slow)
        elif waits_for == "a connection":

            async def never() -> Any:
                await asyncio.Event().wait()

            monkeypatch.setattr(here.client._connections, "_newest", lambda: None)
            monkeypatch.setattr(here.client._connections, "_connect", never)
        else:
            here.far.statuses[one.order.order_key] = [429]
            here.far.retry_after_ms = 5_000
        here.sender.send([one])
        await until(here.ended(one))
        (outcome,) = here.outcomes
        assert outcome.fields["failed_kind"] == "UNSENT"
        assert clock.monotonic_ns() < late_ns + LEASE_MS * 1_000_000
        assert here.breaker._failures == (waits_for == "what was asked for")
        assert not here.breaker._probes, "`watch` may give back what was taken"


async def test_what_was_not_taken_is_looked_at_before_it_is_sent_again() -> None:
    one = attempt("a")

    async def poll(_order: Order, _epoch: int) -> RecheckResult:
        return "HALTED", clock.monotonic_ns()

    async with scene(poll=poll) as here:
        here.far.statuses[one.order.order_key] = [429]
        here.sender.send([one])
        await until(here.ended(one))
        assert here.outcomes[0].fields["reason"] == "HALTED"
        assert here.far.came == [one.order.order_key]


async def test_unsent_order_is_recorded_before_its_probe_returns(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = attempt("a", purpose=Purpose.COPY_EXIT)
    one = structs.replace(made, gates_checked_ns=_a_second_ago(), probe=2)
    given_back = asyncio.Event()

    async def slow(_event: Event, _status: int | None) -> bool:
        given_back.set()
        await asyncio.Event().wait()
        return True

    async def poll(_order: Order, _epoch: int) -> RecheckResult:
        return "HALTED", clock.monotonic_ns()

    async with scene(poll=poll) as here:
        here.breaker._take(Breaker(state=BreakerState.HALF_OPEN, version=2), here.breaker._row)
        here.breaker._probes.add(2)
        monkeypatch.setattr(here.breaker, "_move", slow)
        here.sender.send([one])
        await until(here.ended(one))
        await until(given_back.is_set)
        assert here.breaker._probes == {2}, "`watch` does not give it back as well"
        assert here.far.came == []


async def test_who_is_looked_at_holds_no_connection() -> None:
    waiting = [
        structs.replace(attempt(f"w{n}", wallet=f"{n:x}"), gates_checked_ns=_a_second_ago())
        for n in range(8)
    ]
    requested: list[str] = []
    answered = asyncio.Event()

    async def poll(order: Order, _epoch: int) -> RecheckResult:
        requested.append(order.order_key)
        await answered.wait()
        return "", clock.monotonic_ns()

    async with scene(poll=poll) as here:
        await until(lambda: _warm(here.client) == 4)
        here.sender.send(waiting)
        await until(lambda: len(requested) == 8)
        assert here.client._connections._busy == 0
        answered.set()
        await until(here.ended(*waiting))


async def test_order_leaves_although_a_check_outlasts_its_timeout() -> None:
    one = structs.replace(attempt("a"), gates_checked_ns=_a_second_ago())

    async def poll(_order: Order, _epoch: int) -> RecheckResult:
        requested_ns = clock.monotonic_ns()
        await asyncio.sleep(0.4)
        return "", requested_ns

    async with scene(poll=poll, timeout_ms=250) as here:
        await until(lambda: _warm(here.client) == 4)
        here.sender.send([one])
        await until(lambda: bool(here.far.came))


async def test_what_is_too_late_is_not_sent() -> None:
    late = Attempt(order=structs.replace(attempt("a").order, not_after_ms=1))
    async with scene() as here:
        await until(lambda: _warm(here.client) == 4)
        here.sender.send([late])
        await until(here.ended(late))
        (outcome,) = here.outcomes
        assert outcome.fields["to_state"] == OrderState.FAILED
        assert outcome.fields["reason"] == "EXPIRED"
        assert here.far.came == []


def _stands(here: Scene, state: BreakerState) -> None:
    """The breaker is seen to have moved; there is no time for a probe."""
    breaker = here.breaker
    retry_at_ms = clock.now_ms() + 600_000
    breaker._take(Breaker(state=state, retry_at_ms=retry_at_ms), breaker._row)


def _warm(client: InsidersClient) -> int:
    return len(client._connections._idle)
