"""Values of a replay, as `python -m replay` tells them. Pure."""

from __future__ import annotations

import msgspec


class Change(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The first field of a judgement that is not what it was."""

    at: int
    """Milliseconds since 1970."""
    transaction: str
    leader: str
    asset_id: str
    side: str
    subscription_id: str
    follower: str
    field: str
    was: str
    now: str
    why_then: str
    why_now: str
    words: str


class InJournal(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The comparison with the journal."""

    compared: int
    unlike: int
    first_unlike: str
    unrecorded: list[str]
    unrecorded_count: int
    resyncs: int


class Replayed(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A recorded day judged again."""

    day: str
    same: bool
    judgements: int
    decisions: int
    copied: int
    refused: dict[str, int]
    orders: int
    followers: int
    leaders: int
    span_seconds: float
    took_seconds: float
    times_real_time: int
    different: int
    first_difference: Change | None
    statistics_read_back: int
    journal: InJournal | None
    damaged: list[str]


def lines(told: Replayed) -> list[str]:
    """Return a replay as people read it."""
    refused = ", ".join(f"{n} {reason}" for reason, n in told.refused.items()) or "none"
    found = [
        f"day         {told.day}",
        (
            f"judged      {told.judgements} judgements of {told.leaders} leaders for"
            f" {told.followers} followers"
        ),
        f"decisions   {told.decisions}: {told.copied} copied; refused: {refused}",
        f"orders      {told.orders}",
        (
            f"speed       {told.span_seconds:.0f} s in {told.took_seconds:.2f} s,"
            f" {told.times_real_time} times real time"
        ),
        *(
            [f"statistics  {told.statistics_read_back} judgements by versions that were read back"]
            if told.statistics_read_back
            else []
        ),
        _journal(told.journal),
        *(f"damaged     {each}" for each in told.damaged),
    ]
    if told.first_difference is not None:
        found += [
            "",
            f"{told.different} judgements differ. The first difference:",
            told.first_difference.words,
        ]
    else:
        found += ["", "every decision is the same" if told.same else "no decision differs, but"]
        found += _but(told)
    return found


def _journal(told: InJournal | None) -> str:
    if told is None:
        return "journal     not compared: no database is named (--database)"
    return f"journal     {told.compared} records compared, {told.resyncs} of resyncs besides"


def _but(told: Replayed) -> list[str]:
    found = [f"  {each} is damaged" for each in told.damaged[:1]]
    if told.journal is not None and told.journal.unlike:
        found.append(
            f"  {told.journal.unlike} records of the journal say something else:"
            f" {told.journal.first_unlike}"
        )
    if told.journal is not None and told.journal.unrecorded_count:
        found.append(
            f"  {told.journal.unrecorded_count} records of the journal were not recorded;"
            f" the first is {told.journal.unrecorded[0]}"
        )
    return found
