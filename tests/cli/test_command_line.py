"""Test all commands: help, places, output, exit statuses, and how fast it starts."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from cli import app
from cli.errors import Failure
from cli.output import Column, Format, Shown, table, write
from launcher.state import open_state
from tests.cli.world import World, call, spawn
from tests.control.edge import MANAGE, ROOT


def test_its_help_names_every_command_by_what_it_is_for() -> None:
    said = spawn("--help", environ={})
    assert said.status == 0
    assert said.out.startswith("usage: tt COMMAND [ARGS]\n")
    for title, section in app.SECTIONS.items():
        assert f"\n{title}\n" in said.out
        for name, entry in section.items():
            assert f"   {name:<12}   {entry.says}\n" in said.out
    assert max(map(len, said.out.splitlines())) <= 80


def test_without_a_command_there_is_help() -> None:
    """It was squeezed into the one line of an error."""
    said = call(environ={})
    assert (said.status, said.err) == (2, call("--help", environ={}).out)
    halt = call("halt", environ={})
    assert (halt.status, "\nCommands:\n  set " in halt.err) == (2, True)


def test_help_imports_nothing_that_takes_long() -> None:
    code = (
        "import sys; from cli.__main__ import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: print(sorted({'httpx', 'grpc', 'msgspec', 'rich', 'google.protobuf',"
        " 'pydantic', 'yaml', 'psycopg'} & set(sys.modules)))"
    )
    said = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert said.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_it_completes(shell: str) -> None:
    environ = {"_TYPER_COMPLETE_ARGS": "tt do", "COMP_WORDS": "tt do", "COMP_CWORD": "1"}
    said = spawn(environ=environ | {"_TT_COMPLETE": f"complete_{shell}"})
    assert "doctor" in said.out
    assert "status" not in said.out


def test_a_mistyped_command_is_told_the_near_one() -> None:
    said = call("hatl", environ={})
    assert (said.status, said.err) == (
        2,
        "tt: no command 'hatl'; did you mean 'halt'? (tt --help)\n",
    )


@pytest.mark.parametrize(
    "command",
    [("risk", "kill"), ("halt", "set", "--all"), ("bots", "stop", "b"), ("bots", "pause", "b")],
    ids=" ".join,
)
def test_what_makes_things_safe_takes_a_yes_that_it_does_not_need(command: tuple[str, ...]) -> None:
    nowhere = {"TT_LAUNCHER_STATE_DIR": "/nowhere"}
    for words in (command, (*command, "-y")):
        assert call(*words, environ=nowhere).status == 7


def test_every_exit_status_is_told() -> None:
    assert "  3  not found\n" in call("help", "status", environ={}).out


def test_a_missing_place_a_wrong_token_and_silence_have_statuses_of_their_own(
    running: World, tmp_path: Path
) -> None:
    assert call("status", environ={"TT_LAUNCHER_STATE_DIR": str(tmp_path)}).status == 7
    assert running.tt("status", TT_TOKEN="e" * 64).status == 4
    assert running.tt("subs", "show", "sub_" + "0" * 32).status == 3
    assert running.tt("subs", "show", "nonsense").status == 2
    silent = running.tt("events", TT_URL="http://127.0.0.1:1")
    assert (silent.status, silent.err.count("\n")) == (6, 1)
    assert running.tt("halt", "list", TT_OPERATOR="127.0.0.1:1").status == 6
    assert "Traceback" not in silent.err


def test_a_profile_goes_before_the_environment_and_that_before_a_run(
    running: World, tmp_path: Path
) -> None:
    folder = tmp_path / "tt"
    folder.mkdir()
    (folder / "token").write_text(MANAGE)
    (folder / "config.toml").write_text(
        f'default = "one"\n[profiles.one]\nurl = "{running.edge.url}/"\n'
        f'token_file = "{folder}/token"\n[profiles.two]\nurl = "http://127.0.0.1:1"\n'
    )
    config = {"XDG_CONFIG_HOME": str(tmp_path)}
    none = config | {"TT_LAUNCHER_STATE_DIR": str(tmp_path / "none")}
    reported = call("status", "--json", environ=none)
    assert (reported.status, reported.json["place"], reported.json["halts"]) == (
        0,
        "profile one",
        None,
    )
    assert call("status", "--profile", "two", environ=running.environ | config).status == 4
    reported = call("status", "--json", environ=running.environ | config)
    assert (reported.status, reported.json["place"]) == (0, "TT_URL")
    unknown = call("status", "-p", "three", environ=config)
    assert (unknown.status, "there are: one, two" in unknown.err) == (7, True)
    (folder / "config.toml").write_text('[profiles.one]\nurl = "x"\ntokn = "y"\n')
    assert "no such name: tokn" in call("status", "-p", "one", environ=config).err


def test_the_newest_run_of_a_folder_above_is_found(running: World, tmp_path: Path) -> None:
    state = open_state(str(tmp_path / ".state" / "r1"))
    (state.directory / "token").write_text(MANAGE)
    note = {"rest_url": running.edge.url, "ports": {}}
    (state.directory / "run.json").write_text(json.dumps(note))
    below = tmp_path / "deep" / "below"
    below.mkdir(parents=True)
    reported = call("status", "--json", environ={}, cwd=below)
    assert (reported.status, reported.json["place"]) == (0, "run r1")
    state.close()
    ended = call("status", environ={}, cwd=below)
    assert (ended.status, "has ended" in ended.err) == (7, True)


def test_a_process_of_its_own_does_the_same(running: World) -> None:
    said = spawn("halt", "list", "--json", environ=running.environ)
    assert (said.status, json.loads(said.out)) == (0, [])


def test_what_strangers_wrote_moves_no_cursor_and_is_no_formula(
    capsys: pytest.CaptureFixture[str],
) -> None:
    rows = [{"name": "\x1b[2Jboo", "n": 10}, {"name": "=1+1", "n": 9}]
    columns = (Column("NAME", lambda row: row["name"]), Column("N", lambda row: row["n"], True))
    assert table(rows, columns) == "NAME      N\n?[2Jboo  10\n=1+1      9\n"
    write(Shown(data=rows, columns=columns), Format.CSV)
    assert capsys.readouterr().out == "name,n\n?[2Jboo,10\n'=1+1,9\n"


def test_a_defect_of_its_own_is_said_in_one_line() -> None:
    line = Failure.of(KeyError("x\ny")).line()
    assert line.startswith("tt: KeyError:")
    assert line.count("\n") == 1
