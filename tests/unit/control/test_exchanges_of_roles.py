"""The table of exchanges: complete, and what an operator of one may not reach is refused."""

from __future__ import annotations

import pytest

from services.control.auth.exchanges import (
    ABOUT,
    AllExchanges,
    ExchangeField,
    InstrumentField,
    OneExchange,
    ResourceField,
    require,
    require_all,
)
from services.control.auth.tokens import person
from tradingtools.domain.errors import NotAllowed, NotFound
from tradingtools.domain.permissions import PERMISSIONS, ROLES, Permission, Role
from tradingtools.v1 import bot_service_pb2
from tradingtools.v1 import wallet_service_pb2 as pb

REACHED = {
    method
    for method, permission in PERMISSIONS.items()
    if permission in ROLES[Role.ADMIN] | {Permission.PUBLIC}
}
OKX = person("ann", Role.OPERATOR, ["okx"], "ses_1")
NOBODY = person("ben", Role.OPERATOR, [], "ses_2")
BOTH = person("eve", Role.OPERATOR, ["okx", "polymarket"], "ses_3")
WALLETS = {"wal_okx": "okx", "wal_poly": "polymarket"}
SERVICE = "/tradingtools.v1.WalletService"


class _Places:
    async def exchange_of(self, _kind: str, identifier: str) -> str | None:
        return WALLETS.get(identifier)


def test_rpcs_of_persons_and_table_rows_are_the_same() -> None:
    assert set(ABOUT) == REACHED


def test_the_empty_list_reaches_nothing_of_any_exchange() -> None:
    for method, about in ABOUT.items():
        if isinstance(about, (OneExchange, AllExchanges)):
            with pytest.raises(NotAllowed):
                require_all(NOBODY, method)
            require_all(BOTH, method)


async def test_a_wallet_of_another_exchange_does_not_exist() -> None:
    method = f"{SERVICE}/GetWallet"
    assert isinstance(ABOUT[method], ResourceField)
    await require(OKX, _Places(), method, pb.GetWalletRequest(id="wal_okx"))
    for caller, wallet in ((OKX, "wal_poly"), (OKX, "wal_none"), (NOBODY, "wal_okx")):
        with pytest.raises(NotFound, match=f"no wallet {wallet}"):
            await require(caller, _Places(), method, pb.GetWalletRequest(id=wallet))


async def test_a_wallet_is_created_at_an_own_exchange_alone() -> None:
    method = f"{SERVICE}/CreateWallet"
    assert isinstance(ABOUT[method], ExchangeField)
    await require(OKX, _Places(), method, pb.CreateWalletRequest(exchange="okx"))
    for caller, exchange in ((OKX, "polymarket"), (OKX, ""), (NOBODY, "okx")):
        with pytest.raises(NotAllowed):
            await require(caller, _Places(), method, pb.CreateWalletRequest(exchange=exchange))


async def test_a_signal_is_about_the_exchange_of_its_instrument() -> None:
    method = "/tradingtools.v1.BotService/CreateSignal"
    assert isinstance(ABOUT[method], InstrumentField)
    btc = bot_service_pb2.CreateSignalRequest(instrument_id="okx:BTC-USDT-SWAP")
    await require(OKX, _Places(), method, btc)
    for caller, instrument in ((OKX, "polymarket:71"), (OKX, ""), (NOBODY, "okx:BTC-USDT-SWAP")):
        request = bot_service_pb2.CreateSignalRequest(instrument_id=instrument)
        with pytest.raises(NotAllowed):
            await require(caller, _Places(), method, request)
