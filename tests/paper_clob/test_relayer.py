"""Sets made, merged and redeemed through the relayer: by our adapter, and by the venue's client."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from eth_account import Account
from polymarket._internal.actions.relayer import calls as sdk
from polymarket._internal.actions.relayer.auth import make_relayer_header_resolver_sync
from polymarket._internal.actions.relayer.gasless import prepare_gasless_transaction_sync
from polymarket.auth import RelayerApiKey
from polymarket.clients._transport import SyncTransport
from polymarket.environments import PRODUCTION
from polymarket.errors import RequestRejectedError, TransactionFailedError
from py_clob_client_v2.client import ClobClient
from py_clob_client_v2.clob_types import OrderArgs

from tests.paper_clob.harness import CONDITION, KEYS, NO, YES, Live, exchange
from tests.support.clob_signer import LocalSigner
from tradingtools import clock
from tradingtools.venues.outcome_sets import SetAction, SetChange
from tradingtools.venues.polymarket.clob_auth import ApiKey
from tradingtools.venues.polymarket.order_index import TradingWallet
from tradingtools.venues.polymarket.order_signing import SignatureType
from tradingtools.venues.polymarket.relayer import RelayerKey
from tradingtools.venues.polymarket.trading_wallet import PolymarketVenue, open_wallet
from tradingtools.venues.ports import Meaning

OWNER = Account.from_key(KEYS[0]).address
HOLDER = "0x" + "ab" * 20
KINDS = (SignatureType.PROXY, SignatureType.SAFE, SignatureType.DEPOSIT_WALLET)
CONFIG: Any = PRODUCTION._config


async def funded(live: Live, kind: SignatureType) -> str:
    """Give a wallet of a kind 100 USDC and 100 sets; return its owner's key of the relayer."""
    await live.notify(
        "/wallets", wallet=HOLDER, owner=OWNER, signature_type=int(kind), usdc="200",
        sets={CONDITION: "100"},
    )  # fmt: skip
    made = await live.notify("/relayer-keys", address=OWNER)
    return str(made["key"])


@asynccontextmanager
async def wallet(live: Live, kind: SignatureType) -> AsyncIterator[Any]:
    key = await funded(live, kind)
    venue = PolymarketVenue(
        clob_url=live.url, gamma_url=f"{live.url}/gamma", data_url=f"{live.url}/data-api",
        sockets_url=f"{live.ws}/ws", relayer_url=f"{live.url}/relayer",
    )  # fmt: skip
    owner = TradingWallet(address=HOLDER, signer=OWNER, signature_type=kind)
    none = ApiKey(key="", secret="", passphrase="")
    signer = LocalSigner(KEYS[0], none, owner)
    async with open_wallet(
        venue, owner, api_key=none, signer=signer, timeout_ms=2_000,
        relayer_key=RelayerKey(key, OWNER),
    ) as opened:  # fmt: skip
        (yes,) = await opened.instruments.find([YES])
        assert opened.sets is not None
        yield SimpleNamespace(sets=opened.sets, yes=yes)


async def change(one: Any, action: SetAction, size: int, name: str = "c1") -> SetChange:
    """A change at the next nonce."""
    return SetChange(
        change_id=name, action=action, instrument=one.yes, size=size * 10**6,
        nonce=await one.sets.nonce(), deadline_ms=clock.now_ms() + 600_000,
    )  # fmt: skip


async def ended(one: Any, made: SetChange) -> Any:
    async with asyncio.timeout(60):
        while True:
            found = await one.sets.find(made)
            if found.done or found.failed:
                return found
            await asyncio.sleep(0.02)


async def held(live: Live) -> tuple[int, int, int]:
    """USDC, and shares of both outcomes: whole ones here."""
    state = await live.state()
    assert state["backed"] == state["deposited"]
    mine = {row["asset"]: int(row["size"]) for row in state["shares"]
            if row["wallet"] == HOLDER}  # fmt: skip
    return int(state["usdc"][HOLDER]), mine[YES], mine[NO]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
