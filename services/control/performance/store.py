"""Performance actions in PostgreSQL: each is done once, with its evidence, in one transaction.

A crash before the commit has done nothing; after it, whoever asks again is answered the same. The
exits of a loss stop are time stops of each lot, which the guard fires: they sell what a lot holds,
once, beside whatever else sells it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from psycopg.types.json import Jsonb

from services.control.auth.tokens import Caller
from services.control.performance.exits import sell
from services.control.performance.rules import KIND, Action, changed
from services.control.store import Change, Row, Store, queries
from services.control.subscription_row import locked
from tradingtools.domain.errors import Conflict, RequestIdReused
from tradingtools.domain.performance import LossAction

_SQL = queries("performance/queries")
_SUBSCRIPTION = queries("subscriptions/queries")


@dataclass(frozen=True, slots=True)
class Claimant:
    """The lease under which an action is asked for; epoch 0: none."""

    partition: int
    epoch: int


@dataclass(frozen=True, slots=True)
class Done:
    """The effect of an action."""

    control_seq: int
    exits: tuple[str, ...]


class Actions:
    """The performance actions in a store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def act(self, caller: Caller, action: Action, claimant: Claimant, reason: str) -> Done:
        """Do an action, or return what the same one has done before.

        Args:
            caller: who asks.
            action: for what.
            claimant: under which lease.
            reason: why, for people.

        Raises:
            Conflict: the subscription is not as it was judged, or the lease is another's.
            NotFound, WrongState, InvalidField: as of `rules.changed`.
            RequestIdReused: the action id came with another action.
        """
        async with self._store.change(caller, "grpc", halts=action.stop is not None) as change:
            known = await change.row(_SQL["known"], id=action.id)
            if known is not None:
                return _same(known, action)
            if claimant.epoch:
                held = await change.row(
                    _SQL["holds_lease"], partition=claimant.partition, epoch=claimant.epoch
                )
                if held is None or not held["held"]:
                    raise Conflict(
                        "another perfmon has taken over", kind="lease", id=str(claimant.partition)
                    )
            row = await locked(change, action.subscription_id)
            columns = changed(row, action, reason)
            if action.stop is LossAction.REDUCE_ONLY:
                await change.rows(
                    _SQL["reduce"], proxy=row["follower_proxy"], actor=caller.id, reason=reason
                )
            now = {**row, **columns}
            await change.rows(
                _SQL["act"],
                id=row["id"],
                stops=action.stop is not None,
                **{name: now[name] for name in _CHANGED},
            )
            exits: list[str] = []
            if action.stop is LossAction.PAUSE_AND_EXIT:
                exits = await sell(change, row, action.id)
            return await self._record(change, row, action, exits)

    async def _record(self, change: Change, before: Row, action: Action, exits: list[str]) -> Done:
        row = await locked(change, action.subscription_id)
        told = {
            "action_id": action.id,
            "kind": action.kind.value,
            "loss_action": action.stop.value if action.stop else None,
            "evidence": dict(action.evidence),
            "exits": exits,
        }
        seq = await change.record(
            "performance action", KIND, row["id"], before=before["audit"],
            after={**row["audit"], "performance_action": told},
        )  # fmt: skip
        await change.rows(_SUBSCRIPTION["mark_changed"], id=row["id"], seq=seq)
        await change.rows(
            _SQL["put"],
            action=action.id,
            id=row["id"],
            ordinal=action.ordinal,
            baseline=before["baseline"],
            kind=action.kind.value,
            loss_action=told["loss_action"],
            scale_micros=row["scale_micros"],
            anchor_micros=action.anchor_micros,
            evidence=Jsonb(dict(action.evidence)),
            exits=exits,
            seq=seq,
        )
        return Done(seq, tuple(exits))


_CHANGED = ("state", "version", "scale_micros", "paused_by", "pause_reason", "exiting")


def _same(known: Row, action: Action) -> Done:
    asked: tuple[Any, ...] = (action.subscription_id, action.kind.value, action.ordinal)
    if (known["subscription_id"], known["kind"], known["ordinal"]) != asked:
        raise RequestIdReused("action_id: was used for another action", field="actionId")
    return Done(known["control_seq"], tuple(known["exits"]))
