"""A transaction whose statements travel together: they wait for an answer where one is read.

For writers that hold up others while they write: each round trip that is saved is a few hundred
microseconds in which the next batch does not wait.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import psycopg

from tradingtools.adapters.postgres.prompt import Connection


@asynccontextmanager
async def together(connection: Connection) -> AsyncIterator[None]:
    """A transaction in pipeline mode, committed when the block ends.

    What a statement raises comes out where its answer is read, at the latest when the block ends;
    nothing is committed then. Whatever must not be committed is read and judged within the block.
    `Connection.transaction` is of no use here: in a pipeline it waits for its BEGIN.

    Args:
        connection: idle.
    """
    async with connection.pipeline():
        await connection.execute("begin")
        try:
            yield
        except BaseException:
            # One that cannot roll back is broken, and rolled back with its connection.
            with suppress(psycopg.Error):
                await connection.execute("rollback")
            raise
        await connection.execute("commit")
