"""Triggers in PostgreSQL, as a caller makes and changes them; firing them is the guard's work.

The guard changes the same rows. Both hold the row while they do, so a trigger is either changed
before it fires, or has fired and is refused here.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any

from psycopg.types.json import Jsonb

from services.control import wallet_owners
from services.control.auth.tokens import Caller
from services.control.paging import Key
from services.control.parsing import refuse
from services.control.preconditions import refuse_other_version
from services.control.store import SOURCE, Change, RequestId, Row, Store, queries
from services.control.subscription_row import not_found
from services.control.triggers import manual_lots
from services.control.triggers.rules import ManualLot, NewTrigger, TriggerTerms, check_terms
from tradingtools.domain.errors import NotFound, WrongState
from tradingtools.domain.order import Follower
from tradingtools.domain.trigger_states import EDITABLE, TriggerStatus
from tradingtools.domain.trigger_types import TriggerType, rungs_from_fields, rungs_to_fields

KIND = "trigger"

_SQL = queries("triggers/queries")
_LIST = _SQL["list"] + "\n" + _SQL["list_after"]
_LIST_STANDING_AT = "\n".join(_SQL[part] for part in ("list", "list_standing_at", "list_after"))
_LIST_OF_ALL = _SQL["list_of_all"] + "\n" + _SQL["list_after"]
_LIST_OF_ALL_STANDING_AT = "\n".join(
    _SQL[part] for part in ("list_of_all", "list_standing_at", "list_after")
)
_SUBSCRIPTION = queries("subscriptions/queries")["get"]


def _follower(new: NewTrigger, lot: ManualLot) -> Follower:
    return Follower(user_id=lot.user_id, wallet_id=lot.wallet_id, proxy=new.wallet)


class Triggers:
    """The triggers in a store."""

    def __init__(self, store: Store, *, one_owner: bool = True) -> None:
        self._store = store
        self._one_owner = one_owner

    async def create(self, caller: Caller, request: RequestId | None, new: NewTrigger) -> Row:
        """Make one, ARMED when its lot holds shares, or return what the same request made before.

        Raises:
            NotFound: the wallet has no such subscription.
            InvalidField: the lot is of another market, or exits are selling more than is reported,
                or the wallet belongs to another user or wallet id.
            RequestIdReused: the key came with another request.
        """
        async with self._store.change(caller, SOURCE) as change:
            known = await change.known_resource(request)
            if known is not None:
                return await _locked(change, known)
            if new.manual is not None:
                if self._one_owner:
                    await wallet_owners.hold(change, _follower(new, new.manual), "manualLot")
                await manual_lots.report_shares(change, new, new.manual)
            else:
                await _refuse_foreign(change, new)
            identifier = f"trg_{secrets.token_hex(16)}"
            status = await _first_status(change, new)
            await change.rows(
                _SQL["insert"],
                id=identifier,
                wallet=new.wallet,
                condition_id=new.condition_id,
                asset_id=new.asset_id,
                origin=new.origin,
                user_id=new.manual.user_id if new.manual is not None else "",
                wallet_id=new.manual.wallet_id if new.manual is not None else "",
                trigger_type=new.trigger_type,
                status=status,
                **_columns(new.terms),
            )
            await change.remember(request, identifier)
            return await _record(change, "create", identifier, before=None, detail="created")

    async def update(
        self, caller: Caller, identifier: str, desired: TriggerTerms, version: int | None
    ) -> Row:
        """Change the terms that are given; what changes nothing leaves the version.

        Raises:
            NotFound, WrongState: it is not there, or has fired or ended.
            InvalidField: its type has no such term.
            Conflict: a version is given and not the present one.
        """
        async with self._store.change(caller, SOURCE) as change:
            row = await _locked(change, identifier)
            refuse_other_version(KIND, row, version)
            _refuse_fired(row)
            present = _terms(row)
            terms = _merged(present, desired)
            check_terms(TriggerType(row["trigger_type"]), terms)
            if terms == present:
                return row
            _refuse_sold(row, present, terms)
            await change.rows(_SQL["update"], id=identifier, **_columns(terms))
            return await _record(change, "update", identifier, before=row, detail="changed")

    async def delete(self, caller: Caller, identifier: str, *, version: int | None) -> Row:
        """Cancel it; a cancelled one is returned as it is.

        Raises:
            NotFound, WrongState: it is not there, or has fired or ended otherwise.
            Conflict: ``version`` is given and not the present one.
        """
        async with self._store.change(caller, SOURCE) as change:
            row = await _locked(change, identifier)
            refuse_other_version(KIND, row, version)
            if row["status"] == TriggerStatus.CANCELLED:
                return row
            _refuse_fired(row)
            await change.rows(_SQL["cancel"], id=identifier)
            return await _record(change, "delete", identifier, before=row, detail="deleted")

    async def get(self, identifier: str) -> Row:
        """One trigger; raises NotFound."""
        rows = await self._store.found(_SQL["get"], id=identifier)
        if not rows:
            raise _not_found(identifier)
        return rows[0]

    async def list(
        self, wallet: str, after: Key | None, limit: int, statuses: Sequence[str] = ()
    ) -> Sequence[Row]:
        """Return the triggers of a wallet, oldest first, after a key.

        Args:
            wallet: the follower's; empty: of all.
            after: the key; None: from the first on.
            limit: how many at most.
            statuses: of which one has to stand at one; none: at any.
        """
        at, (identifier,) = after or (None, [""])
        if not wallet:
            statement = _LIST_OF_ALL_STANDING_AT if statuses else _LIST_OF_ALL
            standing = {"statuses": [*statuses]} if statuses else {}
            return await self._store.rows(
                statement, **standing, after_at=at, after_id=identifier, limit=limit
            )
        if statuses:
            return await self._store.rows(
                _LIST_STANDING_AT, wallet=wallet, statuses=[*statuses], after_at=at,
                after_id=identifier, limit=limit,
            )  # fmt: skip
        return await self._store.found(
            _LIST, wallet=wallet, after_at=at, after_id=identifier, limit=limit
        )

    async def history(self, identifier: str, after_seq: int, limit: int) -> Sequence[Row]:
        """Return what happened to it, oldest first, after an event's number; raises NotFound."""
        await self.get(identifier)
        return await self._store.found(
            _SQL["history"], id=identifier, after_seq=after_seq, limit=limit
        )


