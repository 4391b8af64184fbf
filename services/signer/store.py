"""Wallets, keys and signatures in PostgreSQL; the signer alone writes them, under its lease."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, LiteralString
from uuid import UUID

import psycopg
from msgspec import Struct
from psycopg.rows import DictRow

from services.signer.core.polymarket_account import Account
from services.signer.vault import Place, Wrapped, facts
from tradingtools.domain.errors import Conflict, NotFound, RequestIdReused, WrongState
from tradingtools.storage.postgres import journal
from tradingtools.storage.postgres.direct import Connection
from tradingtools.storage.postgres.lease import Lease
from tradingtools.storage.postgres.pool import Pool
from tradingtools.storage.postgres.sql import load_queries

_SQL = load_queries(Path(__file__).parent / "queries.sql")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wallet:
    """A wallet, and what is stored of its secrets."""

    place: Place
    name: str
    environment: str
    account: str
    state: str
    max_order_micros: int
    signature_type: int | None
    signer_address: str | None
    key: Wrapped | None
    sealed: Mapping[str, bytes] = field(repr=False)

    @property
    def polymarket(self) -> Account:
        """Return whose orders are signed, of a wallet of Polymarket."""
        if self.signature_type is None or self.signer_address is None:
            raise ValueError("no wallet of Polymarket")
        return Account(
            signature_type=self.signature_type,
            funder=bytes.fromhex(self.account[2:]),
            signer=bytes.fromhex(self.signer_address[2:]),
            max_order_micros=self.max_order_micros,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Added:
    """The values of a new wallet."""

    place: Place
    name: str
    environment: str
    account: str
    permissions: str
    max_order_micros: int
    signature_type: int | None = None
    signer_address: str | None = None
    request_key: bytes | None = None
    request_hash: bytes | None = None


_SWITCHES = frozenset({"POST /v1/heartbeats", "POST /api/v5/trade/cancel-all-after"})


class Entry(Struct, frozen=True, kw_only=True):
    """A signature that is asked for."""

    wallet: str
    edition: int
    kind: str
    summary: str
    digest: bytes
    engine: str
    epoch: int
    pid: int
    uid: int
    opens_nothing: bool = False
    """It reads, or ends orders."""

    @property
    def recurs(self) -> bool:
        """Return whether engines repeat it for ever: it reads, or keeps a dead man's switch."""
        return self.summary.startswith("GET ") or self.summary in _SWITCHES


class Spooled(Struct, frozen=True, kw_only=True):
    """A signature that leaves even when the database is away; it has one row, whoever writes it."""

    id: UUID
    signed_ms: int
    entry: Entry


