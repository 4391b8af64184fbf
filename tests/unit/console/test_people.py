"""Tokens of people in the console: refreshed once, whoever asks, leaves, or has another console."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet

from services.console.people import People, Tokens
from tradingtools.domain.errors import Unauthenticated

SESSION = "0a" * 16
SEAL = Fernet(Fernet.generate_key())
OLD = Tokens(access="a0", refresh="r0", expires_s=0.0)


class Edge:
    """The edge: a refresh token works once, and a used one ends the session."""

    def __init__(self, life_s: float = 900.0) -> None:
        self.log: list[tuple[str, Any]] = []
        self.go = asyncio.Event()
        self.go.set()
        self.arrived = asyncio.Event()
        self._good = 0
        self._life_s = life_s

    async def ask(
        self, verb: str, path: str, body: Mapping[str, str] | None, address: str, token: str
    ) -> Mapping[str, Any]:
        """Answer, when it may."""
        self.log.append((path, token or body))
        self.arrived.set()
        await self.go.wait()
        if path == "/auth/logout":
            return {}
        if body != {"refreshToken": f"r{self._good}"}:
            self._good = -1
            raise Unauthenticated("the session is over")
        self._good += 1
        until = datetime.fromtimestamp(time.time() + self._life_s, UTC).isoformat()
        return {
            "accessToken": f"a{self._good}", "refreshToken": f"r{self._good}", "expiresAt": until,
        }  # fmt: skip


async def _people(edge: Edge, directory: Path | None) -> People:
    people = People(edge, SEAL, directory, 3600)
    await people.keep(SESSION, OLD)
    return people


@pytest.mark.parametrize("kept", [True, False])
async def test_who_asks_at_once_gets_one_refresh(tmp_path: Path, kept: bool) -> None:
    edge = Edge()
    people = await _people(edge, tmp_path if kept else None)
    found = await asyncio.gather(*(people.access(SESSION, "") for _ in range(8)))
    assert set(found) == {"a1"}
    assert len(edge.log) == 1
    assert await people.access(SESSION, "") == "a1"
    assert len(edge.log) == 1


async def test_a_page_that_goes_away_leaves_no_used_token(tmp_path: Path) -> None:
    edge = Edge()
    people = await _people(edge, tmp_path)
    edge.go.clear()
    gone = asyncio.create_task(people.access(SESSION, ""))
    await edge.arrived.wait()
    gone.cancel()
    await asyncio.wait([gone])
    waiting = asyncio.create_task(people.access(SESSION, ""))
    await asyncio.sleep(0)
    edge.go.set()
    assert await waiting == "a1"
    assert len(edge.log) == 1


async def test_consoles_that_share_a_directory_refresh_once_and_survive_a_start(
    tmp_path: Path,
) -> None:
    edge = Edge()
    first = await _people(edge, tmp_path)
    second = People(edge, SEAL, tmp_path, 3600)
    found = await asyncio.gather(*(one.access(SESSION, "") for one in (first, second)))
    assert found == ["a1", "a1"]
    assert await People(edge, SEAL, tmp_path, 3600).access(SESSION, "") == "a1"
    assert len(edge.log) == 1


async def test_a_session_that_is_over_is_forgotten(tmp_path: Path) -> None:
    edge = Edge()
    people = await _people(edge, tmp_path)
    await people.keep(SESSION, Tokens(access="x", refresh="stolen", expires_s=0.0))
    for _ in range(2):
        with pytest.raises(Unauthenticated):
            await people.access(SESSION, "")
    assert len(edge.log) == 1
    assert not (tmp_path / SESSION).exists()
    with pytest.raises(Unauthenticated):
        await people.access("../key", "")


async def test_an_end_is_told_to_the_edge(tmp_path: Path) -> None:
    edge = Edge()
    people = await _people(edge, tmp_path)
    await people.end(SESSION, "")
    assert edge.log[-1] == ("/auth/logout", "a1")
    with pytest.raises(Unauthenticated):
        await people.access(SESSION, "")
