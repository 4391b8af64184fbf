"""Engines of bots in PostgreSQL, as people see and drain them."""

from __future__ import annotations

from services.control.store import Row, Store, queries
from tradingtools.domain.errors import NotFound

_SQL = queries("engines/queries")


class Engines:
    """Engines in a store.

    Args:
        store: of the rows.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    async def all(self) -> list[Row]:
        """Return engines by name."""
        return await self._store.rows(_SQL["engines"], name=None)

    async def one(self, name: str) -> Row:
        """Return an engine. Raises NotFound: none of this name has registered."""
        rows = await self._store.rows(_SQL["engines"], name=name)
        if not rows:
            raise NotFound(f"no engine {name}", kind="engine", id=name)
        return rows[0]

    async def waiting(self) -> list[str]:
        """Return the wallets that no engine has, although their bots have to run."""
        return [row["id"] for row in await self._store.rows(_SQL["waiting"])]

    async def drain(self, name: str, actor: str, *, draining: bool) -> Row:
        """Want an engine drained, or no longer; return it.

        Args:
            name: of the engine.
            actor: the id of the caller's token.
            draining: what is wanted.

        Raises:
            NotFound: none of this name has registered.
        """
        await self._store.write(_SQL["drain"], name=name, actor=actor, draining=draining)
        return await self.one(name)