class Store:
    """Reads and writes what the signer keeps.

    Args:
        pool: of the database.
        lease: of the signer.
    """

    def __init__(self, pool: Pool, lease: Lease) -> None:
        self._pool = pool
        self._lease = lease

    async def wallet(self, wallet_id: str) -> Wallet | None:
        """Return a wallet; None: there is none."""
        rows = await self._rows("wallet", id=wallet_id)
        return _wallet(rows[0]) if rows else None

    async def active(self, wallet_id: str) -> Wallet:
        """Return a wallet that is in use. Raises NotFound, WrongState."""
        found = await self.wallet(wallet_id)
        if found is None:
            raise NotFound(f"no wallet {wallet_id}", kind="wallet", id=wallet_id)
        if found.state != "ACTIVE":
            raise _retired(wallet_id)
        return found

    async def by_request(self, key: bytes, request: bytes) -> str | None:
        """Return the wallet that a request has made before. Raises RequestIdReused."""
        rows = await self._rows("by_request", key=key)
        if not rows:
            return None
        if bytes(rows[0]["request_hash"]) != request:
            raise RequestIdReused("the Idempotency-Key came with another request before")
        return str(rows[0]["id"])

    async def refuse_taken(self, added: Added) -> None:
        """Refuse a name or an account that another wallet has. Raises Conflict."""
        rows = await self._rows(
            "taken", tenant=added.place.tenant, name=added.name, exchange=added.place.exchange,
            environment=added.environment, account=added.account,
        )  # fmt: skip
        if rows:
            what = "name" if rows[0]["by_name"] else "account"
            raise _taken(rows[0]["id"], what)

    async def add(
        self, added: Added, key: Wrapped, sealed: Mapping[str, bytes], actor: str
    ) -> None:
        """Write a new wallet, all of it or nothing. Raises Conflict."""
        place = added.place
        try:
            async with self._pool.connection() as connection, connection.transaction():
                await journal.check_lease(connection, self._lease)
                await connection.execute(
                    _SQL["add"],
                    {
                        "id": place.wallet, "tenant": place.tenant, "name": added.name,
                        "exchange": place.exchange, "environment": added.environment,
                        "account": added.account, "permissions": added.permissions,
                        "signature_type": added.signature_type,
                        "signer_address": added.signer_address,
                        "max_order_micros": added.max_order_micros,
                        "request_key": added.request_key, "request_hash": added.request_hash,
                    },
                )  # fmt: skip
                await _add_secrets(connection, place, key, sealed)
                await _note(connection, place.wallet, "added", actor)
                await _refuse_follower(connection, place.exchange, added.account)
        except psycopg.errors.UniqueViolation:
            # Another request was faster, with this key, name or account.
            raise _taken("", "request key, name or account") from None

    async def replace(
        self, place: Place, key: Wrapped, sealed: Mapping[str, bytes], permissions: str, actor: str
    ) -> None:
        """Put an edition in the place of the one before. Raises Conflict."""
        async with self._pool.connection() as connection, connection.transaction():
            await journal.check_lease(connection, self._lease)
            requested = {
                "id": place.wallet,
                "edition": place.edition - 1,
                "permissions": permissions,
            }
            if not await _returned(connection, "replace", requested):
                raise changed_meanwhile(place.wallet)
            await connection.execute(_SQL["drop_secrets"], {"id": place.wallet})
            await connection.execute(_SQL["drop_key"], {"id": place.wallet})
            await _add_secrets(connection, place, key, sealed)
            await _note(connection, place.wallet, "replaced", actor)

    async def checked(self, place: Place, problem: str, permissions: str, actor: str) -> None:
        """Write what the exchange says of credentials. Raises Conflict."""
        async with self._pool.connection() as connection, connection.transaction():
            await journal.check_lease(connection, self._lease)
            requested = {
                "id": place.wallet, "edition": place.edition, "problem": problem,
                "permissions": permissions,
            }  # fmt: skip
            if not await _returned(connection, "checked", requested):
                raise changed_meanwhile(place.wallet)
            await _note(connection, place.wallet, "checked", actor, problem)

    async def retire(self, wallet_id: str, actor: str) -> None:
        """Erase a wallet's keys and secrets.

        Raises:
            WrongState: it is retired.
            Conflict: bots of it are not stopped (the message names them), or its sets change.
        """
        async with self._pool.connection() as connection, connection.transaction():
            await journal.check_lease(connection, self._lease)
            # A bot that is made meanwhile waits for it, and finds the wallet retired.
            await connection.execute(_SQL["hold_wallet"], {"id": wallet_id})
            cursor = await connection.execute(_SQL["busy_bots"], {"id": wallet_id})
            busy = [str(row["id"]) for row in await cursor.fetchall()]
            if busy:
                raise Conflict(
                    f"bots of the wallet are not stopped: {', '.join(busy)}",
                    kind="wallet", id=wallet_id, bots=",".join(busy),
                )  # fmt: skip
            cursor = await connection.execute(_SQL["changing_sets"], {"id": wallet_id})
            row = await cursor.fetchone()
            if row is not None and row["changing"]:
                raise Conflict(
                    "sets of outcomes of the wallet are being merged or redeemed; try again once"
                    " that is over",
                    kind="wallet", id=wallet_id,
                )  # fmt: skip
            if not await _returned(connection, "retire", {"id": wallet_id}):
                raise _retired(wallet_id)
            await connection.execute(_SQL["drop_secrets"], {"id": wallet_id})
            await connection.execute(_SQL["drop_key"], {"id": wallet_id})
            await _note(connection, wallet_id, "retired", actor)

    async def forget_signatures(self, days: int) -> int:
        """Forget signatures that are older than that, some at a time; return how many."""
        async with self._pool.connection() as connection:
            cursor = await connection.execute(_SQL["forget_signatures"], {"days": days})
            row = await cursor.fetchone()
        assert row is not None  # noqa: S101 - a function call always has a row
        return int(row["gone"])

    async def rewrap(self, wallet_id: str, was: str, key: Wrapped, actor: str) -> bool:
        """Write a key that was wrapped anew; return whether it was still the one before."""
        async with self._pool.connection() as connection, connection.transaction():
            await journal.check_lease(connection, self._lease)
            requested = {
                "id": wallet_id, "was": was, "master_key": key.master_key, "wrapped": key.wrapped
            }  # fmt: skip
            if not await _returned(connection, "rewrap", requested):
                return False
            await _note(connection, wallet_id, "rewrapped", actor)
            return True

    async def wrapped_by_others(self, current: str, after: str) -> list[tuple[Place, Wrapped]]:
        """Return up to a hundred data keys of other master keys, after a wallet, in order."""
        rows = await self._rows("other_master_keys", current=current, after=after)
        return [
            (
                Place(tenant=row["tenant"], wallet=row["id"], exchange=row["exchange"], edition=0),
                Wrapped(master_key=row["master_key"], wrapped=bytes(row["wrapped"])),
            )
            for row in rows
        ]

    async def master_key_names(self) -> list[str]:
        """Return the names of all master keys that something is wrapped by."""
        return [row["master_key"] for row in await self._rows("masters")]

    async def sealing_keys(self) -> list[tuple[str, Wrapped]]:
        """Return key pairs for clients, the newest first."""
        return [
            (row["id"], Wrapped(master_key=row["master_key"], wrapped=bytes(row["wrapped"])))
            for row in await self._rows("sealing_keys")
        ]

    async def add_sealing_key(self, name: str, key: Wrapped) -> None:
        """Write a key pair for clients."""
        async with self._pool.connection() as connection, connection.transaction():
            await journal.check_lease(connection, self._lease)
            requested = {"id": name, "master_key": key.master_key, "wrapped": key.wrapped}
            await connection.execute(_SQL["add_sealing_key"], requested)

    async def rewrap_sealing_key(self, name: str, was: str, key: Wrapped) -> None:
        """Write one that was wrapped anew."""
        async with self._pool.connection() as connection, connection.transaction():
            await journal.check_lease(connection, self._lease)
            requested = {
                "id": name, "was": was, "master_key": key.master_key, "wrapped": key.wrapped
            }  # fmt: skip
            await connection.execute(_SQL["rewrap_sealing_key"], requested)

    async def sign(self, entries: Sequence[Entry], ids: Sequence[UUID | None]) -> frozenset[int]:
        """Write down what may be signed; return which of the entries, from 0.

        Args:
            entries: that wait.
            ids: of those of them that are spooled when this is not answered in time.
        """
        rows = await self._rows(
            "sign",
            wallets=[e.wallet for e in entries],
            editions=[e.edition for e in entries],
            kinds=[e.kind for e in entries],
            summaries=[e.summary for e in entries],
            digests=[e.digest for e in entries],
            engines=[e.engine for e in entries],
            epochs=[e.epoch for e in entries],
            pids=[e.pid for e in entries],
            uids=[e.uid for e in entries],
            open_nothing=[e.opens_nothing for e in entries],
            ids=ids,
        )
        return frozenset(row["number"] - 1 for row in rows)

    async def answers(self) -> None:
        """Ask the database for nothing. Raises psycopg.Error: it is away."""
        async with self._pool.connection() as connection:
            await connection.execute("select")

    async def book(self, spooled: Sequence[Spooled]) -> None:
        """Write down what was signed while the database was away."""
        entries = [one.entry for one in spooled]
        async with self._pool.connection() as connection:
            await connection.execute(
                _SQL["book"],
                {
                    "wallets": [e.wallet for e in entries],
                    "kinds": [e.kind for e in entries],
                    "summaries": [e.summary for e in entries],
                    "digests": [e.digest for e in entries],
                    "engines": [e.engine for e in entries],
                    "epochs": [e.epoch for e in entries],
                    "pids": [e.pid for e in entries],
                    "uids": [e.uid for e in entries],
                    "signed": [one.signed_ms for one in spooled],
                    "ids": [one.id for one in spooled],
                },
            )

    async def _rows(self, query: LiteralString, /, **requested: Any) -> list[DictRow]:
        async with self._pool.connection() as connection:
            cursor = await connection.execute(_SQL[query], requested)
            return await cursor.fetchall()


