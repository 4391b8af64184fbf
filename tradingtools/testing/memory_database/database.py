"""The database: committed rows, locks, its clock, and the statements that it can answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from tradingtools import clock
from tradingtools.testing.memory_database.locks import Locks
from tradingtools.testing.memory_database.schema import Key, Row
from tradingtools.testing.memory_database.statements import Statement, statements
from tradingtools.testing.memory_database.transactions import EPOCH, Change, Rows, Transaction


def _clock() -> datetime:
    return EPOCH + timedelta(microseconds=clock.now_ns() // 1000)


class MemoryDatabase:
    """One database.

    Args:
        now: its clock; none: the process's.
        replaced: twins that take the place of a statement's own, by (file, name): for a test that
            wants to see what happens without a protection.
    """

    def __init__(
        self,
        now: Callable[[], datetime] = _clock,
        replaced: Mapping[tuple[str, str], Callable[..., list[Row]]] | None = None,
    ) -> None:
        self.now = now
        self._rows = Rows()
        self._locks = Locks()
        self._statements = statements(replaced or {})
        self._open: dict[Transaction, Callable[[], None]] = {}
        self._watchers: list[Callable[[list[Change]], None]] = []
        self.down = False
        """Connections are refused."""

    def watch(self, watcher: Callable[[list[Change]], None]) -> None:
        """Have every commit's changes shown, in the order of the commits."""
        self._watchers.append(watcher)

    def statement(self, text: str) -> Statement:
        """The statement with this text.

        Raises:
            LookupError: it has no twin.
        """
        found = self._statements.get(text)
        if found is None:
            raise LookupError(f"a statement without a twin: {text[:200]}")
        return found

    def begin(self, broken: Callable[[], None] = lambda: None) -> Transaction:
        """Open a transaction.

        Args:
            broken: called when the database restarts under it.
        """
        transaction = Transaction(self._rows, self._locks)
        self._open[transaction] = broken
        return transaction

    def commit(self, transaction: Transaction) -> None:
        """Commit, and show the watchers what has changed."""
        changes = transaction.commit()
        self._open.pop(transaction, None)
        for watcher in self._watchers if changes else ():
            watcher(changes)

    def rollback(self, transaction: Transaction) -> None:
        """Roll back; twice is harmless."""
        transaction.rollback()
        self._open.pop(transaction, None)

    async def wait(self, transaction: Transaction, blocked: Exception) -> None:
        """Wait for the lock that a statement could not have."""
        await self._locks.wait(transaction, blocked)  # type: ignore[arg-type]

    def restart(self) -> None:
        """Every open transaction is rolled back and its connection broken."""
        for transaction, broken in list(self._open.items()):
            broken()
            self.rollback(transaction)

    def table(self, name: str) -> Mapping[Key, Row]:
        """The committed rows of a table, by primary key; for judges, which read only."""
        return self._rows.tables[name]

    def align(self, sequence: str, last: int) -> None:
        """Go on behind a number that another database's sequence has come to; never back."""
        self._rows.sequences[sequence] = max(self._rows.sequences[sequence], last)

    def write(self, work: Callable[[Transaction], None]) -> None:
        """Change rows at once, as one transaction of somebody who waits for nobody."""
        transaction = self.begin()
        transaction.now = self.now()
        try:
            work(transaction)
        except BaseException:
            self.rollback(transaction)
            raise
        self.commit(transaction)
