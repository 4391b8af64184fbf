"""Bots, their orders, fills and permits in PostgreSQL.

Each write checks in its own transaction that the wallet is still this engine's.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

from services.bots.core.forced import ELSEWHERE
from services.bots.core.holding import Holding
from services.bots.core.order_moves import Move
from services.bots.core.orders import BotOrder
from services.bots.core.permit import Permit
from services.bots.core.profit import PnlPoint, Position
from services.bots.core.requests import PermitRequest, Written
from services.bots.core.risk import Breach
from services.bots.core.risk.shares import ShareRequest, ShareUpdate
from services.bots.core.strategy import SignalEvent
from services.bots.risk_store import DeniedError, Kill, RiskStore
from services.bots.sets_store import SetsStore
from tradingtools.domain.bot_states import BotState
from tradingtools.domain.instrument import Instrument
from tradingtools.storage.postgres.pool import Pool
from tradingtools.storage.postgres.sql import load_queries
from tradingtools.venues.trading import Fill, FundingPayment, NewOrder

_QUERIES = load_queries(Path(__file__).parent / "queries.sql")
Row = dict[str, Any]
_MILLION = 1_000_000


class LostError(Exception):
    """The wallet is another engine's by now; this one must not write or send for it any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WalletLease:
    """The right to trade for one wallet."""

    wallet_id: str
    epoch: int
    until_ms: int
    """By PostgreSQL's clock, milliseconds since the epoch."""
    clean: bool = False
    """The owner before it left nothing under way at the exchange."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Settings of a bot as a person has made them, in one version."""

    version: int
    config: Mapping[str, Any]
    limits: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class BotRow:
    """A bot as people want it and as it stands."""

    bot_id: str
    strategy: str
    config: Mapping[str, Any]
    instruments: Sequence[str]
    limits: Mapping[str, str]
    desired: str
    version: int
    state: BotState
    flattening: bool
    """A flattening that a former life has not finished."""
    to_settle: bool
    """An operator has settled orders of it that it has not heard of."""
    strategy_state: Any
    """None: it has none yet."""
    equity: Mapping[str, int] | None
    """Result, start of day, peak and day when they were written; None: counted from now."""
    applied: Settings | None = None
    """Settings that its last engine applied; None: no engine has applied any."""

    def as_applied(self) -> BotRow | None:
        """Return it with the settings that it went by before the last change; None: no others."""
        before = self.applied
        if before is None or before.version == self.version:
            return None
        return replace(self, version=before.version, config=before.config, limits=before.limits)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """A position that is not what the fills of a wallet's bots make. Sizes in its units."""

    instrument_id: str
    believed: int
    held: int
    missing: int
    """0: a stranger holds more."""
    explained: bool = False
    """By a person, so that bots open there again."""
    corrected: bool = False
    """The bots' holdings were made smaller by it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BotSnapshot:
    """The part of a bot that is written now and then."""

    bot_id: str
    number: int
    strategy: bytes
    """JSON of the strategy's state."""
    explanation: Mapping[str, str]
    holdings: Mapping[str, Holding]
    equity: Mapping[str, int] | None
    shares: Sequence[ShareUpdate] = ()
    """Of the limits of many bots."""
    result_micros: int | None = None
    """Of USDC; None: not all that it holds has a mark."""
    positions: Mapping[str, Position] = field(default_factory=dict)
    version: int = 0
    """Of what people want, that it goes by."""
    settings: Settings | None = None
    """The rest of that version; None: it is written already."""
    live: bool = False
    """Its orders are real."""


