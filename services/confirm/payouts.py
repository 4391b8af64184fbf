"""Pays out the lots of resolved markets.

Before it: bookfeed's marks, which say what a share pays, and `shortfalls`, which has asked what the
wallet holds: what was sold by hand pays its lot nothing. One transaction takes the shares from all
lots of a wallet in the market, books their profit, and makes the redemption durable; a crash before
its commit changes nothing, and afterwards there is nothing left to pay. After it: `redemptions`,
which queries insiders-api, and the readers of bookings.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any

import psycopg
import structlog

from services.confirm import store
from services.confirm.core import payout
from services.confirm.core.payout import LotHolding, Paid
from services.confirm.ledger import may_book
from services.confirm.queries import QUERIES, pipelined_row
from services.confirm.write_set import move_balances, move_lots
from tradingtools import clock
from tradingtools.domain import ids
from tradingtools.domain.book import Book
from tradingtools.storage.postgres.lease import Fenced, Lease
from tradingtools.storage.postgres.pipeline import Pipeline, pipelined
from tradingtools.storage.postgres.pool import Pool
from tradingtools.venues.insiders.redemptions import redeem_body

_log = structlog.get_logger("confirm.payouts")
_RETAINED = 20_000
_PAUSE_SECONDS = 0.25
_PAGE = 100
"""Markets that are paid out at one look."""
_START = ("", "")
_REQUESTED_AGAIN_SECONDS = 1.0
"""After a wallet was asked for in vain."""
_LATE_SECONDS = 60.0
"""A payout that has waited for so long calls a person, and again after as long."""

Write = Callable[[Callable[[], Awaitable[int | None]]], Awaitable[int | None]]
"""Books one thing at a time and publishes it."""
Covered = Callable[[str, str], Awaitable[Mapping[tuple[str, str], int] | None]]
"""Returns a wallet's holdings of a market, by asset and origin, micros; None: they are not
complete, or nobody knows yet."""


class Payouts:
    """Pays out what has resolved.

    Args:
        pool: of the deciding database.
        lease: the right to book.
        write: see `Write`.
        covered: asks before a market is paid out; None: lots are believed.
    """

    def __init__(
        self, pool: Pool, lease: Lease, write: Write, covered: Covered | None = None
    ) -> None:
        self._pool = pool
        self._lease = lease
        self._write = write
        self._covered = covered
        self._later: dict[tuple[str, str], float] = {}
        """When a wallet is checked again for a market, monotonic seconds."""
        self._waiting: dict[tuple[str, str], float] = {}
        """Since when a market waits for what its wallet holds, monotonic seconds."""
        self._met: set[tuple[str, str]] = set()
        """Markets of the present round."""
        self._called = -_LATE_SECONDS
        self._payouts: OrderedDict[str, int] = OrderedDict()
        self._after = _START
        """The wallet and market that were looked at last: those that cannot be paid are passed."""

    async def on_books(self, books: Sequence[Book]) -> None:
        """Remember what a share of each resolved asset pays."""
        for book in books:
            payout = book.market.payout_micros
            if payout is not None:
                self._payouts[book.market.asset_id] = payout
                self._payouts.move_to_end(book.market.asset_id)
        while len(self._payouts) > _RETAINED:
            self._payouts.popitem(last=False)

    async def run(self) -> None:
        """Pay out for ever; also what comes into a lot after its market has resolved."""
        while True:
            await asyncio.sleep(_PAUSE_SECONDS)
            try:
                await self.poll()
            except psycopg.OperationalError as error:
                _log.warning("payouts wait", error=str(error))

    async def poll(self) -> None:
        """Pay out what can be now, some of it; what cannot be paid holds nothing else up.

        Raises:
            Fenced: somebody else books now.
            psycopg.OperationalError: the database went away.
        """
        if not self._payouts:
            return
        assets = list(self._payouts)
        proxy, condition = self._after
        rows = await store.fetch(
            self._pool,
            "payable",
            assets=assets,
            after_proxy=proxy,
            after_condition=condition,
            limit=_PAGE,
        )
        self._after = _START
        now = clock.monotonic()
        self._later = {market: at for market, at in self._later.items() if at > now}
        for row in rows:
            market = (row["follower_proxy"], row["condition_id"])
            self._met.add(market)
            try:
                await self._pay(*market)
            except (Fenced, psycopg.OperationalError):
                raise
            except Exception as error:  # noqa: BLE001 - it must not hold up all other bookings
                _log.error("a market cannot be paid out; a person has to look", alert=True,
                           wallet=market[0], condition=market[1], exc_info=error)  # fmt: skip
        if len(rows) == _PAGE:
            self._after = (rows[-1]["follower_proxy"], rows[-1]["condition_id"])
        else:
            self._waiting = {m: since for m, since in self._waiting.items() if m in self._met}
            self._met.clear()
        self._call()

    def _call(self) -> None:
        """Call a person about payouts that have waited for long."""
        now = clock.monotonic()
        late = [m for m, since in self._waiting.items() if now - since >= _LATE_SECONDS]
        if late and now - self._called >= _LATE_SECONDS:
            self._called = now
            _log.error("payouts wait for what wallets hold; a person has to look", alert=True,
                       number=len(late), wallet=late[0][0], condition=late[0][1])  # fmt: skip

    async def _pay(self, proxy: str, condition_id: str) -> None:
        there = None
        if self._covered is not None:
            market = (proxy, condition_id)
            if market in self._later:
                return
            there = await self._covered(*market)
            if there is None:
                now = clock.monotonic()
                self._waiting.setdefault(market, now)
                self._later[market] = now + _REQUESTED_AGAIN_SECONDS
                return
            self._waiting.pop(market, None)
        await self._write(
            partial(pay_market, self._pool, self._lease, proxy, condition_id, self._payouts, there)
        )


async def pay_market(
    pool: Pool,
    lease: Lease,
    proxy: str,
    condition_id: str,
    payouts: Mapping[str, int],
    there: Mapping[tuple[str, str], int] | None = None,
) -> int | None:
    """Pay out all lots of a wallet in one market; repeating changes nothing.

    Nothing happens while an order of the wallet in this market may still move its shares: the
    redemption takes whatever is there.

    Args:
        pool: of the deciding database.
        lease: of the process that books.
        proxy: the wallet.
        condition_id: the market.
        payouts: what a share pays, by asset, micros.
        there: what the lots held that the wallet was asked for; others are not paid. None: nobody
            was asked.

    Returns:
        Micros that were paid; None: nothing was to be done, or not yet.

    Raises:
        Fenced: somebody else books now.
    """
    market = {"follower_proxy": proxy, "condition_id": condition_id}
    async with pool.connection() as connection, pipelined(connection) as pipeline:
        check = may_book(pipeline, lease)
        # After the locks: whoever claims a sale holds its lot.
        held, busy = (
            pipeline.queue(QUERIES[name], market) for name in ("lock_market", "market_busy")
        )
        await check()
        lots = [LotHolding(**row) for row in await held.rows()]
        paid = payout.pay(lots, payouts)
        if not lots or (await busy.rows())[0]["busy"] or paid is None:
            return None
        if there is not None and there != {(h.asset_id, h.origin): h.shares_micros for h in lots}:
            return None
        key = await _request(pipeline, market, paid)
        for one_paid in paid:
            await _book(pipeline, market, key, one_paid)
        # The cash comes with the redemption.
        move_balances(pipeline, {proxy: 0})
    total = sum(p.paid_micros for p in paid)
    _log.info("paid out", wallet=proxy, condition=condition_id, micros=total, redemption=key)
    return total


async def _request(pipeline: Pipeline, market: Mapping[str, Any], paid: list[Paid]) -> str:
    """Make the redemption durable; returns its key."""
    proxy, condition = market["follower_proxy"], market["condition_id"]
    number = (await pipelined_row(pipeline, "redemptions_made", market))["made"]
    assets = [p.lot.asset_id for p in paid]
    owner = await pipelined_row(pipeline, "owner", {"follower_proxy": proxy, "assets": assets})
    key = ids.redeem_key(proxy, condition, number)
    body = redeem_body(owner["follower_user_id"], owner["follower_wallet_id"], proxy, condition)
    pipeline.queue(
        QUERIES["add_redemption"],
        {
            **market,
            "redeem_key": key,
            "round": number,
            "body": body,
            "expected_micros": sum(p.paid_micros for p in paid),
        },
    )
    return key


async def _book(pipeline: Pipeline, market: Mapping[str, Any], redeem_key: str, paid: Paid) -> None:
    lot = paid.lot
    key = {
        "follower_proxy": market["follower_proxy"],
        "asset_id": lot.asset_id,
        "origin": lot.origin,
    }
    pipeline.queue(QUERIES["empty_lot"], key)
    moved = {
        "shares": -lot.shares_micros,
        "cost": -lot.cost_micros,
        "resolved_size": lot.shares_micros,
        "payout": paid.paid_micros,
        "realised": paid.realised_micros,
    }
    move_lots(pipeline, [((market["follower_proxy"], lot.asset_id, lot.origin), moved)])
    row = await pipelined_row(
        pipeline,
        "add_payout",
        {
            **key,
            "redeem_key": redeem_key,
            "condition_id": market["condition_id"],
            "size_micros": lot.shares_micros,
            "cost_micros": lot.cost_micros,
            "share_micros": paid.share_micros,
            "paid_micros": paid.paid_micros,
        },
    )
    pipeline.queue(
        QUERIES["add_payout_booking"],
        {
            "payout_id": row["id"],
            "size_micros": lot.shares_micros,
            "notional_micros": paid.paid_micros,
            "realised_micros": paid.realised_micros,
        },
    )
