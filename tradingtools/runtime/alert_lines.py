"""The log lines with `alert`: each calls a person, is counted by name, and is in docs/alerts.md.

Before it: whoever logs with ``alert=True``. After it: the counter ``alerts_total{name}``, which the
alerts of Prometheus and of `services/alerts` go by. A test walks the code for such lines and
demands each here.
"""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from typing import Any, Final

from opentelemetry import metrics

ANY: Final = ""
"""Of lines that every process may say."""
OTHER: Final = "other"
"""The name of a line that is not here."""

LINES: Final[Mapping[str, Mapping[str, str]]] = {
    ANY: {
        "a stream refuses its reader; nothing comes from it": "stream_refused",
        "a cursor that was never sent is acknowledged; refused": "cursor_never_sent",
        "a reader's cursor is beyond all that was sent; read again": "cursor_beyond",
        "an acknowledged cursor is beyond all that was sent; read again": "acknowledged_beyond",
        "log lines were lost: nobody took them": "log_lines_lost",
        "our clock is off, by that of okx; corrected": "clock_off",
        "okx refuses the key of a wallet; nothing of it is traded": "okx_key_refused",
        "okx refuses part of what is asked": "okx_refuses",
        "no instrument of okx can be read": "okx_unreadable",
    },
    "ingest": {
        "a reader has lost leader trades; they are looked up": "trades_lost",
        "leaders trade and no socket of the feed speaks; copies come late": "feed_silent",
        "a leader has more trades than one walk reads; the older ones follow": "leader_unwalked",
        "a reader's cursor is ahead of the clock; all of the log is read again": "cursor_ahead",
        "somebody else writes to the log of leader trades": "log_of_two_writers",
        "a reader passes over leader trades that were dropped": "trades_dropped",
        "entries of the log in Redis are not ours; passed over": "log_forged",
        "entries of the log in Redis are of nobody's time; taken out": "log_of_no_time",
        "the venue's answer cannot be read": "venue_unreadable",
    },
    "bookfeed": {
        "books stay in doubt; REST alone tells them": "books_doubted",
        "the venue's answer cannot be read": "venue_unreadable",
    },
    "enrichment": {
        "the role of TT_CLICKHOUSE_URL may write; it is not used": "analytics_writable",
        "the analytical store is that of another log; nothing is recorded": "analytics_foreign",
    },
    "signer": {
        "a stored key does not open; it was moved or changed": "stored_key_unopened",
        "credentials do not open; nothing is signed with them": "stored_key_unopened",
        "a process of a stranger connects; closed": "signer_stranger",
        "a process without a known token connects; closed": "signer_stranger",
    },
    "perfmon": {
        "a performance action is refused; again later": "performance_refused",
        "performance rules cannot be read; nothing is judged by them": "performance_unreadable",
        "performance rules do not see all: what is held has had no good book for too long": (
            "performance_in_doubt"
        ),
    },
    "router": {
        "an exit could not be judged; again later": "exit_unjudged",
        "an entry cannot be decided again": "entry_undecided",
        "entries that waited cannot be judged": "waiting_unjudged",
        "a backlog; entries will be too old": "backlog",
    },
    "executor": {
        "an exit leaves beyond the collar": "exit_beyond_collar",
        "the last gate has halted; a person has to look": "gate_halted",
        "circuit breaker opened; orders wait": "breaker_opened",
        "a backlog; entries will be too old": "backlog",
    },
    "confirm": {
        "nobody can say what became of an order; a person has to look": "order_dead",
        "an order appeared after its end; its wallet only sells until a person looked": (
            "order_resurrected"
        ),
        "an order never arrived; its money is released and its key still watched": "order_lost",
        "nothing is told of an accepted order; a person has to ask": "order_silent",
        "insiders-api does not say what it promises; the settings decide": "promises_unsaid",
        "an exit was refused for want of balance; looking what the wallet holds": "exit_unbacked",
        "lots cannot be corrected; a person has to look": "lots_uncorrected",
        "a lot holds less: its shares were sold elsewhere": "lot_corrected",
        "a redemption cannot be noted; a person has to look": "redemption_unnoted",
        "a market cannot be paid out; a person has to look": "market_unpaid",
        "payouts wait for what wallets hold; a person has to look": "payouts_wait",
        "redeemed otherwise than booked; a person has to look": "redemption_differs",
    },
    "webhooks": {"a webhook is disabled": "webhook_disabled"},
    "control": {"no token of the scope operate: nobody can halt": "nobody_can_halt"},
}
"""By process, the name of each line."""

_message = metrics.get_meter("tradingtools.logs").create_counter(
    "alerts", description="log lines that call a person, by name"
)


class Counter:
    """Counts the lines of a process; a step of structlog's.

    Args:
        process: its name in lower case.
    """

    def __init__(self, process: str) -> None:
        self._names = {**LINES[ANY], **LINES.get(process, {})}

    def begin(self) -> None:
        """Have every series there from the start: an increase from nothing is none."""
        for name in sorted({*self._names.values(), OTHER}):
            _message.add(0, {"name": name})

    def __call__(
        self,
        logger: Any,  # noqa: ARG002 - as structlog calls it
        method: str,  # noqa: ARG002
        line: MutableMapping[str, Any],
    ) -> MutableMapping[str, Any]:
        """Count a line if it calls a person."""
        if line.get("alert"):
            _message.add(1, {"name": self._names.get(str(line.get("event")), OTHER)})
        return line
