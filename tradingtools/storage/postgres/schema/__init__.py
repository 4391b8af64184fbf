"""The schema as SQL, one file a subject, and the order in which they are applied."""

from __future__ import annotations

from pathlib import Path

SUBJECTS = (
    "audit",
    "processes",
    "subscriptions",
    "performance",
    "leaders",
    "journal",
    "orders",
    "seals",
    "decisions",
    "lots",
    "triggers",
    "statistics",
    "lot_hours",
    "events",
    "alerts",
    "webhooks",
    "wallets",
    "bots",
    "risk",
    "users",
)


def text(subject: str) -> str:
    """Return the SQL of a subject.

    Raises:
        FileNotFoundError: there is no such subject.
    """
    return (Path(__file__).parent / f"{subject}.sql").read_text()
