"""The package that `pip install .` makes has all that its processes need, from any folder."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROCESSES = sorted(path.parent.name for path in (ROOT / "services").glob("*/__main__.py"))
# What is read at run time beside the code.
DATA = {".sql", ".tmpl", ".jsonl", ".yaml"}


def _tracked() -> list[str]:
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, check=True, capture_output=True, text=True
    )
    return listed.stdout.splitlines()


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The unpacked wheel of the tracked files."""
    source, wheels = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheels")
    for name in _tracked():
        if (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, source / name)
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check",
         "--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", wheels, source],
        check=True, timeout=180,
    )  # fmt: skip
    (wheel,) = wheels.glob("*.whl")
    folder = tmp_path_factory.mktemp("site")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


def test_it_has_every_file_that_is_read_beside_the_code(installed: Path) -> None:
    desired = {
        name
        for name in _tracked()
        if Path(name).suffix in DATA
        and name.split("/")[0] in {"tradingtools", "services", "paper", "launcher", "envoy"}
    }
    assert desired
    missing = {name for name in desired if not (installed / name).is_file()}
    assert missing == set()
    assert (installed / "docs" / "openapi.json").is_file()
    documents = {path.name for path in (ROOT / "docs").glob("*.md")}
    assert documents <= {path.name for path in (installed / "docs").iterdir()}


def test_the_packages_of_the_mcp_server_are_an_extra(installed: Path) -> None:
    (metadata,) = installed.glob("*.dist-info/METADATA")
    needed = [line for line in metadata.read_text().splitlines() if "Requires-Dist: mcp" in line]
    assert [line.partition("; ")[2] for line in needed] == ['extra == "mcp"']


def test_it_has_no_tests_and_no_tools(installed: Path) -> None:
    assert not {"tests", "tools", "bench"} & {path.name for path in installed.iterdir()}


def test_tt_runs_from_any_folder(installed: Path, tmp_path: Path) -> None:
    (entry,) = installed.glob("*.dist-info/entry_points.txt")
    assert "tt = cli.__main__:main" in entry.read_text()
    for arguments in (["--help"], ["schema", "subs", "list"], ["schema", "status"]):
        ended = subprocess.run(
            [sys.executable, "-m", "cli", *arguments],
            check=True, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(installed)},
            capture_output=True, text=True, timeout=120,
        )  # fmt: skip
        assert ended.stdout


@pytest.mark.parametrize("process", PROCESSES)
def test_each_process_starts_from_any_folder(installed: Path, tmp_path: Path, process: str) -> None:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("TT_")}
    ended = subprocess.run(
        [sys.executable, "-m", f"services.{process}"],
        check=False, cwd=tmp_path, env={**environ, "PYTHONPATH": str(installed)},
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    # It has got as far as its settings, of which none is given.
    assert ended.returncode == 2, ended.stderr
    assert f"{process}: TT_" in ended.stderr
