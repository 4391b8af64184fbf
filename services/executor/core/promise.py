"""Decide whether insiders-api's promise that one key is one order holds for one more POST. Pure."""

from __future__ import annotations

from enum import Enum, auto

from tradingtools.venues.ports import Capabilities, CapabilitiesUnknown


class Promise(Enum):
    """The promise, at the moment of an answer."""

    HOLDS = auto()
    WITHDRAWN = auto()
    """The same bytes would be a second order: confirm finds out in another way."""
    NOT_REPORTED = auto()
    """Nothing is sent now; the next answer decides."""


def judge(capabilities: Capabilities | CapabilitiesUnknown, *, by_settings: bool) -> Promise:
    """Return whether the same bytes under the same key can only be one order.

    Args:
        capabilities: by insiders-api, a moment ago.
        by_settings: it had never said so when confirm decided, and the settings do.
    """
    if isinstance(capabilities, Capabilities):
        return Promise.HOLDS if capabilities.idempotency else Promise.WITHDRAWN
    return (
        Promise.HOLDS
        if by_settings and capabilities is CapabilitiesUnknown.NOT_OFFERED
        else Promise.NOT_REPORTED
    )
