"""Codes that log in to the console once: left in its directory, and taken out by the console.

A file holds the tokens of a login under the digest of its code, which only the link has. Whoever
removes the file has the login, so two that come with one code are one too many.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

SECONDS = 600
"""For so long a code is good."""
_CODE = re.compile("[0-9a-f]{32}")
_FOLDER = "codes"


def leave(directory: Path, tokens: Sequence[str], now_s: float) -> str:
    """Return a fresh code that logs in with these tokens.

    Args:
        directory: of the console; its owner can read the file afterwards.
        tokens: of REST, an operator's, or both.
        now_s: seconds of the epoch.
    """
    code = secrets.token_hex(16)
    put_back(directory, code, tokens, now_s)
    return code


def put_back(directory: Path, code: str, tokens: Sequence[str], now_s: float) -> None:
    """Make a code good once, again for as long as a fresh one: nobody could check its tokens."""
    text = json.dumps({"tokens": list(tokens), "until": now_s + SECONDS})
    with _opened(directory) as folder:
        _forget(folder, now_s)
        made = os.open(_name(code), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600, dir_fd=folder)
        with os.fdopen(made, "w") as file:
            _give(made, directory)
            file.write(text)


def take(directory: Path, code: str, now_s: float) -> list[str]:
    """Return the tokens of a code and forget it; empty: it was used, is too old, or is none."""
    if not _CODE.fullmatch(code):
        return []
    path = directory / _FOLDER / _name(code)
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        path.unlink()
    except FileNotFoundError:
        return []
    found: list[str] = stored["tokens"]
    return found if now_s < stored["until"] else []


def _name(code: str) -> str:
    return hashlib.sha256(code.encode()).hexdigest()


@contextmanager
def _opened(directory: Path) -> Iterator[int]:
    """Open the folder of codes. By descriptors: its owner may be another user than this process,
    whom no link of his may lead elsewhere."""
    above = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        with suppress(FileExistsError):
            os.mkdir(_FOLDER, 0o700, dir_fd=above)
        folder = os.open(_FOLDER, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=above)
        try:
            _give(folder, directory)
            yield folder
        finally:
            os.close(folder)
    finally:
        os.close(above)


def _give(opened: int, directory: Path) -> None:
    """Let what root has made belong to the directory's owner."""
    if os.geteuid() == 0:
        owner = directory.stat()
        os.fchown(opened, owner.st_uid, owner.st_gid)


def _forget(folder: int, now_s: float) -> None:
    for name in os.listdir(folder):
        if os.stat(name, dir_fd=folder, follow_symlinks=False).st_mtime < now_s - SECONDS:
            with suppress(FileNotFoundError):
                os.unlink(name, dir_fd=folder)
