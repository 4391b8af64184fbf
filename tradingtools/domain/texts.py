"""Which texts are taken from people, whichever way they come.

PostgreSQL has no NUL in text and no half of a surrogate pair; in a log, other control characters
write lines that nobody wrote.
"""

from __future__ import annotations

import re

_REFUSED = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")
EXPECTED = "a string without control characters"
"""What a refusal says of the field."""


def is_plain(text: str) -> bool:
    """Whether it has no ASCII control character, line ends included, and is whole Unicode."""
    return _REFUSED.search(text) is None
