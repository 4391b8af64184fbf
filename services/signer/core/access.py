"""Decide which process may ask what."""

from __future__ import annotations

from tradingtools.domain.errors import NotAllowed
from tradingtools.domain.signing import Ask, OfControl

CONTROL = "control"


def check(caller: str, ask: Ask) -> None:
    """Let control's requests be control's, and none of the others. Raises NotAllowed.

    Whether an engine holds the wallet is judged with the audit, in one statement.
    """
    if isinstance(ask, OfControl) != (caller == CONTROL):
        raise NotAllowed("this process may not ask for this")
