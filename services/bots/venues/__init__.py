"""The exchanges that an engine of bots can trade at, by name; each opens the way of one wallet."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from services.bots.engine import OpenVenue
from services.bots.settings import Settings
from services.bots.venues import okx, polymarket
from tradingtools.rpc.signer_client import SignerClient

Opening = Callable[[Settings, SignerClient], OpenVenue]
"""Raises Startup: a setting is wrong."""

OPENINGS: Mapping[str, Opening] = {"okx": okx.opening, "polymarket": polymarket.opening}
