"""The note of a run."""

from __future__ import annotations

from pathlib import Path

from launcher.state import Note, read_note, write_note


def test_a_note_of_before_the_ports_were_told_can_be_read(tmp_path: Path) -> None:
    write_note(
        tmp_path,
        Note(
            run_id="r", begun_ms=1, port_base=20_000, pid=1, database_url="",
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
