"""Permits on their way to the database: together, and none waits for another one's defect."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest

from services.bots.core.permit import Permit
from services.bots.core.requests import PermitRequest
from services.bots.risk_store import DeniedError
from services.bots.wallet.sending import Sending
from tests.bots.exchange import until


class Permits:
    """A store that writes when it is let, and refuses what a test says."""

    def __init__(self) -> None:
        self.written: list[list[str]] = []
        self.go_on = asyncio.Event()
        self.wrong: dict[str, Exception] = {}
        self.denied: set[str] = set()

    async def permits(self, _lease: Any, _tenant: str, requests: Sequence[PermitRequest]) -> Any:
        names = [one.permit.bot_id for one in requests]
        self.written.append(names)
        await self.go_on.wait()
        for name in names:
            if name in self.wrong:
                raise self.wrong[name]
        return [DeniedError("full") if name in self.denied else 7 for name in names]


class Asking:
    """A bot that keeps its answers."""

    failure = None

    def __init__(self) -> None:
        self.answers: list[Any] = []

    def granted(self, given: Permit, _now_ms: int, share: int | None) -> list[Any]:
        self.answers.append((given.bot_id, share))
        return []

    def denied(self, denied: Permit, why: str = "", _now_ms: int = 0) -> list[Any]:
        self.answers.append((denied.bot_id, why))
        return []


def request(bot_id: str) -> PermitRequest:
    return PermitRequest(
        Permit(
            bot_id=bot_id, epoch=1, instrument_id="okx:BTC-USDT-SWAP", side="BUY", first=1, last=1,
            worst_price=1, size=1, expires_ms=1,
        )
    )  # fmt: skip


async def course(store: Permits, names: str) -> list[Any]:
    """Let bots ask while the first one's permit is written; return their answers."""
    wallet: Any = SimpleNamespace(store=store, lease=None, tenant="default")
    bot: Any = Asking()
    sending = Sending(wallet, lambda: asyncio.sleep(0))
    for name in names:
        sending.act(bot, [request(name)])
        await asyncio.sleep(0)
    store.go_on.set()
    await until(lambda: len(bot.answers) == len(names), "the answers")
    sending.check()
    # What comes later is written, too.
    sending.act(bot, [request("z")])
    await until(lambda: bot.answers[-1] == ("z", 7), "its answer")
    return sorted(bot.answers[:-1])


async def test_permits_that_are_asked_for_meanwhile_are_written_together() -> None:
    store = Permits()
    store.denied = {"c"}

    answers = await course(store, "abcd")

    assert answers == [("a", 7), ("b", 7), ("c", "full"), ("d", 7)]
    assert store.written == [["a"], ["b", "c", "d"], ["z"]]


@pytest.mark.parametrize(
    ("wrong", "others"),
    [(psycopg.errors.ForeignKeyViolation(), 7), (psycopg.OperationalError(), "")],
)
async def test_a_permit_that_cannot_be_written_keeps_no_other_bot_waiting(
    wrong: Exception, others: Any
) -> None:
    store = Permits()
    store.wrong = {"c": wrong}

    assert await course(store, "abcd") == [("a", 7), ("b", others), ("c", ""), ("d", others)]
