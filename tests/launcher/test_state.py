"""The directory and the note of a run."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from launcher.state import RunDescription, open_state, read_note, write_note


@pytest.mark.parametrize(
    ("user", "mode"), [pytest.param(1000, 0o700, id="a user"), pytest.param(0, 0o711, id="root")]
)
def test_nobody_else_looks_into_a_state_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, user: int, mode: int
) -> None:
    """Also one that was open; of root's, programs under another user reach their own parts."""
    monkeypatch.setattr(os, "geteuid", lambda: user)
    (tmp_path / "run" / "logs").mkdir(parents=True, mode=0o755)
    state = open_state(str(tmp_path / "run"))
    try:
        assert state.directory.stat().st_mode & 0o777 == mode
        assert state.logs.stat().st_mode & 0o777 == 0o700
        assert (state.directory / "lock").stat().st_mode & 0o777 == 0o600
    finally:
        state.close()


def test_a_note_of_before_the_ports_were_told_can_be_read(tmp_path: Path) -> None:
    write_note(
        tmp_path,
        RunDescription(
            run_id="r", started_ms=1, port_base=20_000, pid=1, database_url="",
            insiders_control_url="", venue_url="", rest_url="", default_cash_micros=0,
            ports={"router": 20_008}, follower_wallet="0x1",
        ),
    )  # fmt: skip
    path = tmp_path / "run.json"
    whole = path.read_text()
    path.write_text(whole[: whole.index('"ports"')].rstrip().rstrip(",") + "}")
    note = read_note(tmp_path)
    assert note is not None
    assert (note.port_base, note.ports, note.follower_wallet) == (20_000, {}, "")
