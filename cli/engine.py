"""Connections to an engine: REST with the client, operators' calls over gRPC.

The commands of `tt` talk to one engine for one person, by the functions at the end. `Engine` is for
who serves several: each has his own tokens.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cli import places
from cli.command import chosen
from cli.errors import Failure, Status

if TYPE_CHECKING:
    from tradingtools_client import Client

Json = dict[str, Any]
_SECONDS = 15.0
_PAGE = 500


class Engine:
    """One engine as somebody with these tokens may call it. Its connections open when needed.

    Args:
        place: where it is, and the tokens.
        client: the program that the audit names; empty: none.
        address: for whom it calls; the edge believes it of a trusted network. Empty: for itself.
    """

    def __init__(self, place: places.Place, client: str = "", address: str = "") -> None:
        self.place = place
        self._client = client
        given = {"Client-Name": client, "X-Forwarded-For": address}
        self._headers = {name: value for name, value in given.items() if value}
        self._rest: Client | None = None
        self._channel: Any = None

    @property
    def rest(self) -> Client:
        """Return a client of REST. Raises Failure: no token is known."""
        if self._rest is None:
            from tradingtools_client import Client, Session

            if not self.tokens()[0]:
                raise Failure(
                    f"no token for {self.place.url}",
                    Status.NO_ACCESS,
                    "tt login, or set TT_TOKEN, or token_file in a profile",
                )
            self._rest = Client(
                Session(self.place.url, lambda: self.tokens()[0], headers=self._headers)
            )
        return self._rest

    def tokens(self) -> tuple[str, str]:
        """Return what calls of REST and of operators show now; empty: nothing. Raises Failure."""
        where = self.place
        # Who has logged in is who calls: he has one token for both, of a quarter of an hour.
        person = where.login.access_token() if where.login else ""
        return person or where.token, person or where.operator_token

    @property
    def has_operator(self) -> bool:
        """Return whether operators' calls can be made from here."""
        return bool(self.place.operator and self.tokens()[1])

    def _operator_metadata(self, token: str) -> list[tuple[str, str]]:
        client = [("client-name", self._client)] if self._client else []
        return [("authorization", f"Bearer {token}"), *client]

    def make_first_admin(self, name: str) -> Json:
        """Make the first admin with the operator's token, not with that of a person.

        Returns:
            ``userId`` and ``oneTimePassword``.
        """
        from tradingtools.v1 import user_service_pb2 as pb
        from tradingtools.v1.user_service_pb2_grpc import FirstAdminServiceStub

        made = FirstAdminServiceStub(self._operators()).CreateFirstAdmin(
            pb.CreateFirstAdminRequest(name=name),
            timeout=_SECONDS,
            metadata=self._operator_metadata(self.place.operator_token),
        )
        return {"userId": made.user_id, "oneTimePassword": made.one_time_password}

    def operate(self, rpc: str, **request: Any) -> Json:
        """Make a call of the operators' service.

        Args:
            rpc: its name, ``SetHalt`` for instance.
            request: its fields, by the names of the proto.

        Returns:
            The answer as JSON, with every field that is always there.
        """
        from google.protobuf.json_format import MessageToDict

        from tradingtools.v1 import operator_service_pb2 as pb
        from tradingtools.v1.operator_service_pb2_grpc import OperatorServiceStub

        message = getattr(pb, f"{rpc}Request")(**request)
        call = getattr(OperatorServiceStub(self._operators()), rpc)
        metadata = self._operator_metadata(self.tokens()[1])
        answer = call(message, timeout=_SECONDS, metadata=metadata)
        found: Json = MessageToDict(answer, always_print_fields_with_no_presence=True)
        return found

    def operate_pages(self, rpc: str, field: str, *, limit: int, **request: Any) -> list[Json]:
        """Return what a list of the operators' service has, page by page, up to a limit."""
        found: list[Json] = []
        token = ""
        while len(found) < limit:
            page = self.operate(
                rpc, page_size=min(_PAGE, limit - len(found)), page_token=token, **request
            )
            found += page[field]
            token = page["nextPageToken"]
            if not token:
                break
        return found

    def close(self) -> None:
        """Close the connections."""
        if self._rest is not None:
            self._rest.close()
        if self._channel is not None:
            self._channel.close()

    def _operators(self) -> Any:
        if self._channel is None:
            self._channel = self._open()
        return self._channel

    def _open(self) -> Any:
        """Return a channel to the operators' port. Raises Failure: none is known."""
        import grpc

        where = self.place
        if not self.has_operator:
            raise Failure(
                f"{where.name}: no operators' port or no token of the scope operate is known",
                Status.NO_ACCESS, "set TT_OPERATOR=host:port and TT_OPERATOR_TOKEN, or put them"
                " into a profile, or tt login",
            )  # fmt: skip
        if not where.tls:
            return grpc.insecure_channel(where.operator)
        found = {name: _read(path) for name, path in where.tls.items()}
        credentials = grpc.ssl_channel_credentials(
            root_certificates=found.get("tls_ca"),
            private_key=found.get("tls_key"),
            certificate_chain=found.get("tls_cert"),
        )
        return grpc.secure_channel(where.operator, credentials)


def _read(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise Failure(f"{path}: {error.strerror}", Status.NO_ACCESS) from None


@cache
def engine() -> Engine:
    """Return the engine that this call of `tt` talks to. Raises Failure."""
    return Engine(places.find(chosen["profile"]))


def place() -> places.Place:
    """Return where this call goes. Raises Failure."""
    return engine().place


def acting() -> None:
    """Say on standard error where something is changed: a run is easily taken for another."""
    sys.stderr.write(f"on {place().name}, {place().url}\n")


def rest() -> Client:
    """Return a client of REST. Raises Failure: no token is known."""
    return engine().rest


def forget() -> None:
    """Let go of connections and of where they went."""
    if engine.cache_info().currsize:
        engine().close()
    engine.cache_clear()


def has_operator() -> bool:
    """Return whether operators' calls can be made from here."""
    return engine().has_operator


def operate(rpc: str, **request: Any) -> Json:
    """Make a call of the operators' service, as ``Engine.operate``."""
    return engine().operate(rpc, **request)


def operate_pages(rpc: str, field: str, *, limit: int, **request: Any) -> list[Json]:
    """Return what a list of the operators' service has, as ``Engine.operate_pages``."""
    return engine().operate_pages(rpc, field, limit=limit, **request)


def first(rows: Iterator[Any], limit: int) -> list[Json]:
    """Return the first rows of pages."""
    from itertools import islice

    return list(islice(rows, limit))
