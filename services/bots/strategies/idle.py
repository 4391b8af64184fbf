"""The strategy of a bot that is only wound up: it wants nothing."""
# ruff: noqa: ARG002 - the arguments are the port's

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from services.bots.core.strategy import Intent, StrategyEvent, View


class Idle:
    """See the module."""

    def begin(self, config: Any) -> Any:
        """Return a state that never changes."""
        return None

    def on(
        self, config: Any, state: Any, event: StrategyEvent, view: View
    ) -> tuple[Any, tuple[Intent, ...]]:
        """Return the same state."""
        return state, ()

    def explain(self, config: Any, state: Any, view: View) -> Mapping[str, str]:
        """Return nothing."""
        return {}
