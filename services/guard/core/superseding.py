"""Find default triggers of a position that is over. Pure.

A lot that was sold out and is bought anew is a new position with an entry price of its own, and
`confirm` has made new triggers for it. Those of the position before, kept until its last sale had
settled, must not judge the new one by the old price.
"""

from __future__ import annotations

from collections.abc import Sequence

from services.guard.core.trigger import Trigger
from tradingtools.domain.trigger_states import EDITABLE


def superseded(oldest_first: Sequence[Trigger]) -> list[Trigger]:
    """Return the default triggers of earlier positions that have not fired.

    Args:
        oldest_first: the live triggers of one lot, in the order in which they were made.
    """
    made = [trigger for trigger in oldest_first if trigger.made_for]
    return [t for t in made if t.made_for != made[-1].made_for and t.status in EDITABLE]
