"""What leaves while PostgreSQL is away: for whom, how much of it, and booked once."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import msgspec
import psycopg
import pytest

from services.signer.audit import Audit
from services.signer.spool import Spool
from services.signer.store import Entry, Spooled
from tradingtools.domain.errors import LimitReached
from tradingtools.tasks import run_in_background

CANCEL = Entry(
    wallet="wal_1", edition=1, kind="okx.rest", summary="POST /api/v5/trade/cancel-order",
    digest=b"d" * 32, engine="bots", epoch=7, pid=1, uid=1, opens_nothing=True,
)  # fmt: skip
READ = msgspec.structs.replace(CANCEL, summary="GET /api/v5/account/positions")
ORDER = msgspec.structs.replace(CANCEL, summary="POST /api/v5/trade/order", opens_nothing=False)


class Database:
    """The store as an audit sees it; mute, it writes and does not say so."""

    def __init__(self) -> None:
        self.away = False
        self.standing = False
        self.mute = False
        self.booked: list[Spooled] = []
        self.written: list[UUID | None] = []
        self.holder = ("bots", 7, 1)

    async def sign(self, entries: Sequence[Entry], ids: Sequence[UUID | None]) -> frozenset[int]:
        await self.answers()
        self.written += ids
        if self.mute:
            raise psycopg.OperationalError("the answer to a commit is lost")
        return frozenset(
            number
            for number, one in enumerate(entries)
            if (one.engine, one.epoch, one.edition) == self.holder
        )

    async def answers(self) -> None:
        if self.standing:
            await asyncio.Event().wait()
        if self.away:
            raise psycopg.OperationalError("away")

    async def book(self, spooled: Sequence[Spooled]) -> None:
        await self.answers()
        self.booked += spooled


def spooled(entry: Entry = CANCEL) -> Spooled:
    return Spooled(id=uuid4(), signed_ms=1, entry=entry)


@pytest.fixture
def database() -> Database:
    return Database()


@pytest.mark.parametrize("how", ["away", "standing"])
async def test_without_its_database_a_cancel_is_spooled_and_an_order_is_not_signed(
    database: Any, tmp_path: Path, how: str
) -> None:
    spool = Spool(tmp_path / "spool")
    audit = Audit(database, spool)
    async with run_in_background(audit.run()):
        assert await audit.write(CANCEL)
        setattr(database, how, True)
        assert await audit.write(CANCEL)
        assert [one.entry for one in spool.waiting] == [CANCEL]
        if how == "away":
            with pytest.raises(psycopg.OperationalError):
                await audit.write(ORDER)
    assert [one.entry for one in Spool(tmp_path / "spool").waiting] == [CANCEL]


@pytest.mark.parametrize(
    "stranger",
    [{"epoch": 6}, {"epoch": 8}, {"engine": "other"}, {"edition": 2}, {"wallet": "wal_2"}],
    ids=str,
)
async def test_only_who_was_judged_last_to_hold_a_wallet_cancels_without_the_database(
    database: Any, tmp_path: Path, stranger: dict[str, Any]
) -> None:
    spool = Spool(tmp_path / "spool")
    audit = Audit(database, spool)
    async with run_in_background(audit.run()):
        assert await audit.write(CANCEL)
        database.away = True
        with pytest.raises(psycopg.OperationalError):
            await audit.write(msgspec.structs.replace(CANCEL, **stranger))
    assert spool.waiting == ()


async def test_who_was_refused_since_is_not_believed_any_more(
    database: Any, tmp_path: Path
) -> None:
    audit = Audit(database, Spool(tmp_path / "spool"))
    async with run_in_background(audit.run()):
        assert await audit.write(CANCEL)
        database.holder = ("bots", 8, 1)
        assert not await audit.write(CANCEL)
        database.away = True
        with pytest.raises(psycopg.OperationalError):
            await audit.write(CANCEL)


async def test_what_was_spooled_is_booked_and_a_cut_off_line_is_let_go(
    database: Any, tmp_path: Path
) -> None:
    path = tmp_path / "spool"
    await Spool(path).add([spooled(), spooled()])
    with path.open("ab") as file:
        file.write(b'{"id":"')
    spool = Spool(path)
    ids = [one.id for one in spool.waiting]
    assert len(set(ids)) == 2
    await spool.add([spooled()])
    await spool.book(database)
    assert [one.id for one in database.booked][:2] == ids
    assert (len(database.booked), spool.waiting, path.read_bytes()) == (3, (), b"")


async def test_a_full_spool_takes_no_more(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool", most=1)
    await spool.add([spooled()])
    with pytest.raises(LimitReached):
        await spool.add([spooled()])


@pytest.mark.parametrize(
    "repeated",
    [READ.summary, "POST /v1/heartbeats", "POST /api/v5/trade/cancel-all-after"],
)
async def test_what_engines_repeat_leaves_room_for_what_ends_orders(
    tmp_path: Path, repeated: str
) -> None:
    recurring = msgspec.structs.replace(READ, summary=repeated)
    spool = Spool(tmp_path / "spool", most=4)
    for _ in range(3):
        await spool.add([spooled(recurring)])
    with pytest.raises(LimitReached):
        await spool.add([spooled(recurring)])
    await spool.add([spooled(CANCEL)])
    with pytest.raises(LimitReached):
        await spool.add([spooled(CANCEL)])


async def test_what_was_written_and_not_answered_is_spooled_under_the_same_id(
    database: Any, tmp_path: Path
) -> None:
    spool = Spool(tmp_path / "spool")
    audit = Audit(database, spool)
    async with run_in_background(audit.run()):
        assert await audit.write(CANCEL)
        database.mute = True
        assert await audit.write(CANCEL)
    assert [one.id for one in spool.waiting] == database.written[1:]
