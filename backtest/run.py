"""A bot on a clock of its own: the market, the bot's requests and the answers, in order of time.

A request arrives after a latency and its answer comes back after another, so what the bot sees is
as old as live. The same tape, settings and seed give the same result, to the last unit.
"""

from __future__ import annotations

import random
import traceback
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from heapq import heappop, heappush
from typing import Any

from backtest.exchange import Exchange, FeeRates, Told
from backtest.tape import TapeEvent, moment
from services.bots.core.bot import Bot
from services.bots.core.holding import Holding, unrealised
from services.bots.core.requests import LookUp, PermitRequest, Request
from services.bots.core.risk import RiskLimits
from services.bots.core.setup import Setup
from services.bots.core.strategy import SignalEvent, Strategy
from tradingtools.domain.bot_order_states import PendingRequest
from tradingtools.domain.instrument import Instrument
from tradingtools.venues.trading import (
    AmendOrder,
    CancelOrder,
    Fill,
    Funding,
    NewOrder,
    Receipt,
    TradingBook,
    TradingCapabilities,
)

TICK_MS = 1_000
"""Time passes for the bot at least so often."""

CAPABILITIES = TradingCapabilities(
    resting=True,
    amend=True,
    post_only=True,
    not_after=True,
    unique_order_id=True,
    order_id_known_before=True,
    found_for_ms=None,
)


class StrategyError(RuntimeError):
    """A defect of the strategy; the text has its file and line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Assumptions:
    """Latency, fees and seed that a backtest takes for granted."""

    latency_ms: int = 20
    """From the bot to the matching, and back."""
    jitter_ms: int = 10
    """Added at random to each way, up to this."""
    seed: int = 1
    fees: FeeRates = field(default_factory=FeeRates)
    venue_fees: Mapping[str, FeeRates] = field(default_factory=dict)
    """By venue, in place of ``fees``."""
    sample_ms: int = 60_000
    """Between two points of the equity curve."""
    capabilities: TradingCapabilities = CAPABILITIES


@dataclass(frozen=True, slots=True)
class Point:
    """An instant of the run."""

    at_ms: int
    result: int
    """In the finest units of money of the instruments' settle currencies."""
    price: int | None
    """The mark of the first instrument, in units of price; None: there was none yet."""
    position: int
    """Of the first instrument, in units of size."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The result of a run: everything that a report or a sweep needs."""

    curve: tuple[tuple[int, int], ...]
    """Instants and results, in units of money of the settle currency."""
    points: tuple[Point, ...]
    """The same instants, with the first instrument's mark and position."""
    fills: tuple[Fill, ...]
    made: int
    unrealised: int
    fees: int
    funding: int
    volume: int
    orders: int
    events: int
    state: Any
    """The strategy's last state."""
    breaches: tuple[str, ...]
    explained: tuple[tuple[str, str], ...]
    """By slot, what the strategy says at the end."""


