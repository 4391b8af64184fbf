"""Put frames of the CLOB market channel into the hub.

Before it: `sockets`, whose connection a frame came over; after it: `hub`, which tells the readers.
A change is taken only from the connection that owns its asset: two connections may both speak of a
market, and their words may overtake each other.
"""

from __future__ import annotations

from collections.abc import Collection
from itertools import groupby

import structlog

from services.bookfeed import metrics
from services.bookfeed.core.snapshot_audit import LevelChange
from services.bookfeed.fetcher import Fetcher
from services.bookfeed.hub import Hub
from tradingtools import clock
from tradingtools.domain.money import MICROS
from tradingtools.v1 import bookfeed_service_pb2 as pb
from tradingtools.venues.polymarket.market_channel import (
    BookMessage,
    ChangeMessage,
    Message,
    MessageError,
    ResolvedMessage,
    TickMessage,
    UnknownKind,
    decode_message,
    split,
)
from tradingtools.venues.polymarket.unreadable import Answers

_CHANNEL = "market channel"
_log = structlog.get_logger("bookfeed")


class Frames:
    """Applies what connections say to the hub's books and markets."""

    def __init__(self, hub: Hub, fetcher: Fetcher, answers: Answers | None = None) -> None:
        self._hub = hub
        self._fetcher = fetcher
        self._answers = Answers() if answers is None else answers

    def take(self, own: Collection[str], frame: bytes) -> bool:
        """Take what one connection said; whether it reported a book of its own.

        Args:
            own: the assets that this connection owns; what it says of others is left aside.
            frame: as it came.
        """
        received_ns = clock.now_ns()
        try:
            messages = decode_message(frame)
        except MessageError:
            messages = self._readable(own, frame)
        else:
            self._answers.frame(_CHANNEL, read=True)
        changed = [self._apply(own, message, received_ns) for message in messages]
        return any(changed)

    def _readable(self, own: Collection[str], frame: bytes) -> list[Message]:
        """Return what can be read of a frame: the first books of all assets come in one."""
        found: list[Message] = []
        for piece in split(frame):
            try:
                found += decode_message(piece)
            except UnknownKind:
                # Kinds that were added never changed a book; looks find what they would change.
                metrics.MESSAGES.add(1, {"kind": "unknown"})
            except MessageError as error:
                self._refuse(own, piece, error)
        return found

    def _refuse(self, own: Collection[str], frame: bytes, error: MessageError) -> None:
        metrics.REJECTS.add(1)
        self._answers.frame(_CHANNEL, read=False, why=str(error))
        _log.warning("frame refused", error=str(error)[:200], bytes=len(frame))
        # It may have been a change, so whatever it names is in doubt until REST has been queried.
        for asset_id in own:
            if asset_id.encode() in frame and asset_id in self._hub.tracked:
                self._hub.tracked[asset_id].refused()

    def _apply(self, own: Collection[str], message: Message, received_ns: int) -> bool:
        metrics.MESSAGES.add(1, {"kind": type(message).__name__})
        if isinstance(message, ChangeMessage):
            return self._changes(own, message, received_ns)
        if isinstance(message, BookMessage):
            return self._book(own, message, received_ns)
        if isinstance(message, TickMessage):
            self._update(message.asset_id, tick_micros=message.tick_micros)
        else:
            self._resolved(message)
        return False

    def _changes(self, own: Collection[str], message: ChangeMessage, received_ns: int) -> bool:
        applied = False
        ordered = sorted(message.changes, key=lambda change: change.asset_id)
        for asset_id, changes in groupby(ordered, key=lambda change: change.asset_id):
            tracked = self._hub.tracked.get(asset_id)
            if tracked is None or asset_id not in own:
                continue
            of_asset = list(changes)
            tracked.changes(
                [
                    LevelChange(c.is_bid, c.price_micros, c.size_micros, c.best_bid, c.best_ask)
                    for c in of_asset
                ],
                message.book_ms,
                received_ns,
                of_asset[-1].book_hash,
            )
            self._hub.changed(asset_id)
            applied = True
        return applied

    def _book(self, own: Collection[str], message: BookMessage, received_ns: int) -> bool:
        asset_id = message.asset_id
        tracked = self._hub.tracked.get(asset_id)
        if tracked is None or asset_id not in own:
            return False
        tracked.snapshot(
            message.bids, message.asks, message.book_ms, received_ns, message.book_hash
        )
        if message.tick_micros is not None:
            self._update(asset_id, tick_micros=message.tick_micros)
        self._hub.changed(asset_id)
        return True

    def _resolved(self, message: ResolvedMessage) -> None:
        named = {*message.asset_ids, *self._hub.markets_of(message.condition_id)}
        for asset_id in named:
            if message.winner is None:
                # Nobody won alone: Gamma says what each share pays.
                self._update(asset_id, closed=True)
                self._fetcher.refresh_soon(asset_id)
            else:
                payout = MICROS if asset_id == message.winner else 0
                self._update(asset_id, closed=True, payout_micros=payout)

    def _update(self, asset_id: str, **changes: int | bool) -> None:
        market = self._hub.market(asset_id)
        if market is None:
            return  # the fetch that is under way brings it
        updated = pb.MarketInfo()
        updated.CopyFrom(market)
        for name, value in changes.items():
            setattr(updated, name, value)
        self._hub.set_market(asset_id, updated)
