"""The age of the oldest item that waits in a process: a gauge, a health name and an alert.

Before it: whoever keeps what waits and knows its age. After it: the gauge ``backlog_age``, the name
``backlog`` of the health checks, and the lease's row, from which a run's live view has it.
"""

from __future__ import annotations

from collections.abc import Callable

import structlog
from opentelemetry import metrics
from opentelemetry.metrics import CallbackOptions, Observation

_log = structlog.get_logger("backlog")


class Backlog:
    """Tells of one process's backlog.

    Args:
        process: its name.
        age_ms: milliseconds that the oldest has waited; 0: nothing waits.
        bound_ms: a backlog that is older is reported; None: none is, the lease alone has the age.
    """

    def __init__(
        self, process: str, age_ms: Callable[[], int], bound_ms: int | None = None
    ) -> None:
        self._process = process
        self._age_ms = age_ms
        self._bound_ms = bound_ms
        self._behind = False
        if bound_ms is None:
            # A rule of Prometheus calls a person for this gauge.
            return
        metrics.get_meter(f"tradingtools.{process}").create_observable_gauge(
            "backlog_age", [self._observe], unit="ms", description="of the oldest that waits"
        )

    def age_ms(self) -> int:
        """Milliseconds that the oldest has waited; 0: nothing waits."""
        return max(self._age_ms(), 0)

    @property
    def bounded(self) -> bool:
        """Return whether a backlog that is too old is reported."""
        return self._bound_ms is not None

    async def keeps_up(self) -> bool:
        """Return whether nothing has waited for longer than the bound; tells when that changes."""
        age_ms = self.age_ms()
        behind = self._bound_ms is not None and age_ms > self._bound_ms
        if behind and not self._behind:
            _log.error("a backlog; entries will be too old", alert=True, age_ms=age_ms)
        elif self._behind and not behind:
            _log.info("the backlog is worked off")
        self._behind = behind
        return not behind

    def _observe(self, _: CallbackOptions) -> list[Observation]:
        return [Observation(self.age_ms(), {"process": self._process})]
