"""Read what a client has sealed: is it what an exchange's credentials look like?"""

from __future__ import annotations

import re

from services.signer.core.bounds import malformed
from services.signer.core.evm import address, checksummed
from services.signer.core.polymarket_account import EOA, SIGNATURE_TYPES, Account
from tradingtools.domain.credentials import Credentials, OkxCredentials, PolymarketCredentials

_VISIBLE = re.compile(r"[!-~]{1,128}")
_PASSPHRASE = re.compile(r"[ -~]{1,128}")
_PRIVATE = re.compile(r"(0x)?([0-9a-fA-F]{64})")
_ORDER_OF_CURVE = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141


def secrets(credentials: Credentials) -> dict[str, str]:
    """Return what is stored of credentials, by purpose. Raises InvalidField, never with a value."""
    if isinstance(credentials, OkxCredentials):
        return _okx(credentials)
    found = _PRIVATE.fullmatch(credentials.private_key)
    if found is None or not 0 < int(found[2], 16) < _ORDER_OF_CURVE:
        raise malformed("credentials.privateKey", "a private key, 64 hex digits")
    return {"private_key": found[2].lower()}


def _okx(credentials: OkxCredentials) -> dict[str, str]:
    for field, value, form in (
        ("apiKey", credentials.api_key, _VISIBLE),
        ("secret", credentials.secret, _VISIBLE),
        ("passphrase", credentials.passphrase, _PASSPHRASE),
    ):
        if not form.fullmatch(value):
            raise malformed(f"credentials.{field}", "1 to 128 visible ASCII characters")
    return {
        "api_key": credentials.api_key,
        "secret": credentials.secret,
        "passphrase": credentials.passphrase,
    }


def account(credentials: PolymarketCredentials, signer: bytes, max_order_micros: int) -> Account:
    """Return the account of a private key. Raises InvalidField.

    Args:
        credentials: of it.
        signer: the address of the private key.
        max_order_micros: the most USDC that one order may be about.
    """
    if credentials.signature_type not in SIGNATURE_TYPES:
        raise malformed("credentials.signatureType", "0, 1, 2 or 3")
    if credentials.signature_type == EOA:
        if credentials.funder and address("credentials.funder", credentials.funder) != signer:
            raise malformed("credentials.funder", "none, or the key's own address, with type 0")
        funder = signer
    else:
        funder = address("credentials.funder", credentials.funder)
        if funder == signer:
            raise malformed("credentials.funder", "the contract that holds the wallet's cash")
    return Account(
        signature_type=credentials.signature_type,
        funder=funder,
        signer=signer,
        max_order_micros=max_order_micros,
    )


def shown(of_address: bytes) -> str:
    """Return an address for people."""
    return checksummed(of_address)
