"""The bill of materials names all that is installed."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import Counter
from importlib import metadata
from pathlib import Path

import pytest

from tools.sbom import ROOT, Pin, pins, sbom

FILES = ("requirements.txt", "requirements-dev.txt", "requirements-sdk.txt")


def test_it_names_each_pinned_package_with_version_and_digests() -> None:
    made = subprocess.run(
        [sys.executable, "-m", "tools.sbom"], cwd=ROOT, check=True, capture_output=True, timeout=60
    )
    bom = json.loads(made.stdout)
    assert (bom["bomFormat"], bom["specVersion"]) == ("CycloneDX", "1.5")
    named = {part["name"]: part for part in bom["components"]}
    assert len(named) == len(bom["components"])
    # Read another way than the tool does.
    pinned: dict[str, tuple[str, Counter[str]]] = {}
    for file in FILES:
        for block in re.split(r"(?m)^(?=[A-Za-z0-9])", (ROOT / file).read_text()):
            head = re.match(r"([A-Za-z0-9][^=\s]*)==(\S+)", block)
            if head:
                digests = Counter(re.findall(r"--hash=sha256:(\S+)", block))
                pinned[head[1].lower().replace("_", "-").replace(".", "-")] = (head[2], digests)
    assert len(pinned) > 100
    assert named.keys() == pinned.keys()
    for name, (version, digests) in pinned.items():
        part = named[name]
        assert part["version"] == version
        # An epoch's exclamation mark is escaped, as the specification of package URLs wants.
        assert part["purl"] == f"pkg:pypi/{name}@{version.replace('!', '%21')}"
        assert Counter(one["content"] for one in part["hashes"]) == digests
        assert digests
        assert {one["alg"] for one in part["hashes"]} == {"SHA-256"}
    assert named["grpcio"]["scope"] == "required"
    assert named["pytest"]["scope"] == "excluded"


def test_it_names_each_package_that_our_processes_need() -> None:
    """Each requirement of the ``.in`` file is there, with the version that is installed."""
    desired = re.findall(r"(?m)^([a-z][a-z0-9-]*)", (ROOT / "requirements.in").read_text())
    named = {pin.name: pin.version for pin in pins((ROOT / "requirements.txt").read_text())}
    assert {name: metadata.version(name) for name in desired} == {
        name: named[name] for name in desired
    }


@pytest.mark.parametrize("line", ["aiohttp", "aiohttp>=3", "aiohttp==3.1", "-r other.txt"])
def test_a_package_without_version_or_digest_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match="expected name==version"):
        list(pins(f"# a comment\n{line}\n    # via x\n"))


def test_a_package_of_two_versions_is_refused() -> None:
    with pytest.raises(ValueError, match="pinned twice"):
        sbom([Pin("a", "1", ("0" * 64,))], [Pin("a", "2", ("0" * 64,))])


def test_make_writes_it(tmp_path: Path) -> None:
    out = tmp_path / "sbom.json"
    # Not the place to make the environment anew, should its mark be older than the pins.
    command = ["make", "--old-file=.venv/.ready", "sbom", f"OUT={out}"]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=60)
    assert json.loads(out.read_text())["components"]
