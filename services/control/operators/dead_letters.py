"""Messages that could not be handled, for operators: listed, and handed to their reader again.

Before it: `runtime.consumer`, which sets them aside and takes up what is asked for here.
"""

from __future__ import annotations

from collections.abc import Sequence

from services.control.auth.operator import Operator
from services.control.store import Row, Store, queries
from tradingtools.domain.errors import NotFound

KIND = "message"
_SQL = queries("operators/dead_letters")


class DeadLetters:
    """Dead letters, for operators.

    Args:
        store: of control.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    async def messages(self, consumer: str, before_id: int, limit: int) -> Sequence[Row]:
        """A page, newest first; an empty consumer means all."""
        return await self._store.rows(
            _SQL["list"], consumer=consumer, before_id=before_id, limit=limit
        )

    async def replay(self, by: Operator, message: int, operator: str) -> Row:
        """Have it handled again; returns it. One that waits for its reader already stays as it is.

        Raises:
            NotFound: no such message.
        """
        async with self._store.change(by.caller, by.source) as change:
            row = await change.row(_SQL["lock_message"], id=message)
            if row is None:
                raise NotFound(f"no message {message}", kind=KIND, id=str(message))
            if row["replay_requested_at"] is not None and row["replayed_at"] is None:
                return row
            requested = await change.row(_SQL["request_replay"], id=message)
            assert requested is not None  # noqa: S101 - found just above, and locked
            where = {name: row[name] for name in ("stream", "consumer", "cursor", "reason")}
            await change.record(
                "replay", KIND, str(message), before=where, after={**where, "operator": operator}
            )
            return requested