async def test_sets_are_made_merged_and_redeemed(tmp_path: Path, kind: SignatureType) -> None:
    async with exchange(tmp_path) as live, wallet(live, kind) as one:
        for name, action, size, after in (
            ("c1", SetAction.SPLIT, 20, (80, 120, 120)),
            ("c2", SetAction.MERGE, 50, (130, 70, 70)),
        ):
            made = await change(one, action, size, name)
            receipt = await one.sets.submit(made)
            assert receipt.meaning is Meaning.ACCEPTED
            assert (await ended(one, made)).done
            assert await held(live) == after
        await live.notify("/resolve", condition=CONDITION, payouts=["1", "0"], redeems=False)
        assert await held(live) == (130, 70, 70)
        made = await change(one, SetAction.REDEEM, 70, "c3")
        await one.sets.submit(made)
        assert (await ended(one, made)).done
        assert await held(live) == (200, 0, 0)


FAULTS = [{"kind": "lose"}, {"kind": "drop"}, {"kind": "hold"}, {"kind": "status", "status": 502}]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: str(fault["kind"]))
async def test_a_change_that_was_not_answered_is_made_once(
    tmp_path: Path, fault: dict[str, Any]
) -> None:
    """It is sent again until it is found: the nonce is used once, whatever arrives late."""
    async with exchange(tmp_path) as live, wallet(live, SignatureType.SAFE) as one:
        made = await change(one, SetAction.MERGE, 30)
        await live.notify("/faults", path="/relayer/submit", **fault)
        assert (await one.sets.submit(made)).meaning is Meaning.UNKNOWN
        again = await one.sets.submit(made)
        assert again.meaning is not Meaning.UNKNOWN
        await live.notify("/release")
        assert (await ended(one, made)).done
        late = await one.sets.submit(made)
        assert (late.meaning, late.code) == (Meaning.REJECTED, "BAD_NONCE")
        assert await held(live) == (130, 70, 70)
        assert len((await live.state())["relayed"]) == 1
        assert (await one.sets.find(made)).nonce == made.nonce + 1


async def test_a_change_that_the_chain_refuses_has_failed(tmp_path: Path) -> None:
    async with exchange(tmp_path) as live, wallet(live, SignatureType.SAFE) as one:
        for name, size, why in (("c1", 101, "balance"), ("c2", 10, "reverted")):
            if name == "c2":
                await live.notify("/switches", fail_relayed=1)
            made = await change(one, SetAction.MERGE, size, name)
            await one.sets.submit(made)
            found = await ended(one, made)
            assert (found.done, found.failed, found.pending) == (False, 1, 0)
            assert why in found.detail
        assert await held(live) == (100, 100, 100)


async def test_refusals_of_the_relayer_have_a_word(tmp_path: Path) -> None:
    async with exchange(tmp_path) as live, wallet(live, SignatureType.SAFE) as one:
        await live.notify("/switches", settles_ms=600_000)
        first = await change(one, SetAction.MERGE, 1)
        assert (await one.sets.submit(first)).meaning is Meaning.ACCEPTED
        busy = await one.sets.submit(await change(one, SetAction.MERGE, 1, "c2"))
        assert (busy.meaning, busy.code) == (Meaning.NOT_ACCEPTED, "WALLET_BUSY")
        await live.notify(
            "/faults", path="/relayer/submit", kind="status", status=429,
            body='{"error":"Too many requests"}',
        )  # fmt: skip
        limited = await one.sets.submit(await change(one, SetAction.MERGE, 1, "c3"))
        assert (limited.meaning, limited.code) == (Meaning.NOT_ACCEPTED, "RATE_LIMIT")


