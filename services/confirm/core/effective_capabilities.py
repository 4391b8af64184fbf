"""Cap the capabilities that insiders-api states by those of the settings. Pure.

Before it: its answer of `/api/capabilities`, if there has been any. After it:
`unknown_order_policy`, which concludes nothing as long as it is not known, and that must not be for
ever.
"""

from __future__ import annotations

from itertools import product

from tradingtools.venues.ports import Capabilities

LETTERS = "ABCD"
"""A: one key is one order. B: nothing is accepted after not_after. C: orders are read by key. D: an
unused key can be voided."""
WRITTEN = tuple("".join(one) for one in product(*(("-", letter) for letter in LETTERS)))
"""All there can be, e.g. ``A-C-``."""


def of_settings(written: str, longest_processing_ms: int) -> Capabilities | None:
    """Return what the settings say; None: nothing, the endpoint's word is taken.

    Args:
        written: one of `WRITTEN`, or empty.
        longest_processing_ms: of a request that was sent in time.
    """
    if not written:
        return None
    idempotency, not_after, get_by_key, void = (letter != "-" for letter in written)
    return Capabilities(idempotency, not_after, get_by_key, void, longest_processing_ms)


def taken(
    configured: Capabilities | None, reported: Capabilities | None, *, waited: bool
) -> Capabilities | None:
    """Return what insiders-api is taken to promise; None: it may yet tell.

    Args:
        configured: by the settings; None: nothing.
        reported: by insiders-api; None: it has not answered.
        waited: whether it had its time to answer. Then the settings decide; where they say nothing,
            nothing is promised: no order is sent a second time, and a person decides what reading
            by key does not find.
    """
    if reported is None:
        return (configured or Capabilities(False, False, False, False, 0)) if waited else None
    if configured is None:
        return reported
    return Capabilities(
        idempotency=configured.idempotency and reported.idempotency,
        not_after=configured.not_after and reported.not_after,
        get_by_key=configured.get_by_key and reported.get_by_key,
        void=configured.void and reported.void,
        longest_processing_ms=max(configured.longest_processing_ms, reported.longest_processing_ms),
    )
