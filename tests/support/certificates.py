"""Certificates of authorities that exist for one test."""

from __future__ import annotations

from pathlib import Path

import trustme


class Authority:
    """Signs certificates and keeps them as files.

    Args:
        directory: for the files; made.
    """

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._ca = trustme.CA()
        self._directory = directory
        self.file = directory / "ca.pem"
        self._ca.cert_pem.write_to_path(self.file)

    def issue(self, name: str, *hosts: str) -> tuple[Path, Path]:
        """Certificate and key of somebody called ``name``, for hosts; none: for 127.0.0.1."""
        leaf = self._ca.issue_cert(*(hosts or ("127.0.0.1",)), common_name=name)
        chain, key = self._directory / f"{name}.pem", self._directory / f"{name}.key"
        leaf.cert_chain_pems[0].write_to_path(chain)
        leaf.private_key_pem.write_to_path(key)
        key.chmod(0o600)
        return chain, key

    def settings(self, name: str, *hosts: str, prefix: str = "TT_") -> dict[str, str]:
        """The TLS settings of a process with such a certificate, which believes this authority."""
        chain, key = self.issue(name, *hosts)
        files = {"TLS_CERT": chain, "TLS_KEY": key, "TLS_CA": self.file}
        return {prefix + setting: str(path) for setting, path in files.items()}
