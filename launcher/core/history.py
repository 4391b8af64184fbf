"""An order's history: legal steps, epochs that never fall, and a hash chain. Pure.

The chain begins with what was claimed and takes in each transition, as the functions of the
migrations write it; one changed byte anywhere leads to another head.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence

from launcher.core.evidence import EventRow, OrderRow
from tradingtools.domain.order_states import LEGAL


def breaks(row: OrderRow, history: Sequence[EventRow]) -> Iterator[str]:
    """What is wrong with an order's history: its events in the order in which they were written."""
    if not history:
        yield "it has no history"
        return
    head = _sha256(f"{row.order_key}|CLAIMED|{row.body_hash}|{row.journal_seq}".encode())
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
            fields = (event.from_state, event.to_state, event.reason)
            text = "|".join([*fields, str(event.epoch), str(event.occurred_us)])
            head = _sha256(head + text.encode())
        if event.hash != head.hex():
            yield f"{step}: the hash chain is broken"
            head = bytes.fromhex(event.hash)
        state, epoch = event.to_state, event.epoch
    if (state, head.hex()) != (row.state, row.chain_head):
        yield f"its history does not lead to {row.state} and its head"


def _sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()