class Store:
    """The tables as one engine reads and writes them.

    Args:
        pool: of the deciding database.
        engine: the engine's name.
        par: currencies that count as one USDC each.
    """

    def __init__(self, pool: Pool, engine: str, par: Sequence[str] = ("USDT", "USD")) -> None:
        self._pool = pool
        self._engine = engine
        self.risk = RiskStore(pool, par)
        """Limits of many bots."""
        self.sets = SetsStore(pool, self._check)
        """Sets of outcomes that are merged or redeemed."""

    async def bots(self, wallet_id: str) -> list[BotRow]:
        """Return the bots of a wallet."""
        return [_bot(row) for row in await self._rows("bots", wallet=wallet_id, bot=None)]

    async def bot(self, bot_id: str) -> BotRow:
        """Return a bot that exists."""
        (row,) = await self._rows("bots", wallet=None, bot=bot_id)
        return _bot(row)

    async def signals(
        self, wallet_id: str, instruments: Sequence[str], age_ms: int
    ) -> list[SignalEvent]:
        """Return the signals for bots of a wallet, the one made first first.

        Args:
            wallet_id: of the bots.
            instruments: that they listen for.
            age_ms: the greatest age.
        """
        rows = await self._rows(
            "signals", wallet=wallet_id, instruments=list(instruments), age=age_ms
        )
        return [
            SignalEvent(
                signal_id=row["id"],
                instrument_id=row["instrument_id"],
                direction=row["direction"],
                confidence=Decimal(row["confidence"]) / _MILLION,
                made_ms=row["made_ms"],
                expires_ms=row["expires_ms"],
            )
            for row in reversed(rows)
        ]

    async def unsettled(self, bots: Sequence[str]) -> list[tuple[str, str, BotOrder]]:
        """Return bot, slot and order of each that may fill, or has fills that are not booked."""
        rows = await self._rows("unsettled", bots=list(bots))
        return [
            (row["bot_id"], row["slot"], msgspec.convert(row["detail"], BotOrder)) for row in rows
        ]

    async def lately(self, bot_id: str) -> list[NewOrder]:
        """Return the orders of a bot of which its venue may still tell something."""
        return [
            msgspec.convert(row["detail"], BotOrder).order
            for row in await self._rows("lately", bot=bot_id)
        ]

    async def instruments(self, wallet_id: str) -> list[Instrument]:
        """Return the instruments in which bots of a wallet have traded, or have orders."""
        rows = await self._rows("instruments", wallet=wallet_id)
        return [msgspec.convert(row["instrument"], Instrument) for row in rows]

    async def orders(self, orders: Sequence[str]) -> dict[str, tuple[str, BotOrder]]:
        """Return slot and order of those that were written, by id."""
        rows = await self._rows("orders", orders=list(orders)) if orders else []
        return {
            row["order_id"]: (row["slot"], msgspec.convert(row["detail"], BotOrder)) for row in rows
        }

    async def traded(self, bot_id: str) -> list[Instrument]:
        """Return the instruments of all orders of a bot, also those that its venue has no more."""
        rows = await self._rows("traded", bot=bot_id)
        return [msgspec.convert(row["instrument"], Instrument) for row in rows]

    async def concerned(self, bot_id: str) -> bool:
        """Return whether anything may still happen to a bot that does not run."""
        return bool((await self._rows("concerned", bot=bot_id))[0]["concerned"])

    async def unread_since(self, bot_id: str, lease: WalletLease) -> int | None:
        """Return since when orders of former owners may be unknown; None: none are."""
        rows = await self._rows("unread_since", bot=bot_id, epoch=lease.epoch)
        since: int | None = rows[0]["since_ms"]
        return since

    async def permits_read(self, bots: Sequence[str], *, before: int) -> None:
        """Note that everything is known of what left under permits of epochs before one."""
        async with self._pool.connection() as connection:
            await connection.execute(
                _QUERIES["permits_read"], {"bots": list(bots), "epoch": before}
            )

    async def fills(self, bot_id: str) -> list[Fill]:
        """Return everything that was booked for a bot, oldest first."""
        return [
            Fill(
                trade_id=row["trade_id"],
                order_id=row["order_id"],
                venue_order_id="",
                instrument_id=row["instrument_id"],
                side=row["side"],
                price=row["price"],
                size=row["size"],
                fee=row["fee"],
                fee_currency=row["fee_currency"],
                maker=row["maker"],
                venue_ms=row["venue_ms"],
                undone=row["undone"],
            )
            for row in await self._rows("fills", bot=bot_id)
        ]

    async def move(
        self,
        lease: WalletLease,
        bot_id: str,
        source: BotState,
        state: BotState,
        reason: str,
        *,
        finished: bool = False,
        flattening: bool = False,
        breaches: Sequence[Breach] = (),
    ) -> bool:
        """Move a bot to a state and tell it; return False when it is elsewhere by now.

        Args:
            lease: of its wallet.
            bot_id: which one.
            source: where it is.
            state: where it goes.
            reason: for a person.
            finished: its strategy has nothing left to do, so nobody wants it to run.
            flattening: what it holds is to be closed.
            breaches: limits that have stopped it.

        Raises:
            LostError: the wallet is another engine's.
        """
        async with self._pool.connection() as connection, connection.transaction():
            await self._check(connection, lease)
            values = {
                "bot": bot_id, "source": source, "state": state, "reason": reason,
                "epoch": lease.epoch, "finished": finished, "flattening": flattening,
            }  # fmt: skip
            if not await self._moved(connection, values):
                return False
            await self.risk.tell_bot(connection, bot_id, breaches)
        return True

    async def take_over(
        self, lease: WalletLease, bot_id: str, source: BotState, state: BotState, reason: str
    ) -> bool:
        """Move a bot to a state over STARTING; return False when it is elsewhere by now.

        Raises:
            LostError: the wallet is another engine's.
        """
        way = ((source, BotState.STARTING, ""), (BotState.STARTING, state, reason))
        async with self._pool.connection() as connection, connection.transaction():
            await self._check(connection, lease)
            for before, after, why in way:
                values = {
                    "bot": bot_id, "source": before, "state": after, "reason": why,
                    "epoch": lease.epoch, "finished": False, "flattening": False,
                }  # fmt: skip
                if not await self._moved(connection, values):
                    return False
        return True

    async def _moved(self, connection: Any, values: Row) -> bool:
        cursor = await connection.execute(_QUERIES["move"], {**values, "engine": self._engine})
        if await cursor.fetchone() is None:
            return False
        told = {"bot": values["bot"], "what": values["state"], "reason": values["reason"]}
        await connection.execute(_QUERIES["tell"], {**told, "actor": self._engine})
        return True

    async def refuse_change(self, lease: WalletLease, bot_id: str, why: str) -> None:
        """Tell that a bot cannot go by what a person has changed. Raises LostError."""
        reported = {"bot": bot_id, "what": "change_refused", "actor": self._engine, "reason": why}
        await self._written(lease, [("tell", reported)])

    async def flattening(self, lease: WalletLease, bot_id: str, *, desired: bool) -> None:
        """Note that what a bot holds is to be closed, or that it is. Raises LostError."""
        await self._written(lease, [("flattening", {"bot": bot_id, "flattening": desired})])

    async def held_before_forced(self, wallet_id: str, fill: Fill) -> dict[str, int]:
        """Return what each bot held when the exchange closed a position; {} if that is booked."""
        return await self._sizes(
            "held_before_forced",
            wallet=wallet_id,
            instrument=fill.instrument_id,
            venue_ms=fill.venue_ms,
            trade=fill.trade_id,
            cause=fill.forced,
        )

    async def held_before_funding(self, wallet_id: str, one: FundingPayment) -> dict[str, int]:
        """Return what each bot held when funding was paid."""
        return await self._sizes(
            "held_before_funding",
            wallet=wallet_id,
            instrument=one.instrument_id,
            venue_ms=one.venue_ms,
        )

    async def _sizes(self, query: str, **values: Any) -> dict[str, int]:
        return {row["bot_id"]: row["size"] for row in await self._rows(query, **values)}

    async def funding_since(self, wallet_id: str) -> int | None:
        """Return since when funding is to be read; None: nothing was traded yet."""
        since: int | None = (await self._rows("funding_since", wallet=wallet_id))[0]["since_ms"]
        return since

    async def funded(
        self, lease: WalletLease, one: FundingPayment, amounts: Mapping[str, int]
    ) -> list[str]:
        """Book each bot's part of a payment; return those of whom it was not booked before.

        Raises:
            LostError: the wallet is another engine's.
        """
        new = []
        async with self._pool.connection() as connection, connection.transaction():
            await self._check(connection, lease)
            for bot_id, amount in amounts.items():
                values = {
                    "bot": bot_id,
                    "venue": one.instrument_id.partition(":")[0],
                    "payment": one.payment_id,
                    "instrument": one.instrument_id,
                    "amount": amount,
                    "venue_ms": one.venue_ms,
                }
                cursor = await connection.execute(_QUERIES["funded"], values)
                if await cursor.fetchone() is not None:
                    new.append(bot_id)
        return new

    async def funding(self, bot_id: str) -> dict[str, int]:
        """Return all funding of a bot, by instrument."""
        rows = await self._rows("funding", bot=bot_id)
        return {row["instrument_id"]: row["amount"] for row in rows}

    async def settlements(self, bot_id: str) -> dict[str, int]:
        """Return the sizes that an operator says orders have filled, by order."""
        rows = await self._rows("settlements", bot=bot_id)
        return {row["order_id"]: row["filled"] for row in rows}

    async def settled(self, lease: WalletLease, orders: Iterable[str]) -> None:
        """Note that an operator's word on orders is booked. Raises LostError."""
        await self._written(lease, [("settled", {"order_id": one}) for one in orders])

    async def gaps(self, wallet_id: str) -> dict[str, Gap]:
        """Return the positions that are not what fills make, by instrument."""
        rows = await self._rows("gaps", wallet=wallet_id)
        return {row["instrument_id"]: Gap(**row) for row in rows}

    async def gap(self, lease: WalletLease, gap: Gap, bots: Iterable[str]) -> None:
        """Note such a position, and tell it of some bots. Raises LostError."""
        reason = f"{gap.instrument_id}: {gap.held} held of {gap.believed} units"
        reported = [
            ("tell", {"bot": one, "what": "position_missing", "actor": self._engine,
                      "reason": reason})
            for one in bots
        ]  # fmt: skip
        await self._written(lease, [("gap", {"wallet": lease.wallet_id, **asdict(gap)}), *reported])

    async def gap_corrected(self, lease: WalletLease, instrument_id: str) -> None:
        """Note that the bots' holdings are made smaller by what is missing. Raises LostError."""
        values = {"wallet": lease.wallet_id, "instrument_id": instrument_id}
        await self._written(lease, [("gap_corrected", values)])

    async def corrections(self, wallet_id: str, instrument_id: str) -> list[tuple[str, Fill]]:
        """Return bots and trades with which holdings have followed the account, unexplained."""
        rows = await self._rows("corrections", wallet=wallet_id, instrument_id=instrument_id)
        more: Row = {"venue_order_id": "", "fee": 0, "maker": True, "forced": ELSEWHERE}
        return [
            (row.pop("bot_id"), Fill(instrument_id=instrument_id, **row, **more)) for row in rows
        ]

    async def gap_closed(self, lease: WalletLease, instrument_id: str) -> None:
        """Note that a position is what fills make again. Raises LostError."""
        values = {"wallet": lease.wallet_id, "instrument_id": instrument_id}
        await self._written(lease, [("gap_closed", values)])

    async def _written(self, lease: WalletLease, statements: Sequence[tuple[str, Row]]) -> None:
        async with self._pool.connection() as connection, connection.transaction():
            await self._check(connection, lease)
            for query, values in statements:
                await connection.execute(_QUERIES[query], values)

    async def permits(
        self, lease: WalletLease, tenant: str, requested: Sequence[PermitRequest]
    ) -> list[int | DeniedError | None]:
        """Make permits durable, all in one transaction, with the shares that they need.

        The shares of a tenant are locked while one is judged, for all engines: a transaction for
        each permit would let two hundred bots wait for seconds after a move of their market.

        Args:
            lease: of the wallet.
            tenant: whose the wallet is.
            requested: permits, each with its share or None.

        Returns:
            For each the share of its side, None where it needed none, or why it is denied: its
            share would pass a limit of many bots, or a kill switch is set.

        Raises:
            LostError: the wallet is another engine's.
        """
        answers: list[int | DeniedError | None] = [None] * len(requested)
        async with self._pool.connection() as connection, connection.transaction():
            killed = await self._check(connection, lease)
            sharing: list[tuple[int, ShareRequest]] = []
            for number, one in enumerate(requested):
                if killed and not one.closes:
                    answers[number] = DeniedError("a kill switch is set")
                elif one.share is not None:
                    sharing.append((number, one.share))
            if sharing:
                desired = [(requested[number].permit.bot_id, share) for number, share in sharing]
                found = await self.risk.take(connection, tenant, lease.wallet_id, desired)
                for (number, _), answer in zip(sharing, found, strict=True):
                    answers[number] = answer
            rows = [
                _permit_row(one.permit)
                for one, answer in zip(requested, answers, strict=True)
                if not isinstance(answer, DeniedError)
            ]
            if rows:
                await connection.cursor().executemany(_QUERIES["permit"], rows)
        return answers

    async def kill_step(self, lease: WalletLease, kill: Kill, **progress: Any) -> None:
        """Write how far a wallet is with a kill switch.

        Raises:
            LostError: the wallet is another engine's.
        """
        async with self._pool.connection() as connection, connection.transaction():
            await self._check(connection, lease)
            values = {"wallet": lease.wallet_id, "engine": self._engine, **progress}
            await self.risk.kill_step(connection, kill, values)

    async def write(
        self,
        lease: WalletLease,
        written: Iterable[tuple[str, Written, Mapping[str, int | None]]],
        standings: Sequence[BotSnapshot],
        points: Iterable[tuple[str, PnlPoint]] = (),
        *,
        again: bool = False,
    ) -> None:
        """Write orders, fills and standings of bots in one transaction.

        Args:
            lease: of their wallet.
            written: bot, what changed of it, and the mark of each instrument.
            standings: of the bots that are due.
            points: bot and what it has made, once a minute.
            again: all of it may be written already, by a transaction that was not answered.

        Raises:
            LostError: the wallet is another engine's.
        """
        orders: list[Row] = []
        fills: list[Row] = []
        corrections: list[Row] = []
        moves: list[Row] = []
        for bot_id, changed, marks in written:
            orders += [_order_row(bot_id, slot, order) for slot, order in changed.orders]
            fills += [_fill_row(bot_id, fill, marks) for fill in changed.fills]
            corrections += [
                {**_fill_row(bot_id, fill, marks), "actor": self._engine}
                for fill in changed.fills
                if fill.forced == ELSEWHERE
            ]
            moves += [_move_row(bot_id, one) for one in changed.moves]
        rows = [_standing_row(lease.epoch, one) for one in standings]
        series = [_point_row(bot_id, one) for bot_id, one in points]
        if not (orders or fills or rows or series):
            return
        async with self._pool.connection() as connection, connection.transaction():
            await self._check(connection, lease)
            for name, values in (
                ("order", orders),
                # Told with the fill, so that it is told once however often that is written.
                ("corrected", corrections),
                ("fill", fills),
                ("order_moved_once" if again else "order_moved", moves),
                ("standing", rows),
                ("pnl", series),
            ):
                if values:
                    await connection.cursor().executemany(_QUERIES[name], values)
            await self.risk.keep(
                connection,
                [(one.bot_id, share) for one in standings for share in one.shares],
                [
                    (one.bot_id, one.result_micros)
                    for one in standings
                    if one.result_micros is not None
                ],
            )

    async def forget_pnl(self, days: int) -> None:
        """Forget what bots had made longer ago than that."""
        async with self._pool.connection() as connection:
            await connection.execute(_QUERIES["forget_pnl"], {"days": days})

    async def _check(self, connection: Any, lease: WalletLease) -> bool:
        """Return whether a kill switch is set for a wallet. Raises LostError."""
        cursor = await connection.execute(
            _QUERIES["holds"],
            {"wallet": lease.wallet_id, "engine": self._engine, "epoch": lease.epoch},
        )
        row = await cursor.fetchone()
        if row is None:
            raise LostError(f"{lease.wallet_id} is another engine's")
        return bool(row["killed"])

    async def _rows(self, query: str, /, **values: Any) -> list[Row]:
        async with self._pool.connection() as connection:
            cursor = await connection.execute(_QUERIES[query], values)
            return await cursor.fetchall()


