"""Compare what subscriptions would hold with their lots and with the wallet."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime

from services.control.positions.drift_rules import Shortfall
from services.control.store import Row, Store, queries

_SQL = queries("positions/drift")


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One outcome of a subscription, shares in micros."""

    condition_id: str
    asset_id: str
    ideal_micros: int
    held_micros: int
    shortfalls: tuple[Shortfall, ...]
    lots_micros: int
    """Of all lots of the wallet."""
    wallet_micros: int | None
    """As insiders-api reported when nothing was booked since; None: it has not."""


class Drift:
    """The differences in a store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def page(
        self, subscription: Row, after: tuple[str, str], limit: int
    ) -> tuple[list[Outcome], datetime | None]:
        """Outcomes by (market, outcome), after such a key; and when the wallet was polled last.

        Args:
            subscription: its row.
            after: ``("", "")`` for the first page.
            limit: at most so many.
        """
        # What is held, ordered and missing are one sum: a fill that is booked between two of these
        # reads would be a difference that nothing explains.
        async with self._store.snapshot() as store:
            rows = await store.rows(
                _SQL["outcomes"],
                id=subscription["id"],
                after_condition=after[0],
                after_asset=after[1],
                limit=limit,
            )
            values = {"id": subscription["id"], "assets": [row["asset_id"] for row in rows]}
            # Summed there: years of history are not decoded here, where others wait for an answer.
            ideal = {
                row["asset_id"]: row["ideal_micros"]
                for row in await store.rows(_SQL["ideal"], **values)
            }
            shortfalls: defaultdict[str, list[Shortfall]] = defaultdict(list)
            for row in await store.rows(_SQL["shortfalls"], **values):
                shortfalls[row.pop("asset_id")].append(Shortfall(**row))
            proxy = subscription["follower_proxy"]
            polled = await store.rows(_SQL["wallet"], proxy=proxy)
            wallets = await store.rows(
                _SQL["wallet_positions"], proxy=proxy, assets=values["assets"]
            )
        at = {row["asset_id"]: row for row in wallets}
        found = [
            Outcome(
                condition_id=row["condition_id"],
                asset_id=row["asset_id"],
                ideal_micros=ideal.get(row["asset_id"], 0),
                held_micros=row["shares_micros"],
                shortfalls=tuple(shortfalls[row["asset_id"]]),
                lots_micros=at[row["asset_id"]]["lots"],
                wallet_micros=at[row["asset_id"]]["wallet"] if polled else None,
            )
            for row in rows
        ]
        return found, polled[0]["polled_at"] if polled else None
