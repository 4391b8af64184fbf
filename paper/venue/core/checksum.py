"""Mixed-case wallet addresses (EIP-55), as the trade feed writes them.

The feed's case differs from that of the Data API: a consumer that compares without lower-casing
finds no leader. EIP-55 needs Keccak-256, which the standard library lacks (its SHA-3 pads
differently, FIPS 202 against the original submission).
"""

from __future__ import annotations

from functools import lru_cache

_MASK = (1 << 64) - 1
_RATE = 136  # bytes absorbed a round at 256 bits of output


def _round_constants() -> tuple[int, ...]:
    # The bits of iota come from the LFSR x^8 + x^6 + x^5 + x^4 + 1 (Keccak reference, 1.2).
    constants, lfsr = [], 1
    for _ in range(24):
        constant = 0
        for j in range(7):
            if lfsr & 1:
                constant |= 1 << ((1 << j) - 1)
            lfsr = (lfsr << 1) ^ (0x171 if lfsr & 0x80 else 0)
        constants.append(constant)
    return tuple(constants)


_IOTA = _round_constants()


def _rotate(value: int, by: int) -> int:
    return ((value << by) | (value >> (64 - by))) & _MASK


def _permute(lanes: list[int]) -> list[int]:
    """Keccak-f[1600] on 25 lanes, lane (x, y) at index x + 5y."""
    for constant in _IOTA:
        column = [
            lanes[x] ^ lanes[x + 5] ^ lanes[x + 10] ^ lanes[x + 15] ^ lanes[x + 20]
            for x in range(5)
        ]
        parity = [column[(x - 1) % 5] ^ _rotate(column[(x + 1) % 5], 1) for x in range(5)]
        lanes = [lane ^ parity[i % 5] for i, lane in enumerate(lanes)]
        x, y, current = 1, 0, lanes[1]
        for t in range(24):
            x, y = y, (2 * x + 3 * y) % 5
            current, lanes[x + 5 * y] = (
                lanes[x + 5 * y],
                _rotate(current, (t + 1) * (t + 2) // 2 % 64),
            )
        lanes = [
            lanes[i] ^ (~lanes[i - i % 5 + (i + 1) % 5] & lanes[i - i % 5 + (i + 2) % 5])
            for i in range(25)
        ]
        lanes[0] ^= constant
    return lanes


def keccak256(data: bytes, suffix: int = 0x01) -> bytes:
    """Keccak-256 of `data`, 32 bytes; `suffix` 0x06 pads as SHA-3 does instead."""
    padded = bytearray(data) + bytes(_RATE - len(data) % _RATE)
    padded[len(data)] ^= suffix
    padded[-1] ^= 0x80
    lanes = [0] * 25
    for start in range(0, len(padded), _RATE):
        for i in range(_RATE // 8):
            lanes[i] ^= int.from_bytes(padded[start + 8 * i : start + 8 * i + 8], "little")
        lanes = _permute(lanes)
    return b"".join(lane.to_bytes(8, "little") for lane in lanes[:4])


@lru_cache(maxsize=65_536)
def checksummed(wallet: str) -> str:
    """`wallet` (0x and 40 hex digits, any case) in the case of EIP-55."""
    digits = wallet[2:].lower()
    digest = keccak256(digits.encode()).hex()
    return "0x" + "".join(
        letter.upper() if int(nibble, 16) >= 8 else letter
        for letter, nibble in zip(digits, digest, strict=False)
    )
