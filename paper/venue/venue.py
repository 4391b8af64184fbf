"""One step of the replay, applied: kept first, then the world moves, then everyone is told.

`restore` folds the kept steps through the same functions without telling anyone, so a process
that was killed finds the world as it left it. Before: `player`, `control`. After: `rtds`, `clob`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from paper.venue.clob import Clob
from paper.venue.core import moves as moving
from paper.venue.core import rng
from paper.venue.core.firehose import counterpart
from paper.venue.core.ledger import PlayedRow
from paper.venue.core.markets import Market, fee_micros
from paper.venue.core.moves import Move, MoveBody
from paper.venue.core.positions import Holder, Holding
from paper.venue.core.schedule import LISTED_WITHIN_MS, Delivery, delivery, salted
from paper.venue.core.trade import Trade, TradeBody, from_body
from paper.venue.live_books import LiveBooks
from paper.venue.rtds import Rtds
from paper.venue.store import Injected, MovementRow, Resolved, RowPlayed, Started, Store
from paper.venue.tape import TapeRow


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """Share of leader rows, in permille, that come late or on one socket only."""

    late_permille: int
    lone_permille: int


@dataclass(frozen=True, slots=True)
class Position:
    """Where the replay stands: the lap and the rows of it that were played."""

    lap: int
    rows: frozenset[int]
    started: bool


class Venue:
    """The world and those who watch it."""

    def __init__(
        self,
        *,
        tape: Sequence[TapeRow],
        start: Mapping[Holder, Holding],
        faults: Faults,
        live_books: LiveBooks,
        store: Store,
        rtds: Rtds,
        clob: Clob,
    ) -> None:
        self.tape = tape
        self.start = start
        self.live_books = live_books
        self.rtds = rtds
        self.clob = clob
        self.played: list[PlayedRow] = []
        self.moves: list[Move] = []
        self._faults = faults
        self._store = store
        self._rows = 0
        self._transactions: set[str] = set()
        self._repeats = not store.run.salt

    @property
    def rows(self) -> int:
        """Leader rows played, repeated laps and injections included."""
        return self._rows

    @property
    def transactions(self) -> int:
        """Different leader transactions played."""
        return len(self._transactions)

    def under_way(self, wall_ms: int) -> int:
        """Return what was played and has not arrived: frames to come, rows that no listing has
        yet."""
        unlisted = 0
        for played in reversed(self.played):
            if wall_ms - played.wall_ms > LISTED_WITHIN_MS:
                break
            unlisted += played.visible_ms > wall_ms
        return self.rtds.under_way + unlisted

    def restore(self) -> Position:
        """Fold what the store kept; where to go on."""
        lap, rows, started = 0, set[int](), False
        for record in self._store.records:
            match record:
                case Started():
                    started = True
                case RowPlayed():
                    if record.lap > lap:
                        lap, rows = record.lap, set()
                    rows.add(record.row)
                    trade = self._recorded(record)
                    self.live_books.move(trade, record.row, record.wall_ms)
                    self._note_row(record, trade)
                case Injected():
                    self.live_books.move(from_body(record.body), None, record.wall_ms)
                    self._note_injected(record)
                case MovementRow():
                    self._note_move(record)
                case Resolved():
                    self.live_books.resolve(record.condition, record.payouts)
        return Position(lap, frozenset(rows), started)

    def begin(self, wall_ms: int) -> None:
        """Keep that the replay has started."""
        self._store.append(Started(wall_ms))

    def move(self, row: int, wall_ms: int) -> None:
        """Bring a book to where the row's trade will be plausible. Needs no keeping."""
        trade = self.tape[row].trade
        self.live_books.move(trade, row, wall_ms)
        self.clob.refresh(self.live_books.market_of(trade))

    def play(self, lap: int, row: int, wall_ms: int) -> None:
        """Play a row of the tape."""
        record = RowPlayed(lap, row, wall_ms)
        self._store.append(record)
        played, fate = self._note_row(record, self._recorded(record))
        self._notify(played, fate, _name(record))

    def inject(self, body: TradeBody, wall_ms: int) -> Trade:
        """Play a row that the tape does not have. Raises ValueError naming the field."""
        trade = from_body(body)
        market = self.live_books.market_of(trade)
        if market.condition in self.live_books.resolved:
            raise ValueError("conditionId: the market is resolved")
        record = Injected(body, wall_ms)
        self._store.append(record)
        self.live_books.move(trade, None, wall_ms)
        self.clob.refresh(market)
        played = self._note_injected(record)
        self._notify(played, _PROMPT, f"injected {played.seq}")
        return trade

    def move_shares(self, body: MoveBody, wall_ms: int) -> Move:
        """Move a leader's shares without a trade. Raises ValueError naming the field."""
        record = MovementRow(body, wall_ms)
        move = self._move_of(record)
        self._store.append(record)
        self.moves.append(move)
        return move

    def resolve(self, market: Market, payouts: tuple[int, int], wall_ms: int) -> None:
        """Resolve a market once and for all; a second time changes nothing."""
        if market.condition in self.live_books.resolved:
            return
        self._store.append(Resolved(market.condition, payouts, wall_ms))
        self.clob.resolved(market, payouts, wall_ms)
        self.live_books.resolve(market.condition, payouts)
        self.clob.refresh(market)

    def _recorded(self, record: RowPlayed) -> Trade:
        row = self.tape[record.row].trade
        return replace(row, tx=salted(row.tx, self._store.run.salt, record.lap))

    def _note_row(self, record: RowPlayed, trade: Trade) -> tuple[PlayedRow, Delivery]:
        fate = delivery(
            _name(record),
            self._store.run.seed,
            late_permille=self._faults.late_permille,
            lone_permille=self._faults.lone_permille,
        )
        timestamp_s = (record.wall_ms - self.tape[record.row].lag_ms) // 1000
        return self._note(trade, record.wall_ms, timestamp_s, fate, record.lap), fate

    def _note_move(self, record: MovementRow) -> None:
        self.moves.append(self._move_of(record))

    def _move_of(self, record: MovementRow) -> Move:
        market = self.live_books.catalogue.by_condition.get(record.body.conditionId.lower())
        if market is None:
            raise ValueError("conditionId: unknown")
        return moving.from_body(
            record.body,
            market,
            number=len(self.moves),
            wall_ms=record.wall_ms,
            lag_ms=_PROMPT.indexed_ms,
        )

    def _note_injected(self, record: Injected) -> PlayedRow:
        timestamp_s = record.body.timestamp or record.wall_ms // 1000
        lap = self.played[-1].lap if self.played else 0
        return self._note(from_body(record.body), record.wall_ms, timestamp_s, _PROMPT, lap)

    def _note(
        self, trade: Trade, wall_ms: int, timestamp_s: int, fate: Delivery, lap: int
    ) -> PlayedRow:
        market = self.live_books.market_of(trade)
        charged = fate.taker and fate.fee and market.fee_bps > 0
        played = PlayedRow(
            seq=self._rows,
            lap=lap,
            trade=trade,
            market=market,
            wall_ms=wall_ms,
            timestamp_s=timestamp_s,
            visible_ms=wall_ms + fate.indexed_ms,
            taker=fate.taker,
            fee=fee_micros(market, trade.price, trade.size) if charged else None,
        )
        self._rows += 1
        self._transactions.add(trade.tx)
        if not (self._repeats and lap):  # a repeated lap repeats frames; nothing was traded anew
            self.played.append(played)
        self.live_books.traded(trade)
        return played

    def _notify(self, played: PlayedRow, fate: Delivery, name: str) -> None:
        self.clob.traded(played.trade, played.market, played.wall_ms)
        self.rtds.publish(played, name, fate.late_ms, fate.single)
        base = rng.key(self._store.run.seed, "counterpart", name)
        for place in range(fate.counterparts):
            size = played.trade.size // fate.counterparts
            other = counterpart(
                played.market, played.trade, size, rng.mix(base, place), self._store.run.seed
            )
            if size:
                self.rtds.mingle(other, played.market, None, maker=True)


_PROMPT = Delivery(taker=True, fee=True, single=False, late_ms=0, counterparts=0, indexed_ms=500)


def _name(record: RowPlayed) -> str:
    return f"{record.lap}:{record.row}"
