"""An admin of a console's engine, who makes users."""

from __future__ import annotations

import secrets
from typing import Any

import grpc
import httpx

from tests.console.world import Served
from tests.control.edge import OPERATE
from tradingtools.v1 import user_service_pb2 as pb
from tradingtools.v1 import user_service_pb2_grpc as pb_grpc

PASSWORD = "a long password of his"


class Admin:
    """The first admin, who has logged in at the edge."""

    def __init__(self, served: Served) -> None:
        self._url = served.world.url
        target = f"127.0.0.1:{served.world.ports['inside']}"
        with grpc.insecure_channel(target) as channel:
            made = pb_grpc.FirstAdminServiceStub(channel).CreateFirstAdmin(
                pb.CreateFirstAdminRequest(name="root"),
                metadata=(("authorization", f"Bearer {OPERATE}"),), timeout=60,
            )  # fmt: skip
        login = {
            "user": "root", "password": made.one_time_password, "newPassword": PASSWORD,
        }  # fmt: skip
        self._token = ""
        self._token = self.call("POST", "/auth/login", login)["accessToken"]
        self._ids: dict[str, str] = {}

    def call(self, verb: str, path: str, body: object = None) -> Any:
        """Return the answer of the edge."""
        headers = {"authorization": f"Bearer {self._token}"} if self._token else {}
        headers["idempotency-key"] = secrets.token_hex(8)
        answer = httpx.request(
            verb, f"{self._url}{path}", json=body, headers=headers, timeout=60, trust_env=False
        )
        assert answer.is_success, answer.text
        return answer.json()

    def create(self, name: str, role: str, *exchanges: str) -> str:
        """Make a user; return the one-time password."""
        body = {"name": name, "role": f"ROLE_{role.upper()}", "exchanges": exchanges}
        made = self.call("POST", "/users", body)
        self._ids[name] = made["id"]
        return str(made["oneTimePassword"])

    def disable(self, name: str) -> None:
        """Let a user in no more."""
        self.call("PATCH", f"/users/{self._ids[name]}", {"disabled": True})

    def sessions(self, name: str) -> list[Any]:
        """Return the sessions of a user that go on."""
        found: list[Any] = self.call("GET", f"/auth/sessions?userId={self._ids[name]}")["sessions"]
        return found
