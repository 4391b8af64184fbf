"""How this process speaks gRPC with others: its certificate, and whose certificates it believes.

One identity a process, set once at its start (:func:`use`), before the servers and channels of
`transport`. Without one everything is plaintext, and stays on this machine.
"""

from __future__ import annotations

import ipaddress
import ssl
from dataclasses import dataclass, field
from pathlib import Path

import grpc

from tradingtools.settings import SettingError, SharedSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """A certificate with its key, and whom to believe; all of it PEM."""

    certificate: bytes
    key: bytes = field(repr=False)
    authorities: bytes | None
    """Who signed what others show; None: the system's, and callers need not show anything."""

    def server(self) -> grpc.ServerCredentials:
        """For a port of this process."""
        return grpc.ssl_server_credentials(
            [(self.key, self.certificate)],
            root_certificates=self.authorities,
            require_client_auth=self.authorities is not None,
        )

    def client(self) -> grpc.ChannelCredentials:
        """For a call to another process."""
        return grpc.ssl_channel_credentials(
            root_certificates=self.authorities,
            private_key=self.key,
            certificate_chain=self.certificate,
        )


@dataclass(slots=True)
class _Process:
    identity: Identity | None = None
    plaintext: bool = False


_process = _Process()


def use(shared: SharedSettings) -> None:
    """From now on, this process is who its settings say.

    Raises:
        SettingError: a file cannot be read, is no PEM, or one of certificate and key is missing.
    """
    _process.identity = read(shared)
    _process.plaintext = shared.plaintext


def read(shared: SharedSettings) -> Identity | None:
    """The identity in the settings; None: they name none. Raises SettingError."""
    if not (shared.tls_cert or shared.tls_key or shared.tls_ca):
        return None
    for name in ("tls_cert", "tls_key"):
        if not getattr(shared, name):
            raise SettingError(f"TT_{name.upper()}: required and not set, for there is TLS")
    refuse_open_key("TT_TLS_KEY", shared.tls_key)
    return Identity(
        certificate=_pem("TT_TLS_CERT", shared.tls_cert, b"CERTIFICATE-----"),
        key=_pem("TT_TLS_KEY", shared.tls_key, b"PRIVATE KEY-----"),
        authorities=_pem("TT_TLS_CA", shared.tls_ca, b"CERTIFICATE-----")
        if shared.tls_ca
        else None,
    )


def refuse_open_key(name: str, path: str) -> None:
    """A private key is nobody else's to read or write.

    Raises:
        SettingError: its file is open to everybody, or others may write it.
    """
    try:
        mode = Path(path).stat().st_mode
    except OSError:
        return  # Who reads it says so.
    if mode & 0o027:
        raise SettingError(
            f"{name}: {path} is open to others (mode {mode & 0o777:04o}); chmod 600 it"
        )


def http_server(shared: SharedSettings) -> ssl.SSLContext | None:
    """The same identity for a port that speaks HTTP; None: plaintext. Raises SettingError."""
    found = read(shared)
    if found is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        # Takes files only; they have just been read.
        context.load_cert_chain(shared.tls_cert, shared.tls_key)
        if found.authorities is not None:
            context.load_verify_locations(cafile=shared.tls_ca)
            context.verify_mode = ssl.CERT_REQUIRED
    except ssl.SSLError as error:
        raise SettingError(
            f"TT_TLS_CERT, TT_TLS_KEY, TT_TLS_CA: do not fit together: {error.reason}"
        ) from None
    return context


def identity() -> Identity | None:
    """Who this process is; None: nobody in particular, in plaintext."""
    return _process.identity


def refuse_plaintext(listen: str) -> None:
    """A port that others than this machine reach needs TLS, unless a setting says otherwise.

    Args:
        listen: ``host:port``.

    Raises:
        SettingError: it is such a port, and this process has no certificate.
    """
    if _process.identity is None and not _process.plaintext and not is_loopback(listen):
        raise SettingError(
            f"{listen} is reachable from other machines: set TT_TLS_CERT and TT_TLS_KEY,"
            " or TT_PLAINTEXT=true"
        )


def is_loopback(listen: str) -> bool:
    """Whether only this machine reaches ``host:port``."""
    host = listen.rpartition(":")[0].strip("[]")
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _pem(name: str, path: str, mark: bytes) -> bytes:
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise SettingError(f"{name}: {path}: {error.strerror}") from None
    if mark not in content:
        raise SettingError(f"{name}: {path}: is not PEM with {mark.decode().strip('-')!r} in it")
    return content
