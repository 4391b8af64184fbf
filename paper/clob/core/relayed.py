"""Transactions of the relayer: whose they are, what they do to sets, and how they end.

A wallet has one on its way at a time; its nonce moves on when one is made, so that no two with the
same nonce are.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Literal

from paper.clob.core import abi
from paper.clob.core.typed_data import Fields, domain, keccak, recover, signed, struct, type_text
from paper.clob.core.values import Refusal

State = Literal["STATE_NEW", "STATE_EXECUTED", "STATE_MINED", "STATE_CONFIRMED", "STATE_FAILED"]
Kind = Literal["SAFE", "PROXY", "WALLET"]
TYPES: Mapping[str, int] = {"PROXY": 1, "SAFE": 2, "WALLET": 3}
"""The signature type of a wallet, by the kind of its transactions."""
RELAY = "0x" + "7e" * 20
"""The relay that sends what proxy wallets sign."""
PROXY_FACTORY = "0xab45c5a4b0c941a2f231c04c3f49182e1a254052"
RELAY_HUB = "0xd216153c06e857cd7f72665e0af1d7d82172f494"
MULTISEND = "0xa238cbeb142c10ef7ad8442c6d1f9e89e07e7761"
_SAFE_TX: Fields = (
    ("address", "to"),
    ("uint256", "value"),
    ("bytes", "data"),
    ("uint8", "operation"),
    ("uint256", "safeTxGas"),
    ("uint256", "baseGas"),
    ("uint256", "gasPrice"),
    ("address", "gasToken"),
    ("address", "refundReceiver"),
    ("uint256", "nonce"),
)
_CALL: Fields = (("address", "target"), ("uint256", "value"), ("bytes", "data"))
_BATCH: Fields = (
    ("address", "wallet"),
    ("uint256", "nonce"),
    ("uint256", "deadline"),
    ("Call[]", "calls"),
)
_NOBODY = "0x" + "0" * 40
Call = tuple[str, bytes]
"""Contract, lower case, and data."""


@dataclass(slots=True, kw_only=True)
class Relayed:
    """A transaction that was taken."""

    id: str
    kind: Kind
    sender: str
    wallet: str
    to: str
    nonce: int
    signature: str
    metadata: str
    calls: Sequence[Call]
    deadline_ms: int | None
    created_ms: int
    due_ms: int
    state: State = "STATE_NEW"
    error: str = ""

    @property
    def under_way(self) -> bool:
        """Return whether it has not ended."""
        return self.state not in ("STATE_CONFIRMED", "STATE_FAILED")

    @property
    def tx(self) -> str:
        """Return its hash; empty: it is not on the chain yet."""
        known = self.state not in ("STATE_NEW", "STATE_FAILED")
        return "0x" + sha256(self.id.encode()).hexdigest() if known else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """A transaction as it is handed in."""

    kind: Kind
    sender: str
    wallet: str
    to: str
    data: bytes
    nonce: int
    signature: bytes
    operation: int = 0
    gas_limit: int = 0
    relay: str = RELAY
    deadline_s: int | None = None
    calls: Sequence[Call] = ()
    """Of a deposit wallet."""

    def signer(self, chain_id: int) -> str:
        """Return whose key has signed it. Raises ValueError."""
        match self.kind:
            case "SAFE":
                plain = self.signature[:64] + bytes([self.signature[64] - 4])
                return recover(_personal(self._safe(chain_id)), plain)
            case "PROXY":
                return recover(_personal(self._proxy()), self.signature)
            case "WALLET":
                return recover(self._batch(chain_id), self.signature)

    def made(self) -> Sequence[Call]:
        """Return the calls of contracts that it makes. Raises ValueError."""
        if self.kind == "WALLET":
            return self.calls
        if self.kind == "PROXY":
            return abi.proxied(self.data)
        if self.operation:
            if self.to.lower() != MULTISEND:
                raise ValueError("operation: delegated to a stranger")
            return abi.sent_many(self.data)
        return [(self.to.lower(), self.data)]

    def _safe(self, chain_id: int) -> bytes:
        values: dict[str, object] = dict.fromkeys(("value", "safeTxGas", "baseGas", "gasPrice"), 0)
        values |= dict.fromkeys(("gasToken", "refundReceiver"), _NOBODY)
        values |= {"to": self.to, "data": keccak(self.data)}
        values |= {"operation": self.operation, "nonce": self.nonce}
        separator = domain(chainId=chain_id, verifyingContract=self.wallet)
        return signed(separator, struct("SafeTx", _SAFE_TX, values))

    def _proxy(self) -> bytes:
        def plain(text: str) -> bytes:
            return bytes.fromhex(text.removeprefix("0x"))

        fees = bytes(64) + self.gas_limit.to_bytes(32, "big") + self.nonce.to_bytes(32, "big")
        parties = plain(self.sender) + plain(self.to)
        hub = plain(RELAY_HUB) + plain(self.relay)
        return keccak(b"rlx:" + parties + self.data + fees + hub)

    def _batch(self, chain_id: int) -> bytes:
        each = [
            struct("Call", _CALL, {"target": target, "value": 0, "data": keccak(data)})
            for target, data in self.calls
        ]
        values: dict[str, object] = {"wallet": self.wallet, "nonce": self.nonce}
        values |= {"deadline": self.deadline_s or 0, "calls": keccak(b"".join(each))}
        separator = domain(
            name="DepositWallet", version="1", chainId=chain_id, verifyingContract=self.wallet
        )
        return signed(separator, struct("Batch", _BATCH, values, type_text("Call", _CALL)))


class Relayer:
    """The transactions of all wallets.

    Args:
        chain_id: that calls are signed for.
        make: does what the calls of a wallet say, all of it or nothing. Raises ValueError.
        seed: transactions are numbered after it.
    """

    def __init__(
        self, chain_id: int, make: Callable[[str, Sequence[Call], int], None], seed: int
    ) -> None:
        self.rows: dict[str, Relayed] = {}
        self.fail_next = 0
        """So many transactions that come next will fail on the chain."""
        self._chain_id = chain_id
        self._make = make
        self._seed = seed
        self._nonces: dict[str, int] = {}

    def nonce(self, wallet: str) -> int:
        """Return a wallet's next nonce."""
        return self._nonces.get(wallet, 0)

    def submit(self, requested: Signed, metadata: str, now_ms: int, takes_ms: int) -> Relayed:
        """Take a transaction of a wallet; who sends it is known to own it. Raises Refusal."""
        try:
            if requested.signer(self._chain_id) != requested.sender:
                raise Refusal("invalid signature")
            calls = requested.made()
        except (ValueError, IndexError):
            raise Refusal("invalid signature or data") from None
        nonce = self.nonce(requested.wallet)
        if requested.nonce != nonce:
            raise Refusal(f"batch nonce {requested.nonce} does not match on-chain nonce {nonce}")
        if any(one.under_way for one in self.rows.values() if one.wallet == requested.wallet):
            raise Refusal("wallet busy: it has an active action")
        name = sha256(f"relayed {self._seed} {len(self.rows)}".encode()).digest()[:16]
        made = Relayed(
            id=str(uuid.UUID(bytes=name, version=4)),
            kind=requested.kind,
            sender=requested.sender,
            wallet=requested.wallet,
            to=requested.to,
            nonce=requested.nonce,
            signature="0x" + requested.signature.hex(),
            metadata=metadata,
            calls=calls,
            deadline_ms=None if requested.deadline_s is None else requested.deadline_s * 1000,
            created_ms=now_ms,
            due_ms=now_ms + takes_ms,
        )
        self.rows[made.id] = made
        return made

    def advance(self, now_ms: int, takes_ms: int) -> None:
        """Do what is due."""
        for one in self.rows.values():
            if one.under_way and one.due_ms <= now_ms:
                one.due_ms = now_ms + takes_ms
                self._step(one, now_ms)

    def _step(self, one: Relayed, now_ms: int) -> None:
        if one.state == "STATE_NEW":
            try:
                self._executed(one, now_ms)
            except ValueError as error:
                one.state, one.error = "STATE_FAILED", str(error)
                return
            self._nonces[one.wallet] = one.nonce + 1
            one.state = "STATE_MINED"
        else:
            one.state = "STATE_CONFIRMED"

    def _executed(self, one: Relayed, now_ms: int) -> None:
        if self.fail_next:
            self.fail_next -= 1
            raise ValueError("execution reverted")
        if one.deadline_ms is not None and one.deadline_ms < now_ms:
            raise ValueError("the deadline has passed")
        self._make(one.wallet, one.calls, now_ms)


def _personal(digest: bytes) -> bytes:
    return keccak(b"\x19Ethereum Signed Message:\n32" + digest)
