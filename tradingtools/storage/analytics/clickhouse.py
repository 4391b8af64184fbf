"""A ClickHouse server over HTTP.

No driver: one request a query, parameters beside it, rows as lines of JSON whose values are all
text. What a role may do, and for how long, the server says (docs/operating.md); the limit of time
here is for a server that does not answer.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit

import httpx
import msgspec

from tradingtools.storage.analytics.port import T, Values, WrongTypes, unavailable

OWN = "tradingtools"
"""The database of our own tables."""
_SCHEMA = Path(__file__).parent / "schema" / "own.clickhouse.sql"
_BODY_MAX = 512 * 1024 * 1024
_NULL = "ᴺᵁᴸᴸ".encode()
_FORMAT = "JSONStringsEachRow"


class ClickHouse:
    """Asks one server as one role.

    Args:
        client: with its limit of time.
        url: ``http://user:password@host:8123``.
    """

    def __init__(self, client: httpx.AsyncClient, url: str) -> None:
        parts = urlsplit(url)
        self._client = client
        port = "" if parts.port is None else f":{parts.port}"
        self._url = f"{parts.scheme}://{parts.hostname}{port}{parts.path or '/'}"
        self._headers = {
            "X-ClickHouse-User": unquote(parts.username or "default"),
            "X-ClickHouse-Key": unquote(parts.password or ""),
        }

    async def rows(self, sql: str, values: Values, kind: type[T]) -> list[T]:
        """Return the rows of a query. Raises Unavailable, WrongTypes."""
        body = await self._post(f"{sql}\nformat {_FORMAT}".encode(), values)
        return read_rows(body, kind)

    async def prepare(self) -> None:
        """Make our own tables, where they are missing. Raises Unavailable."""
        for statement in statements(_SCHEMA.read_text()):
            await self._post(statement.encode(), {})

    async def insert(self, table: str, rows: Sequence[msgspec.Struct]) -> None:
        """Write rows into a table of our own. Raises Unavailable."""
        if not rows:
            return
        lines = b"\n".join(msgspec.json.encode(row) for row in rows)
        head = f"insert into {OWN}.{table} format JSONEachRow\n".encode()
        await self._post(head + lines, {})

    async def _post(self, body: bytes, values: Values) -> bytes:
        # Without it an error in the midst of the rows would come after a 200.
        params = {"wait_end_of_query": "1"} | {
            f"param_{name}": _text(value) for name, value in values.items()
        }
        try:
            async with self._client.stream(
                "POST", self._url, params=params, content=body, headers=self._headers
            ) as response:
                answer = bytearray()
                async for chunk in response.aiter_bytes():
                    answer += chunk
                    if len(answer) > _BODY_MAX:
                        raise unavailable(f"an answer above {_BODY_MAX} bytes")
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise unavailable(type(error).__name__) from error
        if response.status_code != 200:
            text = bytes(answer[:300]).decode(errors="replace").strip()
            raise unavailable(f"status {response.status_code}: {text}")
        return bytes(answer)


def read_rows(body: bytes, kind: type[T]) -> list[T]:
    """Return lines of JSON, whose values are text, as structs. Raises WrongTypes."""
    if _NULL in body:
        raise WrongTypes("a value is NULL")
    try:
        return msgspec.json.Decoder(kind, strict=False).decode_lines(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise WrongTypes(str(error)) from None


def statements(text: str) -> list[str]:
    """Return the statements of a file of SQL that has no semicolon within one."""
    lines = (line for line in text.splitlines() if not line.startswith("--"))
    return [part.strip() for part in "\n".join(lines).split(";") if part.strip()]


def _text(value: str | int | Sequence[str]) -> str:
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str):
        return _escaped(value)
    quoted = (_escaped(part).replace("'", "\\'") for part in value)
    return "[" + ",".join(f"'{part}'" for part in quoted) + "]"


def _escaped(text: str) -> str:
    """Return text as the server reads a parameter: tab-separated escapes."""
    return text.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n")


@asynccontextmanager
async def connected(url: str, *, timeout_seconds: float) -> AsyncIterator[ClickHouse]:
    """Open a role's connections for the length of the block."""
    limits = httpx.Limits(max_connections=4, max_keepalive_connections=2)
    async with httpx.AsyncClient(timeout=timeout_seconds, limits=limits) as client:
        yield ClickHouse(client, url)
