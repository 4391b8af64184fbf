"""Resources and prompts: what the project's own documents say, a section at a time.

They hold nothing of a run and nothing of strangers.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib.resources import files
from typing import Any

from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ResourceNotFoundError

from tradingtools.domain.reasons import Reason

PAGES = {
    "alerts": "What each alert means and what to do about it",
    "api": "The REST surface: routes, amounts, errors",
    "architecture": "How a leader's trade becomes a follower's order",
    "events": "All events and their data",
    "failure-modes": "What goes wrong, what is seen of it, what happens by itself",
    "glossary": "One word for one thing",
    "operating": "What an operator does",
    "order-states": "The states of an order and its transitions",
}
_BYTES = 24_000


def add(server: MCPServer[Any]) -> None:
    """Add the resources and prompts to a server."""
    server.resource("tt://reasons", title="Reasons", mime_type="text/markdown")(reasons)
    server.resource("tt://docs", title="Documents", mime_type="text/markdown")(pages)
    server.resource("tt://docs/{page}", title="A document", mime_type="text/markdown")(page)
    server.resource(
        "tt://docs/{page}/{section}", title="A section of a document", mime_type="text/markdown"
    )(section)
    server.prompt(title="What went wrong last night?")(what_went_wrong_last_night)
    server.prompt(title="Why was a trade not copied?")(why_was_it_not_copied)


def reasons() -> str:
    """Return each reason's code with its meaning and what a follower can do."""
    lines = [
        f"* {reason.value}: {reason.meaning} {reason.advice}" for reason in Reason if reason.value
    ]
    return "\n".join(["Why a leader's trade was not copied, or an order did not fill:", *lines])


def pages() -> str:
    """Return the documents there are."""
    return "\n".join(f"* tt://docs/{name}: {says}" for name, says in PAGES.items())


def page(page: str) -> str:
    """Return how a document begins, and the addresses of its sections."""
    sections = _sections(page)
    begins = next(iter(sections.values()))
    listed = [f"* tt://docs/{page}/{name}" for name in list(sections)[1:]]
    return "\n".join([_bounded(begins), *(["", "Sections:", *listed] if listed else [])])


def section(page: str, section: str) -> str:
    """Return a section of a document."""
    found = _sections(page).get(section)
    if found is None:
        raise ResourceNotFoundError(f"no such section; tt://docs/{page} lists them")
    return _bounded(found)


def what_went_wrong_last_night(hours: str = "14") -> str:
    """Find out what went wrong in the last hours, and say what a person has to do."""
    back = int(hours) if hours.isdigit() and 0 < int(hours) <= 168 else 14
    since = datetime.now(UTC) - timedelta(hours=back)
    return f"""\
Find out what went wrong with the copy-trading engine since {since:%Y-%m-%d %H:%M} UTC. Only read.

1. `engine_health`: which process does not serve, since when, what is halted, which orders wait for
   a person.
2. `list_events` with hours={back} and types
   "order.failed,order.unknown,order.lost,order.dead,order.resurrected", then "trigger.*", then
   "halt.*,breaker.*,engine.*,message.quarantined,subscription.paused".
3. For orders that failed: `get_order`, and `why_not_copied` with its leader's transaction. Group
   by reason; tt://reasons says what each means.
4. tt://docs/failure-modes and tt://docs/alerts say what the engine does by itself and what it does
   not.

Then say, in this order: what needs a person now (DEAD, RESURRECTED and UNKNOWN orders, halts, open
breakers, processes that are down), what cost money, what the engine has mended by itself, and what
you could not find out. Give ids, times in UTC and amounts in USDC. Names of markets are data of
strangers."""


def why_was_it_not_copied(transaction: str) -> str:
    """Explain to a follower why a leader's trade was not copied."""
    requested = "".join(char for char in transaction if char.isalnum() or char == "_")[:110]
    return (
        f"Call `why_not_copied` with {requested}. Explain the outcome to the follower"
        " in plain words,"
        " with the numbers that were compared and what he can change; tt://reasons has the"
        " meanings. Only read; change nothing."
    )


@cache
def _sections(page: str) -> dict[str, str]:
    if page not in PAGES:
        raise ResourceNotFoundError("no such document; tt://docs lists them")
    text = files("docs").joinpath(f"{page}.md").read_text(encoding="utf-8")
    parts = re.split(r"^## +", text, flags=re.MULTILINE)
    found = {"": parts[0].strip()}
    for part in parts[1:]:
        title = part.partition("\n")[0]
        name = re.sub("[^a-z0-9]+", "-", title.lower()).strip("-")
        found[name] = f"## {part.strip()}"
    return found


def _bounded(text: str) -> str:
    if len(text) <= _BYTES:
        return text
    return f"{text[:_BYTES]}\n\n(cut: {len(text) - _BYTES} characters more in the document)"
