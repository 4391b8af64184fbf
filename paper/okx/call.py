"""One request by REST as a handler sees it, and the table of routes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from paper.okx.core.auth import Key
from paper.okx.core.codes import Refusal
from paper.okx.core.limits import Limit
from paper.okx.wire.envelope import Json


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A request; `key` is None on public routes."""

    key: Key | None
    query: Mapping[str, str]
    body: object
    expires_ms: int | None
    arrived_ns: int
    now_ms: int

    @property
    def account(self) -> str:
        """The account that asks; only on private routes."""
        if self.key is None:
            raise Refusal("50026")
        return self.key.account

    @property
    def row(self) -> Mapping[str, object]:
        """The body's one object. Raises Refusal."""
        if not isinstance(self.body, dict):
            raise Refusal("51000", "body")
        return self.body

    @property
    def rows(self) -> Sequence[Mapping[str, object]]:
        """The body's objects. Raises Refusal."""
        if not isinstance(self.body, list) or not all(isinstance(x, dict) for x in self.body):
            raise Refusal("51000", "body")
        return self.body

    def needs(self, name: str) -> str:
        """A parameter that must be there. Raises Refusal."""
        value = self.query.get(name, "")
        if not value:
            raise Refusal("50014", name)
        return value


Handler = Callable[[Call], Json]


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """A route; trade routes need that permission and count their own limits."""

    method: str
    path: str
    handler: Handler
    private: bool = True
    trade: bool = False
    op: str = ""
    """The name by which a fault means it; empty: its path."""
    limit: Limit | None = None
    """By account or address; None: the handler counts."""


def per_2s(count: int) -> Limit:
    """A limit within two seconds, as most of OKX's are."""
    return Limit(count, 2_000)
