"""Reasons why `kill_lines.py` never comes to some steps."""

from __future__ import annotations

from tests.fault.entries import Entry, contradictions
from tests.fault.steps import Step

MISTAKE = "only a mistake of the engine's own raises it"

UNREACHED: tuple[Entry, ...] = ()


def why(step: Step) -> str:
    """Return why a step is not reached; empty: there is no reason."""
    if step.line in contradictions(step.path):
        return MISTAKE
    return next((entry.why for entry in UNREACHED if entry.holds(step)), "")
