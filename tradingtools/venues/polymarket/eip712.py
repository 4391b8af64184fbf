"""EIP-712, as far as Polymarket's messages need it: words, hashes of types, domains, digests.

All of it is computed here and nothing is signed: the key is in another process (`services/signer`).
Every word is 32 bytes, big-endian. Before: `order_signing`, `clob_auth`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from sha3 import keccak_256

_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}")
_BYTES32 = re.compile(r"0x[0-9a-fA-F]{64}")


class EncodingError(ValueError):
    """A value does not fit its type; the message names the field."""


def keccak256(data: bytes) -> bytes:
    """Return Keccak-256 of the bytes, as Ethereum has it (not SHA3-256)."""
    digest: bytes = keccak_256(data).digest()
    return digest


def uint(name: str, value: int, bits: int = 256) -> bytes:
    """Return an unsigned integer as a word. Raises EncodingError."""
    if not 0 <= value < 1 << bits:
        raise EncodingError(f"{name} does not fit into {bits} bits")
    return value.to_bytes(32, "big")


def address(name: str, text: str) -> bytes:
    """Return an address (0x and 40 hex digits, any case) as a word. Raises EncodingError."""
    if not _ADDRESS.fullmatch(text):
        raise EncodingError(f"{name} is no address: expected 0x and 40 hex digits")
    return bytes(12) + bytes.fromhex(text[2:])


def bytes32(name: str, text: str) -> bytes:
    """Return 0x and 64 hex digits as a word. Raises EncodingError."""
    if not _BYTES32.fullmatch(text):
        raise EncodingError(f"{name} is not 0x and 64 hex digits")
    return bytes.fromhex(text[2:])


def string(text: str) -> bytes:
    """Return the word of a string: its hash."""
    return keccak256(text.encode())


def hash_struct(type_hash: bytes, *words: bytes) -> bytes:
    """Return the hash of a struct from its type's hash and its fields, as words, in order."""
    return keccak256(type_hash + b"".join(words))


@dataclass(frozen=True, slots=True, kw_only=True)
class Domain:
    """The scope of a signature: contract and chain; no contract where the message has none."""

    name: str
    version: str
    chain_id: int
    verifying_contract: str | None = None

    @property
    def fields(self) -> list[dict[str, str]]:
        """Return the fields of the domain's type, as typed data lists them."""
        known = [("name", "string"), ("version", "string"), ("chainId", "uint256")]
        if self.verifying_contract is not None:
            known.append(("verifyingContract", "address"))
        return [{"name": name, "type": kind} for name, kind in known]

    @property
    def values(self) -> dict[str, str | int]:
        """Return the domain as typed data writes it."""
        values: dict[str, str | int] = {
            "name": self.name,
            "version": self.version,
            "chainId": self.chain_id,
        }
        if self.verifying_contract is not None:
            values["verifyingContract"] = self.verifying_contract
        return values

    def separator(self) -> bytes:
        """Return the hash of the domain. Raises EncodingError."""
        listed = ",".join(f"{field['type']} {field['name']}" for field in self.fields)
        words = [string(self.name), string(self.version), uint("chainId", self.chain_id)]
        if self.verifying_contract is not None:
            words.append(address("verifyingContract", self.verifying_contract))
        return hash_struct(string(f"EIP712Domain({listed})"), *words)


def digest(separator: bytes, struct_hash: bytes) -> bytes:
    """Return what is signed: 32 bytes over the domain's hash and the message's."""
    return keccak256(b"\x19\x01" + separator + struct_hash)
