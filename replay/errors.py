"""Errors of the tool."""

from __future__ import annotations


class Refused(Exception):
    """The request cannot be answered; the message says why in one line."""
