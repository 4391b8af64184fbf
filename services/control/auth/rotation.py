"""Tokens that change while the process runs: a file of digests, read again when it changes.

What cannot be read or understood leaves the tokens as they are: a slip of an editor must neither
lock the product out nor let a withdrawn token back in.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import structlog

from services.control.auth.tokens import Token, TokenError, parse_tokens
from tradingtools.runtime import instruments

_POLL_SECONDS = 0.5

_log = structlog.get_logger("tokens")
_refused = instruments.counter(
    "tradingtools.control",
    "control.token_file_refused",
    "token files that were refused; the old ones hold",
)


def read_tokens(text: str, file: str) -> tuple[Token, ...]:
    """The tokens of the setting and of the file together.

    Args:
        text: of the setting, ``id:scope:digest,…``; may be empty when there is a file.
        file: its path, empty for none; one ``id:scope:digest`` a line, while empty lines and those
            that begin with ``#`` say nothing.

    Raises:
        TokenError: an entry is malformed, or the file is empty or cannot be read.
    """
    entries = [text]
    if file:
        try:
            content = Path(file).read_text(encoding="ascii")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "not ASCII"
            raise TokenError(f"{file}: {reason}") from None
        if not content:
            # An editor that begins to write has emptied it first.
            raise TokenError(f"{file}: is empty; one for no tokens has a line that begins with #")
        lines = content.splitlines()
        entries += [line for line in lines if not line.lstrip().startswith("#")]
    return parse_tokens(",".join(entries))


async def follow(
    text: str, file: str, present: tuple[Token, ...], use: Callable[[tuple[Token, ...]], None]
) -> None:
    """Look at the file for ever, and hand on what it says whenever that changes."""
    message = ""
    while True:
        await asyncio.sleep(_POLL_SECONDS)
        try:
            found = read_tokens(text, file)
        except TokenError as error:
            if str(error) != message:
                message = str(error)
                _refused.add(1)
                _log.error("the tokens cannot be read; the old ones hold", reason=message)
            continue
        message = ""
        if found != present:
            present = found
            use(found)
            _log.warning("tokens changed", active=[f"{t.id}:{t.scope}" for t in found])
