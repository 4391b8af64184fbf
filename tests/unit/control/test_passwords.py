"""Passwords: a name that nobody has costs as much as a wrong guess, and few are hashed at once."""

from __future__ import annotations

import asyncio
import threading

import pytest

from services.control.store import Row
from services.control.users import access, passwords
from services.control.users.logins import Attempt, Logins
from services.control.users.passwords import Passwords
from services.control.users.store import Users
from services.control.users.throttle import MOST_OF_BOTH
from tradingtools.domain.errors import LimitReached, Unavailable


async def test_an_unknown_name_takes_the_work_of_a_wrong_guess(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """By the work that is done, for a clock says nothing on a loaded machine."""
    kept = Passwords()
    hash_ = await kept.hashed("right")
    await kept.verify("begin", None)
    work: list[tuple[bool, str]] = []
    computed = passwords._computed

    def counted(guess: str, against: str | None) -> str:
        parameters = "$".join((against or "").split("$")[:4])
        work.append((against is not None, parameters))
        return computed(guess, against)

    monkeypatch.setattr(passwords, "_computed", counted)
    verdicts = [await kept.verify("wrong", one) for one in (hash_, None)]
    assert [one.right for one in verdicts] == [False, False]
    of_wrong, of_nobody = work
    assert of_wrong == of_nobody
    assert of_wrong[1].startswith("$argon2id$v=19$m=47104,t=1,p=1")
    assert (await kept.verify("right", hash_)).right
    assert not (await kept.verify("right", "no hash")).right


async def test_who_comes_when_too_many_wait_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "_computed", lambda _guess, _against: "")
    kept = Passwords()
    requested = [kept.hashed("x") for _ in range(40)]
    found = await asyncio.gather(*requested, return_exceptions=True)
    assert sum(isinstance(one, Unavailable) for one in found) == 8


async def test_who_goes_away_frees_no_turn_while_his_hash_is_computed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Logins that are hung up on would else fill the threads of all else in the process."""
    started, end = threading.Semaphore(0), threading.Event()

    def computed(_guess: str, _against: str | None) -> str:
        started.release()
        end.wait(60)
        return ""

    monkeypatch.setattr(passwords, "_computed", computed)
    kept = Passwords()
    try:
        gone = [asyncio.create_task(kept.hashed("x")) for _ in range(32)]
        for _ in range(2):
            assert await asyncio.to_thread(started.acquire, timeout=60)
        for one in gone:
            one.cancel()
        assert all(isinstance(one, BaseException) for one in await _ends(gone))
        with pytest.raises(Unavailable):
            await kept.hashed("x")
        assert not started.acquire(blocking=False)
    finally:
        end.set()


async def test_who_hangs_up_has_had_his_guess(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each one costs a hash, whoever waits for the answer."""
    end = threading.Event()
    monkeypatch.setattr(passwords, "_computed", lambda _guess, _against: str(end.wait(60) and ""))
    logins = Logins(_NobodyIsKnown(), access.Deployment(b"s" * 32, "test"), Passwords())
    attempt = Attempt(name="ann", password="x", new_password="", address="192.0.2.1", client="")
    try:
        for _ in range(MOST_OF_BOTH):
            gone = asyncio.create_task(logins.log_in(attempt))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            gone.cancel()
            await asyncio.gather(gone, return_exceptions=True)
        with pytest.raises(LimitReached):
            await logins.log_in(attempt)
    finally:
        end.set()


class _NobodyIsKnown(Users):
    def __init__(self) -> None:
        """Keep nothing."""

    async def login(self, name: str, network: str) -> Row | None:
        return None

    async def failed(self, user_id: str | None, address: str) -> None:
        pass


async def _ends(tasks: list[asyncio.Task[str]]) -> list[str | BaseException]:
    return await asyncio.gather(*tasks, return_exceptions=True)
