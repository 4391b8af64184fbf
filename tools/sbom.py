"""Command line: ``python -m tools.sbom > build/sbom.json`` lists what is installed, as CycloneDX.

The pinned requirements are the source: each package with its version and the digests that pip
accepts for it. The same pins give the same bytes. Packages of ``requirements.txt`` run; those that
only other files name are for development and tests (scope ``excluded``). Format: CycloneDX 1.5.
"""

from __future__ import annotations

import itertools
import json
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
RUNS = "requirements.txt"
OTHERS = ("requirements-dev.txt", "requirements-sdk.txt")
_PIN = re.compile(r"([A-Za-z0-9._-]+)==([A-Za-z0-9.!+_-]+)((?: --hash=sha256:[0-9a-f]{64})+)")
_SEPARATORS = re.compile(r"[-_.]+")


@dataclass(frozen=True, slots=True)
class Pin:
    """One package, as pip installs it."""

    name: str
    """Normalized as PEP 503 says."""
    version: str
    digests: tuple[str, ...]
    """SHA-256 in hex, one for each file of the version."""


def pins(text: str) -> Iterator[Pin]:
    """Yield those of a requirements file.

    Raises:
        ValueError: a requirement has no exact version or no digest.
    """
    lines = (line.partition(" #")[0].strip() for line in text.splitlines())
    whole = "\n".join(line for line in lines if not line.startswith("#")).replace("\\\n", "")
    for line in filter(None, whole.splitlines()):
        found = _PIN.fullmatch(re.sub(r"\s+", " ", line.strip()))
        if found is None:
            raise ValueError(f"expected name==version with digests: {line.split()[0]}")
        digests = tuple(part.rpartition(":")[2] for part in found[3].split())
        yield Pin(_SEPARATORS.sub("-", found[1]).lower(), found[2], digests)


def sbom(runs: Iterable[Pin], others: Iterable[Pin]) -> dict[str, Any]:
    """The bill of materials.

    Args:
        runs: what processes need.
        others: what development needs beside it; packages of ``runs`` may occur again.

    Raises:
        ValueError: a package is pinned to two versions.
    """
    scopes = dict.fromkeys(runs, "required")
    for pin in others:
        scopes.setdefault(pin, "excluded")
    known = sorted(scopes, key=lambda pin: (pin.name, pin.version))
    for one, next_ in itertools.pairwise(known):
        if one.name == next_.name:
            raise ValueError(f"{one.name} is pinned twice, not alike")
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"component": {"type": "application", "name": "tradingtools"}},
        "components": [_component(pin, scopes[pin]) for pin in known],
    }


def _component(pin: Pin, scope: str) -> dict[str, Any]:
    purl = f"pkg:pypi/{pin.name}@{pin.version.replace('+', '%2B').replace('!', '%21')}"
    return {
        "type": "library",
        "bom-ref": purl,
        "name": pin.name,
        "version": pin.version,
        "scope": scope,
        "purl": purl,
        "hashes": [{"alg": "SHA-256", "content": digest} for digest in sorted(pin.digests)],
    }


def of_project(root: Path = ROOT) -> dict[str, Any]:
    """The bill of materials of the pinned requirements in a directory. Raises as `sbom`, `pins`."""
    others = (pin for name in OTHERS for pin in pins((root / name).read_text()))
    return sbom(pins((root / RUNS).read_text()), others)


if __name__ == "__main__":
    json.dump(of_project(), sys.stdout, indent=2)
    sys.stdout.write("\n")
