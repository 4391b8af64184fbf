"""Rules for texts, whichever way they come: from people as they are or not at all, from the
venue cleaned.

PostgreSQL has no NUL in text and no half of a surrogate pair; in a log, other control characters
write lines that nobody wrote.
"""

from __future__ import annotations

import re

_REFUSED = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")
EXPECTED = "a string without control characters"
"""What a refusal says of the field."""


def is_plain(text: str) -> bool:
    """Return whether it has no ASCII control character, line ends included, and is whole
    Unicode."""
    return _REFUSED.search(text) is None


def cleaned(text: str) -> str:
    """Return the text with spaces for what :func:`is_plain` does not allow, and none at its
    ends."""
    return _REFUSED.sub(" ", text).strip()
