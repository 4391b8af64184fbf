"""Rows of the audit and of the quarantine as operators see them."""

from __future__ import annotations

from services.control.messages import timestamp
from services.control.operators.verification import Progress
from services.control.store import Row
from tradingtools.v1 import operator_service_pb2 as pb


def entry(row: Row) -> pb.AuditEntry:
    """A change of the control surface."""
    return pb.AuditEntry(
        seq=row["seq"], changed_at=timestamp(row["changed_at"]), actor=row["actor"],
        source=row["source"], action=row["action"], subject_kind=row["subject_kind"],
        subject_id=row["subject_id"], before_json=row["before"] or "",
        after_json=row["after"] or "", hash=row["hash"],
    )  # fmt: skip


def progress(step: Progress) -> pb.VerifyAuditResponse:
    """Return how far a verification has come."""
    return pb.VerifyAuditResponse(
        part=pb.AuditPart.Value(f"AUDIT_PART_{step.part}"), checked=step.checked, done=step.done,
        broken_at=step.broken.where if step.broken else "",
        problem=step.broken.what if step.broken else "", sealed_event_seq=step.sealed_to,
    )  # fmt: skip


def message(row: Row) -> pb.DeadLetter:
    """A message in quarantine."""
    requested_at, replayed_at = row["replay_requested_at"], row["replayed_at"]
    return pb.DeadLetter(
        id=row["id"], stream=row["stream"], consumer=row["consumer"], cursor=row["cursor"],
        reason=row["reason"], quarantined_at=timestamp(row["quarantined_at"]),
        replay_requested_at=None if requested_at is None else timestamp(requested_at),
        replayed_at=None if replayed_at is None else timestamp(replayed_at),
    )  # fmt: skip
