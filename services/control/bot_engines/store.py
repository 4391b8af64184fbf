"""Engines of bots in PostgreSQL, as people see and drain them."""

from __future__ import annotations

from services.control.store import Row, Store, queries
from tradingtools.domain.errors import NotFound

_SQL = queries("bot_engines/queries")


class Engines:
    """Engines in a store.

    Args:
        store: of the rows.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    async def all(self, among: frozenset[str] | None = None) -> list[Row]:
        """Return engines by name, with exchanges and wallets.

        Args:
            among: exchanges that there are for the caller; None: all.
        """
        return await self._store.rows(_SQL["engines"], name=None, exchanges=_listed(among))

    async def one(self, name: str) -> Row:
        """Return an engine. Raises NotFound: none of this name has registered."""
        rows = await self._store.rows(_SQL["engines"], name=name, exchanges=None)
        if not rows:
            raise NotFound(f"no engine {name}", kind="engine", id=name)
        return rows[0]

    async def waiting(self, among: frozenset[str] | None = None) -> list[str]:
        """Return the wallets that no engine has, although their bots have to run.

        Args:
            among: exchanges whose wallets there are for the caller; None: all.
        """
        rows = await self._store.rows(_SQL["waiting"], exchanges=_listed(among))
        return [row["id"] for row in rows]

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


def _listed(among: frozenset[str] | None) -> list[str] | None:
    return None if among is None else sorted(among)
