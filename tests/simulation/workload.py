"""The workload of a seed, of leaders, followers and books: drawn, and remembered for the judge."""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from launcher.core.evidence import LeaderTrade
from tests.simulation.bus import VERSION
from tests.simulation.data_api import read_back
from tests.simulation.followers import ASSETS, CONDITION, LEADERS, WALLETS, Followers
from tests.simulation.performance import rules_of
from tests.simulation.resyncs import Resyncs
from tests.simulation.upstream import Levels
from tests.simulation.world import World
from tradingtools.domain.money import MICROS, to_text
from tradingtools.domain.resync import ResyncKind
from tradingtools.v1 import common_pb2 as common
from tradingtools.v1 import enrichment_pb2 as enrichment_pb
from tradingtools.v1 import ingest_service_pb2 as ingest_pb

_FOLLOWS = ((0, 0), (0, 1), (1, 0), (2, 1))
"""Wallet and leader of each subscription: one wallet follows both."""
_BY_HAND = (WALLETS[0], "0x" + "e" * 40)
"""Who trades by hand, too; the second one follows nobody."""
_DEPTH = 100_000 * MICROS
_KINDS = ("TAKE_PROFIT", "STOP_LOSS", "TRAILING_STOP", "TIME_STOP", "LADDER")
_PIECES = 0.3
"""Of all seeds: leaders sell in pieces, one before the exits of the others are done."""
_SILENT = 0.2
"""Of all seeds: the sockets of the feed are silent, half of the time."""
_SILENT_SECONDS = 4.0
_DECIDED_THEN = 0.1
"""Of all sales by hand: the market is decided at that instant."""
_DOUBTING = 0.3
"""Of all seeds: the book of one outcome is in doubt until the storm is over."""
_ON_DOUBT = (None, None, "WAIT", "SKIP")
"""What each subscription does then; None: it copies."""
_CHOOSING = 0.3
"""Of all seeds: two followers ask for statistics of their leaders."""
_DESIRED = {"min_trades_30d": 10, "max_age_seconds": 604_800}
_FILTERS: tuple[Any, ...] = (_DESIRED, {**_DESIRED, "on_missing": "COPY"}, None, None)
_GUARDING = 0.3
"""Of all seeds: leaders do little, and followers want what they hold guarded well."""


@dataclass(slots=True)
class _Row:
    """One row of a leader's transaction."""

    tx: str
    leader: str
    asset: str
    side: str
    price_micros: int
    size_micros: int
    held_before_micros: int | None
    action: ingest_pb.LeaderAction.ValueType


class _Feed:
    """The venue's feed: in some seeds its sockets are silent now and then, and leaders are polled.

    Args:
        world: whose clock decides.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        # Draws of its own: what the other seeds do stays as it is.
        self._rng = world.rng("feed")
        self._silences = self._rng.random() < _SILENT
        self._begins = 2 * _SILENT_SECONDS * self._rng.random()

    def speaks(self) -> bool:
        """Return whether it tells what is traded now."""
        since = self._world.loop.time() + self._begins
        return not self._silences or since % (2 * _SILENT_SECONDS) < _SILENT_SECONDS

    def poll(self, event: ingest_pb.LeaderTradeEvent) -> None:
        """Have the Data API tell it: so much later as it is behind, and its leader's turn comes."""
        world = self._world
        world.storm.note("feed silent")
        world.facts.under_way += 1
        world.far.later(0.3 + 3 * self._rng.random(), world.facts.come_late, event)


