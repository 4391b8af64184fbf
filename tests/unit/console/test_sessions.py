"""A cookie opens its own session with its own secret, for its time, until somebody logs out."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from services.console.ended import Ended
from services.console.sessions import Sessions, fresh


@pytest.fixture
def sessions(tmp_path: Path) -> Sessions:
    return _started(tmp_path)


def _started(directory: Path | None) -> Sessions:
    return Sessions(directory, 60, time.time())


def test_a_cookie_survives_a_start_and_shows_no_token(sessions: Sessions, tmp_path: Path) -> None:
    session, secret = fresh("rest-token", "operator-token")
    cookie = sessions.seal(session)
    assert "token" not in cookie
    assert _started(tmp_path).open(cookie, secret, time.time()) == session
    assert (tmp_path / "key").stat().st_mode & 0o077 == 0


def test_a_cookie_without_its_secret_opens_nothing(sessions: Sessions) -> None:
    cookie = sessions.seal(fresh("a", "").session)
    for secret in ("", "0" * 32, fresh("a", "").secret, "ü"):
        assert sessions.open(cookie, secret, time.time()) is None


def test_a_cookie_of_another_key_a_changed_or_an_old_one_opens_nothing(sessions: Sessions) -> None:
    session, secret = fresh("a", "")
    cookie = sessions.seal(session)
    assert _started(None).open(cookie, secret, time.time()) is None
    assert sessions.open(cookie[:-3] + "AAA", secret, time.time()) is None
    assert sessions.open("ü", secret, time.time()) is None
    assert sessions.open(cookie, secret, time.time() + 62) is None


def test_who_logged_out_is_out_with_every_copy_of_the_cookie_and_after_a_start(
    sessions: Sessions, tmp_path: Path
) -> None:
    beside = _started(tmp_path)
    (mine, secret), (another, others) = fresh("a", "b"), fresh("a", "b")
    cookie, other = sessions.seal(mine), sessions.seal(another)
    sessions.end(mine, time.time())
    for after in (sessions, beside, _started(tmp_path), _started(tmp_path)):
        assert after.open(cookie, secret, time.time()) is None
        assert after.open(other, others, time.time()) is not None


def test_what_is_over_by_itself_is_forgotten(tmp_path: Path) -> None:
    path = tmp_path / "ended"
    ended = Ended(path, 0)
    ended.add("old", 10, 0)
    ended.add("young", 100, 0)
    assert "old" in Ended(path, 5)
    later = Ended(path, 50)
    assert [one in later for one in ("old", "young")] == [False, True]
    assert path.read_text() == "young 100\n"
    # Who had read the longer file reads the shorter one from its beginning.
    later.add("next", 100, 50)
    assert [one in ended for one in ("young", "next")] == [True, True]


def test_a_line_that_a_crash_has_cut_hides_no_other(tmp_path: Path) -> None:
    path = tmp_path / "ended"
    path.write_text("whole 100\ncu")
    ended = Ended(path, 0)
    ended.add("next", 100, 0)
    assert all(one in Ended(path, 0) for one in ("whole", "next"))


@pytest.mark.parametrize("key", ["ab", "x" * 64, "ab" * 33])
def test_a_malformed_key_is_refused(tmp_path: Path, key: str) -> None:
    (tmp_path / "key").write_text(key)
    with pytest.raises(ValueError, match=r"hex"):
        _started(tmp_path)
