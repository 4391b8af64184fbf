"""The pins are judged by a copy of advisories, and nothing is asked over the network."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tools import advisories
from tools.sbom import ROOT, Pin, pins

PIN = next(pin for pin in pins((ROOT / "requirements.txt").read_text()) if pin.name == "grpcio")


def _affected(*events: dict[str, str], name: str = "grpcio", **more: Any) -> dict[str, Any]:
    ranges = [{"type": "ECOSYSTEM", "events": list(events)}] if events else []
    return {"package": {"name": name, "ecosystem": "PyPI"}, "ranges": ranges, **more}


def _write(path: Path, *affected: dict[str, Any], **more: Any) -> None:
    reported = {"id": path.stem, "modified": "2026-01-02T03:04:05Z", "affected": affected, **more}
    path.parent.mkdir(parents=True, exist_ok=True)
    # JSON is YAML.
    path.write_text(json.dumps(reported))


def _version(version: str) -> Pin:
    return Pin("a-package", version, ())


@pytest.mark.parametrize(
    ("version", "affected"),
    [("0.9", False), ("1.0", True), ("1.4.9", True), ("1.5", False), ("2.0", True), ("2.1", False)],
)
def test_version_is_affected_from_introduction_to_fix(
    tmp_path: Path, version: str, affected: bool
) -> None:
    events = (
        {"introduced": "1.0"},
        {"fixed": "1.5"},
        {"introduced": "2.0"},
        {"last_affected": "2.0"},
    )
    _write(tmp_path / "PYSEC-1.yaml", _affected(*events, name="A_Package"))
    assert bool(advisories.findings([_version(version)], advisories.read(tmp_path))) is affected


def test_listed_version_is_affected_unless_withdrawn(tmp_path: Path) -> None:
    listed = _affected(name="a-package", versions=["1.0"])
    _write(tmp_path / "PYSEC-1.yaml", listed, summary="It leaks.", aliases=["CVE-1"])
    _write(tmp_path / "PYSEC-2.yaml", listed, withdrawn="2026-01-02T03:04:05Z")
    other = {**listed, "package": {"name": "a-package", "ecosystem": "npm"}}
    _write(tmp_path / "deep" / "GHSA-3.json", other)
    found = advisories.findings([_version("1.0"), _version("1.1")], advisories.read(tmp_path))
    assert found == ["a-package 1.0: PYSEC-1 CVE-1 It leaks."]


def test_the_project_s_pins_are_judged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _write(tmp_path / "PYSEC-1.yaml", _affected({"introduced": "0"}, {"fixed": PIN.version}))
    assert advisories.main([str(tmp_path)]) == 0
    _write(tmp_path / "PYSEC-2.yaml", _affected({"introduced": "0"}))
    assert advisories.main([str(tmp_path)]) == 1
    reported = capsys.readouterr().out
    assert f"grpcio {PIN.version}: PYSEC-2" in reported
    assert "2 advisories, the newest of 2026-01-02: 1 found" in reported


def test_what_cannot_be_judged_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert advisories.main([str(tmp_path)]) == 2
    assert "no advisory there" in capsys.readouterr().err
    (tmp_path / "x.json").write_text("{}")
    assert advisories.main([str(tmp_path)]) == 2
    assert "x.json" in capsys.readouterr().err
