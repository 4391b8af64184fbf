"""The terms of a trigger are sound in the database, whoever writes them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb

STOP: dict[str, Any] = {
    "id": "trg_" + "1" * 32, "follower_proxy": "0x" + "1" * 40, "asset_id": "7",
    "origin": "manual", "condition_id": "c", "status": "ARMED", "follower_wallet_id": "w",
    "trigger_type": "STOP_LOSS", "price_micros": 400_000,
}  # fmt: skip
TRAIL = {"trigger_type": "TRAILING_STOP", "callback_ppm": 50_000}
TIME = {"trigger_type": "TIME_STOP", "price_micros": None, "fire_at_ms": 1}
LADDER = {"trigger_type": "LADDER", "price_micros": None, "rungs": Jsonb([{}])}


@pytest.fixture
def connection(database_url: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(database_url) as made:
        yield made


def _insert(connection: psycopg.Connection[Any], **terms: Any) -> None:
    row = {**STOP, **terms}
    holes = ", ".join(["%s"] * len(row))
    connection.execute(
        f"insert into trigger ({', '.join(row)}) values ({holes})".encode(), list(row.values())
    )


@pytest.mark.parametrize(
    "terms",
    [
        {}, {"trigger_type": "TAKE_PROFIT"}, TRAIL, TIME, LADDER,
        {**TRAIL, "callback_ppm": None, "callback_micros": 1},
        {"size_micros": 1, "break_even": True, "two_ticks": True},
        {"origin": "sub_1", "follower_wallet_id": ""},
    ],
)  # fmt: skip
def test_sound_terms_are_taken(connection: psycopg.Connection[Any], terms: Any) -> None:
    _insert(connection, **terms)


@pytest.mark.parametrize(
    ("rule", "terms"),
    [
        ("id", {"id": "trg_1"}),
        ("trigger_type", {"trigger_type": "OTHER"}),
        ("price_micros", {"price_micros": 0}),
        ("price_micros", {"price_micros": 1_000_000}),
        ("price", {"price_micros": None}),
        ("price", {**TIME, "price_micros": 1}),
        ("price", {**LADDER, "price_micros": 1}),
        ("size_micros", {"size_micros": 0}),
        ("callback_micros", {**TRAIL, "callback_micros": 0}),
        ("callback_ppm", {**TRAIL, "callback_ppm": 1_000_000}),
        ("callback", {"callback_ppm": 1}),
        ("callback", {**TRAIL, "callback_ppm": None}),
        ("callback", {**TRAIL, "callback_micros": 1}),
        ("fire_at_ms", {**TIME, "fire_at_ms": 0}),
        ("time_stop", {**TIME, "fire_at_ms": None}),
        ("time_stop", {"fire_at_ms": 1}),
        ("rungs", {**LADDER, "rungs": Jsonb([])}),
        ("rungs", {**LADDER, "rungs": Jsonb([{}] * 11)}),
        ("ladder", {**LADDER, "rungs": None}),
        ("ladder", {"rungs": Jsonb([{}])}),
        ("break_even", {"trigger_type": "TAKE_PROFIT", "break_even": True}),
        ("two_ticks", {**TIME, "two_ticks": True}),
        ("manual", {"follower_wallet_id": ""}),
        ("manual", {"origin": "sub_1"}),
    ],
)
def test_what_is_not_sound_is_refused_by_its_name(
    connection: psycopg.Connection[Any], rule: str, terms: Any
) -> None:
    with pytest.raises(psycopg.errors.CheckViolation) as refused:
        _insert(connection, **terms)
    assert refused.value.diag.constraint_name == f"trigger_{rule}_check"


@pytest.mark.parametrize(
    "change",
    [
        "id = 'x'", "trigger_type = 'x'", "price_micros = 0", "size_micros = 0",
        "callback_micros = 1", "callback_ppm = 1", "fire_at_ms = 1", "rungs = '[{}]'",
        "break_even = true, trigger_type = 'TAKE_PROFIT'",
        "two_ticks = true, trigger_type = 'TIME_STOP'", "origin = 'sub_1'",
        "follower_wallet_id = ''",
    ],
)  # fmt: skip
def test_what_is_changed_is_judged_again(connection: psycopg.Connection[Any], change: str) -> None:
    _insert(connection)
    with pytest.raises(psycopg.errors.CheckViolation):
        connection.execute(f"update trigger set {change}".encode())


def test_each_term_is_watched(connection: psycopg.Connection[Any]) -> None:
    """A column that the rules read and that the trigger's list has not would change unseen."""
    (source,) = connection.execute(
        "select prosrc from pg_proc where proname = 'check_trigger_terms'"
    ).fetchone() or ("",)
    watched = connection.execute(
        "select a.attname from pg_trigger t, unnest(t.tgattr) n"
        " join pg_attribute a on a.attrelid = 'trigger'::regclass and a.attnum = n"
        " where t.tgname = 'trigger_terms_are_sound'"
    ).fetchall()
    assert set(re.findall(r"new\.(\w+)", source)) == {name for (name,) in watched}
