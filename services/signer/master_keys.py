"""Master keys, which wrap the wallets' data keys: a port, and the file that stands for it.

A file has a line `name hexkey` for each key; the last one wraps, the others only unwrap what they
have wrapped. A key management service is another class with the same two methods.
"""

from __future__ import annotations

import os
import re
import secrets
import stat
import sys
from pathlib import Path
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tradingtools.settings import SettingError

NONCE_BYTES = 12
_LINE = re.compile(r"([a-z0-9-]{1,32}) ([0-9a-f]{64})")


class Unwrappable(Exception):
    """No master key at hand opens it: an unknown key, or bytes that were moved or changed."""


class MasterKeys(Protocol):
    """Wraps data keys. Each is bound to what it is for."""

    @property
    def current(self) -> str:
        """Return the name of the key that wraps."""

    def wrap(self, key: bytes, bound: bytes) -> tuple[str, bytes]:
        """Return the name of the key that wrapped, and what it made of a data key."""

    def unwrap(self, name: str, wrapped: bytes, bound: bytes) -> bytes:
        """Return the data key. Raises Unwrappable."""

    def knows(self, name: str) -> bool:
        """Return whether a key can still unwrap."""


class KeyFile:
    """The master keys of a file.

    Args:
        path: nobody but the owner may read or write it, and the owner is this process's user.

    Raises:
        SettingError: it is not there, open to others, or malformed.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp = (0, 0)
        self._keys: dict[str, AESGCM] = {}
        self._current = ""
        self.read_again()

    def read_again(self) -> bool:
        """Read the file if it has changed; return whether another key wraps now.

        Raises:
            SettingError: as at the start; the keys stay as they were.
        """
        found = self._look()
        if found == self._stamp:
            return False
        keys: dict[str, AESGCM] = {}
        for number, line in enumerate(self._lines(), 1):
            read = _LINE.fullmatch(line)
            if read is None or read[1] in keys:
                # The line itself may be a key.
                raise self._wrong(f"line {number} is not `name hexkey`, each name once")
            keys[read[1]] = AESGCM(bytes.fromhex(read[2]))
        if not keys:
            raise self._wrong("has no key")
        was, self._keys, self._current, self._stamp = self._current, keys, list(keys)[-1], found
        return was != self._current

    @property
    def current(self) -> str:
        """Return the name of the key that wraps."""
        return self._current

    def wrap(self, key: bytes, bound: bytes) -> tuple[str, bytes]:
        """Return the name of the key that wrapped, and what it made of a data key."""
        return self._current, seal_with(self._keys[self._current], key, bound)

    def unwrap(self, name: str, wrapped: bytes, bound: bytes) -> bytes:
        """Return the data key. Raises Unwrappable."""
        if name not in self._keys:
            raise Unwrappable(f"master key {name} is not at hand")
        return open_with(self._keys[name], wrapped, bound)

    def knows(self, name: str) -> bool:
        """Return whether a key can still unwrap."""
        return name in self._keys

    def _look(self) -> tuple[int, int]:
        try:
            status = os.lstat(self._path)
        except OSError as error:
            raise self._wrong(str(error.strerror)) from None
        if not stat.S_ISREG(status.st_mode):
            raise self._wrong("is no plain file")
        if status.st_uid != os.geteuid():
            raise self._wrong("belongs to another user")
        if status.st_mode & 0o177:
            raise self._wrong(f"has mode {status.st_mode & 0o777:04o}; chmod 600 it")
        return status.st_mtime_ns, status.st_ino

    def _lines(self) -> list[str]:
        try:
            return self._path.read_text("ascii").splitlines()
        except (OSError, UnicodeDecodeError):
            raise self._wrong("cannot be read") from None

    def _wrong(self, why: str) -> SettingError:
        return SettingError(f"TT_SIGNER_MASTER_KEY_FILE: {self._path} {why}")


def seal_with(key: AESGCM, plain: bytes, bound: bytes) -> bytes:
    """Encrypt under a nonce of its own, which stands before the ciphertext."""
    nonce = os.urandom(NONCE_BYTES)
    return nonce + key.encrypt(nonce, plain, bound)


def open_with(key: AESGCM, sealed: bytes, bound: bytes) -> bytes:
    """Decrypt. Raises Unwrappable."""
    try:
        return key.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], bound)
    except (InvalidTag, ValueError):
        raise Unwrappable("what was encrypted does not fit what it is asked for") from None


def add_key(path: Path, name: str) -> None:
    """Append a new key to a file; one that is not there is made.

    Raises:
        SettingError: the name is malformed or taken, or the file is not as it has to be.
    """
    line = f"{name} {secrets.token_hex(32)}\n"
    if not _LINE.fullmatch(line[:-1]):
        raise SettingError(f"{name!r}: expected 1 to 32 lower-case letters, digits and hyphens")
    if path.exists() and KeyFile(path).knows(name):
        raise SettingError(f"{name}: {path} has a key of that name")
    was = path.read_text("ascii") if path.exists() else ""
    # A whole file at once: a signer that reads it meanwhile finds the old one.
    made = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(was + line)
        file.flush()
        os.fsync(file.fileno())
    made.replace(path)


def main() -> None:
    """Add a key: ``python -m services.signer.master_keys FILE NAME``."""
    try:
        file, name = sys.argv[1:]
    except ValueError:
        sys.stderr.write("usage: python -m services.signer.master_keys FILE NAME\n")
        raise SystemExit(2) from None
    try:
        add_key(Path(file), name)
    except (SettingError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        raise SystemExit(2) from None


if __name__ == "__main__":
    main()
