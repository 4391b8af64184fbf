"""Messages of several statements on a connection of their own, without anybody who waits.

psycopg tells the event loop about the socket before each answer and takes it back after it, sets a
timer, asks the kernel whether it may write, and drives generators: for an answer of one row five
times as much as the rest. Here the loop knows the socket as long as the connection lives, and
what arrives is read where it arrives. For what only reads: one that fails leaves those before it as
they are, and those behind it are not carried out.

Before it: `services.control.reading`. After it: PostgreSQL.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Sequence

import psycopg
import structlog
from psycopg import errors, pq
from psycopg.pq.abc import PGresult
from psycopg.rows import DictRow

from tradingtools.storage.postgres.direct import GOOD, PLANS_LOST, Connection, Statement, Wired

_log = structlog.get_logger("postgres")
_NUMBERS = itertools.count()
"""Of names: a connection that had another lane before still has its statements."""
_LOOK_SECONDS = 1.0
"""After a reset uvloop tells of a socket once, and of what came before it: whether there is an end
behind that has to be looked for."""
Said = list[DictRow] | Exception
"""All rows of a statement, or why there are none."""


class Lane:
    """One message at a time.

    Args:
        connection: idle; nobody else uses it until the lane is closed.
        answered: called with what was said to each statement of the message, in order; the first
            that failed ends it.
        lost: called once, when the connection has ended; the message gets no answer.
    """

    def __init__(
        self,
        connection: Connection,
        answered: Callable[[Lane, Sequence[Said]], None],
        lost: Callable[[Lane, psycopg.OperationalError], None],
    ) -> None:
        self.connection = connection
        self._answered = answered
        self._lost = lost
        self._pgconn = connection.pgconn
        self._socket = connection.pgconn.socket
        self._loop = asyncio.get_running_loop()
        self._known: dict[bytes, Statement] = {}
        self._sent: list[tuple[bytes, Statement, bool]] = []
        """Each command under way: its text, its statement, and whether that is only made."""
        self._results: list[PGresult] = []
        self._pgconn.enter_pipeline_mode()
        self._loop.add_reader(self._socket, self._readable)
        self._looking = self._loop.call_later(_LOOK_SECONDS, self._look)

    def send(self, asked: Sequence[Wired]) -> None:
        """Ask all of these; none may be under way."""
        made: dict[bytes, Statement] = {}
        try:
            for text, wire, formats in asked:
                statement = self._known.get(text) or made.get(text)
                if statement is None:
                    statement = made[text] = Statement(b"lane_%d" % next(_NUMBERS))
                    self._pgconn.send_prepare(statement.name, text)
                    self._sent.append((text, statement, True))
                self._pgconn.send_query_prepared(statement.name, wire, formats)
                self._sent.append((text, statement, False))
            self._pgconn.pipeline_sync()
            if self._pgconn.flush():
                self._loop.add_writer(self._socket, self._writable)
        except psycopg.OperationalError as error:
            # Not before whoever asks is ready to hear of it.
            self._loop.call_soon(self._end, error)

    def close(self) -> None:
        """Leave the connection as it was; what is under way ends with it."""
        if self._socket < 0:
            return
        self._forget()
        try:
            self._pgconn.exit_pipeline_mode()
        except psycopg.OperationalError:
            # Not while something is under way.
            self._pgconn.finish()

    def _look(self) -> None:
        self._looking = self._loop.call_later(_LOOK_SECONDS, self._look)
        self._readable()

    def _forget(self) -> None:
        self._looking.cancel()
        self._loop.remove_reader(self._socket)
        self._loop.remove_writer(self._socket)
        self._socket = -1

    def _end(self, error: psycopg.OperationalError) -> None:
        if self._socket < 0:
            return
        self._forget()
        self._pgconn.finish()
        self._lost(self, error)

    def _writable(self) -> None:
        try:
            if not self._pgconn.flush():
                self._loop.remove_writer(self._socket)
        except psycopg.OperationalError as error:
            self._end(error)

    def _readable(self) -> None:
        try:
            self._pgconn.consume_input()
            while self._sent and not self._pgconn.is_busy():
                self._take()
        except psycopg.OperationalError as error:
            self._end(error)
        except Exception as error:  # noqa: BLE001 - whoever waits for it would wait for ever
            _log.error("an answer was not understood", exc_info=error)
            self._end(psycopg.OperationalError("an answer was not understood"))

    def _take(self) -> None:
        """The next answer; each is followed by None, but the last one."""
        result = self._pgconn.get_result()
        if result is None:
            if self._pgconn.status == pq.ConnStatus.BAD:
                raise psycopg.OperationalError(self._pgconn.get_error_message())
        elif result.status == pq.ExecStatus.PIPELINE_SYNC:
            sent, results = self._sent, self._results
            self._sent, self._results = [], []
            self._answered(self, self._said(sent, results))
        else:
            self._results.append(result)

    def _said(
        self, sent: Sequence[tuple[bytes, Statement, bool]], results: Sequence[PGresult]
    ) -> list[Said]:
        said: list[Said] = []
        for (text, statement, made), result in zip(sent, results, strict=True):
            if result.status not in GOOD:
                error = errors.error_from_result(result, "utf-8")
                if isinstance(error, PLANS_LOST):
                    self._known.clear()
                return [*said, error]
            if made:
                self._known[text] = statement
                continue
            try:
                said.append(statement.rows(result, result.ntuples))
            except Exception as error:  # noqa: BLE001 - whoever asked has to hear of it, not this lane
                said.append(error)
        return said
