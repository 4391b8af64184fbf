"""The addresses of exchanges: nobody trades for real, or in the clear, by mistake."""

from __future__ import annotations

import pytest

from services.bots.venues.addresses import checked
from tradingtools.runtime.process import Startup

HERE = ("http://127.0.0.1:8000", "wss://localhost:9/ws", "ws://[::1]:3/ws")
REAL = ("https://clob.polymarket.com", "wss://ws.okx.com:8443")


@pytest.mark.parametrize("url", HERE)
def test_this_machine_is_always_let_in(url: str) -> None:
    assert checked("TT_X", url, real_orders=False) == url


@pytest.mark.parametrize("url", REAL)
def test_another_machine_needs_leave_for_real_orders(url: str) -> None:
    assert checked("TT_X", url, real_orders=True) == url
    with pytest.raises(Startup, match=r"TT_X: .* is not on this machine"):
        checked("TT_X", url, real_orders=False)


@pytest.mark.parametrize("url", ["http://clob.polymarket.com", "ws://10.0.0.1/ws"])
def test_nothing_plain_leaves_the_machine(url: str) -> None:
    with pytest.raises(Startup, match="plain"):
        checked("TT_X", url, real_orders=True)
