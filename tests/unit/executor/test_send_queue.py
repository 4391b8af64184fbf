"""Claims that wait for SUBMITTING: who is committed when, and which cursor may be acknowledged."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from services.executor import store
from services.executor.claim_reader import AckTracker
from services.executor.core.pre_trade_limits import Limits, PreTradeLimits
from services.executor.recorder import Outcome
from services.executor.settings import Settings
from services.executor.worker import Executor
from tests.unit.samples import order
from tradingtools import clock
from tradingtools.codec.claims import order_to_pb
from tradingtools.domain.order import Follower, Order, Purpose
from tradingtools.storage.postgres.lease import Lease
from tradingtools.tasks import cancel_all
from tradingtools.v1 import common_pb2 as pb
from tradingtools.venues.insiders.order_gateway import InsidersClient

LIMITS = Limits()


@given(st.data())
def test_a_cursor_is_told_when_everything_up_to_it_is_handled(data: st.DataObject) -> None:
    reported: list[int] = []
    cursors = AckTracker(lambda cursor: reported.append(int(cursor)))
    counts = data.draw(st.lists(st.integers(1, 3), max_size=8), label="claims of each message")
    handled = [cursors.expect(str(n), count) for n, count in enumerate(counts)]
    claims = [n for n, count in enumerate(counts) for _ in range(count)]
    left = list(counts)
    for n in data.draw(st.permutations(claims), label="in the order in which they are handled"):
        handled[n]()
        left[n] -= 1
        open_ones = [m for m, count in enumerate(left) if count]
        reached = open_ones[0] - 1 if open_ones else len(counts) - 1
        assert (reported[-1] if reported else -1) == reached
    assert reported == sorted(set(reported))


@dataclass
class Scene:
    """An executor whose SUBMITTING commits take as long as they are held."""

    executor: Executor
    committed: list[list[str]] = field(default_factory=list)
    control_seqs: list[int] = field(default_factory=list)
    denied: set[str] = field(default_factory=set)
    sending: bool = False
    """Whether what is committed leaves; nobody answers."""
    held: asyncio.Event = field(default_factory=asyncio.Event)
    handled: list[int] = field(default_factory=list)

    def put(self, seq: int, *orders: Order, control_seq: int = 0) -> None:
        batch = pb.OrderBatch(
            journal_seq=seq,
            orders=[order_to_pb(each) for each in orders],
            control_seq=control_seq,
            traceparent=f"trace-{seq}",
        )
        self.executor.queue.on_batch(batch, lambda: self.handled.append(seq))

    async def run_until_idle(self) -> None:
        for _ in range(50):
            await asyncio.sleep(0)


@asynccontextmanager
async def scene(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Scene]:
    lease = Lease(role="executor", partition=0, epoch=1)
    settings = Settings(router_target="", guard_target="", bookfeed_target="", insiders_url="")
    nothing: Any = None
    client = cast(InsidersClient, nothing)
    here = Scene(Executor(nothing, lease, client, settings, PreTradeLimits(LIMITS)))

    async def submit_batch(
        pool: Any, lease: Lease, orders: Sequence[Order], control_seq: int, lease_ms: int
    ) -> store.Admission:
        await here.held.wait()
        keys = [each.order_key for each in orders]
        here.control_seqs.append(control_seq)
        if denied := {key: "PAUSED" for key in keys if key in here.denied}:
            return store.Admission(denied=denied)
        here.committed.append(keys)
        return store.Admission(seq=1, duplicate=not here.sending)

    monkeypatch.setattr(store, "submit_batch", submit_batch)
    monkeypatch.setattr(here.executor._sender, "send", lambda attempts: None)
    running = asyncio.create_task(here.executor.submit())
    try:
        yield here
    finally:
        await cancel_all([running])


@dataclass
class Recorded:
    """The recorder's input."""

    reported: list[tuple[list[int], list[Outcome]]]

    def put(self, records: Sequence[int], outcomes: Sequence[Outcome]) -> None:
        self.reported.append((list(records), list(outcomes)))


@dataclass
class Opened:
    """A breaker that lets one probe out at a time."""

    closed: bool = False
    reason: str = "open"
    taken: int = 0
    returned: list[int] = field(default_factory=list)

    async def take_probe(self) -> int:
        self.taken += 1
        return self.taken

    async def give_back(self, probe: int) -> None:
        self.returned.append(probe)


def entry(key: str, wallet: str, leader: str = "crowd") -> Order:
    follower = Follower(user_id="u", wallet_id="w", proxy=wallet)
    made: Order = structs.replace(
        order(),
        order_key=key,
        follower=follower,
        leader=leader,
        purpose=Purpose.ENTRY,
        not_after_ms=2_000_000_000_000,
    )
    return made


def leaving(key: str, wallet: str) -> Order:
    made: Order = structs.replace(entry(key, wallet, "x"), purpose=Purpose.GUARD_EXIT)
    return made


async def test_others_come_between_parts_of_a_fan_out_exits_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with scene(monkeypatch) as here:
        monkeypatch.setattr("services.executor.send_queue._COMMITTED_TOGETHER", 2)
        for part in range(3):
            here.put(part, entry(f"p{part}", f"w{part}"), entry(f"q{part}", f"v{part}"))
        await here.run_until_idle()
        here.put(3, entry("single", "w9", "other"))
        here.put(4, entry("behind", "w1", "third"))
        here.put(5, leaving("exit", "w1"))
        here.held.set()
        await here.run_until_idle()
        assert here.committed == [
            ["p0", "q0"], ["exit"], ["single"], ["p1", "q1"], ["behind"], ["p2", "q2"],
        ]  # fmt: skip
        assert here.handled == [0, 5, 3, 1, 4, 2]


