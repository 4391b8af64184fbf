"""Settings of the control process, ``TT_CONTROL_<FIELD>``."""

from __future__ import annotations

from dataclasses import dataclass, field

from tradingtools.settings import SharedSettings, setting


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Settings of control."""

    listen: str = setting("127.0.0.1:0")
    """Where the edge reaches it: public services and the authorization service, nothing else."""
    internal_listen: str = setting("127.0.0.1:0")
    """Where operators reach it: OperatorService, health, reflection, channelz."""
    bookfeed_target: str = setting("")
    """Where marks come from, ``host:port``; empty: positions are shown without what they are worth
    now."""
    engine_targets: tuple[str, ...] = setting(())
    """Whom ``/health/engine`` asks each second how it is: ``name=host:port`` parted by commas, the
    name a process's (``router``) or one of several (``router-1``). Empty: nobody, and it is a
    503."""
    signer_socket: str = setting("")
    """The Unix socket of the signer, which adds wallets; empty: there is none, and wallets can only
    be read."""
    tokens: str = setting("", secret=True)
    """``id:scope:digest`` parted by commas; scope is read or manage at the edge, observe, operate
    or internal on the internal port; digest is the SHA-256 (hex) of the token's 64 hex digits as
    text. At most two for each scope, so that one can be rotated, 16 for observe and for operate.
    Without one of the scope operate nobody can halt. Behind the digest may stand
    ``;until=2027-01-31`` (its last day, UTC) and, of the edge's scopes,
    ``;from=10.0.0.0/8|2001:db8::/32`` (where it may be shown from) and ``;followers=0xab…|0xcd…``
    (the wallets that it is about; up to 100 such tokens for each scope)."""
    tokens_file: str = setting("")
    """More of them, one a line; read again when it changes, so that a token can be rotated without
    a restart. One of the two settings has to name a token."""
    token_rate: int = setting(2000, minimum=1, maximum=1_000_000)
    """Requests per second of one token; twice as many may come at once. More: 429."""
    address_rate: int = setting(4000, minimum=1, maximum=1_000_000)
    """The same for one address (of IPv6: one /64), whatever its tokens."""
    refused_rate: int = setting(20, minimum=1, maximum=1_000_000)
    """The same for requests of one address without a valid token, on the internal port, too."""
    one_owner: bool = setting(True)
    """A follower's wallet belongs to the user and wallet id with which it was first seen, until an
    operator moves it (MoveWallet). False: each create may give others."""
    two_persons: bool = setting(False)
    """ResolveOrder, CorrectLot and Fund are carried out when two have asked for the same, with
    tokens of different ids, within an hour."""
    identity_key: str = setting("", secret=True)
    """64 hex digits that seal what the authorization found out. Needed only when several control
    processes stand behind one edge; empty: made at start."""
    login_secret: str = setting("", secret=True)
    """64 hex digits that the keys of people's access tokens come of; the same for all control
    processes of a deployment. Another one ends all access tokens, and no session. Empty: nobody can
    log in, and tokens of programs are all there is."""
    login_audience: str = setting("tradingtools")
    """Name of the deployment, of 1 to 64 ASCII letters, digits and ``.-_:/``: an access token of
    another one is refused."""
    resync_wait_ms: int = setting(2000, minimum=0, maximum=5000)
    """How long a request waits for the router's answer about a resync; then it is reported as it
    stands."""
    simulation_ms: int = setting(5000, minimum=500, maximum=9000)
    """How long a simulation, a backtest or a preview of settings may take. One is computed at a
    time, in a process of its own that stands back for the others."""
    pool_size: int = setting(4, minimum=2, maximum=64)
    """Connections to PostgreSQL for reads by key, as many for other reads and for changes. The
    process of the internal port has four of its own."""
    internal_metrics_port: int = setting(0, minimum=0, maximum=65535)
    """Where the process of the internal port offers its metrics for Prometheus; 0: nowhere."""
    shared: SharedSettings = field(default_factory=SharedSettings)
