"""Endpoints and their lanes in PostgreSQL; written under the lease of webhooks, by it alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
from psycopg.rows import DictRow

from services.webhooks.core.lane import WIDTH, Lane, Pending, Range
from tradingtools.domain.errors import RequestIdReused
from tradingtools.domain.event import Selection, types_of
from tradingtools.storage.postgres import journal
from tradingtools.storage.postgres.direct import Connection
from tradingtools.storage.postgres.lease import Lease
from tradingtools.storage.postgres.pool import Pool
from tradingtools.storage.postgres.sql import load_queries

_SQL = load_queries(Path(__file__).parent / "queries.sql")
RETAINED_DELIVERIES = 1_000
_encode = msgspec.json.encode
_pending = msgspec.json.Decoder(dict[int, Pending]).decode
_replays = msgspec.json.Decoder(tuple[Range, ...]).decode


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """An endpoint as callers have made it."""

    id: str
    url: str
    types: tuple[str, ...]
    description: str
    ordering: str
    enabled: bool = True
    disabled_reason: str = ""
    created_at: datetime
    secrets: Mapping[str, datetime] = field(repr=False)
    """With the instant until which each counts; the newest first."""

    @property
    def desired(self) -> Selection:
        """Return the selection of events that it gets."""
        return Selection(types=types_of(self.types, "types"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One attempt."""

    event_id: str
    event_type: str
    number: int
    attempt: int
    at: datetime
    duration_ms: int
    outcome: str
    status: int
    answer: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """The key of a repeatable create: digests of caller and key, and of the request."""

    key: bytes
    request: bytes


class Store:
    """Reads and writes what webhooks are.

    Args:
        pool: of the deciding database.
        lease: of webhooks.
    """

    def __init__(self, pool: Pool, lease: Lease) -> None:
        self._pool = pool
        self._lease = lease

    async def endpoints(self) -> list[tuple[Endpoint, Lane]]:
        """Return all endpoints with their lanes, the oldest first."""
        async with self._pool.connection() as connection:
            cursor = await connection.execute(_SQL["endpoints"])
            return [(_endpoint(row), _lane(row)) for row in await cursor.fetchall()]

    async def repeated(self, key: Key) -> str | None:
        """Return the endpoint that was made under a key. Raises RequestIdReused."""
        async with self._pool.connection() as connection:
            cursor = await connection.execute(_SQL["by_key"], {"key": key.key})
            row = await cursor.fetchone()
        if row is not None and bytes(row["request_hash"]) != key.request:
            raise RequestIdReused(
                "Idempotency-Key: was used with another request", field="Idempotency-Key"
            )
        return None if row is None else str(row["id"])

    async def create(
        self, endpoint: Endpoint, position: int, actor: str, key: Key | None
    ) -> datetime:
        """Make an endpoint that gets what comes after a number; return when it was made."""
        (secret,) = endpoint.secrets
        async with self._pool.connection() as connection, connection.transaction():
            await journal.check_lease(connection, self._lease)
            cursor = await connection.execute(
                _SQL["create"],
                {
                    "id": endpoint.id,
                    "url": endpoint.url,
                    "types": list(endpoint.types),
                    "description": endpoint.description,
                    "ordering": endpoint.ordering,
                    "key": key and key.key,
                    "hash": key and key.request,
                },
            )
            row = await cursor.fetchone()
            assert row is not None  # noqa: S101 - an insert returns its row
            lane = {"id": endpoint.id, "position": position}
            await connection.execute(_SQL["create_lane"], lane)
            await connection.execute(_SQL["add_secret"], {"id": endpoint.id, "secret": secret})
            await _note(connection, endpoint, "created", actor)
        return row["created_at"]  # type: ignore[no-any-return]

    async def update(self, endpoint: Endpoint, action: str, actor: str, reason: str = "") -> None:
        """Change an endpoint, with the event that tells of it."""
        async with self._pool.connection() as connection, connection.transaction():
            await journal.check_lease(connection, self._lease)
            await connection.execute(
                _SQL["update"],
                {
                    "id": endpoint.id,
                    "url": endpoint.url,
                    "types": list(endpoint.types),
                    "description": endpoint.description,
                    "enabled": endpoint.enabled,
                    "disabled_reason": endpoint.disabled_reason,
                },
            )
            await _note(connection, endpoint, action, actor, reason)

    async def delete(self, endpoint: Endpoint, actor: str) -> None:
        """Delete an endpoint with all that belongs to it."""
        async with self._pool.connection() as connection, connection.transaction():
            await journal.check_lease(connection, self._lease)
            await connection.execute(_SQL["delete"], {"id": endpoint.id})
            await _note(connection, endpoint, "deleted", actor)

    async def rotate(self, endpoint: Endpoint, secret: str, actor: str) -> None:
        """Make a secret the newest one; those before count for another day."""
        async with self._pool.connection() as connection, connection.transaction():
            await journal.check_lease(connection, self._lease)
            await connection.execute(_SQL["drop_secrets"])
            await connection.execute(_SQL["old_secrets"], {"id": endpoint.id})
            await connection.execute(_SQL["add_secret"], {"id": endpoint.id, "secret": secret})
            await _note(connection, endpoint, "changed", actor, "the secret was rotated")

    async def keep(
        self, lanes: Mapping[str, Lane], deliveries: Sequence[tuple[str, Delivery]]
    ) -> None:
        """Write where lanes stand and what was attempted; all of it or nothing."""
        async with self._pool.connection() as connection, connection.transaction():
            await journal.check_lease(connection, self._lease)
            if lanes:
                await connection.execute(_SQL["keep_lanes"], _columns(lanes))
            if deliveries:
                await connection.execute(_SQL["keep_deliveries"], _attempts(deliveries))

    async def forget(self, ids: Sequence[str]) -> None:
        """Keep the newest deliveries of endpoints, and no others."""
        async with self._pool.connection() as connection:
            for one in ids:
                values = {"id": one, "kept": RETAINED_DELIVERIES}
                await connection.execute(_SQL["forget_deliveries"], values)

    async def deliveries(
        self, endpoint_id: str, before: int, limit: int
    ) -> list[tuple[int, Delivery]]:
        """Return attempts before one of that number, the newest first; 0: the newest."""
        async with self._pool.connection() as connection:
            cursor = await connection.execute(
                _SQL["deliveries"], {"id": endpoint_id, "before": before, "limit": limit}
            )
            return [(row.pop("id"), Delivery(**row)) for row in await cursor.fetchall()]