async def test_waiting_entries_are_one_commit_and_exits_one_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with scene(monkeypatch) as here:
        here.put(0, entry("first", "w0"), control_seq=9)
        await here.run_until_idle()
        for seq in range(1, 21):
            here.put(seq, entry(f"e{seq}", "w1"), control_seq=30 - seq)
        here.put(21, leaving("x1", "w1"), control_seq=12)
        here.put(22, leaving("x2", "w2"), control_seq=11)
        here.held.set()
        await here.run_until_idle()
        entries = [f"e{seq}" for seq in range(1, 21)]
        assert here.committed == [["first"], ["x1", "x2"], entries]
        assert here.control_seqs == [9, 11, 10]
        assert here.handled == [0, 21, 22, *range(1, 21)]


async def test_one_that_is_denied_costs_the_others_one_repetition(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    outcomes: list[tuple[list[int], list[Outcome]]] = []
    async with scene(monkeypatch) as here:
        here.executor.recorder = cast(Any, Recorded(outcomes))
        here.put(0, entry("first", "w0"))
        await here.run_until_idle()
        for seq in range(1, 5):
            here.put(seq, entry(f"e{seq}", f"w{seq}"))
        here.denied = {"e3"}
        here.held.set()
        await here.run_until_idle()
        assert here.committed == [["first"], ["e1", "e2", "e4"]]
        assert len(here.control_seqs) == 3
        assert here.handled == [0, 1, 2, 3, 4]
        ((records, (failed,)),) = outcomes
        assert 3 in records, "its row is there before it fails"
        assert failed.fields["order_key"] == "e3"
        assert failed.fields["reason"] == "PAUSED"
        assert failed.traceparent == "trace-3"


async def test_one_waiting_order_probes_an_open_breaker(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with scene(monkeypatch) as here:
        here.put(0, entry("first", "w0"))
        await here.run_until_idle()
        for seq in range(1, 4):
            here.put(seq, entry(f"e{seq}", f"w{seq}"))
        opened = Opened()
        here.executor.breaker = cast(Any, opened)
        here.held.set()
        await here.run_until_idle()
        assert here.committed == [["first"], ["e1"]]
        assert here.handled == [0, 1, 2, 3]
        assert (opened.taken, opened.returned) == (1, [1]), "it was not sent after all"
        here.put(4, entry("e2", "w2"))
        await here.run_until_idle()
        assert here.committed[2:] == [["e2"]], "who waited may come again"


async def test_repeated_claim_is_handled_when_committed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with scene(monkeypatch) as here:
        here.put(1, entry("a", "w1"), entry("b", "w2"))
        await here.run_until_idle()
        here.put(2, entry("c", "w3"), leaving("d", "w3"))
        here.put(3, entry("c", "w3"))
        await here.run_until_idle()
        assert here.handled == []
        here.held.set()
        await here.run_until_idle()
        assert here.committed == [["a", "b"], ["c", "d"]]
        assert here.handled == [1, 2, 3]


async def test_exits_leave_while_entries_have_no_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.executor.send_queue._WINDOW", 2)
    async with scene(monkeypatch) as here:
        here.sending = True
        here.executor.recorder = cast(Any, Recorded([]))
        here.put(1, entry("a", "w1"), entry("b", "w2"))
        await here.run_until_idle()
        here.put(2, entry("c", "w3"))
        here.held.set()
        await here.run_until_idle()
        assert here.committed == [["a", "b"]]
        here.put(3, leaving("d", "w3"))
        await here.run_until_idle()
        assert here.committed == [["a", "b"], ["d"]]
        here.executor.queue.done(["a"])
        await here.run_until_idle()
        assert here.committed == [["a", "b"], ["d"]], "an exit takes room, too"
        here.executor.queue.done(["b"])
        await here.run_until_idle()
        assert here.committed == [["a", "b"], ["d"], ["c"]]
        assert here.handled == [1, 3, 2]


async def test_a_full_line_leaves_entries_to_polling_and_takes_exits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("services.executor.send_queue._IN_LINE", 2)
    async with scene(monkeypatch) as here:
        here.put(1, entry("a", "w1"), entry("b", "w2"))
        await here.run_until_idle()
        here.put(2, entry("c", "w3"))
        here.put(3, leaving("d", "w3"))
        assert here.handled == [2], "its stream need not bring it again"
        here.held.set()
        await here.run_until_idle()
        assert here.committed == [["a", "b"], ["d"]]
        here.put(4, entry("c", "w3"))
        await here.run_until_idle()
        assert here.committed == [["a", "b"], ["d"], ["c"]]


async def test_what_was_committed_before_is_not_under_way_here(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with scene(monkeypatch) as here:
        here.put(1, entry("a", "w1"))
        here.held.set()
        await here.run_until_idle()
        assert here.committed == [["a"]]
        assert not here.executor.queue.in_flight, "it may be sent again when confirm wants it"


@dataclass
class Clock:
    """PostgreSQL's time as this process has taken it over, and a clock that never goes back."""

    seconds: int = 7_200
    ran_seconds: int = 0

    def time_ns(self) -> int:
        return self.seconds * 10**9

    def monotonic_ns(self) -> int:
        return self.ran_seconds * 10**9


async def test_the_last_gates_minute_ends_although_the_time_steps_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    time = Clock()
    async with scene(monkeypatch) as here:
        with clock.replaced(time):
            here.executor._limits = PreTradeLimits(replace(LIMITS, orders_per_minute=1))
            here.held.set()
            here.put(1, entry("a", "w1"))
            await here.run_until_idle()
            time.seconds, time.ran_seconds = 3_600, 61
            here.put(2, entry("b", "w1"))
            await here.run_until_idle()
        assert here.committed == [["a"], ["b"]]