async def test_a_stranger_s_key_is_refused_in_words(tmp_path: Path) -> None:
    async with exchange(tmp_path) as live, wallet(live, SignatureType.SAFE) as one:
        one.sets._headers["RELAYER_API_KEY"] = "wrong"
        refused = await one.sets.submit(await change(one, SetAction.MERGE, 1))
        assert (refused.meaning, refused.code) == (Meaning.REJECTED, "HTTP_401")
        assert refused.detail == "invalid authorization"


async def test_resting_sells_that_are_not_covered_any_more_are_ended(tmp_path: Path) -> None:
    """The chain knows of no orders; who merges what they sell loses the newest of them."""

    def placed(live: Live) -> list[str]:
        client = ClobClient(live.url, 137, key=KEYS[0], signature_type=2, funder=HOLDER)
        client.set_api_creds(client.create_or_derive_api_key())
        orders = [OrderArgs(token_id=YES, price=0.9, size=size, side="SELL") for size in (30, 40)]
        return [client.create_and_post_order(order)["orderID"] for order in orders]

    async with exchange(tmp_path) as live, wallet(live, SignatureType.SAFE) as one:
        older, _ = await asyncio.to_thread(placed, live)
        made = await change(one, SetAction.MERGE, 60)
        await one.sets.submit(made)
        await ended(one, made)
        assert await held(live) == (160, 40, 40)
        assert (await live.state())["resting"] == [older]


OFFICIAL = {
    SignatureType.PROXY: "POLY_PROXY", SignatureType.SAFE: "GNOSIS_SAFE",
    SignatureType.DEPOSIT_WALLET: "DEPOSIT_WALLET",
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
async def test_the_venue_s_client_does_the_same(tmp_path: Path, kind: SignatureType) -> None:
    """polymarket-client, unmodified: it signs, sends and waits by code of its own."""
    async with exchange(tmp_path) as live:
        key = await funded(live, kind)
        with httpx.Client() as client:
            context: Any = _context(client, live, kind, key)
            about: Any = {"collateral": CONFIG.collateral_token, "condition_id": CONDITION}
            target: Any = CONFIG.collateral_adapter

            def change_sets(*calls: sdk.TransactionCall) -> None:
                prepare_gasless_transaction_sync(context, calls=list(calls), metadata="m").wait()

            split = sdk.ctf_split_position_call(target=target, amount=20_000_000, **about)
            merge = sdk.ctf_merge_positions_call(target=target, amount=50_000_000, **about)
            approve = sdk.erc1155_set_approval_for_all_call(
                token_address=CONFIG.conditional_tokens, operator=target
            )
            await asyncio.to_thread(change_sets, split)
            await asyncio.to_thread(change_sets, approve, merge)
            assert await held(live) == (130, 70, 70)
            many = sdk.ctf_merge_positions_call(target=target, amount=71_000_000, **about)
            with pytest.raises(TransactionFailedError, match="balance is too low"):
                await asyncio.to_thread(change_sets, many)
            context.signer = Account.from_key(KEYS[1])
            with pytest.raises(RequestRejectedError):
                await asyncio.to_thread(change_sets, merge)
            assert await held(live) == (130, 70, 70)


def _context(client: httpx.Client, live: Live, kind: SignatureType, key: str) -> SimpleNamespace:
    resolver = make_relayer_header_resolver_sync(RelayerApiKey(key=key, address=OWNER))
    base = f"{live.url}/relayer"
    client.base_url = base
    config = SimpleNamespace(
        wallet_derivation=CONFIG.wallet_derivation, safe_multisend=CONFIG.safe_multisend,
        relay_hub=CONFIG.relay_hub, chain_id=137, rpc_url=CONFIG.rpc_url,
        relayer_poll_frequency_ms=20, relayer_max_polls=3_000,
    )  # fmt: skip
    return SimpleNamespace(
        relayer=SyncTransport(base_url=base, client=client, header_resolver=resolver),
        signer=Account.from_key(KEYS[0]), signer_type="OWNER", wallet=HOLDER,
        wallet_type=OFFICIAL[kind], api_key=key, environment_config=config, rpc=None,
    )  # fmt: skip
