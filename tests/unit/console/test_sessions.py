"""A cookie opens its own session, for its time, until somebody logs out."""

from __future__ import annotations

import time

import pytest

from services.console.sessions import Sessions, fresh

KEY = "ab" * 32


def test_a_cookie_survives_a_start_and_shows_no_token() -> None:
    session = fresh("rest-token", "operator-token")
    cookie = Sessions(KEY, 60).seal(session)
    assert "token" not in cookie
    assert Sessions(KEY, 60).open(cookie, time.time()) == session


def test_a_cookie_of_another_key_a_changed_or_an_old_one_opens_nothing() -> None:
    sessions = Sessions(KEY, 60)
    cookie = sessions.seal(fresh("a", ""))
    assert Sessions("", 60).open(cookie, time.time()) is None
    assert sessions.open(cookie[:-3] + "AAA", time.time()) is None
    assert sessions.open("ü", time.time()) is None
    assert sessions.open(cookie, time.time() + 62) is None


def test_who_logged_out_is_out_with_every_copy_of_the_cookie() -> None:
    sessions = Sessions(KEY, 60)
    session = fresh("a", "b")
    cookie, other = sessions.seal(session), sessions.seal(fresh("a", "b"))
    sessions.end(session, time.time())
    assert sessions.open(cookie, time.time()) is None
    assert sessions.open(other, time.time()) is not None


@pytest.mark.parametrize("key", ["ab", "x" * 64, "ab" * 33])
def test_a_malformed_key_is_refused(key: str) -> None:
    with pytest.raises(ValueError, match=r"hex"):
        Sessions(key, 60)
