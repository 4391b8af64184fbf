"""Identifiers in their one canonical spelling, and the deterministic keys of copies and orders.

Two spellings of one id would be two keys, and two keys would be two orders.
"""

from __future__ import annotations

import hashlib
import re

_WALLET = re.compile(r"0x[0-9a-f]{40}")
_HASH = re.compile(r"0x[0-9a-f]{64}")
_ASSET = re.compile(r"[1-9][0-9]{0,77}")
_VERSION = "tradingtools/1"
_BEGINNING = f"{len(_VERSION)}:{_VERSION}"


class IdError(ValueError):
    """The text is not such an id; the message says what was expected."""


def wallet(text: str) -> str:
    """Return a wallet address: ``0x`` and 40 hex digits, lower case. Raises IdError."""
    lowered = text.lower()
    if not _WALLET.fullmatch(lowered):
        raise IdError("expected 0x and 40 hex digits")
    return lowered


def hash32(text: str) -> str:
    """Return a transaction hash or condition id: ``0x`` and 64 hex digits, lower case. Raises
    IdError."""
    lowered = text.lower()
    if not _HASH.fullmatch(lowered):
        raise IdError("expected 0x and 64 hex digits")
    return lowered


def asset(text: str) -> str:
    """Return a token id: decimal text below 2^256 without leading zeros. Raises IdError."""
    if not _ASSET.fullmatch(text) or int(text) >= 2**256:
        raise IdError("expected a decimal token id below 2^256")
    return text


def _digest(*parts: str) -> str:
    # Lengths in front of the parts: no two lists of parts give the same bytes.
    text = "".join([f"{len(part)}:{part}" for part in parts])
    return hashlib.sha256((_BEGINNING + text).encode()).hexdigest()


def entry_copy_key(leader_tx: str, follower_wallet: str, asset_id: str) -> str:
    """Key of an entry copy: a wallet enters an asset at most once for one leader transaction."""
    return _digest("entry", leader_tx, follower_wallet, asset_id)


def exit_copy_key(leader_tx: str, follower_wallet: str, asset_id: str, leader: str) -> str:
    """Key of an exit copy: leader and side added, so that an exit never yields to an entry."""
    return _digest("exit", leader_tx, follower_wallet, asset_id, leader, "SELL")


def lot_exit_key(exit_key: str, origin: str) -> str:
    """Return an exit copy's key for one lot: a wallet may hold several lots of one asset."""
    return _digest("lot", exit_key, origin)


def guard_exit_key(trigger_id: str, generation: int, rung: int) -> str:
    """Key of a trigger's exit: once for each arm generation and rung."""
    return _digest("guard", trigger_id, str(generation), str(rung))


def resync_copy_key(resync_id: str, asset_id: str) -> str:
    """Key of what a resync does with one outcome: once, however often it is executed."""
    return _digest("resync", resync_id, asset_id)


def order_key(copy_key: str, ordinal: int) -> str:
    """Key of one order: part or slice ``ordinal`` (from 0) of a copy or of a trigger's exit."""
    return _digest("order", copy_key, str(ordinal))


def redeem_key(follower_wallet: str, condition_id: str, number: int) -> str:
    """Key of a wallet's redemption ``number`` (from 0) in one market."""
    return _digest("redeem", follower_wallet, condition_id, str(number))


def partition_of(follower_wallet: str, partitions: int) -> int:
    """Return which partition owns a follower wallet; stable over processes and restarts."""
    return int.from_bytes(hashlib.sha256(follower_wallet.encode()).digest()[:8]) % partitions
