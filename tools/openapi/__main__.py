"""``python -m tools.openapi`` writes the document; with ``--check`` it says whether it is current.

Exit status 0: written, or current; 1: not current.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tools.openapi.document import text

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "openapi.json"


def main(arguments: list[str]) -> int:
    """Write or check."""
    desired = text()
    if arguments == ["--check"]:
        if DOCUMENT.exists() and DOCUMENT.read_text(encoding="utf-8") == desired:
            return 0
        sys.stderr.write(f"docs/{DOCUMENT.name} is not what protos/ say; run make proto\n")
        return 1
    DOCUMENT.write_text(desired, encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
