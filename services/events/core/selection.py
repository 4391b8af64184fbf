"""Which events a reader wants. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from services.events.core.derive import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """A reader's filter; an empty field takes all."""

    types: frozenset[str] = frozenset()
    follower_proxy: str = ""
    subscription_id: str = ""

    def takes(self, event: Event) -> bool:
        """Return whether the reader wants an event."""
        return (
            (not self.types or event.type in self.types)
            and (not self.follower_proxy or event.follower_proxy == self.follower_proxy)
            and (not self.subscription_id or event.subscription_id == self.subscription_id)
        )
