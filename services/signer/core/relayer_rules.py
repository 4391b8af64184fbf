"""Decide which calls the relayer makes in a wallet's name, and compose what is signed for them.

The asker gives bare calls. Each has to be a split, merge, redeem or approval, encoded as the ABI
encodes it and no other way, of a contract on the list; what wraps them (a Safe's transaction, a
proxy's, a deposit wallet's batch) is composed here, so nothing else can be hidden in it.
"""

from __future__ import annotations

from services.signer.core.bounds import forbidden, malformed
from services.signer.core.evm import (
    UINT256,
    address,
    dynamic,
    keccak,
    padded,
    personal,
    raw,
    selector,
    typed,
    word,
)
from services.signer.core.polymarket_account import (
    ADAPTERS,
    CHAIN_ID,
    COLLATERAL,
    CONDITIONAL_TOKENS,
    DEPOSIT_WALLET,
    POSITION_MANAGER,
    PROXY,
    PROXY_FACTORY,
    RELAY_HUB,
    ROUTER,
    SAFE,
    SAFE_MULTISEND,
    SPENDERS,
    Account,
)
from tradingtools.domain.signing import Call, RelayerCalls

_MAX_CALLS = 50
_MAX_SECONDS = 3_600
Plain = tuple[bytes, bytes]
"""Contract and data of a call that was let through."""

_APPROVE = selector("approve(address,uint256)")
_APPROVE_ALL = selector("setApprovalForAll(address,bool)")
_SPLIT = selector("splitPosition(address,bytes32,bytes32,uint256[],uint256)")
_MERGE = selector("mergePositions(address,bytes32,bytes32,uint256[],uint256)")
_REDEEM = selector("redeemPositions(address,bytes32,bytes32,uint256[])")
_ROUTER_SPLIT = selector("split(bytes31,uint256)")
_ROUTER_MERGE = selector("merge(bytes31,uint256)")
_ROUTER_REDEEM = selector("redeem(bytes31,uint256,uint256)")
_BOTH = word(2) + word(1) + word(2)
_NO_PARENT = word(0)


def calls(requested: RelayerCalls, account: Account, now_ms: int) -> tuple[bytes, int, str]:
    """Return the digest that is signed, what is added to a signature's v, and words for the audit.

    Raises:
        NotAllowed: a call is none of those that are signed, or its contract is not on the list.
        InvalidField: a field is malformed, or the wallet has no relayer.
    """
    if not 0 < len(requested.calls) <= _MAX_CALLS:
        raise malformed("calls", f"1 to {_MAX_CALLS} calls")
    if not 0 <= requested.nonce < 1 << 63:
        raise malformed("nonce", "0 or more")
    found = [_call(number, call) for number, call in enumerate(requested.calls)]
    plain = [(contract, data) for contract, data, _ in found]
    message = " ".join(verb for *_, verb in found)
    match account.signature_type:
        case kind if kind == SAFE:
            # Safe knows a signature over EIP-191 by a v that is greater by 4.
            return personal(_safe(plain, requested.nonce, account)), 4, message
        case kind if kind == PROXY:
            return personal(_proxy(plain, requested, account)), 0, message
        case kind if kind == DEPOSIT_WALLET:
            return _batch(plain, requested, account, now_ms), 0, message
        case _:
            raise malformed("wallet", "one whose calls go through the relayer")


def _call(number: int, call: Call) -> tuple[bytes, bytes, str]:
    where = f"calls[{number}]"
    contract = address(f"{where}.to", call.to)
    data = raw(f"{where}.data", call.data)
    verb = _verb(contract, data)
    if verb is None:
        raise forbidden(where, "split, merge, redeem and approve of listed contracts")
    return contract, data, verb


def _verb(contract: bytes, data: bytes) -> str | None:
    """Return what a call does; None: nothing that is signed."""
    kind, words = data[:4], data[4:]
    if contract == COLLATERAL:
        return "approve" if kind == _APPROVE and _approves(words, most=UINT256) else None
    if kind == _APPROVE_ALL and contract in (CONDITIONAL_TOKENS, POSITION_MANAGER):
        return "approve" if _approves(words, most=2) else None
    if contract == CONDITIONAL_TOKENS or contract in ADAPTERS:
        return _of_set(kind, words)
    return _of_router(kind, words) if contract == ROUTER else None


