"""Bots in the console: a person logs in, adds a wallet, makes a market maker, and sees it trade.

On real parts: the edge, a signer, an engine of bots, and a paper OKX on the real wire.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from playwright.sync_api import Page, expect

from tests.bots.world import SWAP, Bots, at_okx
from tests.console.facts import Facts
from tests.console.world import Served, go
from tests.paper_okx import harness as okx
from tests.signer import world as signers
from tradingtools.codec import sealing
from tradingtools.domain.credentials import OkxCredentials

NAME = "Maker one"


@dataclass
class Market:
    """An exchange, and an engine that trades there."""

    bots: Bots
    okx: okx.Live


@pytest.fixture(scope="module")
def market(served: Served, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Market]:
    """A paper OKX, the signer of the console's edge, and an engine of bots."""
    directory = served.world.directory
    signer_directory = directory / "signer"
    signer_directory.mkdir(mode=0o700)
    callers = {"TT_ENGINE_CALLERS": served.world.environment["TT_ENGINE_CALLERS"]}
    with okx.okx(tmp_path_factory.mktemp("okx"), feed="seeded", step_ms="50") as live:
        live.account("ann")
        more = {"TT_SIGNER_OKX_URL": live.rest, "SSL_CERT_FILE": str(live.authority), **callers}
        url = served.world.database_url
        with signers.running(url, signer_directory, **more) as signer:
            world = Bots(signer, directory, live, venue=at_okx(live))
            token = served.world.environment["TT_BOTS_ENGINE_TOKEN"]
            engine = world.engine("bots", TT_ENGINE_TOKEN=token, **callers)
            engine.start()
            try:
                yield Market(world, live)
            finally:
                engine.stop()


@pytest.mark.slow
def test_a_wallet_is_added_and_a_market_maker_quotes_and_fills(page: Page, market: Market) -> None:
    go(page, "wallets")
    page.get_by_role("button", name="Add a wallet").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name").fill("mine")
    dialog.get_by_label("API key").fill("ann")
    dialog.get_by_label("Secret").fill("not this one")
    dialog.get_by_label("Passphrase").fill(okx.PASSPHRASE)
    dialog.get_by_label("Most of one order").fill("100000")
    dialog.get_by_role("button", name="Seal and add").click()
    expect(dialog.get_by_role("alert")).to_contain_text("INVALID_FIELD")
    dialog.get_by_label("Secret").fill(okx.SECRET)
    dialog.get_by_role("button", name="Seal and add").click()
    row = page.get_by_role("region", name="Wallets").get_by_role("row", name="mine")
    expect(row).to_contain_text("active")

    go(page, "bots/new")
    for name, text in {
        "name": NAME, "instrumentId": SWAP, "orderSize": "1.123456789", "maxPosition": "5",
        "maxHalfSpread": "1", "riskAversion": "0.01", "arrivalDecay": "0.05",
        "limits.maxPosition": "6", "limits.maxDailyLoss": "5000",
    }.items():  # fmt: skip
        page.locator(f"[name='{name}']").fill(text)
    page.get_by_role("button", name="Create and start").click()
    expect(page.get_by_role("alert")).to_contain_text("at most 8 decimals")
    page.locator("[name=orderSize]").fill("1")
    page.get_by_role("button", name="Create and start").click()
    expect(page.get_by_role("heading", level=1, name="Bot", exact=True)).to_be_visible()
    expect(page.locator(".badge", has_text="running")).to_be_visible(timeout=60_000)
    expect(page.get_by_text("reservation price").first).to_be_visible(timeout=60_000)
    fills = page.get_by_role("region", name="Fills, newest first")
    expect(fills.get_by_role("row").nth(2)).to_be_visible(timeout=60_000)
    expect(page.get_by_role("img", name="Fills and resting orders")).to_be_visible()
    (row_of_bot,) = market.bots.rows("select id, limits from bot where name = %s", NAME)
    bot, limits = row_of_bot
    assert limits == {"max_position": "6", "max_daily_loss": "5000"}

    page.get_by_role("button", name="Pause").click()
    page.get_by_role("dialog").get_by_role("button", name="Pause").click()
    expect(page.get_by_role("button", name="Resume")).to_be_visible(timeout=60_000)
    page.get_by_role("button", name="Resume").click()
    page.get_by_role("dialog").get_by_role("button", name="Resume").click()
    expect(page.get_by_role("button", name="Pause")).to_be_visible(timeout=60_000)
    page.get_by_role("button", name="Stop").click()
    page.get_by_role("dialog").get_by_role("button", name="Stop").click()
    expect(page.locator(".badge", has_text="stopped")).to_be_visible(timeout=60_000)
    assert market.bots.asked("trade/orders-pending") == []
    assert market.bots.booked(bot) == market.bots.position()


