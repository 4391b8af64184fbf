"""Give this process its TLS identity: its certificate, and the authorities it believes.

One identity a process, set at its start (:func:`use`), before the servers and channels of
`transport`. Without one everything is plaintext, and stays on this machine. Its files are
read again when they change: at each connection that a port takes, and for each channel that is
made. A channel that there is goes on showing what it was made with, as gRPC has it.
"""

from __future__ import annotations

import ipaddress
import ssl
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import structlog

from tradingtools.settings import SettingError, SharedSettings

_log = structlog.get_logger("tls")


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """A certificate with its key, and whom to believe; all of it PEM."""

    certificate: bytes
    key: bytes = field(repr=False)
    authorities: bytes | None
    """Authorities of others' certificates; None: the system's, and callers need not show any."""

    def shown(self) -> grpc.ServerCertificateConfiguration:
        """Return the certificate that a port shows, and the authorities that it believes."""
        return grpc.ssl_server_certificate_configuration(
            [(self.key, self.certificate)], root_certificates=self.authorities
        )

    def client(self) -> grpc.ChannelCredentials:
        """Return the credentials of calls to other processes."""
        return grpc.ssl_channel_credentials(
            root_certificates=self.authorities,
            private_key=self.key,
            certificate_chain=self.certificate,
        )


class Files:
    """An identity in files, read again when they have changed.

    Args:
        shared: names them.

    Raises:
        SettingError: a file cannot be read, is no PEM, or one of certificate and key is missing.
    """

    def __init__(self, shared: SharedSettings) -> None:
        self._shared = shared
        self._stamps = self._poll()
        self._identity = read(shared)
        self._refused = ""

    def identity(self) -> Identity | None:
        """Return what they hold; what does not fit together, as files that are replaced one after
        the other do not for a moment, leaves it as it was."""
        if self._identity is None or (stamps := self._poll()) == self._stamps:
            return self._identity
        try:
            found = read(self._shared)
            _refuse_strangers(self._shared)
        except SettingError as error:
            if str(error) != self._refused:
                self._refused = str(error)
                _log.error("the certificate cannot be read; the old one holds", reason=str(error))
            return self._identity
        if self._poll() == stamps:
            self._identity, self._stamps, self._refused = found, stamps, ""
            _log.info("the certificate was read again")
        return self._identity

    def server(self) -> grpc.ServerCredentials | None:
        """For a port, which shows each connection what there is by then; None: plaintext."""
        first = shown = self.identity()
        if first is None:
            return None
        demanding = first.authorities is not None

        def newest() -> grpc.ServerCertificateConfiguration | None:
            nonlocal shown
            found = self.identity()
            # Whether callers have to show something stays as it was.
            if found is None or found == shown or (found.authorities is not None) != demanding:
                return None
            shown = found
            return found.shown()

        # None leaves it as it is, which the stub forgets.
        return grpc.dynamic_ssl_server_credentials(
            first.shown(),
            newest,  # type: ignore[arg-type]
            require_client_authentication=demanding,
        )

    def _poll(self) -> tuple[tuple[int, int], ...]:
        """Return what tells whether a file is another one; of one that is not there, zeros."""
        found = []
        for path in (self._shared.tls_cert, self._shared.tls_key, self._shared.tls_ca):
            try:
                status = Path(path).stat()
            except OSError:
                found.append((0, 0))
            else:
                found.append((status.st_mtime_ns, status.st_ino))
        return tuple(found)


def _refuse_strangers(shared: SharedSettings) -> None:
    """Raise SettingError when certificate and key do not belong together."""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(shared.tls_cert, shared.tls_key)
    except (ssl.SSLError, OSError):
        raise SettingError("TT_TLS_CERT, TT_TLS_KEY: do not fit together") from None


@dataclass(slots=True)
class _Process:
    files: Files | None = None
    plaintext: bool = False


_process = _Process()


def use(shared: SharedSettings) -> None:
    """From now on, this process is who its settings say.

    Raises:
        SettingError: a file cannot be read, is no PEM, or one of certificate and key is missing.
    """
    _process.files = Files(shared)
    _process.plaintext = shared.plaintext


def read(shared: SharedSettings) -> Identity | None:
    """Return the identity in the settings; None: they name none. Raises SettingError."""
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


def identity() -> Identity | None:
    """Return who this process is; None: nobody in particular, in plaintext."""
    return None if _process.files is None else _process.files.identity()


def server() -> grpc.ServerCredentials | None:
    """For a port of this process; None: plaintext."""
    return None if _process.files is None else _process.files.server()


def refuse_plaintext(listen: str) -> None:
    """A port that others than this machine reach needs TLS, unless a setting says otherwise.

    Args:
        listen: ``host:port``.

    Raises:
        SettingError: it is such a port, and this process has no certificate.
    """
    if identity() is None and not _process.plaintext and not is_loopback(listen):
        raise SettingError(
            f"{listen} is reachable from other machines: set TT_TLS_CERT and TT_TLS_KEY,"
            " or TT_PLAINTEXT=true"
        )


def is_loopback(listen: str) -> bool:
    """Return whether only this machine reaches ``host:port``."""
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
