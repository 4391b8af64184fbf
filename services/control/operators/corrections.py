"""Operators correct lots: recorded here with its audit, done by confirm.

confirm is the only one that books, so this writes what was decided and waits for it to be done.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from services.control.auth.operator import Operator
from services.control.operators.catalogue import Catalogue
from services.control.parsing import refuse
from services.control.store import RETRY_AFTER_MS, Row, Store, queries
from tradingtools.domain.errors import Conflict, NotFound, Unavailable, WrongState

KIND = "lot"
_SQL = queries("operators/queries")
_LOOKS = 50
_PAUSE_SECONDS = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Correction:
    """The holdings of a lot as an operator has found them, or has it adopt them."""

    request_id: str
    wallet: str
    asset_id: str
    origin: str
    shares_micros: int
    evidence: str
    operator: str
    condition_id: str = ""
    """Only of shares that are adopted, as the next."""
    cost_micros: int | None = None
    """What they have cost; None: a correction."""

    @property
    def subject(self) -> str:
        """Return how the audit names the lot."""
        return f"{self.wallet}/{self.asset_id}/{self.origin}"


class Corrections:
    """Corrects lots.

    Args:
        store: of control.
        markets: of outcomes.
    """

    def __init__(self, store: Store, markets: Catalogue) -> None:
        self._store = store
        self._markets = markets

    async def follower_of(self, subscription: str, *, adopts: bool) -> str:
        """Return whose wallet a subscription's lots are in.

        Raises:
            NotFound: no such subscription.
            WrongState: it is deleted, and shares are to come in.
        """
        rows = await self._store.rows(_SQL["follower_of"], id=subscription)
        if not rows:
            raise NotFound(f"no subscription {subscription}", kind="subscription", id=subscription)
        if adopts and rows[0]["state"] == "DELETED":
            raise WrongState(
                f"subscription {subscription} is deleted",
                kind="subscription", id=subscription, state="DELETED",
            )  # fmt: skip
        return str(rows[0]["follower_proxy"])

    async def correct(self, by: Operator, desired: Correction) -> tuple[int, int]:
        """Record a correction and wait until confirm has carried it out; may be repeated.

        Returns:
            What the lot holds, micros, and the number of the audit entry.

        Raises:
            NotFound: no such lot.
            WrongState: confirm refused it, with its reason.
            Conflict: another correction of the lot is being carried out, or the request id was used
                for another one.
            InvalidField: shares are adopted of an outcome that is not of their market.
            Unavailable: recorded, and confirm has not carried it out yet; or not recorded, for
                nobody tells the market of the outcome.
        """
        known = await self._store.rows(_SQL["lot_request"], request_id=desired.request_id)
        if desired.cost_micros is not None and desired.shares_micros and not known:
            await self._markets.check(desired.asset_id, desired.condition_id)
        await self._record(by, desired)
        for _ in range(_LOOKS):
            (row,) = await self._store.rows(_SQL["lot_request"], request_id=desired.request_id)
            if row["done_at"] is not None:
                if row["refused"]:
                    raise WrongState(
                        f"lot {desired.subject}: {row['refused']}",
                        kind=KIND, id=desired.subject, state="",
                    )  # fmt: skip
                return row["held_micros"], row["control_seq"]
            await asyncio.sleep(_PAUSE_SECONDS)
        raise Unavailable(
            "recorded; confirm has not carried it out yet",
            dependency="confirm", retry_after_ms=RETRY_AFTER_MS,
        )  # fmt: skip

    async def _record(self, by: Operator, desired: Correction) -> None:
        key = {"wallet": desired.wallet, "asset_id": desired.asset_id, "origin": desired.origin}
        async with self._store.change(by.caller, by.source) as change:
            before = await change.row(_SQL["lot_request"], request_id=desired.request_id)
            if before is not None:
                if not _same(before, desired):
                    raise Conflict(
                        "the request id was used for another correction",
                        kind=KIND, id=desired.subject,
                    )  # fmt: skip
                return
            if desired.cost_micros is not None:
                await change.rows(_SQL["make_lot"], **key, condition_id=desired.condition_id)
            lot = await change.row(_SQL["lot_to_correct"], **key)
            if lot is None:
                raise NotFound(f"no lot {desired.subject}", kind=KIND, id=desired.subject)
            if await change.row(_SQL["open_lot_request"], **key) is not None:
                raise Conflict(
                    "another correction of it is being carried out", kind=KIND, id=desired.subject
                )
            if desired.condition_id not in ("", lot["condition_id"]):
                raise refuse("conditionId", f"{lot['condition_id']}, the market of that outcome")
            columns = {
                "shares_micros": desired.shares_micros, "evidence": desired.evidence,
                "operator": desired.operator, "request_id": desired.request_id,
                "cost_micros": desired.cost_micros,
            }  # fmt: skip
            action = "correct" if desired.cost_micros is None else "adopt"
            was = ("shares_micros", "elsewhere_micros", "cost_micros")
            seq = await change.record(
                action, KIND, desired.subject,
                before={name: lot[name] for name in was}, after=columns,
            )  # fmt: skip
            await change.rows(_SQL["add_lot_request"], **key, **columns, control_seq=seq)


def _same(row: Row, desired: Correction) -> bool:
    names = ("asset_id", "origin", "shares_micros", "cost_micros", "evidence", "operator")
    return row["follower_proxy"] == desired.wallet and all(
        row[name] == getattr(desired, name) for name in names
    )
