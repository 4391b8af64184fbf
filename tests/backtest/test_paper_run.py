"""Minutes of an engine's paper run, recorded, and their backtest: what differs has a stated cause.

A seeded exchange stands for OKX. The bots' paper exchange follows it by its live feed, a recorder
follows it beside, as people record the market that they trade on paper: bots' orders are not in it.
PAPER_SECONDS says for how long; three minutes unless told.

Fills that both have are the same to the last unit, fees included, so that results differ by the
other fills alone. Those have one cause, latency: requests of the run take what its machine leaves
them, half a second where others work on it, a backtest draws its own. A market maker that learns of
a fill later quotes otherwise from there on, so backtests of several latencies differ from each
other by as much. The run lies among them. Orders that stand still, as a grid's, do not care.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from threading import Event, Thread
from typing import Any

import msgspec
import pytest

from backtest.plan import Plan, played, trial
from backtest.tape import Recorder, instruments, moment, record, recorded
from launcher.temporary import create_database
from tests.bots.test_strategies_live import SWAP, named, okx_configs
from tests.bots.world import Bots, bots, until
from tests.paper_okx import harness as okx
from tests.paper_okx.harness import Live
from tradingtools.domain.instrument import Instrument
from tradingtools.venues.okx.connection import Endpoint
from tradingtools.venues.okx.requests import Terms
from tradingtools.venues.okx.wallet import OkxVenue, open_wallet
from tradingtools.venues.trading import MarketEvent, TradingBook

_log = logging.getLogger(__name__)
SECONDS = float(os.environ.get("PAPER_SECONDS", "180"))
STEP_MS = 1_000
STRATEGIES = ("grid", "market_making")
LATENCIES_MS = ((10, 10), (200, 100), (300, 300), (500, 200), (800, 300))
"""One way, and what is added at random; up to a step of the market."""
EDGE = 2
"""Fills at the begin and the end, where the run meets the market between two steps."""
pytestmark = [pytest.mark.long, pytest.mark.timeout(2 * SECONDS + 900)]


@dataclass(frozen=True)
class Traded:
    """A fill that either run has."""

    at_ms: int
    side: str
    price: int
    size: int
    fee: int
    maker: bool

    @property
    def signed(self) -> int:
        """Return its size, below zero sold."""
        return self.size if self.side == "BUY" else -self.size

    def is_like(self, other: Traded) -> bool:
        """Return whether it is the same trade in another run."""
        mine = (self.side, self.price, self.size, self.fee, self.maker)
        its = (other.side, other.price, other.size, other.fee, other.maker)
        return mine == its and abs(self.at_ms - other.at_ms) <= 2 * STEP_MS


@contextmanager
def recording(market: Live, path: Path) -> Iterator[None]:
    """Record a market beside whoever else follows it."""
    stop, started = Event(), Event()

    async def follow() -> None:
        sockets = Endpoint(url=f"ws://localhost:{market.port}/ws/v5")
        venue = OkxVenue(rest_url=f"http://localhost:{market.port}", sockets=sockets)
        async with open_wallet(venue, None, Terms(tag="record")) as way:
            traded = await way.instruments.find([SWAP.partition(":")[2]])
            with path.open("wb") as lines:
                recorder = Recorder(lines, traded)
                async for event in way.markets.events(traded):
                    recorder.notify(event)
                    started.set()
                    if stop.is_set():
                        return

    thread = Thread(target=lambda: asyncio.run(follow()))
    thread.start()
    assert started.wait(60), "nothing was recorded"
    try:
        yield
    finally:
        stop.set()
        thread.join(60)
        assert not thread.is_alive()


@pytest.fixture
def market(tmp_path: Path) -> Iterator[Live]:
    """The exchange that stands for OKX."""
    directory = tmp_path / "market"
    directory.mkdir(mode=0o700)
    more = {"certificate": "", "private_key": "", "seed": "4", "step_ms": str(STEP_MS)}
    with okx.okx(directory, feed="seeded", **more) as live:
        yield live


def test_a_paper_run_and_its_backtest_agree(
    market: Live, postgres_server: str, migrated_template: str, tmp_path: Path
) -> None:
    url = create_database(postgres_server, template=migrated_template)
    path, place = tmp_path / "market.jsonl", tmp_path / "run"
    place.mkdir(mode=0o700)
    accounts = [one.replace("_", "") for one in STRATEGIES]
    feed = {"feed": "live", "live_url": f"ws://localhost:{market.port}/ws/v5/public"}
    with recording(market, path), bots(url, place, accounts, **feed) as world:
        configs = {name: okx_configs(middle(path))[name] for name in STRATEGIES}
        span = lived(world, configs)
        assert world.okx.conserved()
        paper = {name: fills(world, name) for name in STRATEGIES}
        (listed,) = instruments(path)
        for name in STRATEGIES:
            held = sum(one.signed for one in paper[name])
            assert world.position(name.replace("_", "")) == Decimal(held) / 10**8
    cut = tmp_path / "cut.jsonl"
    record(cut, within(recorded(path), *span), [listed])
    for name in STRATEGIES:
        judge(name, configs[name], cut, paper[name], listed, span)


def middle(path: Path) -> int:
    """Return the market's price just now, in whole dollars."""

    def last() -> TradingBook | None:
        books = [one for one in lines(path) if isinstance(one, TradingBook)]
        return books[-1] if books else None

    book = until(last, "a book")
    return int((book.bids[0][0] + book.asks[0][0]) // 2 // 10**10)


def lines(path: Path) -> Sequence[MarketEvent]:
    """Return the whole lines of a recording that is still written."""
    copy = path.with_suffix(".copy")
    copy.write_bytes(path.read_bytes().rpartition(b"\n")[0] + b"\n")
    return list(recorded(copy))


def lived(world: Bots, configs: Mapping[str, Mapping[str, Any]]) -> tuple[int, int]:
    """Let the bots trade for the time; return its begin and end, milliseconds since the epoch."""
    for name, config in configs.items():
        world.bot(named(name), strategy=name, config=config,
                  wallet=world.wallets[name.replace("_", "")],
                  limits={"max_position": "50"})  # fmt: skip
    # So long that a machine which is busy with other things does not lose it.
    engine = world.engine(TT_BOTS_LEASE_MS="60000")
    engine.start()
    try:
        for name in configs:
            until(lambda name=name: world.state(named(name))[0] == "RUNNING", f"{name} to run")  # type: ignore[misc]
        begin = time.time_ns() // 10**6
        time.sleep(SECONDS)
        end = time.time_ns() // 10**6
        for name in configs:
            assert world.state(named(name)) == ("RUNNING", "")
            world.command(named(name), "STOPPED")
        for name in configs:
            until(lambda name=name: world.state(named(name))[0] == "STOPPED", f"{name} to end")  # type: ignore[misc]
        assert world.rows("select order_id from bot_order where not settled") == []
    finally:
        engine.stop()
    return begin, end


def fills(world: Bots, name: str) -> list[Traded]:
    """Return the fills that a bot has booked."""
    rows = world.rows(
        "select (extract(epoch from traded_at) * 1000)::bigint, side, price, size, fee, maker"
        " from bot_fill where bot_id = %s order by traded_at, event_seq", named(name),
    )  # fmt: skip
    return [Traded(*row) for row in rows]


def within(events: Iterator[MarketEvent], begin_ms: int, end_ms: int) -> Iterator[MarketEvent]:
    """Return the market of a span, with the book as it was when that began."""
    book: TradingBook | None = None
    for event in events:
        if moment(event) > end_ms:
            return
        if moment(event) < begin_ms:
            book = event if isinstance(event, TradingBook) else book
            continue
        if book is not None:
            yield msgspec.structs.replace(book, venue_ms=begin_ms)
            book = None
        yield event


def result(one: Instrument, made: Sequence[Traded], price: int) -> int:
    """Return what fills have made at a price, their fees paid, in units of money."""
    cash = sum(
        (1 if it.side == "SELL" else -1) * one.notional(it.price, it.size, up=False) - it.fee
        for it in made
    )
    held = sum(it.signed for it in made)
    worth = one.notional(price, abs(held), up=False)
    return cash + (worth if held > 0 else -worth)


def judge(
    name: str,
    config: Mapping[str, Any],
    cut: Path,
    paper: Sequence[Traded],
    one: Instrument,
    span: tuple[int, int],
) -> None:
    """Compare the run with its backtests by several latencies."""
    books = [it for it in recorded(cut) if isinstance(it, TradingBook)]
    price = (books[-1].bids[0][0] + books[-1].asks[0][0]) // 2
    paper = [it for it in paper if it.at_ms <= span[1]]
    runs = [backtested(name, config, cut, *latency) for latency in LATENCIES_MS]
    results = [result(one, made, price) for made in runs]
    earned = result(one, paper, price)
    reported = [
        f"{len(it)} fills {one.money_text(worth)}" for it, worth in zip(runs, results, strict=True)
    ]
    _log.warning("%s: paper %d fills %s, backtests %s", name, len(paper), one.money_text(earned),
                 ", ".join(reported))  # fmt: skip
    shared = []
    for made, worth in zip(runs, results, strict=True):
        alone, others = unshared(paper, made)
        shared.append(len(paper) - len(alone))
        apart = result(one, alone, price) - result(one, others, price)
        assert abs(earned - worth - apart) <= len(paper) + len(made)
    _log.warning("%s: the same fills %s", name, shared)
    assert max(shared) >= 0.25 * len(paper) - EDGE
    most = max((it.fee for it in paper), default=0)
    within_reach(len(paper), [len(it) for it in runs], EDGE)
    within_reach(earned, results, 2 * EDGE * most)


def within_reach(run: int, backtests: Sequence[int], edge: int) -> None:
    """Assert that a run is among its backtests, or not farther from them than half their width."""
    low, high = min(backtests), max(backtests)
    reach = (high - low) // 2 + edge
    assert low - reach <= run <= high + reach


def backtested(
    name: str, config: Mapping[str, Any], cut: Path, latency: int, jitter: int
) -> list[Traded]:
    """Return the fills of a backtest."""
    bot = {"strategy": name, "config": dict(config), "limits": {"maxPosition": "50"}}
    plan = {"bot": bot, "recording": str(cut), "latencyMs": latency, "jitterMs": jitter}
    outcome = played(trial(msgspec.convert(plan, Plan)))
    return [
        Traded(it.venue_ms, it.side, it.price, it.size, it.fee, it.maker) for it in outcome.fills
    ]


def unshared(some: Sequence[Traded], others: Sequence[Traded]) -> tuple[list[Traded], list[Traded]]:
    """Return the fills that only one of two runs has: by side, price, size and fee, in time."""
    left, alone = list(others), []
    for it in some:
        same = next((one for one in left if it.is_like(one)), None)
        if same is None:
            alone.append(it)
        else:
            left.remove(same)
    return alone, left
