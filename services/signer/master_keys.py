"""Master keys, which wrap the wallets' data keys: a port, a file, and a command that fills it.

There is a line `name hexkey` for each key; the last one wraps, the others only unwrap what they
have wrapped. The command asks a key management service, so that no disk has them.
"""

from __future__ import annotations

import os
import re
import secrets
import shlex
import signal
import stat
import subprocess
import sys
from hashlib import sha256
from pathlib import Path
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tradingtools.settings import SettingError

NONCE_BYTES = 12
COMMAND_SECONDS = 20.0
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


class _Lines:
    """Master keys of lines `name hexkey`, the last of which wraps.

    Args:
        setting: that names where they come from.
    """

    def __init__(self, setting: str) -> None:
        self._setting = setting
        # Both at once: they are taken in a thread, and asked for in another.
        self._held: tuple[dict[str, AESGCM], str] = ({}, "")
        self._seen: dict[str, bytes] = {}
        """Digests of all keys that there ever were here, by name."""

    def take(self, text: str) -> bool:
        """Take a text's keys in the place of those there were; return whether another one wraps.

        Raises:
            SettingError: it is malformed, or a name has another key than before, which would open
                nothing that the name has wrapped; the keys stay as they were.
        """
        seen: dict[str, bytes] = {}
        keys: dict[str, AESGCM] = {}
        for number, line in enumerate(text.splitlines(), 1):
            read = _LINE.fullmatch(line)
            if read is None or read[1] in keys:
                # The line itself may be a key.
                raise self.invalid_source(f"line {number} is not `name hexkey`, each name once")
            keys[read[1]] = AESGCM(bytes.fromhex(read[2]))
            seen[read[1]] = sha256(bytes.fromhex(read[2])).digest()
            if self._seen.get(read[1], seen[read[1]]) != seen[read[1]]:
                raise self.invalid_source(
                    f"has another key {read[1]} than before; give it a name of its own"
                )
        if not keys:
            raise self.invalid_source("has no key")
        self._seen |= seen
        was, self._held = self.current, (keys, list(keys)[-1])
        return was != self.current

    @property
    def current(self) -> str:
        """Return the name of the key that wraps."""
        return self._held[1]

    def wrap(self, key: bytes, bound: bytes) -> tuple[str, bytes]:
        """Return the name of the key that wrapped, and what it made of a data key."""
        keys, current = self._held
        return current, seal_with(keys[current], key, bound)

    def unwrap(self, name: str, wrapped: bytes, bound: bytes) -> bytes:
        """Return the data key. Raises Unwrappable."""
        keys, _ = self._held
        if name not in keys:
            raise Unwrappable(f"master key {name} is not at hand")
        return open_with(keys[name], wrapped, bound)

    def knows(self, name: str) -> bool:
        """Return whether a key can still unwrap."""
        return name in self._held[0]

    def invalid_source(self, why: str) -> SettingError:
        """Return the error of a source that is not as it has to be."""
        return SettingError(f"{self._setting} {why}")


class KeyFile(_Lines):
    """The master keys of a file.

    Args:
        path: nobody but the owner may read or write it, and the owner is this process's user.

    Raises:
        SettingError: it is not there, open to others, or malformed.
    """

    poll_seconds = 1.0

    def __init__(self, path: Path) -> None:
        super().__init__(f"TT_SIGNER_MASTER_KEY_FILE: {path}")
        self._path = path
        self._stamp = (0, 0)
        self.read_again()

    def read_again(self) -> bool:
        """Read the file if it has changed; return whether another key wraps now.

        Raises:
            SettingError: as at the start; the keys stay as they were.
        """
        found = self._poll()
        if found == self._stamp:
            return False
        changed = self.take(self._text())
        self._stamp = found
        return changed

    def _poll(self) -> tuple[int, int]:
        try:
            status = os.lstat(self._path)
        except OSError as error:
            raise self.invalid_source(str(error.strerror)) from None
        if not stat.S_ISREG(status.st_mode):
            raise self.invalid_source("is no plain file")
        if status.st_uid != os.geteuid():
            raise self.invalid_source("belongs to another user")
        if status.st_mode & 0o177:
            raise self.invalid_source(f"has mode {status.st_mode & 0o777:04o}; chmod 600 it")
        return status.st_mtime_ns, status.st_ino

    def _text(self) -> str:
        try:
            return self._path.read_text("ascii")
        except (OSError, UnicodeDecodeError):
            raise self.invalid_source("cannot be read") from None


class KeyCommand(_Lines):
    """The master keys that a command prints: whatever asks a key management service for them.

    They are on no disk of this machine. The command runs without a shell, has the environment of
    this process but for its own settings, and its complaints are this process's.

    Args:
        command: the program and its arguments.

    Raises:
        SettingError: it fails, takes too long, or what it prints is malformed.
    """

    poll_seconds = 60.0

    def __init__(self, command: str) -> None:
        super().__init__("TT_SIGNER_MASTER_KEY_COMMAND:")
        try:
            self._words = shlex.split(command)
        except ValueError as error:
            raise self.invalid_source(f"{error}") from None
        self.read_again()

    def read_again(self) -> bool:
        """Run the command; return whether another key wraps now.

        Raises:
            SettingError: as at the start; the keys stay as they were.
        """
        mine = {name: value for name, value in os.environ.items() if not name.startswith("TT_")}
        status, printed = self._run(mine)
        if status:
            raise self.invalid_source(f"ended with status {status}")
        try:
            return self.take(printed.decode("ascii"))
        except UnicodeDecodeError:
            raise self.invalid_source("prints what is no text") from None

    def _run(self, environ: dict[str, str]) -> tuple[int, bytes]:
        """Return status and output. Whatever it began ends with it. Raises SettingError."""
        try:
            with subprocess.Popen(  # noqa: S603 - the operator's own command
                self._words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, env=environ,
                process_group=0,
            ) as process:  # fmt: skip
                try:
                    printed, _ = process.communicate(timeout=COMMAND_SECONDS)
                except subprocess.TimeoutExpired:
                    # A script is ended with the client that it waits for.
                    os.killpg(process.pid, signal.SIGKILL)
                    raise self.invalid_source(f"took more than {COMMAND_SECONDS:g} s") from None
        except (OSError, IndexError) as error:
            raise self.invalid_source(f"cannot be run: {type(error).__name__}") from None
        return process.returncode, printed


def read_keys(file: str, command: str) -> KeyFile | KeyCommand:
    """Return the master keys of whichever is named.

    Raises:
        SettingError: none is named, both are, or it is not as it has to be.
    """
    if bool(file) == bool(command):
        raise SettingError(
            "TT_SIGNER_MASTER_KEY_FILE or TT_SIGNER_MASTER_KEY_COMMAND: one of them is required"
        )
    return KeyFile(Path(file)) if file else KeyCommand(command)


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
