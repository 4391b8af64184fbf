"""A paper OKX in a thread of its own over TLS, and what tells it what to do."""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import httpx

from paper.okx.app import PORTS_FILE, run
from paper.okx.settings import Settings
from tests.support.certificates import Authority
from tests.support.running import running
from tradingtools.settings import load

WAIT_S = 60.0
SECRET, PASSPHRASE = "secret-of-ann", "pass-of-ann"


@dataclass(frozen=True)
class Live:
    """A running exchange."""

    port: int
    control: httpx.Client
    authority: Path
    directory: Path

    @property
    def rest(self) -> str:
        return f"https://localhost:{self.port}"

    def socket(self, path: str) -> str:
        return f"wss://localhost:{self.port}/ws/v5/{path}"

    @property
    def tls(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.authority))

    def notify(self, path: str, **body: Any) -> Any:
        """POST to the control port; the answer."""
        answer = self.control.post(path, json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def account(self, name: str, *, mode: str = "2", **more: Any) -> None:
        """Open an account with money; its API key is its name."""
        key = {"apiKey": name, "secret": SECRET, "passphrase": PASSPHRASE, **more.pop("key", {})}
        deposits = more.pop("deposits", {"USDT": "100000", "BTC": "2"})
        self.notify("/accounts", name=name, mode=mode, deposits=deposits, keys=[key], **more)

    def book(self, inst_id: str, bid: str, ask: str, size: str) -> None:
        """Let the market stand at one price on each side."""
        self.notify("/books", instId=inst_id, bids=[[bid, size]], asks=[[ask, size]])

    def journal(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        while page := self.control.get(
            "/journal", params={"after": found[-1]["seq"] if found else 0, "limit": 10_000}
        ).json():
            found += page
        return found

    def conserved(self) -> bool:
        """Return whether all purses are what was put in."""
        ledger = self.control.get("/ledger").json()
        return all(one["total"] == one["putIn"] for one in ledger.values())


@contextmanager
def okx(directory: Path, **more: str) -> Iterator[Live]:
    """An exchange whose market the control port makes, unless told otherwise."""
    authority = Authority(directory)
    pem, key = authority.issue("okx", "localhost", "127.0.0.1")
    environ = {"STATE_DIR": str(directory), "FEED": "none", "CERTIFICATE": str(pem)}
    environ |= {"PRIVATE_KEY": str(key), **{name.upper(): value for name, value in more.items()}}
    settings = load(
        Settings, "paper_okx", {f"TT_PAPER_OKX_{name}": value for name, value in environ.items()}
    )
    with running(partial(run, settings), settings.state_dir / PORTS_FILE):
        ports = json.loads((directory / PORTS_FILE).read_text())
        with httpx.Client(base_url=f"http://127.0.0.1:{ports['control_port']}") as control:
            yield Live(ports["port"], control, authority.file, directory)


def until(holds: Callable[[], object]) -> Any:
    """The first true answer; fails after WAIT_S."""
    end = time.monotonic() + WAIT_S
    while time.monotonic() < end:
        found = holds()
        if found:
            return found
        time.sleep(0.005)
    raise AssertionError("waited too long")
