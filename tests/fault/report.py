"""The report of chaos: faults by kind, recovery, orders, decisions, restarts, memory.

Before it: `chaos.py`, which fills it. The text is for people, the JSON for whoever compares runs.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict

from launcher.core.summary import percentile
from tests.fault.rig import Rig
from tests.fault.workload import Workload

_MEBI = 1 << 20
_BAR = 30
_COUNTS = """
select (select count(*) from orders) as orders,
       (select count(*) from orders where purpose = 'ENTRY' and ordinal = 0) as first_parts,
       (select count(*) from orders where purpose = 'ENTRY' and ordinal > 0) as later_parts,
       (select count(*) from orders where purpose = 'COPY_EXIT') as copy_exits,
       (select count(*) from orders where purpose = 'GUARD_EXIT') as guard_exits,
       (select count(*) from decision) as decisions,
       (select count(*) from decision where copied) as decisions_copied,
       (select count(*) from dead_letter) as quarantined
"""


class Report:
    """Sums over the seeds so far. Seconds and bytes."""

    def __init__(self) -> None:
        self.seeds = 0
        self.broken: list[str] = []
        self.recoveries: defaultdict[str, list[float]] = defaultdict(list)
        self.counts: Counter[str] = Counter()
        self.states: Counter[str] = Counter()
        self.reasons: Counter[str] = Counter()
        self.peak_rss: defaultdict[str, int] = defaultdict(int)
        self.restarts: Counter[str] = Counter()
        self.halts_us: defaultdict[str, list[int]] = defaultdict(list)
        """How long an operator waited for his halts: alone, and beside a hostile neighbour."""

    def recovered(self, kind: str, seconds: float) -> None:
        """A fault ended, and a fresh trade went through so many seconds later."""
        self.recoveries[kind].append(seconds)

    def take(self, made: Rig, workload: Workload) -> None:
        """Add up one seed."""
        (row,) = made.world.sql(_COUNTS)
        self.counts.update({name: int(value) for name, value in row.items()})
        self.counts["leader_trades"] += len(workload.trades)
        self.counts["triggers"] += workload.triggers
        self.counts["pauses"] += len(workload.pauses)
        for row in made.world.sql("select state, count(*) as n from orders group by state"):
            self.states[row["state"]] += row["n"]
        for row in made.world.sql("select reason, count(*) as n from decision group by reason"):
            self.reasons[row["reason"] or "(whole)"] += row["n"]
        for name, rss in made.peak_rss.items():
            self.peak_rss[name] = max(self.peak_rss[name], rss)
        self.restarts.update(made.restarts)
        if made.neighbour is not None:
            for name, times in made.neighbour.halts_us().items():
                self.halts_us[name] += times

    def json(self) -> str:
        """Everything, for machines."""
        faults = {
            kind: {
                "injected": len(times),
                "recovery_seconds_worst": round(max(times), 3),
                "recovery_seconds_median": round(sorted(times)[len(times) // 2], 3),
            }
            for kind, times in sorted(self.recoveries.items())
        }
        return json.dumps(
            {
                "seeds": self.seeds,
                "broken": self.broken,
                "faults": faults,
                "counts": dict(sorted(self.counts.items())),
                "orders_by_state": dict(sorted(self.states.items())),
                "decisions_by_reason": dict(sorted(self.reasons.items())),
                "restarts": dict(sorted(self.restarts.items())),
                "halts_us": {name: sorted(times) for name, times in self.halts_us.items()},
                "peak_rss_bytes": dict(sorted(self.peak_rss.items())),
            },
            indent=2,
        )

    def text(self) -> str:
        """Everything, for people."""
        worst = max((max(times) for times in self.recoveries.values()), default=1.0)
        lines = ["faults injected, and the worst time until a fresh trade had gone through:"]
        lines += [
            f"  {kind:<22} {len(times):>5}  {max(times):6.2f} s"
            f"  {'#' * round(_BAR * max(times) / worst)}"
            for kind, times in sorted(self.recoveries.items())
        ]
        lines.append(f"  {'all':<22} {sum(map(len, self.recoveries.values())):>5}  {worst:6.2f} s")
        for title, counts in (
            ("counts", self.counts),
            ("orders by state", self.states),
            ("decisions by reason", self.reasons),
            ("restarts by the supervisor", self.restarts),
        ):
            lines.append(f"{title}:")
            lines += [f"  {name:<22} {count:>7}" for name, count in sorted(counts.items())]
        lines.append("an operator's halt, p50 and p99:")
        lines += [
            f"  {name:<22} {percentile(sorted(times), 50) / 1000:7.1f}"
            f" {percentile(sorted(times), 99) / 1000:7.1f} ms"
            for name, times in self.halts_us.items()
        ]
        lines.append("peak memory:")
        lines += [
            f"  {name:<22} {rss / _MEBI:7.1f} MiB" for name, rss in sorted(self.peak_rss.items())
        ]
        return "\n".join(lines)
