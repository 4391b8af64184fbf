"""Copies beside their leader, and what was missed: parts add up to the whole."""

from __future__ import annotations

from dataclasses import replace
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from services.control.quality.copies import (
    Copy,
    MissedCopy,
    Sizing,
    grouped,
    missed,
    of_copy,
    of_skip,
    quality,
)
from services.control.quality.copies_codec import total
from services.router.core.caps import Skip
from services.router.core.sizing_modes import mode_money
from tests.unit.samples import subscription
from tradingtools.domain.copy_settings import CopySettings, Tier
from tradingtools.domain.subscription import SizingMode

USDC = 1_000_000
COPY = Copy(
    order_id="o", subscription_id="sub-1", leader="l", condition_id="c", asset_id="7", buys=True,
    ended=True, reason="", made_s=7_205, size_micros=100 * USDC, filled_size_micros=80 * USDC,
    filled_notional_micros=41 * USDC, fee_micros=500_000, delay_us=30_000,
    leader_size_micros=1_000 * USDC, leader_notional_micros=500 * USDC,
)  # fmt: skip


def test_a_copy_beside_its_leader() -> None:
    """80 shares for 41 where the leader paid 0.50: a dollar of slippage, half a dollar of fees."""
    of = quality("", [COPY], lambda _, shares: shares * 60 // 100, lambda _: 10_000)
    assert (of.slippage_micros, of.fee_micros, of.tracking_micros) == (USDC, 500_000, 1_500_000)
    # 48 now; the leader's 80 cost 40.
    assert (of.made_micros, of.leader_made_micros) == (6_500_000, 8 * USDC)
    assert of.slippage_ticks == 1.25
    assert of.delays_us == (30_000, 30_000)


def test_a_sell_counts_by_what_its_shares_are_worth_now() -> None:
    """Sold at 0.5125 less a fee, now at 0.60: 7.5 lost; the leader got 0.50 and has lost 8."""
    of = quality("", [replace(COPY, buys=False)], lambda _, s: s * 60 // 100, lambda _: 10_000)
    assert (of.made_micros, of.leader_made_micros) == (-7_500_000, -8 * USDC)
    assert of.slippage_micros == -USDC
    assert of.tracking_micros == -500_000


def test_what_has_no_worth_leaves_no_guess() -> None:
    """Slippage and fees are known all the same."""
    of = quality("", [COPY, replace(COPY, asset_id="8")], lambda a, s: s if a == "7" else None,
                 lambda _: None)  # fmt: skip
    assert (of.made_micros, of.leader_made_micros, of.slippage_ticks) == (None, None, None)
    assert of.tracking_micros == 3_000_000


_COPIES = st.builds(
    Copy,
    order_id=st.uuids().map(str), subscription_id=st.sampled_from("ab"), leader=st.just("l"),
    condition_id=st.sampled_from("cd"), asset_id=st.sampled_from("78"), buys=st.booleans(),
    ended=st.booleans(), reason=st.sampled_from(["", "KILLED"]), made_s=st.integers(0, 20_000),
    size_micros=st.just(10**7), filled_size_micros=st.integers(0, 10**7),
    filled_notional_micros=st.integers(0, 10**7), fee_micros=st.integers(0, 10**4),
    delay_us=st.none() | st.integers(0, 10**6), leader_size_micros=st.integers(1, 10**9),
    leader_notional_micros=st.integers(0, 10**9),
)  # fmt: skip


@settings(max_examples=50, deadline=None)
@given(st.lists(_COPIES, max_size=12), st.sampled_from(["order", "subscription", "market", "hour"]))
def test_groups_add_up_to_the_total(found: list[Copy], by: str) -> None:
    """By whatever they are put together, to the micro."""

    def worth(_asset: str, shares: int) -> int:
        return shares * 37 // 100

    whole = quality("", found, worth, lambda _: 1_000)
    parts = [quality(key, of, worth, lambda _: 1_000) for key, of in grouped(found, by).items()]
    for name in ("orders", "notional_micros", "fee_micros", "slippage_micros", "tracking_micros",
                 "made_micros", "leader_made_micros"):  # fmt: skip
        assert sum(getattr(part, name) for part in parts) == getattr(whole, name)


@settings(max_examples=50, deadline=None)
@given(
    st.lists(
        st.builds(
            MissedCopy, reason=st.sampled_from(["TOO_OLD", "PRICE_BAND", "CAP"]),
            asset_id=st.sampled_from("789"), shares_micros=st.none() | st.integers(0, 10**9),
            cost_micros=st.integers(0, 10**9),
        ),
        max_size=20,
    )
)  # fmt: skip
def test_reasons_add_up_to_the_whole(misses: list[MissedCopy]) -> None:
    """What filters cost together is what each miss would have made."""
    prices = {"7": 400_000, "8": 900_000}

    def worth(asset: str, shares: int) -> int | None:
        return shares * prices[asset] // USDC if asset in prices else None

    whole = total(missed(misses, worth))
    known = [m for m in misses if m.shares_micros is not None and m.asset_id in prices]
    assert whole.number == len(misses)
    assert whole.unknown == len(misses) - len(known)
    assert whole.cost_micros == sum(m.cost_micros for m in known)
    assert whole.made_micros == sum(
        (m.shares_micros or 0) * prices[m.asset_id] // USDC - m.cost_micros for m in known
    )


def test_what_a_skip_would_have_been() -> None:
    """20 USDC at the leader's 0.25 are 80 shares; of a sell, and without a price, nobody knows."""
    sizing = Sizing(mode=SizingMode.FIXED, micros=20 * USDC, multiplier_micros=None,
                    max_per_trade_micros=None)  # fmt: skip
    leader = (400 * USDC, 100 * USDC)
    miss = of_skip("PRICE_BAND", "7", True, leader, sizing)
    assert (miss.shares_micros, miss.cost_micros) == (80 * USDC, 20 * USDC)
    assert of_skip("PRICE_BAND", "7", False, leader, sizing).shares_micros is None
    assert of_skip("PRICE_BAND", "7", True, (400 * USDC, 0), sizing).shares_micros is None
    capped = replace(sizing, max_per_trade_micros=5 * USDC)
    assert of_skip("PRICE_BAND", "7", True, leader, capped).cost_micros == 5 * USDC


def test_what_an_order_has_missed() -> None:
    """The shares that found nobody, at the leader's price; nothing of one that is open still."""
    miss = of_copy(COPY)
    assert miss == MissedCopy(
        reason="PARTLY_FILLED", asset_id="7", shares_micros=20 * USDC, cost_micros=10 * USDC
    )
    for other in (
        replace(COPY, ended=False), replace(COPY, buys=False),
        replace(COPY, filled_size_micros=COPY.size_micros),
        replace(COPY, reason="SUBSCRIPTION_CHANGED"),
    ):  # fmt: skip
        assert of_copy(other) is None


def test_wanted_is_what_the_router_sizes() -> None:
    """By each mode, with and without a multiplier: where the router knows, so does this."""
    random = Random(5)  # noqa: S311 - chance that repeats
    for _ in range(300):
        tiers = (
            Tier(from_micros=10 * USDC, fixed_micros=3 * USDC),
            Tier(from_micros=50 * USDC, ratio_micros=random.randint(1, USDC)),
        )
        mode = random.choice(list(SizingMode))
        factor = random.choice([None, random.randint(1, 2 * USDC)])
        micros = random.randint(0, 10 * USDC)
        notional = random.randint(0, 100 * USDC)
        reported = CopySettings(tiers=tiers, multiplier_micros=factor)
        of = replace(subscription(), sizing_mode=mode, sizing_micros=micros, settings=reported)
        routed = mode_money(of, notional, None, None)
        mine = Sizing(
            mode=mode, micros=micros, multiplier_micros=factor, max_per_trade_micros=None,
            tiers=tiers,
        )  # fmt: skip
        assert mine.desired(notional) == (None if isinstance(routed, Skip) else routed)