class Backtest:
    """One run; see the module.

    Args:
        strategy: what decides.
        config: its settings.
        instruments: by id.
        limits: the bot's.
        assumptions: latency, fees, seed.
        exchange: another one than the backtest's own.
    """

    def __init__(
        self,
        strategy: Strategy[Any, Any],
        config: Any,
        instruments: Mapping[str, Instrument],
        *,
        limits: RiskLimits | None = None,
        assumptions: Assumptions | None = None,
        exchange: Exchange | None = None,
    ) -> None:
        self._assumptions = assumptions or Assumptions()
        self._rng = random.Random(self._assumptions.seed)  # noqa: S311
        self._exchange = exchange or Exchange(
            dict(instruments), self._assumptions.fees, self._assumptions.venue_fees
        )
        venues = {one.venue for one in instruments.values()}
        setup = Setup(
            bot_id="backtest",
            epoch=1,
            config=config,
            instruments=instruments,
            capabilities=dict.fromkeys(venues, self._assumptions.capabilities),
            limits=limits or RiskLimits(),
        )
        forever = 2**62
        self.bot = Bot(setup, strategy, strategy.begin(config), lease_until_ms=forever)
        self._later: list[tuple[int, int, Callable[[int], list[Request]]]] = []
        self._count = 0
        self._orders = 0
        self._fills: list[Fill] = []
        self._points: list[Point] = []
        self._first = next(iter(instruments))
        most = max(one.money_digits for one in instruments.values())
        # Venues count money in units of their own; sums are in the finest.
        self._scale = {it: 10 ** (most - one.money_digits) for it, one in instruments.items()}
        self._held_funding: dict[str, Funding] = {}

    def run(self, tape: Iterable[TapeEvent]) -> Outcome:
        """Play a tape to its end; return what became of the bot.

        Raises:
            StrategyError: the strategy has failed; an engine would have stopped the bot.
        """
        events, now = 0, 0
        ticked = sampled = 0
        for event in tape:
            now = max(now, moment(event))
            if not events:
                ticked = sampled = now
                self._ask(self.bot.run(now), now)
            while ticked + TICK_MS <= now:
                ticked += TICK_MS
                self._until(ticked)
                self._ask(self.bot.tick(ticked), ticked)
                if ticked >= sampled + self._assumptions.sample_ms:
                    sampled = ticked
                    self._sample(ticked)
            self._until(now)
            events += 1
            if isinstance(event, SignalEvent):
                self._ask(self.bot.received(event, now), now)
                continue
            if isinstance(event, Funding):
                self._fund(event, now)
            self._notify(self._exchange.market(event), now)
            seen = self._exchange.shown(event) if isinstance(event, TradingBook) else event
            self._ask(self.bot.market(seen, now), now)
            if self.bot.failure is not None:
                break
        self._until(now + 60_000)
        if self.bot.failure is not None:
            raise StrategyError(_where(self.bot.failure, now)) from self.bot.failure
        self._sample(now)
        try:
            explained = self.bot.explain(now)
        except Exception as error:
            raise StrategyError(_where(error, now)) from error
        return self._outcome(events, explained, now)

    # ------------------------------------------------------------------------------------- inside

    def _way(self) -> int:
        return self._assumptions.latency_ms + self._rng.randint(0, self._assumptions.jitter_ms)

    def _after(self, at_ms: int, then: Callable[[int], list[Request]]) -> None:
        self._count += 1
        heappush(self._later, (at_ms, self._count, then))

    def _until(self, now_ms: int) -> None:
        while self._later and self._later[0][0] <= now_ms:
            at_ms, _, then = heappop(self._later)
            self._ask(then(at_ms), at_ms)

    def _ask(self, requests: list[Request], now_ms: int) -> None:
        self.bot.written()
        for one in requests:
            if isinstance(one, PermitRequest):
                self._ask(self.bot.granted(one.permit, now_ms), now_ms)
            else:
                self._orders += isinstance(one, NewOrder)
                self._after(now_ms + self._way(), partial(self._arrive, one))

    def _arrive(
        self, one: NewOrder | AmendOrder | CancelOrder | LookUp, now_ms: int
    ) -> list[Request]:
        back = now_ms + self._way()
        if isinstance(one, LookUp):
            self._after(back, partial(self._looked, one.order.order_id, now_ms))
            return []
        if isinstance(one, NewOrder):
            (receipt, reported), kind = self._exchange.place(one, now_ms), PendingRequest.PLACE
        elif isinstance(one, AmendOrder):
            (receipt, reported), kind = self._exchange.amend(one, now_ms), PendingRequest.AMEND
        else:
            (receipt, reported), kind = self._exchange.cancel(one, now_ms), PendingRequest.CANCEL
        self._after(back, partial(self._answered, one.order_id, kind, receipt))
        self._notify(reported, now_ms)
        return []

    def _answered(
        self, order_id: str, kind: PendingRequest, receipt: Receipt, now_ms: int
    ) -> list[Request]:
        return self.bot.answered(order_id, kind, receipt, now_ms)

    def _looked(self, order_id: str, requested_ms: int, now_ms: int) -> list[Request]:
        report = self._exchange.find(order_id, now_ms)
        if report is None:
            return self.bot.not_found(order_id, requested_ms=requested_ms, now_ms=now_ms)
        return self.bot.reported(report, now_ms, read_ms=requested_ms)

    def _notify(self, reported: list[Told], now_ms: int) -> None:
        if not reported:
            return
        self._fills.extend(one for one in reported if isinstance(one, Fill))
        self._after(now_ms + self._way(), partial(self._received, reported))

    def _received(self, reported: list[Told], now_ms: int) -> list[Request]:
        found: list[Request] = []
        for one in reported:
            if isinstance(one, Fill):
                found += self.bot.filled(one, now_ms)
            else:
                found += self.bot.reported(one, now_ms)
        return found

    def _fund(self, event: Funding, now_ms: int) -> None:
        """Pay the rate that was due before the next one was told, on what is held."""
        due = self._held_funding.get(event.instrument_id)
        self._held_funding[event.instrument_id] = event
        held = self.bot.holdings.get(event.instrument_id)
        if due is None or now_ms < due.at_ms or due.at_ms == event.at_ms:
            return
        mark = self.bot.exposure(now_ms).marks.get(event.instrument_id)
        if held is None or not held.size or mark is None:
            return
        one = self.bot.setup.instruments[event.instrument_id]
        paid = due.rate * one.notional(mark.price, abs(held.size), up=False)
        paid = paid if held.size > 0 else -paid
        # Rounded against the bot: what it pays up, what it gets down.
        whole = int(paid.to_integral_value(rounding="ROUND_CEILING"))
        self.bot.funded(event.instrument_id, -whole)

    def _sample(self, now_ms: int) -> None:
        mark = self.bot.exposure(now_ms).marks.get(self._first)
        held = self.bot.holdings.get(self._first, Holding())
        made = self._sum("made") + self._open_gain(now_ms)
        self._points.append(Point(now_ms, made, mark.price if mark else None, held.size))

    def _sum(self, name: str) -> int:
        held = self.bot.holdings.items()
        return sum(getattr(one, name) * self._scale[it] for it, one in held)

    def _open_gain(self, now_ms: int) -> int:
        marks, instruments = self.bot.exposure(now_ms).marks, self.bot.setup.instruments
        return sum(
            unrealised(one, instruments[it], marks[it].price) * self._scale[it]
            for it, one in self.bot.holdings.items()
            if one.size and it in marks
        )

    def _outcome(self, events: int, explained: Mapping[str, str], now_ms: int) -> Outcome:
        return Outcome(
            curve=tuple((one.at_ms, one.result) for one in self._points),
            points=tuple(self._points),
            fills=tuple(self._fills),
            made=self._sum("made"),
            unrealised=self._open_gain(now_ms),
            fees=self._sum("fees"),
            funding=self._sum("funding"),
            volume=self._sum("volume"),
            orders=self._orders,
            events=events,
            state=self.bot.state,
            breaches=tuple(f"{one.limit}: {one.detail}" for one in self.bot.breaches),
            explained=tuple(sorted(explained.items())),
        )


def _where(error: Exception, now_ms: int) -> str:
    """Return an error with the last line of the strategy that led to it."""
    at = traceback.extract_tb(error.__traceback__)[-1]
    reported = datetime.fromtimestamp(now_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
    return (
        f"the strategy failed at {reported} of its market: {type(error).__name__}: {error}"
        f" ({at.filename}, line {at.lineno})"
    )