def _approves(words: bytes, most: int) -> bool:
    if len(words) != 64 or words[:12] != bytes(12):
        return False
    return words[12:32] in SPENDERS and int.from_bytes(words[32:], "big") < most


def _of_set(kind: bytes, words: bytes) -> str | None:
    """Return the verb of a call about both outcomes of a condition, with pUSD and no parent."""
    head = padded(COLLATERAL) + _NO_PARENT
    condition = words[64:96]
    if kind == _REDEEM and words == head + condition + word(128) + _BOTH:
        return "redeem"
    amount = words[128:160]
    whole = words == head + condition + word(160) + amount + _BOTH
    return {_SPLIT: "split", _MERGE: "merge"}.get(kind) if whole else None


def _of_router(kind: bytes, words: bytes) -> str | None:
    # A bytes31 ends with a zero in its word.
    if words[31:32] != b"\0":
        return None
    if kind == _ROUTER_REDEEM:
        outcome = int.from_bytes(words[32:64], "big")
        return "redeem" if len(words) == 96 and outcome in (0, 1) else None
    return {_ROUTER_SPLIT: "split", _ROUTER_MERGE: "merge"}.get(kind) if len(words) == 64 else None


_SAFE_DOMAIN = keccak(b"EIP712Domain(uint256 chainId,address verifyingContract)")
_SAFE_TYPE = keccak(
    b"SafeTx(address to,uint256 value,bytes data,uint8 operation,uint256 safeTxGas,"
    b"uint256 baseGas,uint256 gasPrice,address gasToken,address refundReceiver,uint256 nonce)"
)


def _safe(plain: list[Plain], nonce: int, account: Account) -> bytes:
    (to, data), operation = plain[0], 0
    if len(plain) > 1:
        # A delegated call, of the one contract that calls what it is given and nothing else.
        packed = b"".join(
            b"\0" + contract + word(0) + word(len(each)) + each for contract, each in plain
        )
        to, operation = SAFE_MULTISEND, 1
        data = selector("multiSend(bytes)") + word(32) + dynamic(packed)
    domain = keccak(_SAFE_DOMAIN + word(CHAIN_ID) + padded(account.funder))
    nothing = word(0) * 5
    message = padded(to) + word(0) + keccak(data) + word(operation) + nothing + word(nonce)
    return typed(domain, keccak(_SAFE_TYPE + message))


def _proxy(plain: list[Plain], requested: RelayerCalls, account: Account) -> bytes:
    if not 0 < requested.gas_limit <= 30_000_000:
        raise malformed("gasLimit", "1 to 30000000")
    relay = address("relay", requested.relay)
    heads, tails = b"", b""
    for contract, data in plain:
        heads += word(32 * len(plain) + len(tails))
        tails += word(1) + padded(contract) + word(0) + word(128) + dynamic(data)
    whole = selector("proxy((uint8,address,uint256,bytes)[])") + word(32) + word(len(plain))
    free = word(0) + word(0)
    return keccak(
        b"rlx:" + account.signer + PROXY_FACTORY + whole + heads + tails + free
        + word(requested.gas_limit) + word(requested.nonce) + RELAY_HUB + relay
    )  # fmt: skip


_CALL_TEXT = b"Call(address target,uint256 value,bytes data)"
_CALL_TYPE = keccak(_CALL_TEXT)
_BATCH_TYPE = keccak(
    b"Batch(address wallet,uint256 nonce,uint256 deadline,Call[] calls)" + _CALL_TEXT
)
_WALLET_DOMAIN = (
    keccak(b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)")
    + keccak(b"DepositWallet")
    + keccak(b"1")
    + word(CHAIN_ID)
)


def _batch(plain: list[Plain], requested: RelayerCalls, account: Account, now_ms: int) -> bytes:
    if not 0 < requested.deadline * 1000 - now_ms <= _MAX_SECONDS * 1000:
        raise malformed("deadline", "within the next hour")
    each = b"".join(
        keccak(_CALL_TYPE + padded(contract) + word(0) + keccak(data)) for contract, data in plain
    )
    message = (
        padded(account.funder) + word(requested.nonce) + word(requested.deadline) + keccak(each)
    )
    return typed(keccak(_WALLET_DOMAIN + padded(account.funder)), keccak(_BATCH_TYPE + message))
