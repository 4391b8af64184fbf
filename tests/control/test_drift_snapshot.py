"""Drift is one picture: what is booked while it is drawn is in all of it or in nothing."""

from __future__ import annotations

from typing import Any, cast

import psycopg
import pytest
from psycopg.rows import dict_row

from services.control.positions.drift import Drift
from services.control.positions.drift_rules import unexplained
from services.control.store import Row, Snapshot, Store
from tests.control.requests import ASSET, CONDITION, put_decision, put_lot, put_order
from tradingtools.storage.postgres.pool import open_pool

_WALLET, _ID = "0x" + "ab" * 20, "sub_" + "1" * 32
_SIZE = 10_000_000


async def test_a_fill_that_is_booked_meanwhile_is_no_difference(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with psycopg.connect(database_url, autocommit=True, row_factory=dict_row) as database:
        put_decision(database, _WALLET, _ID, copied=True, reason="", ordered_size_micros=_SIZE)
        put_lot(database, _WALLET, _ID, shares_micros=0, cost_micros=0)
        order = put_order(database, _WALLET, _ID, "SUBMITTED", size_micros=_SIZE)
        read = Snapshot.rows

        async def meddled(self: Snapshot, query: Any, **values: Any) -> list[Row]:
            found = await read(self, query, **values)
            database.execute("update lot set shares_micros = %s", [_SIZE])
            database.execute(
                "update orders set filled_size_micros = %s where order_key = %s", [_SIZE, order]
            )
            return found

        monkeypatch.setattr(Snapshot, "rows", meddled)
        async with open_pool(database_url, name="test", size=1, prompt=True) as pool:
            drift = Drift(Store(pool, cast("Any", None), changes=pool))
            subscription = {"id": _ID, "follower_proxy": _WALLET}
            for held in (0, _SIZE):
                (shown,), _ = await drift.page(subscription, ("", ""), 10)
                assert (shown.condition_id, shown.asset_id) == (CONDITION, ASSET)
                assert (shown.held_micros, shown.lots_micros) == (held, held)
                assert not unexplained(shown.ideal_micros, shown.held_micros, shown.shortfalls)
