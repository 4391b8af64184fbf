"""Users, sessions and their tokens in PostgreSQL. No copy is decided by them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from services.control.paging import Key
from services.control.store import Row, Store, queries
from services.control.users import rules
from tradingtools.domain.errors import Conflict, NotFound, RequestIdReused, WrongState
from tradingtools.domain.permissions import Role

_SQL = queries("users/queries")


class ChangedBy(NamedTuple):
    """The actor of a change, and his address."""

    actor: str
    address: str


class NewSession(NamedTuple):
    """A session to begin."""

    id: str
    digest: bytes
    """Of its first refresh token."""
    address: str
    network: str
    client: str


class NewUser(NamedTuple):
    """A user to make."""

    id: str
    name: str
    role: Role
    exchanges: Sequence[str]
    digest: bytes
    """Digest of the request."""


class Users:
    """Users in a store.

    Args:
        store: of the rows.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    async def login(self, name: str, network: str) -> Row | None:
        """Return who has a name, with his hash; None: nobody has."""
        rows = await self._store.rows(_SQL["login"], name=name, network=network)
        return rows[0] if rows else None

    async def failed(self, user_id: str | None, address: str) -> None:
        """Note a login that failed; None: nobody has the name."""
        await self._store.write(_SQL["failed"], user=user_id, address=address)

    async def begin(
        self, user: Row, new: NewSession, *, hash_: str | None, changes: bool
    ) -> datetime | None:
        """Begin a session; return when it ends unless it is refreshed.

        Args:
            user: as ``login`` found him.
            new: the session.
            hash_: takes the place of the one that was verified; None: it stays.
            changes: the password is another one: his other sessions end.

        Returns:
            None: since ``login`` his password has changed, or he is disabled.
        """
        async with self._store.transaction() as change:
            await change.rows(_SQL["lock"], user=user["id"])
            rows = await change.rows(
                _SQL["begin"],
                user=user["id"], hash=user["hash"], new_hash=hash_, changes=changes,
                session=new.id, digest=new.digest, address=new.address, network=new.network,
                client=new.client, idle_s=rules.IDLE_S,
            )  # fmt: skip
        await self._store.write(_SQL["forget"])
        return rows[0]["expires_at"] if rows else None

    async def refresh(self, digest: bytes, following: bytes, address: str) -> Row | None:
        """Use a refresh token; None: it is none. A used one ends its session, durably.

        Args:
            digest: of the token.
            following: of the one that takes its place.
            address: where it was shown.
        """
        # By a read: whoever floods with tokens of nobody keeps no change of the engine waiting.
        if not await self._store.rows(_SQL["given"], digest=digest):
            return None
        rows = await self._store.write(
            _SQL["refresh"],
            digest=digest, next=following, idle_s=rules.IDLE_S, longest_s=rules.LONGEST_S,
        )  # fmt: skip
        if rows:
            return rows[0]
        await self._store.write(_SQL["reused"], digest=digest, address=address)
        return None

    async def end(self, session: str, by: ChangedBy, *, what: str, others: bool) -> bool:
        """End a session; return whether it went on.

        Args:
            session: of whom.
            by: who ends it.
            what: "logged_out" or "session_ended".
            others: it may be another one's.
        """
        rows = await self._store.write(
            _SQL["end"], id=session, actor=by.actor, address=by.address, what=what, any=others
        )
        return bool(rows)

    async def sessions(self, user_id: str, actor: str) -> list[Row]:
        """Return the sessions that go on of a user, or of the caller when ``user_id`` is empty."""
        return await self._store.rows(_SQL["sessions"], user=user_id, actor=actor)

    async def created_by(self, user_id: str, digest: bytes) -> Row | None:
        """Return what a request under the same Idempotency-Key has made; None: nothing.

        Raises:
            RequestIdReused: it was another request.
        """
        rows = await self._store.rows(_SQL["created_by"], id=user_id)
        if rows and bytes(rows[0]["request_hash"]) != digest:
            raise RequestIdReused(
                "Idempotency-Key: was used with another request", field="Idempotency-Key"
            )
        return rows[0] if rows else None

    async def create(self, new: NewUser, hash_: str, by: ChangedBy, *, first: bool = False) -> Row:
        """Make a user with a one-time password; return him.

        Args:
            new: the user.
            hash_: of the password.
            by: who makes him.
            first: only where no admin may log in.

        Raises:
            Conflict: the name is taken.
            WrongState: there is an admin, and this would be the first.
        """
        async with self._store.transaction() as change:
            await change.rows(_SQL["lock_admins"])
            made = await change.rows(
                _SQL["create"],
                id=new.id, name=new.name, role=new.role, exchanges=list(new.exchanges),
                request_hash=new.digest, hash=hash_, one_time_s=rules.ONE_TIME_S, first=first,
                actor=by.actor, address=by.address,
                detail=_described(new.role, new.exchanges, disabled=False),
            )  # fmt: skip
            named = [] if made else await change.rows(_SQL["named"], name=new.name)
        if named:
            raise Conflict(f"another user is called {new.name}", kind="user", field="name")
        if not made:
            raise WrongState("there is an admin: he makes users", kind="user", state="ADMIN")
        return await self.one(new.id)

    async def update(
        self,
        user_id: str,
        role: Role | None,
        given: Sequence[str],
        disabled: bool | None,
        by: ChangedBy,
    ) -> Row:
        """Change a user; return him.

        Args:
            user_id: of whom.
            role: None: it stays.
            given: the whole list of exchanges; empty: it stays, as far as the role has one.
            disabled: None: it stays.
            by: who does it.

        Raises:
            NotFound: there is no such user.
            InvalidField: the exchanges do not fit.
            WrongState: nobody would be an admin any more.
        """
        async with self._store.transaction() as change:
            await change.rows(_SQL["lock_admins"])
            await change.rows(_SQL["lock"], user=user_id)
            found = await change.rows(_SQL["one"], id=user_id)
            if not found:
                raise _unknown(user_id)
            old = found[0]
            new_role = role or Role(old["role"])
            kept = old["exchanges"] if new_role is Role.OPERATOR else []
            exchanges = rules.exchanges(new_role, given or kept)
            off = old["disabled"] if disabled is None else disabled
            if new_role is not Role.ADMIN or off:
                others = await change.rows(_SQL["admins"], id=user_id)
                was_admin = old["role"] == Role.ADMIN and not old["disabled"]
                if was_admin and not others[0]["others"]:
                    raise WrongState(
                        "the last admin stays one", kind="user", id=user_id, state="ADMIN"
                    )
            await change.rows(
                _SQL["update"],
                id=user_id, role=new_role, exchanges=exchanges, disabled=off, actor=by.actor,
                address=by.address, detail=_described(new_role, exchanges, disabled=off),
            )  # fmt: skip
            return (await change.rows(_SQL["one"], id=user_id))[0]

    async def reset(self, user_id: str, hash_: str, by: ChangedBy) -> datetime:
        """Give a one-time password and end the user's sessions; return how long it is good.

        Raises:
            NotFound: there is no such user.
        """
        async with self._store.transaction() as change:
            await change.rows(_SQL["lock"], user=user_id)
            rows = await change.rows(
                _SQL["reset"], id=user_id, hash=hash_, one_time_s=rules.ONE_TIME_S,
                actor=by.actor, address=by.address,
            )  # fmt: skip
        if not rows:
            raise _unknown(user_id)
        until: datetime = rows[0]["one_time_until"]
        return until

    async def one(self, user_id: str) -> Row:
        """Return a user. Raises NotFound."""
        rows = await self._store.rows(_SQL["one"], id=user_id)
        if not rows:
            raise _unknown(user_id)
        return rows[0]

    async def page(self, after: Key | None, limit: int) -> list[Row]:
        """Return users after a place, the oldest first."""
        at, (last,) = after or (None, [""])
        return await self._store.rows(_SQL["page"], at=at, after=last, limit=limit)

    async def events(self, user_id: str, before: int | None, limit: int) -> list[Row]:
        """Return what was done before a number, the newest first."""
        return await self._store.rows(_SQL["events"], user=user_id, before=before, limit=limit)


def _described(role: Role, exchanges: Sequence[str], *, disabled: bool) -> str:
    of = f" of {', '.join(exchanges) or 'no exchange'}" if role is Role.OPERATOR else ""
    return f"{role}{of}{', disabled' if disabled else ''}"


def _unknown(user_id: str) -> NotFound:
    return NotFound(f"no user {user_id}", kind="user", id=user_id)
