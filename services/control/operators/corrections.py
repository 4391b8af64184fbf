"""Operators correct lots: recorded here with its audit, done by confirm.

confirm is the only one that books, so this writes what was decided and waits for it to be done.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from services.control.auth.operator import Operator
from services.control.store import RETRY_AFTER_MS, Row, Store, queries
from tradingtools.domain.errors import Conflict, NotFound, Unavailable, WrongState

KIND = "lot"
_SQL = queries("operators/queries")
_LOOKS = 50
_PAUSE_SECONDS = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Correction:
    """The holdings of a lot as an operator has found them."""

    request_id: str
    wallet: str
    asset_id: str
    origin: str
    shares_micros: int
    evidence: str
    operator: str

    @property
    def subject(self) -> str:
        """Return how the audit names the lot."""
        return f"{self.wallet}/{self.asset_id}/{self.origin}"


class Corrections:
    """Corrects lots.

    Args:
        store: of control.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    async def correct(self, by: Operator, wanted: Correction) -> tuple[int, int]:
        """Record a correction and wait until confirm has carried it out; may be repeated.

        Returns:
            What the lot holds, micros, and the number of the audit entry.

        Raises:
            NotFound: no such lot.
            WrongState: confirm refused it, with its reason.
            Conflict: another correction of the lot is being carried out, or the request id was used
                for another one.
            Unavailable: recorded, and confirm has not carried it out yet.
        """
        await self._record(by, wanted)
        for _ in range(_LOOKS):
            (row,) = await self._store.rows(_SQL["lot_request"], request_id=wanted.request_id)
            if row["done_at"] is not None:
                if row["refused"]:
                    raise WrongState(
                        f"lot {wanted.subject}: {row['refused']}",
                        kind=KIND, id=wanted.subject, state="",
                    )  # fmt: skip
                return row["held_micros"], row["control_seq"]
            await asyncio.sleep(_PAUSE_SECONDS)
        raise Unavailable(
            "recorded; confirm has not carried it out yet",
            dependency="confirm", retry_after_ms=RETRY_AFTER_MS,
        )  # fmt: skip

    async def _record(self, by: Operator, wanted: Correction) -> None:
        key = {"wallet": wanted.wallet, "asset_id": wanted.asset_id, "origin": wanted.origin}
        async with self._store.change(by.caller, by.source) as change:
            before = await change.row(_SQL["lot_request"], request_id=wanted.request_id)
            if before is not None:
                if not _same(before, wanted):
                    raise Conflict(
                        "the request id was used for another correction",
                        kind=KIND, id=wanted.subject,
                    )  # fmt: skip
                return
            lot = await change.row(_SQL["lot_to_correct"], **key)
            if lot is None:
                raise NotFound(f"no lot {wanted.subject}", kind=KIND, id=wanted.subject)
            if await change.row(_SQL["open_lot_request"], **key) is not None:
                raise Conflict(
                    "another correction of it is being carried out", kind=KIND, id=wanted.subject
                )
            told = {
                "shares_micros": wanted.shares_micros, "evidence": wanted.evidence,
                "operator": wanted.operator, "request_id": wanted.request_id,
            }  # fmt: skip
            was = ("shares_micros", "elsewhere_micros", "cost_micros")
            seq = await change.record(
                "correct", KIND, wanted.subject,
                before={name: lot[name] for name in was}, after=told,
            )  # fmt: skip
            await change.rows(_SQL["add_lot_request"], **key, **told, control_seq=seq)


def _same(row: Row, wanted: Correction) -> bool:
    told = ("asset_id", "origin", "shares_micros", "evidence", "operator")
    return row["follower_proxy"] == wanted.wallet and all(
        row[name] == getattr(wanted, name) for name in told
    )
