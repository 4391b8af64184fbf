"""Answer with a record or a page of rows: bounded in size, and saying what is left out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Any

from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import CallToolResult, TextContent
from pydantic import BaseModel, Field

from cli.core.answers import BYTES, UNTRUSTED, Json, compact, marked, shortened, size

UNITS = (
    "Amounts in USDC and shares in outcome tokens, as decimal strings; prices in USDC per share;"
    " times in UTC; *Us microseconds, *Ms milliseconds. A field that is left out is not known."
)


class Record(BaseModel):
    """One thing."""

    record: dict[str, Any] = Field(description="What was asked for.")
    units: str
    untrusted: str = Field(default=UNTRUSTED, description="How to read texts of strangers.")
    left_out: list[str] = Field(description="What this answer does not have, though it is there.")


class Page(BaseModel):
    """Some of many."""

    rows: list[dict[str, Any]]
    units: str
    untrusted: str = Field(default=UNTRUSTED, description="How to read texts of strangers.")
    left_out: list[str] = Field(description="What this answer does not have, though it is there.")
    next_page: str = Field(
        default="", description="Ask with it as `page` for what follows; empty: that is all."
    )


RecordAnswer = Annotated[CallToolResult, Record]
PageAnswer = Annotated[CallToolResult, Page]
Fetch = Callable[[int], tuple[Sequence[Json], str]]
"""Returns at most so many rows, and the token of what follows."""


def record_of(
    found: Json, left_out: Sequence[str] = (), *, said: Json | None = None
) -> CallToolResult:
    """Return an answer of one thing.

    Args:
        found: what the engine has told; texts that it would not write are marked.
        left_out: what the tool has left out itself.
        said: further fields that this server has written, which are not marked.
    """
    whole, cut = shortened((said or {}) | marked(found))
    return _answer(Record(record=whole, units=UNITS, left_out=[*left_out, *cut]))


def page_of(fetch: Fetch, limit: int, left_out: Sequence[str] = ()) -> CallToolResult:
    """Return an answer of rows, fewer than were asked for where they do not fit.

    Args:
        fetch: asks the engine; once more with half as many while they do not fit.
        limit: rows that were asked for.
        left_out: what the tool has left out itself.

    Raises:
        ToolError: a single row does not fit.
    """
    left = list(left_out)
    requested = limit
    while True:
        found, following = fetch(requested)
        rows = [marked(row) for row in found]
        if size(rows) <= BYTES:
            break
        if requested == 1:
            raise ToolError("a row is too large for an answer; ask for it alone by its id")
        requested = requested // 2
    if requested < limit and following:
        left.append(
            f"only {len(rows)} rows fit into one answer, of the {limit} that were asked for"
        )
    if following:
        left.append("further rows: ask again with page = next_page")
    return _answer(Page(rows=rows, units=UNITS, left_out=left, next_page=following))


def _answer(answer: BaseModel) -> CallToolResult:
    reported = answer.model_dump()
    return CallToolResult(
        content=[TextContent(type="text", text=compact(reported))], structured_content=reported
    )
