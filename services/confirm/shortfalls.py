"""Finds out whether wallets hold less than their lots say: shares that were sold by hand.

Before it: `balances`, which asks for each wallet now and then, and refusals of exits for want of
balance, for which it asks at once. After it: `corrections`. A shortfall counts when two answers,
seconds apart, show it, nothing of the asset was under way around either, nothing was booked of it
in between or shortly before, and its lots are as they were. A crash forgets the first answer, and
both are asked for again.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import psycopg
import structlog

from services.confirm import corrections, store
from services.confirm.core.lot_shrinking import Lot, lot
from services.confirm.corrections import Held, Proof, Write
from services.confirm.venue_gateway import body_of
from tradingtools import clock
from tradingtools.domain.reasons import Reason
from tradingtools.runtime import instruments
from tradingtools.storage.postgres.lease import Fenced, Lease
from tradingtools.storage.postgres.pool import Pool
from tradingtools.v1 import common_pb2 as common
from tradingtools.v1 import confirm_service_pb2 as pb
from tradingtools.venues.insiders.order_gateway import InsidersClient, NotSent, Unanswered
from tradingtools.venues.insiders.schemas import WireError
from tradingtools.venues.insiders.wallets import Position, parse_positions

_log = structlog.get_logger("confirm.shortfalls")
_refused = instruments.counter(
    "tradingtools.confirm",
    "exits_without_balance_total",
    "exits that were refused for want of balance",
)
_PAUSE_SECONDS = 0.25
_AGAIN_SECONDS = 2.0
"""After a question without an answer."""
_MOVES = (pb.FILL_KIND_MATCHED, pb.FILL_KIND_CONFIRMED, pb.FILL_KIND_UNDONE, pb.FILL_KIND_RESOLVED)

Key = tuple[str, str]
"""Wallet and asset."""
LotKey = tuple[str, str]
"""Asset and origin."""


@dataclass(frozen=True, slots=True)
class AtRest:
    """The shares that a wallet's lots hold of assets with nothing under way, before a question."""

    proxy: str
    polled_at: float
    """Monotonic seconds."""
    lots: Mapping[str, Held]
    """By asset."""
    vouched: Collection[LotKey] = ()
    """Lots of which an operator has said what they hold, and that nothing has moved since."""


@dataclass(frozen=True, slots=True)
class _FirstObservation:
    """The first answer of a shortfall."""

    polled_at: float
    lots: Held
    held_micros: int


