"""Encode and hash as Ethereum does: words of 32 bytes, Keccak-256, EIP-191 and EIP-712."""

from __future__ import annotations

import re

from sha3 import keccak_256

from services.signer.core.bounds import malformed

_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}")
_HEX = re.compile(r"0x(?:[0-9a-fA-F]{2})*")
UINT256 = 1 << 256


def keccak(data: bytes) -> bytes:
    """Return the Keccak-256 of bytes; SHA3-256 is another function."""
    digest: bytes = keccak_256(data).digest()
    return digest


def selector(signature: str) -> bytes:
    """Return the first four bytes of a call of a function, ``approve(address,uint256)``."""
    return keccak(signature.encode())[:4]


def word(number: int) -> bytes:
    """Return a uint256. Raises OverflowError."""
    return number.to_bytes(32, "big")


def address(field: str, text: str) -> bytes:
    """Return the 20 bytes of an address. Raises InvalidField."""
    if not _ADDRESS.fullmatch(text):
        raise malformed(field, "an address, 0x and 40 hex digits")
    return bytes.fromhex(text[2:])


def raw(field: str, text: str) -> bytes:
    """Return the bytes of hex with 0x. Raises InvalidField."""
    if not _HEX.fullmatch(text):
        raise malformed(field, "hex digits with 0x")
    return bytes.fromhex(text[2:])


def padded(of_address: bytes) -> bytes:
    """Return an address as a word."""
    return of_address.rjust(32, b"\0")


def dynamic(data: bytes) -> bytes:
    """Return the tail of a ``bytes`` argument: its length, and itself in whole words."""
    return word(len(data)) + data + b"\0" * (-len(data) % 32)


def typed(domain: bytes, message: bytes) -> bytes:
    """Return the digest of EIP-712 from the hashes of domain and message."""
    return keccak(b"\x19\x01" + domain + message)


def personal(digest: bytes) -> bytes:
    """Return the digest of EIP-191 that wallets sign in the place of 32 bytes."""
    return keccak(b"\x19Ethereum Signed Message:\n32" + digest)


def checksummed(of_address: bytes) -> str:
    """Return an address as EIP-55 writes it."""
    text = of_address.hex()
    digest = keccak(text.encode()).hex()
    return "0x" + "".join(
        letter.upper() if int(nibble, 16) > 7 else letter
        for letter, nibble in zip(text, digest[:40], strict=True)
    )
