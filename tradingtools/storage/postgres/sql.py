"""Named SQL: queries live in ``.sql`` files beside the code that uses them.

Each query opens with ``-- name: what_it_is`` and a comment that says what it is for.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import LiteralString, cast

_NAME = re.compile(r"^-- name: (\w+)\s*$", re.MULTILINE)


def load_queries(path: Path) -> dict[str, LiteralString]:
    """Read a file of named queries.

    Raises:
        ValueError: a name occurs twice, or the file has none.
    """
    parts = _NAME.split(path.read_text(encoding="utf-8"))
    names, bodies = parts[1::2], parts[2::2]
    if not names or len(set(names)) != len(names):
        raise ValueError(f"{path.name}: no query names, or one twice")
    return {
        # The text is part of the source tree, never built from input.
        name: cast("LiteralString", body.strip())
        for name, body in zip(names, bodies, strict=True)
    }
