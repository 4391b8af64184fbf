"""The files of the pages, read once, with their digests and their compressed form.

One is made here: the meaning of each reason code, which the engine itself has.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import mimetypes
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable

from tradingtools.domain.reasons import Reason

_TYPES = {
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
    ".css": "text/css",
    ".html": "text/html",
}
_REASONS = "reasons.json"
_TEXT = ("text/", "image/svg+xml", "application/json")


@dataclass(frozen=True, slots=True)
class File:
    """A file as it is sent."""

    content_type: str
    etag: str
    body: bytes
    compressed: bytes


def load(package: str = "console") -> Mapping[str, File]:
    """Return the files by their path below the package."""
    found = {name: _file(name, file.read_bytes()) for name, file in _walk(files(package), "")}
    return found | {_REASONS: _file(_REASONS, _reasons())}


def _reasons() -> bytes:
    meanings = {
        reason.value: {"meaning": reason.meaning, "advice": reason.advice} for reason in Reason
    }
    return json.dumps(meanings).encode()


def _walk(folder: Traversable, before: str) -> Iterator[tuple[str, Traversable]]:
    for entry in folder.iterdir():
        if entry.is_dir():
            yield from _walk(entry, f"{before}{entry.name}/")
        elif not entry.name.endswith((".py", ".pyc")):
            yield before + entry.name, entry


def _file(name: str, body: bytes) -> File:
    guessed = mimetypes.guess_type(name)[0] or "application/octet-stream"
    kind = _TYPES.get(name[name.rfind(".") :], guessed)
    text = kind.startswith(_TEXT)
    return File(
        content_type=f"{kind}; charset=utf-8" if text else kind,
        etag=f'"{hashlib.sha256(body).hexdigest()[:32]}"',
        body=body,
        compressed=gzip.compress(body, 9, mtime=0) if text else b"",
    )
