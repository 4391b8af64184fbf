"""Performance actions in PostgreSQL: each is done once, with its evidence; many in one transaction.

A crash before the commit has done nothing; after it, whoever asks again is answered the same. One
that is refused keeps no other from being done: all are judged before anything is written. The exits
of a loss stop are time stops of each lot, which the guard fires: they sell what a lot holds, once,
beside whatever else sells it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from psycopg.types.json import Jsonb

from services.control.auth.tokens import Caller
from services.control.performance.exits import sell
from services.control.performance.rules import KIND, Action, changed
from services.control.store import Change, Entry, Row, Store, queries
from services.control.subscription_row import not_found
from tradingtools.domain.errors import Conflict, RequestIdReused, TradingError
from tradingtools.domain.performance import LossAction

_SQL = queries("performance/queries")
_CHANGED = ("state", "version", "scale_micros", "paused_by", "pause_reason", "exiting")


@dataclass(frozen=True, slots=True)
class Claimant:
    """The lease under which an action is asked for; epoch 0: none."""

    partition: int
    epoch: int


@dataclass(frozen=True, slots=True)
class ActionRequest:
    """An action that is asked for, under which lease, and why, for people."""

    action: Action
    claimant: Claimant
    reason: str


@dataclass(frozen=True, slots=True)
class ActionResult:
    """The effect of an action."""

    control_seq: int
    exits: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Judged:
    request: ActionRequest
    before: Row
    columns: Row
    """That change."""

    @property
    def action(self) -> Action:
        return self.request.action


class Actions:
    """The performance actions in a store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def act(self, caller: Caller, requests: ActionRequest) -> ActionResult:
        """Do an action, or return what the same one has done before.

        Raises:
            Conflict: the subscription is not as it was judged, or the lease is another's.
            NotFound, WrongState, InvalidField: as of `rules.changed`.
            RequestIdReused: the action id came with another action.
        """
        (found,) = await self.act_all(caller, [requests])
        if isinstance(found, TradingError):
            raise found
        return found

    async def act_all(
        self, caller: Caller, requests: Sequence[ActionRequest]
    ) -> list[ActionResult | TradingError]:
        """Do actions; returns for each one what `act` returns or raises."""
        halts = any(one.action.stop is not None for one in requests)
        async with self._store.change(caller, "grpc", halts=halts) as change:
            found = await _known(change, requests)
            left = [one for one in requests if one.action.id not in found]
            judged = await _judged(change, left, found)
            found |= await _do(change, caller, judged)
        return [found[one.action.id] for one in requests]


async def _known(
    change: Change, requests: Sequence[ActionRequest]
) -> dict[str, ActionResult | TradingError]:
    """Return what was done before."""
    rows = await change.rows(_SQL["known"], ids=[one.action.id for one in requests])
    actions = {one.action.id: one.action for one in requests}
    return {row["action_id"]: _same(row, actions[row["action_id"]]) for row in rows}


def _same(known: Row, action: Action) -> ActionResult | TradingError:
    requests: tuple[Any, ...] = (action.subscription_id, action.kind.value, action.ordinal)
    if (known["subscription_id"], known["kind"], known["ordinal"]) != requests:
        return RequestIdReused("action_id: was used for another action", field="actionId")
    return ActionResult(known["control_seq"], tuple(known["exits"]))


async def _judged(
    change: Change, requests: Sequence[ActionRequest], found: dict[str, ActionResult | TradingError]
) -> list[_Judged]:
    """Return what may be done, with its subscription held; what is refused goes to ``found``."""
    if not requests:
        return []
    held = {one.claimant: await _holds(change, one.claimant) for one in requests}
    rows = await change.rows(_SQL["lock"], ids=[one.action.subscription_id for one in requests])
    present = {row["id"]: row for row in rows}
    judged: list[_Judged] = []
    seen: set[str] = set()
    for one in requests:
        action = one.action
        try:
            if not held[one.claimant]:
                raise Conflict(
                    "another perfmon has taken over",
                    kind="lease", id=str(one.claimant.partition),
                )  # fmt: skip
            if action.subscription_id in seen:
                # It was judged before the other one.
                raise Conflict("another action of it", kind=KIND, id=action.subscription_id)
            seen.add(action.subscription_id)
            row = present.get(action.subscription_id)
            if row is None:
                raise not_found(action.subscription_id)
            judged.append(_Judged(one, row, changed(row, action, one.reason)))
        except TradingError as error:
            found[action.id] = error
    return judged


async def _holds(change: Change, claimant: Claimant) -> bool:
    if not claimant.epoch:
        return True
    row = await change.row(_SQL["holds_lease"], partition=claimant.partition, epoch=claimant.epoch)
    return row is not None and bool(row["held"])


async def _do(change: Change, caller: Caller, judged: Sequence[_Judged]) -> dict[str, ActionResult]:
    if not judged:
        return {}
    for one in judged:
        if one.action.stop is LossAction.REDUCE_ONLY:
            await change.rows(
                _SQL["reduce"], proxy=one.before["follower_proxy"], actor=caller.id,
                reason=one.request.reason,
            )  # fmt: skip
    news = [
        {"id": one.before["id"], "stops": one.action.stop is not None,
         **{name: {**one.before, **one.columns}[name] for name in _CHANGED}}
        for one in judged
    ]  # fmt: skip
    rows = await change.rows(_SQL["act"], rows=Jsonb(news))
    after = {row["id"]: row for row in rows}
    exiting = [one for one in judged if one.action.stop is LossAction.PAUSE_AND_EXIT]
    exits = await sell(
        change,
        [one.before for one in exiting],
        {one.before["id"]: one.action.id for one in exiting},
    )
    return await _record(change, judged, after, exits)


async def _record(
    change: Change, judged: Sequence[_Judged], after: dict[str, Row], exits: dict[str, list[str]]
) -> dict[str, ActionResult]:
    entries, puts = [], []
    for one in judged:
        action, name = one.action, one.before["id"]
        reported = {
            "action_id": action.id,
            "kind": action.kind.value,
            "loss_action": action.stop.value if action.stop else None,
            "evidence": dict(action.evidence),
            "exits": exits.get(name, []),
        }
        now = {**after[name]["audit"], "performance_action": reported}
        entries.append(
            Entry(action="performance action", kind=KIND, subject=name,
                  before=one.before["audit"], after=now)
        )  # fmt: skip
        puts.append(
            {
                **reported, "subscription_id": name, "ordinal": action.ordinal,
                "baseline": one.before["baseline"], "scale_micros": after[name]["scale_micros"],
                "anchor_micros": action.anchor_micros,
            }
        )  # fmt: skip
    seqs = await change.record_all(entries)
    marks = [{"id": one.before["id"], "seq": seq} for one, seq in zip(judged, seqs, strict=True)]
    await change.rows(_SQL["mark_changed"], rows=Jsonb(marks))
    numbered = [put | {"control_seq": seq} for put, seq in zip(puts, seqs, strict=True)]
    await change.rows(_SQL["put"], rows=Jsonb(numbered))
    return {
        one.action.id: ActionResult(seq, tuple(exits.get(one.before["id"], ())))
        for one, seq in zip(judged, seqs, strict=True)
    }
