"""Reads of the router in PostgreSQL, and its claims.

Entries are claimed as one journal record; exits in a transaction that locks their lots first.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Iterable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from psycopg.rows import DictRow

from services.router.core.decision_fields import SPARSE
from services.router.core.records import Awaited, Copy, ExitProgress, LotView, StaleEntry
from services.router.core.router_state import JUDGED_AGAIN
from services.router.core.subscription_index import SubscriptionIndex
from tradingtools.domain.copy_settings import from_json
from tradingtools.domain.halts import Halt, halts_of
from tradingtools.domain.leader_trade import LeaderRow, LeaderTrade, Side, Source, TradeKey, merge
from tradingtools.domain.order import Follower
from tradingtools.domain.performance import UNSCALED_MICROS
from tradingtools.domain.reasons import Reason
from tradingtools.domain.subscription import SizingMode, Subscription, SubscriptionState
from tradingtools.storage.postgres.direct import Connection
from tradingtools.storage.postgres.pool import Pool
from tradingtools.storage.postgres.sql import load_queries

_QUERIES = load_queries(Path(__file__).parent / "queries.sql")
RECENT_SECONDS = 3600


async def fetch(pool: Pool, name: str, **values: Any) -> list[DictRow]:
    """Return all rows of one named query."""
    async with pool.connection() as connection:
        cursor = await connection.execute(_QUERIES[name], values)
        return await cursor.fetchall()


async def changed_subscriptions(pool: Pool, after: int) -> tuple[int, list[Subscription]]:
    """Return subscriptions changed after a control number, and the number they reflect.

    The number is read first: what comes back is at least as new as it says.
    """
    seq = (await fetch(pool, "control_seq"))[0]["seq"]
    rows = await fetch(pool, "subscriptions_changed", after=after)
    return seq, [_subscription(row) for row in rows]


async def changed_fundings(pool: Pool, after: int) -> dict[str, int]:
    """Return budgets that changed after a control number, USDC micros by wallet."""
    rows = await fetch(pool, "fundings_changed", after=after)
    return {row["follower_proxy"]: row["funded_micros"] for row in rows}


async def halts(pool: Pool) -> frozenset[Halt]:
    """Return the halts: what may send nothing at all."""
    return halts_of(await fetch(pool, "halts"))


def _subscription(row: Mapping[str, Any]) -> Subscription:
    return Subscription(
        id=row["id"],
        follower=Follower(
            user_id=row["follower_user_id"],
            wallet_id=row["follower_wallet_id"],
            proxy=row["follower_proxy"],
        ),
        leader=row["leader"],
        state=SubscriptionState(row["state"]),
        version=row["version"],
        sizing_mode=SizingMode(row["sizing_mode"]),
        sizing_micros=row["sizing_micros"],
        max_per_trade_micros=row["max_per_trade_micros"],
        max_per_market_micros=row["max_per_market_micros"],
        max_slippage_micros=row["max_slippage_micros"],
        max_age_ms=row["max_age_ms"],
        # What was frozen before there were such settings has none.
        settings=from_json(row.get("settings", {})),
        scale_micros=row.get("scale_micros", UNSCALED_MICROS),
        created_ms=row["created_ms"],
    )


async def trades_of(
    pool: Pool, partition: int, keys: Collection[TradeKey]
) -> dict[TradeKey, LeaderTrade]:
    """Return these leader trades as far as a partition has judged them."""
    trades: dict[TradeKey, LeaderTrade] = {}
    for row in await fetch(pool, "rows_of", partition=partition, **_columns(keys)):
        key = trade_key(row)
        fact = LeaderRow(
            key=key,
            condition_id=row["condition_id"],
            price_text=row["price_text"],
            price_micros=row["price_micros"],
            size_micros=row["size_micros"],
            count=row["count"],
            source=Source(row["source"]),
            traded_ms=row["traded_ms"],
            received_ns=row["seen_ns"],
            held_before_micros=row["held_before_micros"],
        )
        merged = merge(trades.get(key), fact)
        if merged is not None:
            trades[key] = merged
    return trades


def trade_key(row: Mapping[str, Any]) -> TradeKey:
    """Return the leader trade that a row is about."""
    return TradeKey(
        leader_tx=row["leader_tx"],
        leader=row["leader"],
        asset_id=row["asset_id"],
        side=Side(row["side"]),
    )


def _columns(keys: Collection[TradeKey]) -> dict[str, list[str]]:
    return {
        "txs": [key.leader_tx for key in keys],
        "leaders": [key.leader for key in keys],
        "assets": [key.asset_id for key in keys],
        "sides": [key.side.value for key in keys],
    }


Copies = dict[TradeKey, dict[str, Copy]]
"""What was decided, by leader trade and subscription."""


async def recent_copies(pool: Pool, index: SubscriptionIndex) -> Copies:
    """Return copies that were decided lately or are not done."""
    values = {"seconds": RECENT_SECONDS, "again": sorted(JUDGED_AGAIN)}
    return _copies(await fetch(pool, "recent_decisions", **values), index)


async def copies_of(pool: Pool, keys: Collection[TradeKey], index: SubscriptionIndex) -> Copies:
    """Return the copies of these trades."""
    return _copies(await fetch(pool, "decisions_of", **_columns(keys)), index)


def _copies(rows: Iterable[Mapping[str, Any]], index: SubscriptionIndex) -> Copies:
    copies: Copies = {}
    for row in rows:
        now = index.subscription(row["subscription_id"])
        if now is not None:
            copies.setdefault(trade_key(row), {})[row["subscription_id"]] = _copy(row, now)
    return copies


def _copy(row: Mapping[str, Any], now: Subscription) -> Copy:
    saved = row["frozen"]
    frozen = _subscription({**saved, **_identity(now)})
    return Copy(
        frozen=frozen,
        copied=row["copied"] or saved.get("paper_size_micros", 0) != 0,
        reason=Reason(row["reason"]),
        detail=row["detail"],
        ordered_size_micros=row["ordered_size_micros"],
        ordered_money_micros=saved["ordered_money_micros"],
        owned_micros=saved["owned_micros"],
        judged_notional_micros=saved["judged_notional_micros"],
        judged_size_micros=saved["judged_size_micros"],
        order_keys=tuple(row["order_keys"]),
        awaited=tuple(Awaited(**entry) for entry in saved.get("awaited", ())),
        stale_keys=tuple(saved.get("withdrawn", ())),
        **{name: saved[name] for name in SPARSE if name in saved},
    )


def _identity(now: Subscription) -> dict[str, Any]:
    return {
        "id": now.id,
        "follower_user_id": now.follower.user_id,
        "follower_wallet_id": now.follower.wallet_id,
        "follower_proxy": now.follower.proxy,
        "leader": now.leader,
        "created_ms": now.created_ms,
    }


async def stale_entry(pool: Pool, order_key: str) -> StaleEntry | None:
    """Return the entry that failed with SUBSCRIPTION_CHANGED by its key; None: there is none."""
    for row in await fetch(pool, "stale_entry", order_key=order_key):
        return _stale_entry(row)
    return None


async def recent_stale_entries(pool: Pool, partition: int) -> list[StaleEntry]:
    """Return stale entries that were claimed lately, decided again or not."""
    values = {"partition": partition, "seconds": RECENT_SECONDS}
    return [_stale_entry(row) for row in await fetch(pool, "recent_stale_entries", **values)]


def _stale_entry(row: Mapping[str, Any]) -> StaleEntry:
    return StaleEntry(
        key=trade_key(row),
        subscription_id=row["subscription_id"],
        order_key=row["order_key"],
        size_micros=row["size_micros"],
        money_micros=row["money_micros"],
    )


@asynccontextmanager
async def exiting(pool: Pool) -> AsyncIterator[Connection]:
    """Open the transaction of an exit: it locks lots until its record is committed."""
    async with pool.connection() as connection, connection.transaction():
        yield connection


async def leader_left(connection: Connection, partition: int, keys: list[str]) -> list[str]:
    """Fail entries that are still CLAIMED; returns which, and that they were never sent is final.

    Until the transaction ends, no other order of the partition becomes SUBMITTING.
    """
    if not keys:
        return []
    desired = {"partition": partition, "keys": keys}
    cursor = await connection.execute(_QUERIES["leader_left"], desired)
    return sorted(row["order_key"] for row in await cursor.fetchall())


async def locked_lots(
    connection: Connection, asset_id: str, origins: Iterable[str]
) -> dict[str, LotView]:
    """Lock the lots of one asset; what is free in each, by subscription."""
    desired = {"asset_id": asset_id, "origins": list(origins)}
    await connection.execute(_QUERIES["lock_lots"], desired)
    cursor = await connection.execute(_QUERIES["locked_lots"], desired)
    return _lot_views(await cursor.fetchall())


async def standing_of(
    connection: Connection, exits: Collection[tuple[TradeKey, str]]
) -> dict[TradeKey, dict[str, ExitProgress]]:
    """Return the standing of exits, in lots that this transaction holds.

    Args:
        connection: in the transaction.
        exits: each a leader's sell and a subscription, as in what is returned.
    """
    if not exits:
        return {}
    values = {
        **_columns([sell for sell, _ in exits]),
        "origins": [origin for _, origin in exits],
    }
    cursor = await connection.execute(_QUERIES["standing_of"], values)
    found: dict[TradeKey, dict[str, ExitProgress]] = {}
    for row in await cursor.fetchall():
        found.setdefault(trade_key(row), {})[row["origin"]] = ExitProgress(
            later_micros=row["later_micros"],
            own_micros=row["own_micros"],
            sold_micros=row["sold_micros"],
        )
    return found


async def ended_of(
    connection: Connection, order_keys: Collection[str]
) -> dict[str, tuple[str, int]]:
    """Return which of these orders have ended, each with its subscription and what it filled."""
    if not order_keys:
        return {}
    cursor = await connection.execute(_QUERIES["ended_of"], {"keys": list(order_keys)})
    return {
        row["order_key"]: (row["subscription_id"], row["filled_size_micros"])
        for row in await cursor.fetchall()
    }


async def lots_now(pool: Pool, asset_id: str, origins: Iterable[str]) -> dict[str, LotView]:
    """Return the lots of one asset as they are, not locked: for a preview."""
    return _lot_views(await fetch(pool, "locked_lots", asset_id=asset_id, origins=list(origins)))


def _awaited(filled: Mapping[str, int] | None, *, sale: bool = False) -> tuple[Awaited, ...]:
    return tuple(
        Awaited(order_key=key, filled_micros=micros, sale=sale)
        for key, micros in sorted((filled or {}).items())
    )


def _lot_views(rows: Iterable[Mapping[str, Any]]) -> dict[str, LotView]:
    return {
        row["origin"]: LotView(
            shares_micros=row["shares_micros"],
            free_micros=row["free_micros"],
            unsettled_micros=row["unsettled_micros"],
            leaving_micros=row["leaving_micros"],
            unresolved=_awaited(row["unresolved"]),
            sales=_awaited(row["sales"], sale=True),
        )
        for row in rows
    }
