"""The settings of the signer, each under ``TT_SIGNER_<FIELD>``."""

from __future__ import annotations

from dataclasses import dataclass, field

from tradingtools.settings import SharedSettings, setting


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Settings of the signer's process."""

    listen: str = setting("127.0.0.1:0")
    """Address that its gRPC server listens on, ``host:port``; it tells of its health and nothing
    else."""
    socket: str = setting()
    """Path of the Unix socket on which it signs, in a directory that nobody else may write to."""
    master_key_file: str = setting("")
    """File with the master keys, mode 0600: ``name hexkey`` a line, the last one wraps. It is read
    again when it changes. ``python -m services.signer.master_keys FILE NAME`` adds one."""
    master_key_command: str = setting("")
    """Command that prints such lines, in the file's place: it asks a key management service, and
    no disk has the keys. It is run at the start and each minute, without a shell."""
    spool_file: str = setting("")
    """File for signatures that leave while PostgreSQL is away: of cancels and reads alone. It
    should outlast a restart of the machine; empty: beside the socket."""
    uids: tuple[str, ...] = setting(())
    """Numbers of the users whose processes may connect, parted by commas; empty: its own."""
    rate: int = setting(200, minimum=1, maximum=100_000)
    """Signatures a second for each wallet, in the long run."""
    burst: int = setting(400, minimum=1, maximum=100_000)
    """Signatures of one wallet at once."""
    okx_url: str = setting("https://www.okx.com", schemes=("http", "https"))
    """OKX, which is asked whether credentials work; http to this machine alone."""
    clob_url: str = setting("https://clob.polymarket.com", schemes=("http", "https"))
    """The same of Polymarket's CLOB."""
    signature_days: int = setting(400, minimum=90, maximum=3_650)
    """For how long it is kept what was signed for whom."""
    unlocked_memory: bool = setting(False)
    """Run although memory cannot be locked, so that secrets may reach a swap device; for a
    demonstration."""
    shared: SharedSettings = field(default_factory=SharedSettings)
