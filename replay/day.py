"""Judge a recorded day again, and compare: with the recording, and with the journal.

The recording has what each plan was made of. A core that has not changed makes the same plan; the
first field in which it does not is said in words. The journal says whether the recording is what
became durable, and whether it has all of it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec

from replay.core.differences import fields_difference, first_difference
from replay.core.report import Report
from replay.journal import RESYNC, Journal
from replay.recorded import judgements
from services.router.core import judgement as core
from services.router.core.decision_fields import decision_fields
from services.router.core.judgement import Decoder, Judgement, known_of, trade_of
from services.router.core.records import Plan
from tradingtools.domain.leader_facts import LeaderFacts

_TOGETHER = 200
Judge = Callable[[Judgement, Decoder, LeaderFacts | None], Plan]
Progress = Callable[[Report], None]
ReadBack = Callable[[str, str], LeaderFacts | None]
"""The facts of a leader as a version of the statistics has them; None: the version is gone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayedJudgement:
    """A judgement and what it is now."""

    judgement: Judgement
    recorded: Decoder
    plan: Plan


def replay(
    directory: Path,
    day: date,
    *,
    journal: Journal | None = None,
    judge: Judge = core.judge,
    read_back: ReadBack | None = None,
    progress: Progress = lambda _: None,
) -> tuple[Report, float]:
    """Judge a day again.

    Args:
        directory: of the recordings.
        day: UTC.
        journal: to compare with, too; None: with the recording alone.
        judge: the core.
        read_back: statistics of leaders by version; None: those of the recording serve.
        progress: called after every few hundred judgements.

    Returns:
        The report, and how many seconds the judging itself took, the journal's answers not counted.
    """
    report, seen, took = Report(day=day.isoformat()), set[str](), 0.0
    # First: what is committed from now on need not be in what is read of the recording.
    durable = [] if journal is None else journal.keys(day)
    recorded = judgements(directory, day, report.damaged.append)
    like = _Journaled(journal, report) if journal is not None else None
    while True:
        started = time.monotonic()
        done = [
            _repeat(report, decoder, judgement, judge, read_back)
            for decoder, judgement in islice(recorded, _TOGETHER)
        ]
        took += time.monotonic() - started
        if not done:
            break
        seen.update(each.judgement.record_key for each in done)
        if like is not None:
            like.compare(done)
        progress(report)
    if like is not None:
        like.end()
        _complete(report, durable, directory, day, seen)
    return report, took


def _repeat(
    report: Report,
    recorded: Decoder,
    judgement: Judgement,
    judge: Judge,
    read_back: ReadBack | None,
) -> ReplayedJudgement:
    facts = None
    if read_back is not None and judgement.leader is not None:
        facts = read_back(judgement.key.leader, judgement.leader.version)
        report.versions += facts is not None
    plan = judge(judgement, recorded, facts)
    report.add(judgement, recorded, plan, first_difference(judgement, recorded, plan))
    return ReplayedJudgement(judgement=judgement, recorded=recorded, plan=plan)


class _Journaled:
    """Compares what was judged with what became durable.

    One claim may have been tried several times; of these tries one is durable.

    Args:
        journal: what became durable.
        report: what is found.
    """

    def __init__(self, journal: Journal, report: Report) -> None:
        self._journal = journal
        self._report = report
        self._tried: dict[str, str] = {}
        """Records whose tries so far are not what the journal says, and how the last one is not."""
        self._equal: set[str] = set()

    def compare(self, done: Sequence[ReplayedJudgement]) -> None:
        """Compare some judgements."""
        payloads = self._journal.payloads([each.judgement.record_key for each in done])
        for each in done:
            key = each.judgement.record_key
            payload = payloads.get(key)
            if payload is None or key in self._equal:
                continue
            found = _unlike(each, payload)
            if found is None:
                self._equal.add(key)
                self._tried.pop(key, None)
            else:
                self._tried[key] = found

    def end(self) -> None:
        """Report what was found."""
        self._report.compared = len(self._equal) + len(self._tried)
        self._report.unlike = len(self._tried)
        self._report.unlike_first = next(iter(self._tried.values()), "")


def _unlike(each: ReplayedJudgement, payload: Mapping[str, Any]) -> str | None:
    """Return how a judgement is not what the journal says; None: it is."""
    trade, plan = trade_of(each.judgement), each.plan
    orders = {order.order_key: order for order in plan.orders}
    for fields in payload["orders"]:
        order = orders.pop(fields["order_key"], None)
        if order is None:
            return f"order {fields['order_key']} of the journal is not made any more"
        for name in ("size_micros", "limit_micros", "not_after_ms", "reserved_money_micros"):
            if getattr(order, name) != fields[name]:
                return (
                    f"order {order.order_key}: {name} is {fields[name]} in the journal"
                    f" and {getattr(order, name)} now"
                )
    if orders:
        return f"order {next(iter(orders))} is made now, and not in the journal"
    durable = {
        fields["subscription_id"]: fields
        for fields in payload["decisions"]
        if _about(fields, each.judgement)
    }
    known = known_of(each.judgement, each.recorded)
    unchanged = {i: known[i] for i in durable if i in known and i not in plan.copies}
    made = decision_fields(trade, {**plan.copies, **unchanged})
    for now in made:
        was = durable.get(now["subscription_id"])
        if was is None:
            return f"no decision for {now['subscription_id']} in the journal"
        found = fields_difference(was, _plain(now))
        if found is not None:
            field, then, here = found
            return (
                f"decision for {now['subscription_id']} about {trade.key.leader_tx}:"
                f" {field} is {then} in the journal and {here} now"
            )
    for identifier in durable.keys() - {now["subscription_id"] for now in made}:
        return f"the decision for {identifier} in the journal is not made any more"
    return None


def _plain(fields: Mapping[str, Any]) -> Mapping[str, Any]:
    plain: Mapping[str, Any] = msgspec.json.decode(msgspec.json.encode(fields))
    return plain


def _about(fields: Mapping[str, Any], judgement: Judgement) -> bool:
    key = judgement.key
    names = ("leader_tx", "leader", "asset_id", "side")
    return all(fields[name] == getattr(key, name) for name in names)


def _complete(
    report: Report, durable: Sequence[str], directory: Path, day: date, seen: set[str]
) -> None:
    """Find records of the journal that no recording has."""
    missing = [key for key in durable if key not in seen]
    report.resyncs = sum(key.startswith(RESYNC) for key in missing)
    missing = [key for key in missing if not key.startswith(RESYNC)]
    if missing:
        # Judged before midnight and committed after it.
        elsewhere = _keys(directory, [day - timedelta(days=1), day + timedelta(days=1)])
        missing = [key for key in missing if key not in elsewhere]
    report.unrecorded = missing


def _keys(directory: Path, days: Iterable[date]) -> set[str]:
    return {
        judgement.record_key
        for day in days
        for _, judgement in judgements(directory, day, lambda _: None)
    }
