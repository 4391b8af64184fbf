"""OKX and the CLOB as far as credentials are checked there: real HTTP, a journal, their own checks.

Signatures are verified by others' code: `hmac` by hand, `eth_account` for EIP-712.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from eth_account import Account
from eth_account.messages import encode_typed_data

PLANTED_KEY = "9b1c6f0e-planted-api-key"
PLANTED_SECRET = "5EC2E7PLANTEDOKXSECRET" + "0123456789"
PLANTED_PASSPHRASE = "planted pass phrase 77"
PLANTED_PRIVATE = "59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d"
SIGNER_ADDRESS = Account.from_key(PLANTED_PRIVATE).address
TRIPLE = {
    "apiKey": "1f0e6b1c-planted-clob-key",
    "secret": base64.urlsafe_b64encode(b"planted clob secret of 32 bytes!").decode(),
    "passphrase": "planted-clob-passphrase",
}


@dataclass
class Exchanges:
    """What they answer, and what they were asked."""

    url: str
    okx: dict[str, Any] = field(default_factory=dict)
    """Fields of ``account/config`` that differ."""
    okx_error: dict[str, str] = field(default_factory=dict)
    """By API key: the code of an error."""
    clob_keys: dict[str, dict[str, str]] = field(default_factory=dict)
    """By address: the triple that there is."""
    silent: bool = False
    journal: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)

    def answer(self, method: str, path: str, headers: dict[str, str]) -> tuple[int, Any]:
        self.journal.append((method, path, headers))
        if self.silent:
            return 503, {"code": "50001", "msg": "", "data": []}
        if path == "/api/v5/account/config":
            return self._config(headers)
        return self._clob(method, path, headers)

    def _config(self, headers: dict[str, str]) -> tuple[int, Any]:
        def wrong(code: str) -> tuple[int, Any]:
            return 401, {"code": code, "msg": "no", "data": []}

        key = headers["ok-access-key"]
        if key in self.okx_error:
            return wrong(self.okx_error[key])
        if headers["ok-access-passphrase"] != PLANTED_PASSPHRASE:
            return wrong("50105")
        text = headers["ok-access-timestamp"] + "GET/api/v5/account/config"
        made = hmac.new(PLANTED_SECRET.encode(), text.encode(), hashlib.sha256).digest()
        if headers["ok-access-sign"] != base64.b64encode(made).decode():
            return wrong("50113")
        account = {
            "uid": "44705892343619584", "mainUid": "44705892343619584", "acctLv": "2",
            "posMode": "net_mode", "perm": "read_only,trade", "ip": "", "label": "bot",
        }  # fmt: skip
        return 200, {"code": "0", "msg": "", "data": [{**account, **self.okx}]}

    def _clob(self, method: str, path: str, headers: dict[str, str]) -> tuple[int, Any]:
        address = headers["poly_address"]
        if path in ("/auth/derive-api-key", "/auth/api-key"):
            if self._signed_by(headers) != address:
                return 401, {"error": "Invalid L1 Request headers"}
            if path == "/auth/api-key":
                self.clob_keys[address] = TRIPLE
            if address not in self.clob_keys:
                return 404, {"error": "not found"}
            return 200, self.clob_keys[address]
        known = self.clob_keys.get(address)
        if known is None or headers["poly_passphrase"] != known["passphrase"]:
            return 401, {"error": "Unauthorized/Invalid api key"}
        text = f"{headers['poly_timestamp']}{method}{path}".encode()
        raw = base64.urlsafe_b64decode(known["secret"])
        made = base64.urlsafe_b64encode(hmac.new(raw, text, hashlib.sha256).digest()).decode()
        if headers["poly_signature"] != made:
            return 401, {"error": "Unauthorized/Invalid api key"}
        return 200, {"apiKeys": [known["apiKey"]]}

    def _signed_by(self, headers: dict[str, str]) -> str:
        message = {
            "types": {
                "EIP712Domain": [
                    {"name": "name", "type": "string"},
                    {"name": "version", "type": "string"},
                    {"name": "chainId", "type": "uint256"},
                ],
                "ClobAuth": [
                    {"name": "address", "type": "address"},
                    {"name": "timestamp", "type": "string"},
                    {"name": "nonce", "type": "uint256"},
                    {"name": "message", "type": "string"},
                ],
            },
            "primaryType": "ClobAuth",
            "domain": {"name": "ClobAuthDomain", "version": "1", "chainId": 137},
            "message": {
                "address": headers["poly_address"],
                "timestamp": headers["poly_timestamp"],
                "nonce": int(headers["poly_nonce"]),
                "message": "This message attests that I control the given wallet",
            },
        }
        found: str = Account.recover_message(
            encode_typed_data(full_message=message), signature=headers["poly_signature"]
        )
        return found


@contextmanager
def exchanges() -> Iterator[Exchanges]:
    """Serve both on one port of loopback."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _serve(self) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            status, body = made.answer(self.command, self.path, headers)
            raw = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        do_GET = do_POST = _serve

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made = Exchanges(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