def _permit_row(given: Permit) -> Row:
    return {
        "bot": given.bot_id,
        "epoch": given.epoch,
        "instrument": given.instrument_id,
        "side": given.side,
        "first": given.first,
        "last": given.last,
        "worst": given.worst_price,
        "size": given.size,
        "expires_ms": given.expires_ms,
    }


def _bot(row: Row) -> BotRow:
    applied = None
    if row["applied_config"] is not None:
        applied = Settings(
            version=row["applied_version"],
            config=row["applied_config"],
            limits=row["applied_limits"],
        )
    return BotRow(
        bot_id=row["id"],
        strategy=row["strategy"],
        config=row["config"],
        instruments=row["instruments"],
        limits=row["limits"],
        desired=row["desired"],
        version=row["version"],
        state=BotState(row["state"]),
        flattening=row["flattening"],
        to_settle=row["to_settle"],
        strategy_state=row["strategy_state"],
        equity=row["equity"],
        applied=applied,
    )


def _order_row(bot_id: str, slot: str, order: BotOrder) -> Row:
    return {
        "order_id": order.order.order_id,
        "bot": bot_id,
        "epoch": order.epoch,
        "slot": slot,
        "instrument": order.order.instrument.id,
        "side": order.order.side,
        "price": order.price,
        "size": order.size,
        "filled": order.filled,
        "state": order.state,
        "pending": order.pending,
        "venue_order_id": order.venue_order_id,
        "settled": order.settled,
        "detail": msgspec.json.encode(order).decode(),
    }


