"""Every request of the adapter is one that the signer signs; what it refuses is not sent."""

from __future__ import annotations

import base64
import hashlib
import hmac
from decimal import Decimal

import pytest

from services.signer.core import okx_rules
from tests.unit.venues.okx.far_side import SECRET, far_side
from tests.unit.venues.okx.samples import SWAP, TAG, instrument, listed
from tradingtools import clock
from tradingtools.domain import signing
from tradingtools.domain.errors import NotAllowed
from tradingtools.venues.okx import questions, requests
from tradingtools.venues.okx.remote_signer import RemoteSigner
from tradingtools.venues.okx.requests import RestRequest, Terms
from tradingtools.venues.okx.signing import ApiKey, Credentials, SigningError
from tradingtools.venues.okx.venue_clock import timestamp
from tradingtools.venues.okx.wallet import open_wallet
from tradingtools.venues.ports import Meaning
from tradingtools.venues.trading import AmendOrder, CancelOrder, NewOrder

OF = instrument(SWAP)
ORDER = NewOrder(
    order_id="a1", instrument=OF, side="BUY", price=OF.price_of("100"), size=OF.size_of("2"),
    not_after_ms=2**53,
)  # fmt: skip
CANCEL = CancelOrder(order_id="a1", instrument=OF, not_after_ms=2**53)
AMEND = AmendOrder(order_id="a1", request_id="r1", instrument=OF, price=OF.price_of("99"),
                   not_after_ms=2**53)  # fmt: skip
TERMS = Terms(tag=TAG)


class ByRules:
    """Signs by the signer's own rules."""

    def __init__(self, *, retired: bool = False) -> None:
        self._retired = retired

    async def sign(self, ask: signing.Signable) -> str:
        if self._retired:
            raise NotAllowed("the wallet is retired")
        assert (ask.wallet, ask.epoch) == ("w1", 7)
        if isinstance(ask, signing.OkxLogin):
            text, _ = okx_rules.login(ask, clock.now_ms())
        else:
            assert isinstance(ask, signing.OkxRest)
            text, _ = okx_rules.rest(ask, clock.now_ms())
        return base64.b64encode(hmac.digest(SECRET, text, hashlib.sha256)).decode()


@pytest.mark.parametrize(
    "request_",
    [
        requests.place([ORDER], TERMS, not_after_ms=1),
        requests.place([ORDER, ORDER], TERMS, not_after_ms=1),
        requests.cancel([CANCEL]),
        requests.cancel([CANCEL, CANCEL]),
        requests.amend([AMEND], not_after_ms=1),
        requests.amend([AMEND, AMEND], not_after_ms=1),
        requests.cancel_all_after(30, TAG),
        requests.set_leverage(listed(SWAP), Decimal(5), "cross"),
        questions.account_config(),
        questions.balance(),
        questions.positions(),
        questions.order(CANCEL),
        questions.open_orders("77"),
        questions.order_history("SWAP", 5, "77"),
        questions.fills(5, "77"),
        questions.fills_history("SWAP", 5, "77"),
    ],
    ids=lambda one: f"{one.method} {one.path.partition('?')[0]}",
)
async def test_the_signer_signs_every_request_of_the_adapter(request_: RestRequest) -> None:
    signed = await RemoteSigner(ByRules(), "w1", 7).sign_request(
        timestamp=timestamp(clock.now_ms()),
        method=request_.method,
        path=request_.path,
        body=request_.body.decode(),
    )

    assert len(base64.b64decode(signed)) == 32


async def test_orders_go_out_under_the_lease_or_not_at_all() -> None:
    key = ApiKey("the-key", "the-passphrase")
    async with far_side() as side:
        for retired, meaning in ((False, Meaning.ACCEPTED), (True, Meaning.NOT_ACCEPTED)):
            signer = RemoteSigner(ByRules(retired=retired), "w1", 7)
            credentials = Credentials(api_key=key, signer=signer)
            async with open_wallet(side.venue, credentials, TERMS) as wallet:
                assert (await wallet.orders.place(ORDER)).meaning is meaning
        assert len(side.taken) == 1
        with pytest.raises(SigningError, match="retired"):
            await signer.sign_login(timestamp=1)