async def _note(
    connection: Connection, endpoint: Endpoint, action: str, actor: str, reason: str = ""
) -> None:
    await connection.execute(
        _SQL["note"],
        {
            "id": endpoint.id, "action": action, "url": endpoint.url, "actor": actor,
            "reason": reason,
        },
    )  # fmt: skip


def _endpoint(row: DictRow) -> Endpoint:
    return Endpoint(
        id=row["id"],
        url=row["url"],
        types=tuple(row["types"]),
        description=row["description"],
        ordering=row["ordering"],
        enabled=row["enabled"],
        disabled_reason=row["disabled_reason"],
        created_at=row["created_at"],
        secrets=dict(zip(row["secrets"], row["untils"], strict=True)),
    )


def _lane(row: DictRow) -> Lane:
    since = row["failing_since"]
    return Lane(
        position=row["position"],
        width=WIDTH[row["ordering"]],
        pending=_pending(row["pending"]),
        replays=_replays(row["replays"]),
        failing_since_ms=None if since is None else round(since.timestamp() * 1000),
    )


def _columns(lanes: Mapping[str, Lane]) -> dict[str, Any]:
    all_of = list(lanes.values())
    return {
        "ids": list(lanes),
        "positions": [lane.position for lane in all_of],
        "pendings": [_encode(lane.pending).decode() for lane in all_of],
        "replays": [_encode(lane.replays).decode() for lane in all_of],
        "failing": [
            None
            if lane.failing_since_ms is None
            else datetime.fromtimestamp(lane.failing_since_ms / 1000, UTC)
            for lane in all_of
        ],
    }


def _attempts(deliveries: Sequence[tuple[str, Delivery]]) -> dict[str, Any]:
    made = [delivery for _, delivery in deliveries]
    return {
        "ids": [endpoint_id for endpoint_id, _ in deliveries],
        "events": [d.event_id for d in made],
        "types": [d.event_type for d in made],
        "numbers": [d.number for d in made],
        "attempts": [d.attempt for d in made],
        "ats": [d.at for d in made],
        "durations": [d.duration_ms for d in made],
        "outcomes": [d.outcome for d in made],
        "statuses": [d.status for d in made],
        "answers": [d.answer for d in made],
    }
