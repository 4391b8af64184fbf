"""An order's history: legal steps, epochs that never fall, and a hash chain. Pure.

The chain begins with what was claimed and takes in each transition, as the functions of the
migrations write it; one changed byte anywhere leads to another head.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from launcher.core.evidence import EventRow, OrderRow
from tradingtools.domain.audit import first_head, next_head
from tradingtools.domain.order_states import LEGAL


def breaks(row: OrderRow, history: Sequence[EventRow]) -> Iterator[str]:
    """Yield what is wrong with an order's history: its events in the order in which they were
    written."""
    if not history:
        yield "it has no history"
        return
    head = first_head(row.order_key, row.body_hash, row.journal_seq)
    state, epoch = "", 0
    for event in history:
        step = f"{event.from_state or 'nothing'} to {event.to_state}"
        if (event.from_state or None, event.to_state) not in LEGAL:
            yield f"{step} is no legal transition"
        if event.from_state != state:
            yield f"{step} does not follow on {state or 'nothing'}"
        if event.epoch < epoch:
            yield f"{step}: the epoch falls from {epoch} to {event.epoch}"
        if state:
            head = next_head(
                head, event.from_state, event.to_state, event.reason, event.epoch,
                event.occurred_us,
            )  # fmt: skip
        if event.hash != head.hex():
            yield f"{step}: the hash chain is broken"
            head = bytes.fromhex(event.hash)
        state, epoch = event.to_state, event.epoch
    if (state, head.hex()) != (row.state, row.chain_head):
        yield f"its history does not lead to {row.state} and its head"
