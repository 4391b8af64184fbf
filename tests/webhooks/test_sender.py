"""A message goes to the very address that was judged, and never where a redirect points."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from aiohttp.abc import AbstractResolver, ResolveResult

from services.webhooks.core.addresses import networks
from services.webhooks.sender import Message, sending
from tests.webhooks.receivers import Receivers, receiving

_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
_MESSAGE = Message(id="evt_1_0", body=b"{}")


class Rebinding(AbstractResolver):
    """A name's server that says another address each time."""

    def __init__(self, *addresses: str) -> None:
        self._addresses = list(addresses)
        self.requested = 0

    async def resolve(
        self, host: str, port: int = 0, family: int = socket.AF_INET
    ) -> list[ResolveResult]:
        """The next address."""
        address = self._addresses[min(self.requested, len(self._addresses) - 1)]
        self.requested += 1
        return [
            ResolveResult(
                hostname=host, host=address, port=port, family=socket.AF_INET, proto=0, flags=0
            )
        ]

    async def close(self) -> None:
        """Nothing."""


@pytest_asyncio.fixture
async def receivers() -> AsyncIterator[Receivers]:
    """Receivers of one test."""
    async with receiving() as made:
        yield made


async def sent(url: str, allowed: str = "", **more: Any) -> tuple[int, str]:
    """Send one message and return the outcome."""
    async with sending(networks(allowed), timeout_seconds=5, **more) as sender:
        answer = await sender.send(url, [_SECRET], _MESSAGE)
        return answer.status, answer.text


async def test_name_bound_to_this_machine_later_is_refused(
    receivers: Receivers,
) -> None:
    """Judged when it was public, connected to when it is not: the judge has to be at the socket."""
    names = Rebinding("127.0.0.1")
    for scheme in ("http", "https"):
        url = f"{scheme}://receiver.example:{receivers.port}/ok"
        status, text = await sent(url, resolver=names)
        assert (status, "not public" in text) == (0, True), text
    assert names.requested == 2
    assert receivers.journal == {}


async def test_a_literal_address_goes_past_no_judge(receivers: Receivers) -> None:
    for host in ("127.0.0.1", "[::ffff:127.0.0.1]", "localhost"):
        status, text = await sent(f"http://{host}:{receivers.port}/ok")
        assert status == 0
        assert "not public" in text, host
    assert receivers.journal == {}


async def test_an_allowed_network_is_reached_by_http(receivers: Receivers) -> None:
    names = Rebinding("127.0.0.1")
    status, _ = await sent(
        f"http://receiver.example:{receivers.port}/ok", "127.0.0.0/8", resolver=names
    )
    assert status == 200
    assert receivers.ids("/ok") == ["evt_1_0"]


async def test_a_redirect_to_the_inside_is_not_followed(receivers: Receivers) -> None:
    status, _ = await sent(receivers.url("/redirect"), "127.0.0.0/8")
    assert status == 307
    assert list(receivers.journal) == ["/redirect"]


@pytest.mark.parametrize("path", ["/dead", "/garbage"])
async def test_whatever_a_receiver_does_is_an_answer(receivers: Receivers, path: str) -> None:
    status, text = await sent(receivers.url(path), "127.0.0.0/8")
    assert status == 0
    assert text.startswith("no answer")
