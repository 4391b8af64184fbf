"""Read leaders' statistics back by the version that a decision names."""

from __future__ import annotations

from base64 import b64decode
from functools import cache
from pathlib import Path

import msgspec

from replay.analytics import Analytics
from tradingtools.codec.leader_facts import facts_of
from tradingtools.domain.leader_facts import LeaderFacts
from tradingtools.storage.postgres.sql import load_queries
from tradingtools.v1 import enrichment_pb2 as pb

_QUERIES = load_queries(Path(__file__).parent / "analytics.sql")


class _Document(msgspec.Struct, frozen=True):
    document: str


class Versions:
    """The published documents of leaders.

    Args:
        own: the analytical store with our tables.
    """

    def __init__(self, own: Analytics) -> None:
        self._own = own
        self.facts = cache(self._facts)

    def _facts(self, wallet: str, version: str) -> LeaderFacts | None:
        """Return what filters judge of a version; None: it is gone. Raises Unavailable."""
        found = self._own.rows(
            _QUERIES["document"], {"wallet": wallet, "version": version}, _Document
        )
        if not found:
            return None
        return facts_of(pb.LeaderStatistics.FromString(b64decode(found[0].document)))