async def _returned(
    connection: Connection, name: LiteralString, requested: Mapping[str, Any]
) -> bool:
    cursor = await connection.execute(_SQL[name], requested)
    return await cursor.fetchone() is not None


async def _add_secrets(
    connection: Connection, place: Place, key: Wrapped, sealed: Mapping[str, bytes]
) -> None:
    wrapped = {"id": place.wallet, "master_key": key.master_key, "wrapped": key.wrapped}
    await connection.execute(_SQL["add_key"], wrapped)
    requested = {
        "id": place.wallet, "edition": place.edition, "purposes": list(sealed),
        "ciphertexts": list(sealed.values()),
    }  # fmt: skip
    await connection.execute(_SQL["add_secrets"], requested)


async def _note(
    connection: Connection, wallet: str, action: str, actor: str, reason: str = ""
) -> None:
    requested = {"id": wallet, "action": action, "actor": actor, "reason": reason}
    await connection.execute(_SQL["note"], requested)


async def _refuse_follower(connection: Connection, exchange: str, account: str) -> None:
    """A wallet is traded by copies or by bots, never by both. Raises Conflict."""
    await connection.execute(_SQL["hold_control"])
    if await _returned(connection, "follows", {"exchange": exchange, "account": account}):
        raise Conflict("the account is a follower's wallet, which copies trade", kind="wallet")