class Workload:
    """Everything that happens in the world outside, as long as it is asked to.

    Args:
        world: where.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self._rng = world.rng("workload")
        self._guarding = world.rng("guarding").random() < _GUARDING
        # Draws of its own: what the other seeds do stays as it is.
        self._pieces = world.rng("pieces")
        self._in_pieces = self._pieces.random() < _PIECES
        self._feed = _Feed(world)
        if world.rng("doubting").random() < _DOUBTING:
            world.market.doubtful.add(ASSETS[1])
        self.doubted = frozenset(world.market.doubtful)
        """Assets whose book was in doubt before ``calmed_at``."""
        choosing = world.rng("choosing")
        self._choosing = choosing.random() < _CHOOSING
        self.recommended = frozenset(each for each in LEADERS if choosing.random() < 0.5)
        """Leaders with enough trades for whoever asks for statistics; of others there are too few,
        or none are known."""
        self._known = [each for each in LEADERS if choosing.random() < 0.7]
        self.calmed_at: datetime | None = None
        self._hands = world.rng("hands")
        self._held: dict[tuple[str, str], int] = {}
        self._numbers = 0
        self._sent: list[ingest_pb.LeaderTradeEvent] = []
        self.subscriptions: list[str] = []
        self.trades: dict[tuple[str, str, str, str], LeaderTrade] = {}
        self.reported: dict[tuple[str, str, str, str], dict[tuple[int, int], int]] = {}
        """By leader trade: how many rows of which price and size there were."""
        self._mids = dict.fromkeys(ASSETS, 50)
        self._followers = Followers(world, self._rng, self.subscriptions)
        self._resyncs = Resyncs(world, self._rng, self._held, self.subscriptions)

    async def prepare(self) -> None:
        """Books, and subscriptions that have stood for an hour."""
        world, rng = self._world, self._rng
        leaders = Counter(wallet for wallet, _ in _FOLLOWS)
        world.far.several_lots = frozenset(WALLETS[w] for w, count in leaders.items() if count > 1)
        for asset in ASSETS:
            self._put_book(asset)
        if self._choosing:
            world.bus.documents |= {each: self._statistics(each) for each in self._known}
        for proxy in WALLETS:
            if rng.random() < 0.3:
                await world.control.fund(proxy, rng.choice((30, 200)) * MICROS)
        for leader in LEADERS:
            for asset in ASSETS:
                if rng.random() < 0.3:
                    self._held[leader, asset] = rng.randrange(5, 200) * MICROS
        for number, (wallet, follows) in enumerate(_FOLLOWS):
            ratio = rng.random() < 0.6
            identity = f"sub_{number:032x}"
            settings = {
                "on_doubtful_book": _ON_DOUBT[number] if self.doubted else None,
                "leader": _FILTERS[number] if self._choosing else None,
            }
            settings = {name: value for name, value in settings.items() if value is not None}
            await world.control.subscribe(
                id=identity,
                follower_user_id=f"user-{wallet}",
                follower_wallet_id=f"wallet-{wallet}",
                follower_proxy=WALLETS[wallet],
                leader=LEADERS[follows],
                sizing_mode="RATIO" if ratio else "FIXED",
                sizing_micros=rng.choice((100_000, 500_000)) if ratio else 10 * MICROS,
                max_per_trade_micros=rng.choice((None, 20 * MICROS)),
                max_per_market_micros=rng.choice((None, 50 * MICROS, 200 * MICROS)),
                max_slippage_micros=rng.choice((30_000, 200_000)),
                max_age_ms=rng.choice((None, 4000)),
                performance=rules_of(world, number),
                **({"settings": settings} if settings else {}),
                created_at=world.database.now() - timedelta(hours=1),
            )
            self.subscriptions.append(identity)
            if rng.random() < 0.2:
                await self._resyncs.ask(identity, ResyncKind.START)

    def _statistics(self, leader: str) -> bytes:
        trades = 10 if leader in self.recommended else 9
        now_ms = int(self._world.database.now().timestamp() * 1000)
        recent = enrichment_pb.LeaderWindow(days=30, trades=trades)
        return enrichment_pb.LeaderStatistics(
            wallet=leader, version=VERSION, as_of_ms=now_ms, windows=[recent]
        ).SerializeToString()

    @property
    def desired(self) -> frozenset[str]:
        """Return the leaders who may be copied for whoever wants their statistics to be good."""
        return self.recommended & frozenset(self._known)

    async def run(self, steps: int, pause_seconds: float) -> None:
        """So many things, one after the other."""
        for _ in range(steps):
            await self._step()
            if self._world.sells_by_hand and self._hands.random() < 0.15:
                await self._sell_by_hand()
            await asyncio.sleep(2 * self._rng.random() * pause_seconds)

    async def _step(self) -> None:
        draw = self._rng.random()
        for chance, what in self._things():
            if draw < chance:
                await what()
                return
            draw -= chance

    def _things(self) -> tuple[tuple[float, Callable[[], Awaitable[None]]], ...]:
        if self._guarding:
            return (
                (0.25, self.buy),
                (0.30, self._move_book),
                (0.25, self._guard_well),
                (0.10, self.add_trigger),
                (0.10, self._edit_trigger),
            )
        return (
            (0.34, self.buy),
            (0.06, self.burst),
            (0.20, self.sell),
            (0.12, self._move_book),
            (0.10, self.add_trigger),
            (0.09, self._followers.change),
            (0.08, self._resyncs.act),
            (0.01, self._resolve),
        )

    # Leaders.

    async def buy(self) -> None:
        """A leader buys, or two in one transaction."""
        rng = self._rng
        leaders = LEADERS if rng.random() < 0.15 else (rng.choice(LEADERS),)
        asset, tx = rng.choice(ASSETS), self._tx()
        for leader in leaders:
            for _ in range(rng.choice((1, 1, 1, 2, 3))):
                size = rng.randrange(5, 200) * MICROS
                self._notify(self._row(tx, leader, asset, "BUY", size))
                self._held[leader, asset] = self._held.get((leader, asset), 0) + size

    async def burst(self) -> None:
        """A leader buys several times in one moment."""
        rng = self._rng
        leader, size = rng.choice(LEADERS), rng.randrange(5, 100) * MICROS
        for _ in range(rng.choice((2, 3, 5, 8))):
            asset = rng.choice(ASSETS)
            self._notify(self._row(self._tx(), leader, asset, "BUY", size))
            self._held[leader, asset] = self._held.get((leader, asset), 0) + size

    async def sell(self) -> None:
        """A leader sells, or merges, what it holds or a third of it."""
        rng = self._rng
        held = [(key, size) for key, size in self._held.items() if size]
        if not held:
            return
        (leader, asset), size = rng.choice(held)
        if self._in_pieces:
            await self._sell_in_pieces(leader, asset)
            return
        sold = size if rng.random() < 0.4 else max(1, size // MICROS // 3) * MICROS
        row = self._row(self._tx(), leader, asset, "SELL", sold)
        row.held_before_micros = size if rng.random() < 0.8 else None
        if rng.random() < 0.2:
            row.action, row.price_micros = ingest_pb.LEADER_ACTION_MERGE, 0
        self._held[leader, asset] = size - sold
        self._notify(row)

    async def _sell_in_pieces(self, leader: str, asset: str) -> None:
        """A leader sells several times in a second, large parts or small ones of the rest."""
        rng, part = self._pieces, self._pieces.choice((2, 3, 20))
        for _ in range(rng.choice((2, 3, 5))):
            size = self._held[leader, asset]
            sold = size // MICROS // part * MICROS
            if not sold:
                return
            row = self._row(self._tx(), leader, asset, "SELL", sold)
            row.held_before_micros = size
            self._held[leader, asset] = size - sold
            self._notify(row)
            await asyncio.sleep(0.4 * rng.random())

    def _row(self, tx: str, leader: str, asset: str, side: str, size: int) -> _Row:
        return _Row(
            tx, leader, asset, side, self._mids[asset] * 10_000, size, None,
            ingest_pb.LEADER_ACTION_TRADE,
        )  # fmt: skip

    def _tx(self) -> str:
        self._numbers += 1
        return "0x" + hashlib.sha256(f"{self._world.seed}/{self._numbers}".encode()).hexdigest()

    def _notify(self, row: _Row) -> None:
        """Let the router hear of a row: over the feed, by catching up, or both; once or again."""
        world, storm, now_ns = self._world, self._world.storm, self._world.loop.time_ns()
        key = (row.tx, row.leader, row.asset, row.side)
        self.trades[key] = LeaderTrade(
            leader_tx=row.tx, leader=row.leader, asset_id=row.asset, side=row.side,
            traded_ms=now_ns // 10**6,
        )  # fmt: skip
        rows = self.reported.setdefault(key, {})
        rows[row.price_micros, row.size_micros] = (
            rows.get((row.price_micros, row.size_micros), 0) + 1
        )
        if not self._feed.speaks():
            event = self._event(row, now_ns, ingest_pb.TRADE_SOURCE_CATCH_UP)
            self._sent.append(event)
            self._feed.poll(event)
            return
        feed = row.action == ingest_pb.LEADER_ACTION_TRADE
        events = [self._event(row, now_ns, ingest_pb.TRADE_SOURCE_FEED)] if feed else []
        if not feed or self._rng.random() < 0.3:
            events += self._caught_up(row, now_ns)
        for event in events:
            if storm.hits("fact late"):
                world.facts.under_way += 1
                world.far.later(4 * storm.rng.random(), world.facts.come_late, event)
            else:
                world.facts.put(event)
        self._sent += events
        if storm.hits("fact again"):
            world.facts.put(storm.rng.choice(self._sent))

    @classmethod
    def _caught_up(cls, row: _Row, now_ns: int) -> list[ingest_pb.LeaderTradeEvent]:
        """Return what catch-up makes of the Data API's row; nothing of one that it cannot read."""
        found = read_back(
            tx=row.tx, leader=row.leader, asset=row.asset, condition=CONDITION, side=row.side,
            price_micros=row.price_micros, size_micros=row.size_micros,
            traded_ms=now_ns // 10**6, merged=row.action != ingest_pb.LEADER_ACTION_TRADE,
        )  # fmt: skip
        if found is None:
            return []
        read = replace(
            row, tx=found.tx, leader=found.leader, asset=found.asset_id, side=found.side,
            price_micros=found.price_micros, size_micros=found.size_micros,
        )  # fmt: skip
        return [cls._event(read, now_ns, ingest_pb.TRADE_SOURCE_CATCH_UP)]

    @staticmethod
    def _event(
        row: _Row, now_ns: int, source: ingest_pb.TradeSource.ValueType
    ) -> ingest_pb.LeaderTradeEvent:
        return ingest_pb.LeaderTradeEvent(
            leader_tx=row.tx,
            leader=row.leader,
            asset_id=row.asset,
            condition_id=CONDITION,
            side=common.SIDE_BUY if row.side == "BUY" else common.SIDE_SELL,
            price_micros=row.price_micros,
            price_text=to_text(row.price_micros),
            size_micros=row.size_micros,
            count=1,
            source=source,
            traded_ms=now_ns // 10**6,
            received_ns=now_ns,
            leader_held_before_micros=row.held_before_micros,
            action=row.action,
            title="Will it rain?",
        )

    async def _sell_by_hand(self) -> None:
        """A follower sells shares that were copied for him, or that he has bought himself; nobody
        trades in a market that is decided."""
        if self._world.market.payouts:
            return
        proxy, asset = self._hands.choice(WALLETS), self._hands.choice(ASSETS)
        part = self._hands.choice((0.3, 0.7, 1.0))
        sold = self._world.exchange.sell_by_hand(proxy, asset, part)
        if sold:
            self._world.history.add(f"{proxy[:6]} sells {sold} of {asset[:6]} by hand")
            # Before anybody has found out.
            if self._hands.random() < _DECIDED_THEN:
                await self._resolve()

    # Books, triggers, control.

    def _put_book(self, asset: str, depth: int = _DEPTH) -> None:
        mid = self._mids[asset]
        bids: Levels = tuple(((mid - n) * 10_000, depth) for n in (1, 2, 3))
        asks: Levels = tuple(((mid + n) * 10_000, depth) for n in (1, 2, 3))
        self._world.market.put(asset, CONDITION, bids, asks)

    async def _move_book(self) -> None:
        asset = self._rng.choice(ASSETS)
        moved = self._mids[asset] + self._rng.choice((-8, -3, -1, 1, 3, 8))
        self._mids[asset] = min(max(moved, 20), 80)
        self._put_book(asset, self._rng.choice((_DEPTH, 5 * MICROS)))

    async def _resolve(self) -> None:
        """The market is decided; once."""
        market = self._world.market
        if not market.payouts:
            paid = self._rng.choice((0, MICROS, MICROS, MICROS // 2, 333_333))
            market.resolve(dict(zip(ASSETS, (paid, MICROS - paid), strict=True)))
            if self._world.performance is not None:
                self._world.performance.doubts_end()
            self._world.history.add(f"the market resolves, {ASSETS[0]} pays {paid}")

    async def add_trigger(self) -> None:
        """A follower wants a position guarded."""
        rng, market = self._rng, self._world.market
        number = rng.randrange(len(_FOLLOWS))
        asset = rng.choice(ASSETS)
        self._numbers += 1
        if rng.random() < 0.2 and not market.payouts:
            await self._guard_by_hand(asset)
            return
        size = rng.choice((None, 7 * MICROS))
        await self._add_trigger(number, asset, size_micros=size, **self._terms(asset))

    async def _add_trigger(self, number: int, asset: str, **terms: Any) -> None:
        await self._world.control.add_trigger(
            id=f"trg_{self._numbers:032x}",
            follower_proxy=WALLETS[_FOLLOWS[number][0]],
            condition_id=CONDITION,
            asset_id=asset,
            origin=self.subscriptions[number],
            **terms,
        )

    async def _guard_well(self) -> None:
        """A ladder, a stop that may break even, and one that trails the price."""
        number, asset = self._rng.randrange(len(_FOLLOWS)), self._rng.choice(ASSETS)
        for kind in ("LADDER", "STOP_LOSS", "TRAILING_STOP"):
            self._numbers += 1
            await self._add_trigger(number, asset, **self._terms(asset, kind))

    async def _edit_trigger(self) -> None:
        """A follower moves a price."""
        rows = self._world.database.table("trigger").values()
        priced = [row["id"] for row in rows if row["price_micros"] is not None]
        if priced:
            price = self._rng.randrange(30, 70) * 10_000
            await self._world.control.edit_trigger(self._rng.choice(priced), price_micros=price)

    async def _guard_by_hand(self, asset: str) -> None:
        """A follower has bought shares himself, and wants them guarded, too."""
        proxy, bought = self._rng.choice(_BY_HAND), self._rng.randrange(1, 20) * MICROS
        # What he paid is nobody's business here.
        self._world.exchange.wallets.move(proxy, asset, 0, bought)
        await self._world.control.guard_by_hand(
            bought,
            id=f"trg_{self._numbers:032x}",
            follower_proxy=proxy,
            follower_user_id="user-0",
            follower_wallet_id="wallet-0",
            condition_id=CONDITION,
            asset_id=asset,
            origin="manual",
            **self._terms(asset),
        )

    def _terms(self, asset: str, kind: str = "") -> dict[str, Any]:
        """A kind of trigger, any where none is said, and the prices that it goes by."""
        rng = self._rng

        def price(cents: int) -> int:
            return (self._mids[asset] + cents) * 10_000

        near = rng.choice((1, 4, 9))
        kind = kind or rng.choice(_KINDS)
        terms: dict[str, Any] = {"trigger_type": kind}
        if kind == "TIME_STOP":
            terms["fire_at_ms"] = self._world.loop.time_ns() // 10**6 + rng.randrange(8000)
        elif kind == "LADDER":
            steps = ((near - 2, 300_000), (near + 2, 700_000))
            terms["rungs"] = [{"price_micros": price(c), "share_ppm": part} for c, part in steps]
        else:
            terms["price_micros"] = price(-near if kind == "STOP_LOSS" else near - 1)
        if kind == "STOP_LOSS":
            terms["break_even"] = rng.random() < 0.5
        if kind == "TRAILING_STOP":
            terms["callback_micros"] = 30_000
        return terms

    async def calm(self) -> None:
        """Allow everything again, let the books be deep, and leaders' holdings be known."""
        self._resyncs.notify()
        await self._followers.allow_everything()
        self.calmed_at = self._world.database.now()
        self._world.market.doubtful.clear()
        if self._world.performance is not None:
            self._world.performance.doubts_end()
        for asset in ASSETS:
            self._put_book(asset)