def test_what_the_browser_seals_the_signer_opens(page: Page) -> None:
    """RFC 9180, against another implementation: opened by the right key, for this wallet alone."""
    key = X25519PrivateKey.generate()
    public = key.public_key().public_bytes_raw()
    sealed: list[int] = page.evaluate(
        """async ([key, info, text]) => {
            const { seal } = await import(new URL("lib/seal.js", document.baseURI));
            const plain = new TextEncoder().encode(text);
            return [...await seal(plain, Uint8Array.from(key), Uint8Array.from(info))];
        }""",
        [
            list(public),
            list(sealing.for_new("default", "mine", "okx", "live", 12_500_000)),
            '{"api_key":"ä","secret":"s","passphrase":"p"}',
        ],
    )
    bound = sealing.for_new("default", "mine", "okx", "live", 12_500_000)
    opened = sealing.unseal(bytes(sealed), key, bound, "okx")
    assert opened == OkxCredentials(api_key="ä", secret="s", passphrase="p")
    with pytest.raises(sealing.NotOpened):
        sealing.unseal(bytes(sealed), key, sealing.for_edition("mine", 1), "okx")


def test_a_bot_that_risk_has_stopped_is_resumed_with_a_reason(page: Page, facts: Facts) -> None:
    go(page, "bots")
    row = page.get_by_role("region", name="Bots").get_by_role("row").nth(1)
    expect(row).to_contain_text("max_daily_loss: 201 of 200")
    row.get_by_role("link").first.click()
    page.get_by_role("button", name="Resume").click()
    page.get_by_label("Why it may go on").fill("a wrong mark")
    page.get_by_role("dialog").get_by_role("button", name="Resume").click()
    expect(page.locator(".badge", has_text="starting")).to_be_visible()
    (event,) = facts.database.execute(
        "select actor, reason from bot_event where bot_id = %s and what = 'resumed'",
        [facts.stopped_bot],
    ).fetchall()
    assert event["reason"] == "a wrong mark"


def test_a_bot_shows_its_trades_and_how_near_its_limits_are(page: Page, facts: Facts) -> None:
    go(page, f"bots/{facts.bot}")
    limits = page.get_by_role("region", name="Limits")
    expect(limits.get_by_role("row", name="Most lost in a day")).to_contain_text("150200")
    expect(limits.get_by_role("row", name="Orders at once")).to_contain_text("24")
    quotes = page.get_by_role("region", name="Quotes").get_by_role("row", name="of the bid")
    expect(quotes).to_contain_text("buy 1 at 64,990")
    legend = page.locator(".chart .u-legend")
    expect(legend.filter(has_text="bid rests at 64,990")).to_be_visible()
    expect(page.get_by_label("order size")).to_have_value("1")
    expect(page.get_by_role("img", name="Profit of the bot over time")).to_be_visible()
    sources = page.get_by_role("region", name="Profit by source")
    expect(sources.get_by_role("row", name="spread")).to_contain_text("+118")
    positions = page.get_by_role("region", name="Positions")
    expect(positions.get_by_role("row", name="ETH-USDT-SWAP")).to_contain_text("64,904.5-191")
    expect(page.locator(".figure", has_text="today")).to_contain_text("-150")


def test_settings_of_a_bot_are_changed_and_a_wrong_one_is_named(page: Page, facts: Facts) -> None:
    go(page, f"bots/{facts.bot}")
    page.get_by_label("requote ticks").fill("3")
    page.locator("[name='limits.maxDailyLoss']").fill("a lot")
    page.get_by_role("button", name="Save settings").click()
    expect(page.get_by_role("alert")).to_contain_text("maxDailyLoss")
    page.locator("[name='limits.maxDailyLoss']").fill("300")
    page.get_by_role("button", name="Save settings").click()
    expect(page.get_by_text("version 2")).to_be_visible()
    expect(page.get_by_label("requote ticks")).to_have_value("3")
    (row,) = facts.database.execute(
        "select config, limits from bot where id = %s", [facts.bot]
    ).fetchall()
    assert (row["config"]["requote_ticks"], row["config"]["order_size"]) == (3, 10**8)
    assert row["limits"]["max_daily_loss"] == "300"


def test_risk_shows_who_is_stopped_and_who_is_near_a_limit(page: Page, facts: Facts) -> None:
    go(page, "risk")
    near = page.get_by_role("region", name="Limits").get_by_role("row")
    expect(near.nth(1)).to_contain_text("eth maker")
    exposure = page.get_by_role("region", name="Exposure by instrument, USDT")
    expect(exposure.get_by_role("row", name="ETH-USDT-SWAP")).to_contain_text("129,809")
    go(page, "overview")
    portfolio = page.get_by_role("region", name="Portfolio").get_by_role("row")
    expect(portfolio.filter(has_text="paper").filter(has_text="USDT")).to_contain_text("bots")
    go(page, "risk")
    page.get_by_role("combobox", name="Exchange").select_option("polymarket")
    expect(page.get_by_text("No bot uses any part of a limit.")).to_be_visible()
    # The choice is kept for the other pages of bots.
    go(page, "bots")
    expect(page.get_by_text("No bots")).to_be_visible()
