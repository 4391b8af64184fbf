"""Connections to an engine: REST with the client, operators' calls over gRPC."""

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


@cache
def place() -> places.Place:
    """Return where this call goes. Raises Failure."""
    return places.find(chosen["profile"])


def acting() -> None:
    """Say on standard error where something is changed: a run is easily taken for another."""
    sys.stderr.write(f"on {place().name}, {place().url}\n")


@cache
def rest() -> Client:
    """Return a client of REST. Raises Failure: no token is known."""
    from tradingtools_client import Client, Session

    where = place()
    if not where.token:
        raise Failure(
            f"no token for {where.url}",
            Status.NO_ACCESS,
            "set TT_TOKEN, or token_file in a profile",
        )
    return Client(Session(where.url, where.token))


def forget() -> None:
    """Let go of connections and of where they went."""
    if rest.cache_info().currsize:
        rest().close()
    if _operators.cache_info().currsize:
        _operators().close()
    for found in (place, rest, _operators):
        found.cache_clear()


def has_operator() -> bool:
    """Return whether operators' calls can be made from here."""
    return bool(place().operator and place().operator_token)


@cache
def _operators() -> Any:
    """Return a channel to the operators' port. Raises Failure: none is known."""
    import grpc

    where = place()
    if not has_operator():
        raise Failure(
            f"{where.name}: no operators' port or no token of the scope operate is known",
            Status.NO_ACCESS, "set TT_OPERATOR=host:port and TT_OPERATOR_TOKEN, or put them into a"
            " profile",
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


def operate(rpc: str, **request: Any) -> Json:
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
    answer = getattr(OperatorServiceStub(_operators()), rpc)(
        message,
        timeout=_SECONDS,
        metadata=(("authorization", f"Bearer {place().operator_token}"),),
    )
    found: Json = MessageToDict(answer, always_print_fields_with_no_presence=True)
    return found


def operate_pages(rpc: str, field: str, *, limit: int, **request: Any) -> list[Json]:
    """Return what a list of the operators' service has, page by page, up to a limit."""
    found: list[Json] = []
    token = ""
    while len(found) < limit:
        page = operate(rpc, page_size=min(_PAGE, limit - len(found)), page_token=token, **request)
        found += page[field]
        token = page["nextPageToken"]
        if not token:
            break
    return found


def first(rows: Iterator[Any], limit: int) -> list[Json]:
    """Return the first rows of pages."""
    from itertools import islice

    return list(islice(rows, limit))
