"""The report of a replay of a day. Pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from replay.core.differences import Difference
from services.router.core.judgement import Decoder, Judgement
from services.router.core.records import Plan
from tradingtools.domain.reasons import Reason


@dataclass(slots=True, kw_only=True)
class Report:
    """Sums over the judgements of a day, and the first difference."""

    day: str
    judgements: int = 0
    decisions: int = 0
    orders: int = 0
    copied: int = 0
    refused: Counter[Reason] = field(default_factory=Counter)
    followers: set[str] = field(default_factory=set)
    leaders: set[str] = field(default_factory=set)
    first_ms: int | None = None
    last_ms: int | None = None
    different: int = 0
    first: Difference | None = None
    versions: int = 0
    """Judgements by statistics that were read back by their version."""
    compared: int = 0
    """Records of the journal that were compared."""
    unlike: int = 0
    """Compared records that differ from the recording."""
    unlike_first: str = ""
    unrecorded: list[str] = field(default_factory=list)
    """Records of the journal that the recording does not have."""
    resyncs: int = 0
    """Records of resyncs, whose sizes the database keeps and nobody judges again."""
    damaged: list[str] = field(default_factory=list)
    """Files that could not be read to their end, and why."""

    def add(
        self, judgement: Judgement, recorded: Decoder, plan: Plan, found: Difference | None
    ) -> None:
        """Count one judgement.

        Args:
            judgement: that was repeated.
            recorded: its recording.
            plan: as it was repeated.
            found: how it differs.
        """
        self.judgements += 1
        self.decisions += len(plan.copies)
        self.orders += len(plan.orders)
        self.leaders.add(judgement.key.leader)
        for judged in judgement.followers:
            self.followers.add(recorded.follower(judged).id)
        for copy in plan.copies.values():
            if copy.copied:
                self.copied += 1
            else:
                self.refused[copy.reason] += 1
        at = judgement.now_ms
        self.first_ms = at if self.first_ms is None else min(at, self.first_ms)
        self.last_ms = at if self.last_ms is None else max(at, self.last_ms)
        if found is not None:
            self.different += 1
            self.first = self.first or found

    @property
    def seconds(self) -> float:
        """Return how much real time the judgements span."""
        if self.first_ms is None or self.last_ms is None:
            return 0.0
        return (self.last_ms - self.first_ms) / 1000

    @property
    def same(self) -> bool:
        """Return whether everything was recorded and came out as it was."""
        return not (self.different or self.unlike or self.unrecorded or self.damaged)

    def fields(self, took_seconds: float, *, database: bool) -> dict[str, Any]:
        """Return the report as JSON values.

        Args:
            took_seconds: of the replay.
            database: whether it was compared with the journal, too.
        """
        first = self.first
        return {
            "day": self.day,
            "same": self.same,
            "judgements": self.judgements,
            "decisions": self.decisions,
            "copied": self.copied,
            "refused": {str(reason): n for reason, n in self.refused.most_common()},
            "orders": self.orders,
            "followers": len(self.followers),
            "leaders": len(self.leaders),
            "spanSeconds": round(self.seconds, 3),
            "tookSeconds": round(took_seconds, 3),
            "timesRealTime": round(self.seconds / took_seconds) if took_seconds else 0,
            "different": self.different,
            "firstDifference": None
            if first is None
            else {
                "at": first.at_ms,
                "transaction": first.key.leader_tx,
                "leader": first.key.leader,
                "assetId": first.key.asset_id,
                "side": str(first.key.side),
                "subscriptionId": first.subscription_id,
                "follower": first.follower,
                "field": first.field,
                "was": first.was,
                "now": first.now,
                "whyThen": first.why_was,
                "whyNow": first.why_now,
                "words": first.words(),
            },
            "statisticsReadBack": self.versions,
            "journal": {
                "compared": self.compared,
                "unlike": self.unlike,
                "firstUnlike": self.unlike_first,
                "unrecorded": self.unrecorded[:10],
                "unrecordedCount": len(self.unrecorded),
                "resyncs": self.resyncs,
            }
            if database
            else None,
            "damaged": self.damaged,
        }
