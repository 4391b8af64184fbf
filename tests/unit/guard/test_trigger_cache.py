"""Test what is known of triggers: which time stops are due, and in which order those of a lot
come."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from services.guard.core.trigger import Trigger, lot_of, tick_of
from services.guard.trigger_cache import TriggerCache
from tests.unit.guard.samples import book_of, trigger_of
from tradingtools.domain.trigger_states import FINAL, TriggerStatus
from tradingtools.domain.trigger_types import TriggerType

changes = st.lists(
    st.tuples(
        st.sampled_from("abcd"),
        st.one_of(st.none(), st.integers(1, 5)),
        st.sampled_from([*TriggerStatus]),
    ),
    max_size=20,
)


def _as_it_is(identifier: str, fire_at_ms: int | None, status: TriggerStatus) -> Trigger:
    kind = TriggerType.STOP_LOSS if fire_at_ms is None else TriggerType.TIME_STOP
    price = 500_000 if fire_at_ms is None else None
    made = structs.replace(trigger_of(kind), price_micros=price, fire_at_ms=fire_at_ms)
    return structs.replace(made, id=identifier, status=status)


@given(changes, st.integers(0, 6))
def test_due_is_what_a_scan_finds(
    made: list[tuple[str, int | None, TriggerStatus]], now: int
) -> None:
    known, plain = TriggerCache(0, 1), dict[str, int | None]()
    for identifier, fire_at_ms, status in made:
        known.put(_as_it_is(identifier, fire_at_ms, status))
        plain.pop(identifier, None)
        if status not in FINAL:
            plain[identifier] = fire_at_ms
    assert known.due(now) == {i for i, at in plain.items() if at is not None and at <= now}
    assert set(known.all()) == set(plain)


@given(st.permutations(list(TriggerType)))
def test_triggers_of_a_lot_come_in_order_of_judgement(
    kinds: list[TriggerType],
) -> None:
    known = TriggerCache(0, 1)
    for number, kind in enumerate(kinds):
        for identifier in (f"{number}b", f"{number}a"):
            known.put(structs.replace(trigger_of(kind), id=identifier))
    found = known.of_lot(lot_of(trigger_of()))
    assert [t.type for t in found] == [kind for kind in TriggerType for _ in "ab"]
    assert [t.id[-1] for t in found] == ["a", "b"] * len(kinds)


def test_forgotten_tick_does_not_return_with_older_reads() -> None:
    known, read = TriggerCache(0, 1), trigger_of()
    known.put(read)
    tick = tick_of(book_of(((100_000, 1),)))
    known.note(read.id, tick)
    known.put(read)
    assert known.get(read.id) == structs.replace(read, tick=tick), "a row does not have it"
    known.note(read.id, None)
    known.put(structs.replace(read, tick=tick))
    assert known.get(read.id) == read


def test_an_older_row_changes_nothing() -> None:
    known, newest = (
        TriggerCache(0, 1),
        structs.replace(trigger_of(), version=2, peak_micros=600_000),
    )
    known.put(newest)
    for older in (structs.replace(newest, version=1), structs.replace(newest, peak_micros=None)):
        known.put(older)
        assert known.get("t") == newest
    higher = structs.replace(newest, peak_micros=610_000)
    known.put(higher)
    assert known.get("t") == higher


def test_first_of_two_ticks_is_kept_until_a_change() -> None:
    known, first = TriggerCache(0, 1), (1, 2)
    known.put(trigger_of())
    known.note("t", first)
    known.put(structs.replace(trigger_of(), peak_micros=600_000))
    assert (found := known.get("t")) is not None
    assert found.tick == first
    known.put(structs.replace(trigger_of(), version=2))
    assert (found := known.get("t")) is not None
    assert found.tick is None


def test_lot_read_gives_way_to_a_newer_put() -> None:
    known, key = TriggerCache(0, 1), lot_of(trigger_of())
    before = known.reading(key)
    known.put_lot(key, 60)
    after = known.reading(key)
    assert not known.put_read(key, 0, before)
    assert known.shares(key) == 60
    assert known.put_read(key, 50, after)
    assert not known.put_read(key, 40, after)
    assert known.shares(key) == 50


def test_firing_trigger_brings_its_lots_others_that_may_fire() -> None:
    known, book = TriggerCache(0, 1), book_of(((400_000, 100_000_000),))
    suspended = trigger_of(TriggerType.TAKE_PROFIT, 900_000, status=TriggerStatus.SUSPENDED)
    for origin in ("s", "other"):
        known.put(structs.replace(suspended, id=f"{origin} suspended", origin=origin))
        known.put_lot((suspended.follower_proxy, suspended.asset_id, origin), 60_000_000)
    known.put(structs.replace(trigger_of(), id="s stop"))
    assert [trigger.id for trigger in known.beside_firing(book)] == ["s stop", "s suspended"]
