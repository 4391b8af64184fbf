"""Ask the analytical store, one question after the other."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path

from tradingtools.storage.analytics import embedded
from tradingtools.storage.analytics.port import Reader, T, Values

_SECONDS = 30.0


class Analytics:
    """Reads for a tool that does nothing else meanwhile.

    Args:
        runner: of the store's calls.
        reader: the store.
    """

    def __init__(self, runner: asyncio.Runner, reader: Reader) -> None:
        self._runner = runner
        self._reader = reader

    def rows(self, sql: str, values: Values, kind: type[T]) -> list[T]:
        """Return the rows of a query. Raises Unavailable, WrongTypes."""
        return self._runner.run(self._reader.rows(sql, values, kind))


@contextmanager
def opened(environ: Mapping[str, str], *, own: bool) -> Iterator[Analytics | None]:
    """Open the store that the environment names; None: it names none.

    Args:
        environ: ``TT_CLICKHOUSE_URL`` or ``TT_CLICKHOUSE_OWN_URL``, or ``TT_ANALYTICS_DIR``.
        own: the tables of ours are meant, not the product's.
    """
    url = environ.get("TT_CLICKHOUSE_OWN_URL" if own else "TT_CLICKHOUSE_URL", "")
    directory = environ.get("TT_ANALYTICS_DIR", "")
    if not url and not (directory and Path(directory).is_dir()):
        yield None
        return
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        runner.run(stack.__aenter__())
        try:
            store: Reader
            if url:
                from tradingtools.storage.analytics import clickhouse

                connected = clickhouse.connected(url, timeout_seconds=_SECONDS)
                store = runner.run(stack.enter_async_context(connected))
            else:
                files = embedded.opened(Path(directory), timeout_seconds=_SECONDS)
                store = runner.run(stack.enter_async_context(files))
            yield Analytics(runner, store)
        finally:
            runner.run(stack.aclose())
