"""The arithmetic of the audit: chains of control changes and of orders, and the seals over them.

The database writes the hashes (`storage/postgres/migrations`); this computes them once more from
what is stored, independently, and names the first thing that does not fit. Before it: whoever reads
the rows. After it: an operator, who asks what happened there.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tradingtools.domain.order_states import LEGAL, OrderState

GENESIS = bytes(32)
"""What the first entry of a chain continues."""
_DIGEST = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Break:
    """The first thing that does not fit."""

    where: str
    """A change, an event, an order or a seal, by its number or key."""
    what: str

    def __str__(self) -> str:
        """Return one line."""
        return f"{self.where}: {self.what}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A change of the control surface as stored."""

    seq: int
    text: str
    """What it says, canonical."""
    previous_hash: bytes
    hash: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """A transition of an order as stored."""

    event_seq: int
    order_key: str
    from_state: str
    to_state: str
    reason: str
    epoch: int
    occurred_us: int
    """Microseconds since 1970."""
    detail: bytes | None
    hash: bytes
    """Head of the order's chain after it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderHead:
    """The history of an order as its row has it."""

    order_key: str
    body_hash: str
    journal_seq: int
    state: str
    epoch: int
    chain_head: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Seal:
    """A seal over all events with ``after_seq < event_seq <= to_seq``."""

    seal_seq: int
    after_seq: int
    to_seq: int
    event_seqs: tuple[int, ...]
    digests: bytes
    root: bytes
    control_seq: int
    control_hash: bytes
    sealed_us: int
    previous_hash: bytes
    hash: bytes


def change_break(change: Change, previous: bytes) -> Break | None:
    """Return whether a change continues the chain that ends with the hash ``previous``."""
    where = f"change {change.seq}"
    if change.previous_hash != previous:
        return Break(where=where, what="does not continue the change before it; one is missing")
    if change.hash != _sha256(previous + change.text.encode()):
        return Break(where=where, what="was changed")
    return None


def first_head(order_key: str, body_hash: str, journal_seq: int) -> bytes:
    """Return where an order's chain begins: with what was claimed."""
    return _sha256(f"{order_key}|{OrderState.CLAIMED}|{body_hash}|{journal_seq}".encode())


def next_head(
    head: bytes, from_state: str, to_state: str, reason: str, epoch: int, occurred_us: int
) -> bytes:
    """Return the head of an order's chain after one more transition."""
    text = f"{from_state}|{to_state}|{reason}|{epoch}|{occurred_us}"
    return _sha256(head + text.encode())


def order_break(order: OrderHead, events: Sequence[Event]) -> Break | None:
    """Return whether an order's events, in the order of their numbers, lead to what its row
    says."""
    if not events:
        return Break(where=f"order {order.order_key}", what="has no history")
    head, state = b"", ""
    for event in events:
        where = _event(event)
        if event.from_state != state:
            what = f"follows on {state or 'nothing'} and begins at {event.from_state or 'nothing'};"
            return Break(where=where, what=f"{what} one is missing, or they changed places")
        head = _head_after(order, head, event)
        legal = (event.from_state or None, event.to_state) in LEGAL
        if event.hash != head or not legal:
            return Break(where=where, what="was changed, or the one before it was")
        state = event.to_state
    ours = (order.state, order.epoch, order.chain_head)
    if ours != (state, events[-1].epoch, head):
        what = f"its row says {order.state}, its last event (event {events[-1].event_seq}) {state}"
        return Break(where=f"order {order.order_key}", what=what)
    return None


def _head_after(order: OrderHead, head: bytes, event: Event) -> bytes:
    if not event.from_state:
        return first_head(order.order_key, order.body_hash, order.journal_seq)
    return next_head(
        head, event.from_state, event.to_state, event.reason, event.epoch, event.occurred_us
    )


def seal_break(
    seal: Seal, previous: Seal | None, events: Sequence[Event], control_hash: bytes | None
) -> Break | None:
    """Return whether a seal continues the one before it, and what it sealed still stands.

    Args:
        seal: to judge.
        previous: the seal before it; None: it is the first one.
        events: all in its range, in the order of their numbers.
        control_hash: of the change that it names; None: there is none.
    """
    return (
        _continues(seal, previous)
        or next(_differences(seal, {event.event_seq: event for event in events}), None)
        or _control(seal, control_hash)
    )


def _continues(seal: Seal, previous: Seal | None) -> Break | None:
    number, to_seq, head = 0, 0, GENESIS
    if previous is not None:
        number, to_seq, head = previous.seal_seq, previous.to_seq, previous.hash
    if seal.seal_seq != number + 1:
        return Break(where=f"seal {number + 1}", what="is missing")
    text = (
        f"{seal.seal_seq}|{seal.after_seq}|{seal.to_seq}|{seal.root.hex()}|{seal.control_seq}"
        f"|{seal.control_hash.hex()}|{seal.sealed_us}"
    )
    whole = (seal.after_seq, seal.previous_hash) == (to_seq, head)
    if (
        not whole
        or seal.hash != _sha256(head + text.encode())
        or seal.root != _sha256(seal.digests)
    ):
        return Break(where=f"seal {seal.seal_seq}", what="was changed")
    return None


def _differences(seal: Seal, events: dict[int, Event]) -> Iterator[Break]:
    after = f"since seal {seal.seal_seq}"
    digests = [
        seal.digests[at : at + _DIGEST] for at in range(0, len(seal.digests), _DIGEST)
    ]  # fmt: skip
    sealed = dict(zip(seal.event_seqs, digests, strict=True))
    for number in sorted(sealed.keys() | events.keys()):
        event = events.get(number)
        if event is None:
            yield Break(where=f"event {number}", what=f"was deleted {after}")
        elif number not in sealed:
            yield Break(where=_event(event), what=f"was inserted {after}")
        elif digest(event) != sealed[number]:
            yield Break(where=_event(event), what=f"was changed {after}")


def _control(seal: Seal, control_hash: bytes | None) -> Break | None:
    where = f"change {seal.control_seq}"
    if control_hash is None:
        missing = Break(where=where, what=f"was deleted since seal {seal.seal_seq}")
        return missing if seal.control_seq else None
    if control_hash != seal.control_hash:
        return Break(where=where, what=f"was changed since seal {seal.seal_seq}")
    return None


def digest(event: Event) -> bytes:
    """Return all that an event says."""
    detail = "-" if event.detail is None else event.detail.hex()
    fields = (
        event.event_seq, event.order_key, event.from_state, event.to_state, event.reason,
        event.epoch, event.occurred_us, detail, event.hash.hex(),
    )  # fmt: skip
    return _sha256("|".join(map(str, fields)).encode())


def _event(event: Event) -> str:
    return f"event {event.event_seq} of order {event.order_key}"


def _sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()