def _move_row(bot_id: str, one: Move) -> Row:
    order, instrument = one.order, one.order.order.instrument
    return {
        "order_id": order.order.order_id,
        "bot": bot_id,
        "slot": one.slot,
        "instrument": instrument.id,
        "side": order.order.side,
        "source": one.source,
        "target": order.state,
        "code": one.code,
        "price": instrument.price_text(order.price),
        "size": instrument.size_text(order.size),
        "filled": instrument.size_text(order.filled),
    }


def _fill_row(bot_id: str, fill: Fill, marks: Mapping[str, int | None]) -> Row:
    return {
        "venue": fill.instrument_id.partition(":")[0],
        "trade": fill.trade_id,
        "order_id": fill.order_id,
        "undone": fill.undone,
        "bot": bot_id,
        "instrument": fill.instrument_id,
        "side": fill.side,
        "price": fill.price,
        "size": fill.size,
        "fee": fill.fee,
        "fee_currency": fill.fee_currency,
        "maker": fill.maker,
        "mid": marks.get(fill.instrument_id),
        "venue_ms": fill.venue_ms,
    }


def _point_row(bot_id: str, one: PnlPoint) -> Row:
    return {"bot": bot_id, **asdict(one), "sources": json.dumps(dict(one.sources))}


def _standing_row(epoch: int, one: BotSnapshot) -> Row:
    by = one.settings
    return {
        "bot": one.bot_id,
        "epoch": epoch,
        "number": one.number,
        "strategy": one.strategy.decode(),
        "explanation": json.dumps(dict(one.explanation)),
        "holdings": json.dumps({key: asdict(held) for key, held in one.holdings.items()}),
        "equity": None if one.equity is None else json.dumps(dict(one.equity)),
        "positions": json.dumps({key: asdict(held) for key, held in one.positions.items()}),
        "version": one.version,
        "config": None if by is None else json.dumps(dict(by.config)),
        "limits": None if by is None else json.dumps(dict(by.limits)),
        "live": one.live,
    }
