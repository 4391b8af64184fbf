"""The exchanges that an engine of bots can trade at, by name, and the way to each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager

from services.bots.connectors import Connector
from services.bots.settings import Settings
from services.bots.venues import okx, polymarket
from tradingtools.rpc.signer_client import SignerClient

Opening = Callable[[Settings, SignerClient], AbstractAsyncContextManager[Connector]]
"""Raises Startup, before anything is opened: a setting is wrong."""

OPENINGS: Mapping[str, Opening] = {"okx": okx.opening, "polymarket": polymarket.opening}
