"""Settings of the launcher: ``TT_LAUNCHER_<FIELD>``. `make run` sets some of them by short names.

Settings of the processes go through to them; the launcher only fills in what nobody set.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from tradingtools.settings import SharedSettings, setting

TAPE_LEADERS = (
    "0x215adbb63b47d0ca92f849fe2c2dc1adb0f6254c",
    "0x40ce68f1564f3c751b12d88a393d8cc0651dbf90",
    "0x921433c93558b9a4ba807ec824d02aad7ea2ddbf",
    "0xa1d57d329227c75b12b09f927fb3d6d6ef8f1343",
    "0xbadaf319415c17f28824a43ae0cd912b9d84d874",
    "0xd7d36345c4aab150e59577e360696b01d01d698b",
    "0xe8ca3f758c93f44f3ec210542ab78afb7c0bcccb",
)
"""The seven leaders of the packaged tape; they trade on the real venue, too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Read once at start by `tradingtools.settings.load`."""

    shared: SharedSettings = field(default_factory=SharedSettings)
    for_seconds: int = setting(0, minimum=0, maximum=86_400)
    """End by itself after so long (`FOR=60`); 0: at Ctrl-C."""
    live: bool = setting(False)
    """Real Polymarket feeds instead of the replay; orders stay on paper (`LIVE=1`)."""
    followers: int = setting(3, minimum=1, maximum=50)
    """Followers of each leader that the run creates over REST (`FOLLOWERS=3`)."""
    leaders: tuple[str, ...] = setting(TAPE_LEADERS)
    """Whom they follow: wallets, comma separated."""
    rest_port: int = setting(0, minimum=0, maximum=65_535)
    """Where Envoy serves REST (`REST_PORT=8080`); 0: chosen."""
    state_dir: str = setting("")
    """Where the run keeps everything (`STATE=dir`); one that exists is continued. Empty: a new
    one below `.state`."""
    insiders_url: str = setting("")
    """A real insiders-api, `http://host:port`; empty: the paper one. Its word cannot be checked
    against the rows then."""
    signer: bool = setting(False)
    """Run the signer, too, which keeps credentials of trading wallets (`SIGNER=1`)."""
    bots: bool = setting(False)
    """Run an engine of bots, and the signer (`BOTS=1`). Where the environment does not say where it
    trades (`TT_BOTS_VENUES`), there is a paper OKX, too, and a bot that makes a market at it."""
    edge_nice: int = setting(10, minimum=0, maximum=19)
    """How far Envoy and control stand back where the money path wants the same core."""
    settle_seconds: int = setting(45, minimum=1, maximum=600)
    """How long the end of a run waits until no order is open."""
