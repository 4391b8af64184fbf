"""The keys of the relayer's API, from a file that nobody else may read."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path

from tradingtools.runtime.process import Startup
from tradingtools.venues.polymarket.relayer import RelayerKey

_LINE = re.compile(r"(0x[0-9a-fA-F]{40}) ([!-~]{1,200})")
_NAME = "TT_BOTS_POLYMARKET_RELAYER_KEYS_FILE"


def read(file: str) -> Mapping[str, RelayerKey]:
    """Return the keys by address, lower case; empty: no file is named.

    Raises:
        Startup: it is not there, open to others, or malformed.
    """
    if not file:
        return {}
    path = Path(file)
    try:
        status = os.lstat(path)
        lines = path.read_text("ascii").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise Startup(f"{_NAME}: {path} cannot be read: {type(error).__name__}") from None
    if not stat.S_ISREG(status.st_mode) or status.st_mode & 0o077:
        raise Startup(f"{_NAME}: {path} is no plain file of its owner alone; chmod 600 it")
    keys = {}
    for number, line in enumerate(lines, 1):
        found = _LINE.fullmatch(line)
        if found is None or found[1].lower() in keys:
            # The line itself may be a key.
            raise Startup(f"{_NAME}: line {number} is not `address key`, each address once")
        keys[found[1].lower()] = RelayerKey(key=found[2], address=found[1])
    return keys


def find(keys: Mapping[str, RelayerKey], address: str) -> RelayerKey | None:
    """Return the key of an address; None: it has none."""
    return keys.get(address.lower())
