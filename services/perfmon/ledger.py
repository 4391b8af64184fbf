"""The subscriptions with rules, and the results that they are judged by, as PostgreSQL says.

Before it: `store`. After it: `monitor`. What is read is one statement's snapshot of an
account's lots, so that a booking is seen whole or not at all.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Iterator, Mapping

import msgspec
import structlog

from services.perfmon import store
from services.perfmon.core import standing as standings
from services.perfmon.core.position import OutcomePosition, Patience, Valuation
from services.perfmon.core.results import Account, WorthOf
from services.perfmon.followed import Money, MonitoredSubscription, is_followed
from services.perfmon.store import Row
from tradingtools import clock
from tradingtools.domain import ids
from tradingtools.domain.performance import Performance, Scope, from_json
from tradingtools.domain.performance_states import PerformanceState
from tradingtools.storage.postgres.pool import Pool

_log = structlog.get_logger("perfmon.ledger")
_AT_ONCE = 500


class Ledger:
    """One partition's subscriptions with rules.

    Args:
        pool: of the deciding database.
        worth_of: says what shares fetch now.
        partition: whose wallets, of how many.
        patience: how long a doubt may be.
    """

    def __init__(
        self, pool: Pool, worth_of: WorthOf, partition: tuple[int, int], patience: Patience
    ) -> None:
        self._pool = pool
        self._patience = patience
        self._reading = asyncio.Lock()
        self._worth_of = worth_of
        self._partition, self._partitions = partition
        self.followed: dict[str, MonitoredSubscription] = {}
        self._accounts: dict[str, Account] = {}
        """By subscription and by wallet."""
        self._of_account: dict[str, dict[str, None]] = {}
        """The subscriptions that are judged by an account or need it, by its key."""
        self._money: dict[str, Money] = {}
        self._holders: dict[str, set[str]] = {}
        """Accounts that hold an asset."""

    async def load(self, after: int) -> tuple[list[str], list[str]]:
        """Take over subscriptions that changed after a control number.

        Returns:
            Those that are followed now, and those that are not any more.
        """
        return await self._take(await store.fetch(self._pool, "changed", after=after))

    async def load_some(self, names: Collection[str]) -> None:
        """Take over some subscriptions as they are now, with their results."""
        await self._take(await store.fetch(self._pool, "some", ids=list(names)))

    async def _take(self, rows: Iterable[Row]) -> tuple[list[str], list[str]]:
        mine = [row for row in rows if self._is_ours(row["follower_proxy"])]
        gone = [row["id"] for row in mine if not is_followed(row) and row["id"] in self.followed]
        for name in gone:
            self._forget(name)
        kept: list[str] = []
        for row in mine:
            try:
                if is_followed(row):
                    self._put(row)
                    kept.append(row["id"])
            except msgspec.ValidationError as error:
                _log.error(
                    "performance rules cannot be read; nothing is judged by them", alert=True,
                    subscription=row["id"], error=str(error),
                )  # fmt: skip
        for at in range(0, len(kept), _AT_ONCE):
            await self._complete(kept[at : at + _AT_ONCE])
        return kept, gone

    def _is_ours(self, proxy: str) -> bool:
        return ids.partition_of(proxy, self._partitions) == self._partition

    def _put(self, row: Row) -> None:
        rules = from_json(row["performance"])
        known = self.followed.get(row["id"])
        own, wallet = _keys(row["id"], row["follower_proxy"], rules)
        for key in filter(None, (own, wallet)):
            if key not in self._accounts:
                self._accounts[key] = Account(self._patience, self._worth_of)
            self._of_account.setdefault(key, {})[row["id"]] = None
        accounts = (self._accounts[own], self._accounts[wallet] if wallet else None)
        if known is None:
            known = self.followed[row["id"]] = MonitoredSubscription(
                id=row["id"], proxy=row["follower_proxy"], account=accounts[0],
                wallet=accounts[1], rules=rules,
            )  # fmt: skip
        known.account, known.wallet = accounts
        known.take(row)

    def _forget(self, name: str) -> None:
        del self.followed[name]
        for key in [key for key, users in self._of_account.items() if name in users]:
            users = self._of_account[key]
            del users[name]
            if not users:
                self._drop_account(key)

    def _drop_account(self, key: str) -> None:
        del self._of_account[key]
        for asset in self._accounts.pop(key).held:
            self._let_go(asset, key)

    def _let_go(self, asset: str, key: str) -> None:
        holders = self._holders[asset]
        holders.discard(key)
        if not holders:
            del self._holders[asset]

    async def _complete(self, names: list[str]) -> None:
        for row in await store.fetch(self._pool, "standings", ids=names):
            of = self.followed.get(row["id"])
            if of is None:
                continue
            of.take_step(row)
            if of.standing is None and row["standing"] is not None and of.kept is None:
                of.standing = standings.from_json(row["standing"])
                of.account.restore(of.standing.stood)
                of.kept = of.durable = PerformanceState(row["state"])
        every = (self.followed[name] for name in names if name in self.followed)
        keys = {key for of in every for key in _keys(of.id, of.proxy, of.rules) if key}
        await self.load_results(keys)

    async def load_results(self, keys: Collection[str]) -> None:
        """Take over what the lots of subscriptions and wallets say; others are passed over."""
        # An older answer must not come after a newer one.
        async with self._reading:
            desired = [key for key in keys if key in self._accounts]
            rows: dict[str, Row] = {}
            for name, some in (
                ("of_subscriptions", [key for key in desired if key.startswith("sub_")]),
                ("of_wallets", [key for key in desired if not key.startswith("sub_")]),
            ):
                if some:
                    rows |= {
                        row["key"]: row for row in await store.fetch(self._pool, name, keys=some)
                    }
            for key in desired:
                row = rows.get(key, {"settled": 0, "held": None, "flows": None})
                if row.get("funded_micros") is not None:
                    self._money[key] = Money(row["funded_micros"], row["cash_micros"])
                self._put_result(key, row["settled"], _held(row["held"]), _held(row["flows"]))

    def _put_result(
        self,
        key: str,
        settled: int,
        held: dict[str, OutcomePosition],
        flows: dict[str, OutcomePosition],
    ) -> None:
        account = self._accounts.get(key)
        if account is None:
            return
        for asset in account.held.keys() - held.keys():
            self._let_go(asset, key)
        for asset in held:
            self._holders.setdefault(asset, set()).add(key)
        account.put(settled, held, clock.now_ms(), flows)
        for one in self.users(key):
            one.is_settled = False

    async def funded_since(self, after: int) -> list[str]:
        """Take over wallets whose money was moved after a control number; returns those."""
        rows = await store.fetch(self._pool, "funded_since", after=after)
        wallets = [row["follower_proxy"] for row in rows if row["follower_proxy"] in self._accounts]
        await self.load_results(wallets)
        return wallets

    def money(self, proxy: str) -> Money | None:
        """Return a wallet's money; None: it was never funded, or nobody asks for it."""
        return self._money.get(proxy)

    def mark(
        self, asset_id: str, worths: Mapping[int, Valuation]
    ) -> Iterator[MonitoredSubscription]:
        """Take over what an asset fetches, by shares; yields whose result moves.

        Args:
            asset_id: of the outcome.
            worths: for all that :meth:`sizes` has reported.
        """
        now_ms = clock.now_ms()
        for key in self._holders.get(asset_id, ()):
            account = self._accounts[key]
            account.mark(asset_id, worths[account.held[asset_id].shares_micros], now_ms)
            yield from self.users(key)

    def sizes(self, asset_id: str) -> set[int]:
        """Return the sizes in which an asset is held."""
        holders = self._holders.get(asset_id, ())
        return {self._accounts[key].held[asset_id].shares_micros for key in holders}

    def users(self, key: str) -> list[MonitoredSubscription]:
        """Return who is judged by an account."""
        return [self.followed[name] for name in self._of_account.get(key, ())]


def _held(found: Mapping[str, tuple[int, int]] | None) -> dict[str, OutcomePosition]:
    """Return shares and cost by asset as a statement has them."""
    return {asset: OutcomePosition(*pair) for asset, pair in (found or {}).items()}


def _keys(name: str, proxy: str, rules: Performance) -> tuple[str, str]:
    """Return whose result is judged, and the wallet whose equity is needed; empty: none."""
    stop = rules.loss_stop
    whole = stop is not None and stop.scope is Scope.WALLET
    return proxy if whole else name, proxy if rules.by_fraction else ""
