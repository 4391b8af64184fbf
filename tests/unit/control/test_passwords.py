"""Passwords: a name that nobody has costs as much as a wrong guess, and few are hashed at once."""

from __future__ import annotations

import asyncio

import pytest

from services.control.users import passwords
from services.control.users.passwords import Passwords
from tradingtools.domain.errors import Unavailable


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
    asked = [kept.hashed("x") for _ in range(40)]
    found = await asyncio.gather(*asked, return_exceptions=True)
    assert sum(isinstance(one, Unavailable) for one in found) == 8
