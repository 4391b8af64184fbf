"""Subscriptions in PostgreSQL: made, changed, read, with what became of their leaders' trades."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from psycopg.types.json import Jsonb

from services.control import wallet_owners
from services.control.auth.tokens import Caller
from services.control.paging import Key
from services.control.parsing import refuse
from services.control.performance.exits import take_back
from services.control.performance.rules import PERSON, resumed
from services.control.preconditions import refuse_other_version
from services.control.resyncs.requests import insert_request
from services.control.store import SOURCE, Change, RequestId, Row, Store, queries
from services.control.subscription_row import KIND, locked, not_found
from services.control.subscriptions.rules import Group, NewSubscription, settings_of
from tradingtools.domain import performance
from tradingtools.domain.copy_settings import StartMode, from_json, to_json
from tradingtools.domain.errors import WrongState
from tradingtools.domain.performance import Performance
from tradingtools.domain.resync import ResyncKind
from tradingtools.domain.subscription import SubscriptionState

_SQL = queries("subscriptions/queries")
_FUNDED = queries("performance/queries")["funded"]
_SHOWN_BY_ID = _SQL["shown"] + "\n" + _SQL["shown_by_id"]
_DECISIONS = _SQL["decisions"] + "\n" + _SQL["newest_decisions"]
_DECISIONS_OF_TRANSACTION = "\n".join(
    _SQL[part] for part in ("decisions", "decisions_of_transaction", "newest_decisions")
)
_SHOWN_BY_WALLET = _SQL["shown"] + "\n" + _SQL["shown_by_wallet"]
_SHOWN_OF_ALL = _SQL["shown"] + "\n" + _SQL["shown_of_all"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionFilter:
    """A selection of decisions; empty or None: all."""

    reason: str = ""
    from_ms: int | None = None
    to_ms: int | None = None
    """Milliseconds since the epoch: at or after, and before."""
    copied: bool | None = None
    leader_tx: str = ""


_ALL = DecisionFilter()


class Subscriptions:
    """The subscriptions in a store."""

    def __init__(self, store: Store, *, one_owner: bool = True) -> None:
        self._store = store
        self._one_owner = one_owner

    async def create(self, caller: Caller, request: RequestId | None, new: NewSubscription) -> Row:
        """Make one, or return what the same request made before.

        Raises:
            RequestIdReused: the key came with another request.
            InvalidField: the wallet belongs to another user or wallet id, or bots trade it.
        """
        async with self._store.change(caller, SOURCE) as change:
            known = await change.known_resource(request)
            if known is not None:
                return await locked(change, known)
            if self._one_owner:
                await wallet_owners.hold(change, new.follower, "follower")
            await _refuse_bots_wallet(change, new.follower.proxy)
            await _refuse_unfunded(change, new.follower.proxy, new.performance)
            identifier = f"sub_{secrets.token_hex(16)}"
            await change.rows(
                _SQL["insert"],
                id=identifier,
                user_id=new.follower.user_id,
                wallet_id=new.follower.wallet_id,
                proxy=new.follower.proxy,
                leader=new.leader,
                state=new.state.value,
                settings=Jsonb(to_json(new.settings)),
                **new.columns | {name: Jsonb(new.columns[name]) for name in _JSON_COLUMNS},
            )
            await change.remember(request, identifier)
            row = await _record(change, "create", identifier, before=None)
            if new.settings.start is StartMode.MIRROR:
                await insert_request(change, row, ResyncKind.START)
            return row

    async def update(
        self,
        caller: Caller,
        identifier: str,
        *,
        groups: Sequence[Group],
        version: int | None,
    ) -> Row:
        """Replace the groups that are given; what changes nothing leaves the version.

        Raises:
            NotFound, WrongState: it is not there, or deleted.
            Conflict: ``version`` is given and not the present one.
        """
        async with self._store.change(caller, SOURCE) as change:
            row = await locked(change, identifier)
            refuse_other_version(KIND, row, version)
            _refuse_deleted(row)
            desired = _changeable(row)
            for group in groups:
                desired |= group.columns
            desired["settings"] = to_json(settings_of(from_json(row["settings"]), groups))
            await _apply_rules(change, row, desired)
            return await _apply(change, "update", row, desired)

    async def set_state(
        self, caller: Caller, identifier: str, state: SubscriptionState, *, version: int | None
    ) -> Row:
        """Pause, resume or delete; repeating changes nothing.

        Raises:
            NotFound: it is not there.
            Conflict: ``version`` is given and not the present one.
            WrongState: it is deleted, and this would bring it back.
        """
        async with self._store.change(caller, SOURCE) as change:
            row = await locked(change, identifier)
            refuse_other_version(KIND, row, version)
            if state is not SubscriptionState.DELETED:
                _refuse_deleted(row)
            desired = _changeable(row) | {"state": state.value}
            if state is SubscriptionState.ACTIVE and row["state"] != state:
                desired |= resumed(row)
                if row["exiting"]:
                    await take_back(change, row)
            if state is SubscriptionState.PAUSED and row["state"] != state:
                desired["paused_by"] = PERSON
            return await _apply(change, _ACTIONS[state], row, desired)

    async def get(self, identifier: str) -> Row:
        """One subscription; raises NotFound."""
        rows = await self._store.found(_SQL["get"], id=identifier)
        if not rows:
            raise not_found(identifier)
        return rows[0]

    async def shown(self, identifier: str) -> Row:
        """One as it is shown, with what it has done so far; raises NotFound."""
        rows = await self._store.found(_SHOWN_BY_ID, id=identifier)
        if not rows:
            raise not_found(identifier)
        return rows[0]

    async def list(self, wallet: str, after: Key | None, limit: int) -> Sequence[Row]:
        """Return those of a wallet (empty: of all) as they are shown, oldest first, after a key."""
        at, (identifier,) = after or (None, [""])
        if not wallet:
            return await self._store.found(
                _SHOWN_OF_ALL, after_at=at, after_id=identifier, limit=limit
            )
        return await self._store.found(
            _SHOWN_BY_WALLET, proxy=wallet, after_at=at, after_id=identifier, limit=limit
        )

    async def known(self, identifier: str, rows: Sequence[Row]) -> Sequence[Row]:
        """Return what was read of one subscription; raises NotFound when there is no such one.

        What has rows is there: most reads need one statement and not two.
        """
        if not rows:
            await self.get(identifier)
        return rows

    async def fills(self, identifier: str, after: Key | None, limit: int) -> Sequence[Row]:
        """Fills, newest first, after (instant, order, trade); raises NotFound."""
        at, (order, trade) = after or (None, ["", ""])
        rows = await self._store.found(
            _SQL["fills"],
            id=identifier,
            after_at=at,
            after_order=order,
            after_trade=trade,
            limit=limit,
        )
        return await self.known(identifier, rows)

    async def decisions(
        self,
        identifier: str,
        desired: DecisionFilter,
        after: Key | None,
        limit: int,
    ) -> Sequence[Row]:
        """Decisions, newest first, after (instant, tx, leader, asset, side); raises NotFound."""
        at, (tx, leader, asset, side) = after or (None, ["", "", "", ""])
        # A rare reason is found by an index of its own: only a plan for what is asked takes it.
        read = self._store.found if desired == _ALL else self._store.rows
        rows = await read(
            _DECISIONS_OF_TRANSACTION if desired.leader_tx else _DECISIONS,
            id=identifier,
            reason=desired.reason,
            from_ms=desired.from_ms,
            to_ms=desired.to_ms,
            copied=desired.copied,
            **({"leader_tx": desired.leader_tx} if desired.leader_tx else {}),
            after_at=at,
            after_tx=tx,
            after_leader=leader,
            after_asset=asset,
            after_side=side,
            limit=limit,
        )
        return await self.known(identifier, rows)


_ACTIONS = {
    SubscriptionState.ACTIVE: "resume",
    SubscriptionState.PAUSED: "pause",
    SubscriptionState.DELETED: "delete",
}

_CHANGEABLE = (
    "state",
    "sizing_mode",
    "sizing_micros",
    "max_per_trade_micros",
    "max_per_market_micros",
    "max_slippage_micros",
    "max_age_ms",
    "settings",
    "triggers",
    "performance",
    "paused_by",
    "pause_reason",
    "exiting",
    "scale_micros",
    "session",
    "baseline",
)
_JSON_COLUMNS = ("triggers", "performance")


def _changeable(row: Row) -> Row:
    return {name: row[name] for name in _CHANGEABLE}


def _refuse_deleted(row: Row) -> None:
    if row["state"] == SubscriptionState.DELETED:
        raise WrongState("the subscription is deleted", kind=KIND, id=row["id"], state="DELETED")


async def _refuse_bots_wallet(change: Change, proxy: str) -> None:
    """A wallet is traded by copies or by bots, never by both. Raises InvalidField."""
    if await change.row(_SQL["trading_wallet"], proxy=proxy):
        raise refuse("follower.followerProxy", "a wallet that is no trading wallet of bots")


async def _refuse_unfunded(change: Change, proxy: str, given: Performance) -> None:
    """Refuse fractions of an equity that nobody knows."""
    if given.by_fraction:
        found = await change.row(_FUNDED, proxy=proxy)
        if found is None or not found["funded"]:
            raise refuse("performance.lossStop", "amounts: the wallet was never funded")


async def _apply_rules(change: Change, row: Row, desired: Row) -> None:
    """Check changed rules; a scale that they do not allow is the nearest one that they do."""
    given = desired["performance"]
    if given == row["performance"]:
        return
    if given and from_json(row["settings"]).shadow:
        raise refuse("performance", "nothing for a shadow: it has no result")
    rules = performance.from_json(given)
    await _refuse_unfunded(change, row["follower_proxy"], rules)
    desired["scale_micros"] = performance.within(rules, row["scale_micros"])


async def _apply(change: Change, action: str, row: Row, desired: Row) -> Row:
    if desired == _changeable(row):
        return row
    await change.rows(
        _SQL["update"],
        id=row["id"],
        **desired | {name: Jsonb(desired[name]) for name in ("settings", *_JSON_COLUMNS)},
    )
    return await _record(change, action, row["id"], before=row["audit"])


async def _record(change: Change, action: str, identifier: str, *, before: Row | None) -> Row:
    row = await locked(change, identifier)
    seq = await change.record(action, KIND, identifier, before=before, after=row["audit"])
    await change.rows(_SQL["mark_changed"], id=identifier, seq=seq)
    return row