def _taken(wallet_id: str, what: str) -> Conflict:
    return Conflict(f"another wallet has this {what}", kind="wallet", id=wallet_id)


def _retired(wallet_id: str) -> WrongState:
    return WrongState("the wallet is retired", kind="wallet", id=wallet_id, state="RETIRED")


def changed_meanwhile(wallet_id: str) -> Conflict:
    """Return the error of a change that is meant for another edition."""
    return Conflict("the wallet was changed meanwhile", kind="wallet", id=wallet_id)


def _wallet(row: DictRow) -> Wallet:
    return Wallet(
        place=Place(
            tenant=row["tenant"],
            wallet=row["id"],
            exchange=row["exchange"],
            edition=row["edition"],
            facts=facts(
                row["environment"],
                row["account"],
                row["max_order_micros"],
                row["signature_type"],
                row["signer_address"],
            ),
        ),
        name=row["name"],
        environment=row["environment"],
        account=row["account"],
        state=row["state"],
        max_order_micros=row["max_order_micros"],
        signature_type=row["signature_type"],
        signer_address=row["signer_address"],
        key=None
        if row["master_key"] is None
        else Wrapped(master_key=row["master_key"], wrapped=bytes(row["wrapped"])),
        sealed={
            purpose: bytes(ciphertext)
            for purpose, ciphertext in zip(row["purposes"], row["ciphertexts"], strict=True)
        },
    )