class Shortfalls:
    """Compares lots with what insiders-api tells.

    Args:
        pool: of the deciding database.
        lease: the right to book.
        write: books one thing at a time and publishes it.
        client: of insiders-api.
        timeout_ms: of one question.
        apart_ms: the shortest time between two answers, and between a booking and the first one;
            0: nothing is ever concluded.
    """

    def __init__(
        self,
        pool: Pool,
        lease: Lease,
        write: Write,
        client: InsidersClient,
        *,
        timeout_ms: int,
        apart_ms: int,
    ) -> None:
        self._pool = pool
        self._lease = lease
        self._write = write
        self._client = client
        self._timeout_ms = timeout_ms
        self._apart = apart_ms / 1000
        self._started = clock.monotonic()
        self._moved: dict[Key, float] = {}
        """When the last booking was made that moves shares; before the start nobody knows."""
        self._seen: dict[Key, _FirstObservation] = {}
        self._due: dict[str, float] = {}
        """By wallet, when it is checked again."""
        self._looked: dict[str, float] = {}
        """By wallet, when it was asked for last."""

    def booked(self, fill: pb.FillEvent) -> None:
        """Take notice of a booking that is published: an exit without balance is looked into."""
        now = clock.monotonic()
        if fill.kind in _MOVES:
            self._moved[fill.follower_proxy, fill.asset_id] = now
        elif (
            fill.kind == pb.FILL_KIND_CLOSED
            and fill.side == common.SIDE_SELL
            and fill.reason == Reason.INSUFFICIENT_BALANCE
        ):
            _refused.add(1)
            _log.error("an exit was refused for want of balance; looking what the wallet holds",
                       alert=True, order=fill.order_key, wallet=fill.follower_proxy,
                       asset=fill.asset_id, size=fill.order_size_micros)  # fmt: skip
            self._due[fill.follower_proxy] = now

    async def run(self) -> None:
        """Ask for wallets that are due, for ever.

        Raises:
            Fenced: somebody else books now.
        """
        while True:
            await asyncio.sleep(_PAUSE_SECONDS)
            try:
                await self.poll_due()
            except psycopg.OperationalError as error:
                _log.warning("shortfalls wait", error=str(error))

    async def poll_due(self) -> None:
        """Ask for each wallet that is due now."""
        now = clock.monotonic()
        horizon = now - self._apart
        self._moved = {key: at for key, at in self._moved.items() if at > horizon}
        for proxy in [proxy for proxy, due in self._due.items() if due <= now]:
            # Before it is asked: what becomes due meanwhile is a question of its own.
            self._due.pop(proxy, None)
            await self.poll(proxy)

    async def poll_occasionally(self, proxy: str, every_seconds: float) -> None:
        """Look, unless that was done lately."""
        if clock.monotonic() - self._looked.get(proxy, -every_seconds) >= every_seconds:
            await self.poll(proxy)

    async def poll(self, proxy: str) -> None:
        """Ask what a wallet holds, and compare."""
        self._looked[proxy] = clock.monotonic()
        at_rest = await self.at_rest(proxy)
        if not at_rest.lots:
            await self.observe(at_rest, ())
            return
        await self._fetch(at_rest)

    async def covered(self, proxy: str, condition_id: str) -> Mapping[LotKey, int] | None:
        """Ask whether a wallet holds all that its lots say of a resolved market; what is missing
        shrinks them, once it is proved. A lot for which an operator vouches is believed.

        Args:
            proxy: the wallet.
            condition_id: the market.

        Returns:
            What the lots hold, by asset and origin, micros; None: less is there, or nobody knows
            yet.
        """
        at_rest = await self.at_rest(proxy)
        lots = {
            asset: held
            for asset, held in at_rest.lots.items()
            if held[0].condition_id == condition_id
        }
        there = await self._fetch(at_rest) if lots else None
        if there is None:
            return None
        for asset, held in lots.items():
            unvouched = (h for h in held if (asset, h.origin) not in at_rest.vouched)
            if sum(lot.shares_micros for lot in unvouched) > max(there.get(asset, 0), 0):
                return None
        return {(a, lot.origin): lot.shares_micros for a, held in lots.items() for lot in held}

    async def _fetch(self, at_rest: AtRest) -> Mapping[str, int] | None:
        """Ask what a wallet holds, compare, and return it by asset, micros; None: no answer."""
        proxy = at_rest.proxy
        try:
            answer = await self._client.positions(proxy, self._timeout_ms)
            positions = parse_positions(body_of(answer), proxy)
        except (NotSent, Unanswered, WireError) as error:
            _log.warning("the wallet's holdings are not known", wallet=proxy, error=str(error))
            self._due.setdefault(proxy, clock.monotonic() + _AGAIN_SECONDS)
            return None
        await self.observe(at_rest, positions)
        return {one.asset_id: one.shares_micros for one in positions}

    async def at_rest(self, proxy: str) -> AtRest:
        """Return what may be compared with an answer to a question that is asked after this."""
        polled_at = clock.monotonic()
        lots: defaultdict[str, list[Lot]] = defaultdict(list)
        rows = await store.fetch(self._pool, "lots_at_rest", follower_proxy=proxy)
        for row in rows:
            lots[row["asset_id"]].append(lot(row))
        vouched = {(row["asset_id"], row["origin"]) for row in rows if row["vouched"]}
        held = {asset: tuple(found) for asset, found in lots.items()}
        return AtRest(proxy, polled_at, held, vouched)

    async def observe(self, at_rest: AtRest, positions: Sequence[Position]) -> None:
        """Compare an answer with the lots of before its question.

        Raises:
            Fenced: somebody else books now.
            psycopg.OperationalError: the database went away; it is checked again.
        """
        proxy = at_rest.proxy
        there = {one.asset_id: max(one.shares_micros, 0) for one in positions}
        for key in [key for key in self._seen if key[0] == proxy and key[1] not in at_rest.lots]:
            del self._seen[key]
        for asset, lots in at_rest.lots.items() if self._apart else ():
            held = there.get(asset, 0)
            if held >= sum(lot.shares_micros for lot in lots):
                self._seen.pop((proxy, asset), None)
            else:
                await self._missing((proxy, asset), at_rest.polled_at, lots, held)

    async def _missing(self, key: Key, polled_at: float, lots: Held, held_micros: int) -> None:
        first = self._seen.get(key)
        if first is None or first.lots != lots or self._moved_since(key, first.polled_at):
            self._seen.pop(key, None)
            begin = max(self._moved.get(key, self._started), self._started) + self._apart
            if polled_at >= begin:
                self._seen[key] = first = _FirstObservation(polled_at, lots, held_micros)
                begin = polled_at + self._apart
            self._check_at(key[0], begin)
        elif polled_at < first.polled_at + self._apart:
            self._check_at(key[0], first.polled_at + self._apart)
        else:
            del self._seen[key]
            most = max(first.held_micros, held_micros)
            proof = Proof(proxy=key[0], asset_id=key[1], lots=lots, held_micros=most)
            await self._shrink(proof, first.polled_at)

    def _moved_since(self, key: Key, polled_at: float) -> bool:
        return self._moved.get(key, -1.0) > polled_at - self._apart

    def _check_at(self, proxy: str, at: float) -> None:
        self._due[proxy] = min(at, self._due.get(proxy, at))

    async def _shrink(self, proof: Proof, first: float) -> None:
        async def unless_moved() -> bool:
            # In its turn to book: whatever was booked before it has been published.
            if self._moved_since((proof.proxy, proof.asset_id), first):
                return False
            return await corrections.shrink(self._pool, self._lease, proof)

        try:
            done = await self._write(unless_moved)
        except (Fenced, psycopg.OperationalError):
            raise
        except Exception as error:  # noqa: BLE001 - one wallet's lots must not hold up the others
            _log.error("lots cannot be corrected; a person has to look", alert=True,
                       wallet=proof.proxy, asset=proof.asset_id, exc_info=error)  # fmt: skip
            return
        if not done:
            self._check_at(proof.proxy, clock.monotonic() + self._apart)
