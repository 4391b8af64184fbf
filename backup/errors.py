"""Refusals of a backup."""

from __future__ import annotations


class Refused(Exception):
    """A backup cannot be taken, tried or put back; the message is one line that says why."""
