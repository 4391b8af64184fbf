"""A signature has one row, whether its statement or the spool has written it first."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import psycopg
import pytest

from launcher.temporary import create_database
from services.signer.store import Entry, Spooled, Store
from tradingtools.storage.postgres.pool import open_pool

WALLET = f"wal_{1:032x}"
CANCEL = Entry(
    wallet=WALLET, edition=1, kind="okx.rest", summary="POST /api/v5/trade/cancel-order",
    digest=b"d" * 32, engine="bots", epoch=7, pid=1, uid=1, opens_nothing=True,
)  # fmt: skip


@pytest.fixture
def url(postgres_server: str, migrated_template: str) -> str:
    found = create_database(postgres_server, template=migrated_template)
    with psycopg.connect(found, autocommit=True) as connection:
        connection.execute(
            "insert into trading_wallet (id, tenant, name, exchange, environment, account,"
            " permissions, max_order_micros) values (%s, 'default', 'one', 'okx', 'live', 'one',"
            " 'trade', 1)",
            [WALLET],
        )
        connection.execute(
            "insert into trading_wallet_lease values (%s, 'bots-1', 7, now() + interval '1 hour')",
            [WALLET],
        )
    return found


@pytest.mark.parametrize("first", ["sign", "book"])
async def test_what_is_signed_and_spooled_has_one_row(url: str, first: str) -> None:
    spooled = Spooled(id=uuid4(), signed_ms=1_700_000_000_000, entry=CANCEL)
    async with open_pool(url, name="test", size=1) as pool:
        lease: Any = None
        store = Store(pool, lease)
        if first == "book":
            await store.book([spooled])
        # A statement that nobody waits for any more is done all the same.
        assert await store.sign([CANCEL, CANCEL], [spooled.id, None]) == {0, 1}
        await store.book([spooled])
        await store.book([spooled])
    with psycopg.connect(url) as connection:
        rows = connection.execute("select spool_id from wallet_signature").fetchall()
    assert sorted(rows, key=str) == sorted([(spooled.id,), (None,)], key=str)
