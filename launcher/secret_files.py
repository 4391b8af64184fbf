"""Files with one secret each, which their owner alone can read."""

from __future__ import annotations

import os
import secrets
from pathlib import Path


def kept(path: Path) -> str:
    """The secret in a file; a fresh one, 64 hex digits, where there is none."""
    if not path.exists():
        keep(path, secrets.token_hex(32))
    return path.read_text(encoding="ascii").strip()


def keep(path: Path, text: str) -> None:
    """Write a file anew, readable by nobody else at any instant."""
    path.unlink(missing_ok=True)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
