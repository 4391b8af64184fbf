"""Where a browser is, how often it may try, and links that log in once."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from services.console.core.addresses import address_of, networks
from tradingtools.domain.attempts import Attempts
from tradingtools.login_codes import SECONDS, leave, put_back, take

PROXIES = networks("10.0.0.0/8|fd00::/8")


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        ("192.0.2.7", "", "192.0.2.7"),
        ("192.0.2.7", "198.51.100.1", "192.0.2.7"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "203.0.113.9, 198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "198.51.100.1,10.0.0.2", "198.51.100.1"),
        ("fd00::1", "2001:db8::5", "2001:db8::5"),
        ("10.0.0.1", "unknown", "10.0.0.1"),
        ("10.0.0.1", "203.0.113.9, nonsense, 10.0.0.2", "10.0.0.2"),
    ],
)
def test_only_a_trusted_proxy_says_where_a_browser_is(
    peer: str, forwarded: str, address: str
) -> None:
    assert address_of(peer, forwarded, PROXIES) == address
    assert address_of(peer, forwarded, ()) == peer


def test_failures_of_a_minute_are_bounded_by_address() -> None:
    attempts = Attempts(2)
    assert [attempts.begin("a", now) for now in (0.0, 10.0, 20.0)] == [0.0, 0.0, 40.0]
    assert attempts.begin("b", 20.0) == 0.0
    assert attempts.begin("a", 60.0) == 0.0
    assert attempts.begin("a", 61.0) == 9.0


def test_what_succeeded_is_no_failure() -> None:
    attempts = Attempts(1)
    for now in range(5):
        assert attempts.begin("a", now) == 0.0
        attempts.forget("a")


def test_a_code_logs_in_once_and_not_for_long(tmp_path: Path) -> None:
    code = leave(tmp_path, ["rest", "operator"], 1000.0)
    (file,) = (tmp_path / "codes").iterdir()
    assert (code in file.name, code in file.read_text(), file.stat().st_mode & 0o077) == (
        False, False, 0,
    )  # fmt: skip
    assert take(tmp_path, code, 1001.0) == ["rest", "operator"]
    assert take(tmp_path, code, 1001.0) == []
    late = leave(tmp_path, ["rest"], 1000.0)
    assert take(tmp_path, late, 1000.0 + SECONDS) == []
    assert list((tmp_path / "codes").iterdir()) == []


@pytest.mark.parametrize("code", ["", "../key", "0" * 31, "0" * 32, "ü" * 32])
def test_a_code_of_nobody_logs_in_nobody(tmp_path: Path, code: str) -> None:
    (tmp_path / "key").write_text("{}")
    assert take(tmp_path, code, 0.0) == []


def test_no_link_leads_a_code_elsewhere(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    directory = tmp_path / "console"
    directory.mkdir()
    os.symlink(elsewhere, directory / "codes")
    with pytest.raises(OSError, match="codes"):
        leave(directory, ["rest"], 0.0)
    assert list(elsewhere.iterdir()) == []


def test_a_code_that_was_put_back_logs_in_once_more(tmp_path: Path) -> None:
    code = leave(tmp_path, ["rest"], 1000.0)
    put_back(tmp_path, code, take(tmp_path, code, 1001.0), 1001.0)
    assert [take(tmp_path, code, 1002.0) for _ in range(2)] == [["rest"], []]