def _terms(row: Row) -> TriggerTerms:
    values = {field.name: row[field.name] for field in fields(TriggerTerms)}
    return TriggerTerms(**{**values, "rungs": rungs_from_fields(row["rungs"]) or None})


def _columns(terms: TriggerTerms) -> dict[str, Any]:
    """The terms as their columns take them."""
    values = {field.name: getattr(terms, field.name) for field in fields(TriggerTerms)}
    rungs = None if terms.rungs is None else Jsonb(rungs_to_fields(terms.rungs))
    return {
        **values,
        "rungs": rungs,
        "break_even": bool(terms.break_even),
        "two_ticks": bool(terms.two_ticks),
    }


def _merged(present: TriggerTerms, desired: TriggerTerms) -> TriggerTerms:
    """Return what is given replaces what is there; one callback replaces the other."""
    values = {field.name: getattr(desired, field.name) for field in fields(TriggerTerms)}
    given = {name: value for name, value in values.items() if value is not None}
    if given.keys() & {"callback_micros", "callback_ppm"}:
        present = replace(present, callback_micros=None, callback_ppm=None)
    return replace(present, **given)


def _not_found(identifier: str) -> NotFound:
    return NotFound(f"no trigger {identifier}", kind=KIND, id=identifier)


def _refuse_fired(row: Row) -> None:
    if row["status"] not in EDITABLE:
        raise WrongState(
            f"the trigger is {row['status']}", kind=KIND, id=row["id"], state=row["status"]
        )


def _refuse_sold(row: Row, present: TriggerTerms, terms: TriggerTerms) -> None:
    """Return what a ladder has sold already is not to be planned anew; raises InvalidField."""
    if terms.rungs != present.rungs and row["rungs_done"]:
        raise refuse("rungs", "those that it has, since one of them has sold")
    if terms.size_micros is not None and 0 < terms.size_micros <= row["sold_micros"]:
        raise refuse("size", "more than what it has sold")


async def _refuse_foreign(change: Change, new: NewTrigger) -> None:
    subscription = await change.row(_SUBSCRIPTION, id=new.origin)
    if subscription is None or subscription["follower_proxy"] != new.wallet:
        raise not_found(new.origin)


async def _first_status(change: Change, new: NewTrigger) -> TriggerStatus:
    lot = await change.row(_SQL["lot"], wallet=new.wallet, asset_id=new.asset_id, origin=new.origin)
    if lot is None:
        return TriggerStatus.WAITING
    if lot["condition_id"] != new.condition_id:
        raise refuse("conditionId", "the market of the asset that the lot holds")
    return TriggerStatus.ARMED if lot["shares_micros"] > 0 else TriggerStatus.WAITING


async def _locked(change: Change, identifier: str) -> Row:
    row = await change.row(_SQL["lock"], id=identifier)
    if row is None:
        raise _not_found(identifier)
    return row


async def _record(
    change: Change, action: str, identifier: str, *, before: Row | None, detail: str
) -> Row:
    row = await _locked(change, identifier)
    await change.rows(
        _SQL["note"],
        id=identifier,
        from_status="" if before is None else before["status"],
        to_status=row["status"],
        detail=detail,
    )
    await change.record(
        action,
        KIND,
        identifier,
        before=None if before is None else before["audit"],
        after=row["audit"],
    )
    return row
