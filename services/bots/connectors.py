"""The way of an engine to one exchange, for all its wallets there."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from services.bots.store import Row, WalletLease
from services.bots.wallet.shared import Venue


class Connector(Protocol):
    """See the module."""

    def opened(self, wallet: Row, lease: WalletLease) -> AbstractAsyncContextManager[Venue]:
        """Open a wallet's way for the length of a block."""
        ...

    def prepared(
        self, environment: str, instruments: Sequence[str]
    ) -> AbstractAsyncContextManager[None]:
        """Have ready, for the length of a block, what a wallet will need and needs no lease for.

        Args:
            environment: of the wallet, live or demo.
            instruments: their ids.
        """
        ...
