"""Test what would be held if every copy had worked, as the database adds it up."""

from __future__ import annotations

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

Event = tuple[str, int, int | None, bool]
"""What moved a lot, its size, what the leader held before, and whether all of it goes."""

BUY: Event = ("ENTRY", 10, None, False)
RESOLVED: Event = ("RESOLVED", 0, None, False)
_HELD = """
select coalesce(ideal_shares(kind, size, held, everything order by at), 0)
from unnest(%s::text[], %s::bigint[], %s::bigint[], %s::boolean[])
    with ordinality as event(kind, size, held, everything, at)
"""


def sell(sold: int, held: int | None, *, everything: bool = False) -> Event:
    return ("LEADER_SELL", sold, held, everything)


def ideal(database: psycopg.Connection, events: list[Event]) -> int:
    columns = [[event[place] for event in events] for place in range(4)]
    row = database.execute(_HELD, columns).fetchone()
    assert row is not None
    return int(row[0])


@pytest.mark.parametrize(
    ("events", "held"),
    [
        ([], 0),
        ([BUY, BUY], 20),
        ([BUY, sell(1, 4)], 8),  # 2.5 of 10 round to 2: what is not sold is held
        ([BUY, sell(4, 4)], 0),
        ([BUY, sell(5, 4)], 0),
        ([BUY, sell(1, None)], 0),
        ([BUY, sell(1, 0)], 0),
        ([BUY, sell(1, 4, everything=True)], 0),
        ([sell(1, 2), BUY], 10),
        ([BUY, ("OWN_SALE", 3, None, False)], 7),
        ([BUY, ("OWN_SALE", 30, None, False)], 0),
        ([BUY, RESOLVED, BUY], 10),
        ([BUY, ("RESYNC", 25, None, False), BUY], 35),
        ([BUY, ("RESYNC", 3, None, False)], 3),
        # Their product is past 64 bits, and no digit of it is lost.
        ([("ENTRY", 10**15 + 1, None, False), sell(10**15, 10**15 + 1)], 1),
        ([("ENTRY", 10**17 + 7, None, False), sell(10**6, 2 * 10**6)], 5 * 10**16 + 4),
        ([BUY, sell(2, 3)], 4),  # 6.67 of 10 are 6
    ],
)
def test_each_event_moves_what_would_be_held(
    database_url: str, events: list[Event], held: int
) -> None:
    with psycopg.connect(database_url) as database:
        assert ideal(database, events) == held


def test_never_less_than_nothing_nor_more_than_was_ordered(database_url: str) -> None:
    kinds = st.sampled_from(["ENTRY", "LEADER_SELL", "OWN_SALE", "RESYNC", "RESOLVED"])
    micros = st.integers(0, 10**12)

    @settings(deadline=None)
    @given(st.lists(st.tuples(kinds, micros, st.none() | micros, st.booleans())))
    def holds(events: list[Event]) -> None:
        bought = sum(size for kind, size, *_ in events if kind in ("ENTRY", "RESYNC"))
        assert 0 <= ideal(database, events) <= bought

    with psycopg.connect(database_url, autocommit=True) as database:
        holds()
