"""ClickHouse's engine in this process: chdb-core-lite, without what its package asks for.

The package imports pandas and pyarrow (400 MB) for formats that nobody wants here; the engine
itself needs neither. Installed for development only (requirements-sdk.txt).
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import types
from collections.abc import Mapping
from typing import Any, Protocol


class EngineError(Exception):
    """The engine has refused a query; the message is its own."""


class Session(Protocol):
    """A connection with settings of its own."""

    def query(self, sql: str, output: str = ..., *, params: Mapping[str, str] = ...) -> Any:
        """Execute a query."""


def connect(path: str) -> Session:
    """Open a session on a directory. Raises ImportError: the engine is not installed."""
    if "chdb" not in sys.modules:
        spec = importlib.util.find_spec("chdb")
        if spec is None or spec.submodule_search_locations is None:
            raise ImportError("chdb-core-lite is not installed: make setup")
        package = types.ModuleType("chdb")
        package.__path__ = list(spec.submodule_search_locations)
        sys.modules["chdb"] = package
    session: Session = importlib.import_module("chdb._chdb").connect(path)
    return session


def execute(session: Session, sql: str, params: Mapping[str, str] | None = None) -> bytes:
    """Return what a query gives, in the format that it names. Raises EngineError."""
    try:
        return bytes(session.query(sql, "TabSeparated", params=dict(params or {})).bytes())
    except RuntimeError as error:
        # What a query that was cut off had found already is the answer to the next one.
        session.query("select 1", "Null")
        raise EngineError(str(error)) from None
