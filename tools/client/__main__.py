"""``python -m tools.client`` writes the client; with ``--check`` it says whether it is current.

Exit status 0: written, or current; 1: not current.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tools.client.calls import calls
from tools.client.models import models

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = ROOT / "docs" / "openapi.json"
PACKAGE = ROOT / "tradingtools_client"


def generated() -> dict[Path, str]:
    """Return what each generated module has to hold; the same document gives the same text."""
    document = json.loads(DOCUMENT.read_text(encoding="utf-8"))
    return {
        PACKAGE / "models.py": _formatted(models(document)),
        PACKAGE / "api.py": _formatted(calls(document)),
    }


def _formatted(source: str) -> str:
    command = [sys.executable, "-m", "ruff"]
    options = ["--config", str(ROOT / "pyproject.toml"), "--stdin-filename", "client.py", "-"]
    for verb in (["check", "--fix", "--quiet", "--select", "I,F401"], ["format", "--quiet"]):
        done = subprocess.run(  # noqa: S603 - our own interpreter and words
            [*command, *verb, *options], input=source, capture_output=True, text=True, check=True
        )
        source = done.stdout
    return source


def main(arguments: list[str]) -> int:
    """Write or check."""
    desired = generated()
    if arguments == ["--check"]:
        stale = [
            path
            for path, text in desired.items()
            if not path.exists() or path.read_text(encoding="utf-8") != text
        ]
        for path in stale:
            name = path.relative_to(ROOT)
            sys.stderr.write(f"{name} is not what docs/openapi.json says; run make proto\n")
        return 1 if stale else 0
    for path, text in desired.items():
        path.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
