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


def lines(reported: Replayed) -> list[str]:
    """Return a replay as people read it."""
    refused = ", ".join(f"{n} {reason}" for reason, n in reported.refused.items()) or "none"
    found = [
        f"day         {reported.day}",
        (
            f"judged      {reported.judgements} judgements of {reported.leaders} leaders for"
            f" {reported.followers} followers"
        ),
        f"decisions   {reported.decisions}: {reported.copied} copied; refused: {refused}",
        f"orders      {reported.orders}",
        (
            f"speed       {reported.span_seconds:.0f} s in {reported.took_seconds:.2f} s,"
            f" {reported.times_real_time} times real time"
        ),
        *(
            [
                (
                    f"statistics  {reported.statistics_read_back} judgements"
                    " by versions that were read back"
                )
            ]
            if reported.statistics_read_back
            else []
        ),
        _journal(reported.journal),
        *(f"damaged     {each}" for each in reported.damaged),
    ]
    if reported.first_difference is not None:
        found += [
            "",
            f"{reported.different} judgements differ. The first difference:",
            reported.first_difference.words,
        ]
    else:
        found += ["", "every decision is the same" if reported.same else "no decision differs, but"]
        found += _but(reported)
    return found


def _journal(reported: InJournal | None) -> str:
    if reported is None:
        return "journal     not compared: no database is named (--database)"
    return (
        f"journal     {reported.compared} records compared, {reported.resyncs} of resyncs besides"
    )


def _but(reported: Replayed) -> list[str]:
    found = [f"  {each} is damaged" for each in reported.damaged[:1]]
    if reported.journal is not None and reported.journal.unlike:
        found.append(
            f"  {reported.journal.unlike} records of the journal say something else:"
            f" {reported.journal.first_unlike}"
        )
    if reported.journal is not None and reported.journal.unrecorded_count:
        found.append(
            f"  {reported.journal.unrecorded_count} records of the journal were not recorded;"
            f" the first is {reported.journal.unrecorded[0]}"
        )
    return found
