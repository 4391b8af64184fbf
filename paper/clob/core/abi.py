"""Contract calls as the ABI encodes them, read by their heads and tails. Raises ValueError."""

from __future__ import annotations

from collections.abc import Sequence

from paper.clob.core.typed_data import keccak

_WORD = 32


def selector(signature: str) -> bytes:
    """Return the first four bytes of a call."""
    return keccak(signature.encode())[:4]


def word(data: bytes, at: int) -> bytes:
    """Return the word at a byte."""
    found = data[at : at + _WORD]
    if len(found) != _WORD:
        raise ValueError("call: it ends within a word")
    return found


def number(data: bytes, at: int) -> int:
    """Return the number at a byte."""
    return int.from_bytes(word(data, at), "big")


def address(data: bytes, at: int) -> str:
    """Return the address at a byte."""
    return "0x" + word(data, at)[12:].hex()


def numbers(data: bytes, at: int) -> list[int]:
    """Return the list whose place is told at a byte."""
    begins = number(data, at)
    count = number(data, begins)
    if count > len(data) // _WORD:
        raise ValueError("call: a list beyond its end")
    return [number(data, begins + _WORD * (1 + each)) for each in range(count)]


def blob(data: bytes, at: int) -> bytes:
    """Return the bytes whose place is told at a byte."""
    begins = number(data, at)
    size = number(data, begins)
    found = data[begins + _WORD : begins + _WORD + size]
    if len(found) != size:
        raise ValueError("call: bytes beyond its end")
    return found


def proxied(data: bytes) -> list[tuple[str, bytes]]:
    """Return contract and data of each call that a proxy wallet makes."""
    if data[:4] != selector("proxy((uint8,address,uint256,bytes)[])"):
        raise ValueError("call: not one of a proxy wallet")
    whole = data[4:]
    begins = number(whole, 0)
    count, heads = number(whole, begins), whole[begins + _WORD :]
    if count > len(heads) // _WORD:
        raise ValueError("call: a list beyond its end")
    found = []
    for each in range(count):
        one = heads[number(heads, _WORD * each) :]
        if (number(one, 0), number(one, 2 * _WORD)) != (1, 0):
            raise ValueError("call: not a plain one without value")
        found.append((address(one, _WORD), blob(one, 3 * _WORD)))
    return found


def sent_many(data: bytes) -> list[tuple[str, bytes]]:
    """Return contract and data of each call that a Safe makes at once."""
    if data[:4] != selector("multiSend(bytes)"):
        raise ValueError("call: not one of several")
    packed, found = blob(data[4:], 0), []
    while packed:
        if packed[0] or number(packed, 21):
            raise ValueError("call: not a plain one without value")
        size = number(packed, 53)
        found.append(("0x" + packed[1:21].hex(), packed[85 : 85 + size]))
        packed = packed[85 + size :]
    return found


def is_both(outcomes: Sequence[int]) -> bool:
    """Return whether a list of index sets names both outcomes of a binary."""
    return sorted(outcomes) == [1, 2]
