"""The account of the shown bot at the paper OKX, with keys made for it."""

from __future__ import annotations

import json
from pathlib import Path

from launcher.core.paper_bot import ACCOUNT, DEPOSITS
from launcher.secret_files import keep, kept
from tradingtools.domain.credentials import OkxCredentials


def credentials(directory: Path) -> OkxCredentials:
    """Return the keys of a run's account; they are made once and kept in its state directory."""
    secret, passphrase = (kept(directory / f"paper-okx-{one}") for one in ("secret", "passphrase"))
    return OkxCredentials(api_key=ACCOUNT, secret=secret, passphrase=passphrase)


def make_account(directory: Path) -> None:
    """Write the account for the paper OKX to open, unless it is there."""
    place = directory / "paper_okx"
    place.mkdir(mode=0o700, exist_ok=True)
    keys = credentials(directory)
    key = {"apiKey": keys.api_key, "secret": keys.secret, "passphrase": keys.passphrase}
    account = {"name": ACCOUNT, "mode": "2", "deposits": DEPOSITS, "keys": [key]}
    keep(place / "accounts", json.dumps(account))
