"""Bots in the console: a person logs in, adds a wallet, makes a market maker, and sees it trade.

On real parts: the edge, a signer, an engine of bots, and a paper OKX on the real wire.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from playwright.sync_api import Browser, Page, expect

from tests.bots.world import SWAP, Bots, at_okx, until
from tests.console.admin import Admin
from tests.console.facts import Facts, aside
from tests.console.world import Seen, Served, go
from tests.paper_okx import harness as okx
from tests.signer import world as signers
from tradingtools.codec import sealing
from tradingtools.domain.credentials import OkxCredentials
from tradingtools.rpc.signer_client import SignerClient

NAME = "Maker one"


@dataclass
class Market:
    """An exchange, and an engine that trades there."""

    bots: Bots
    okx: okx.Live
    wallet: str
    """Of an account that nobody else trades with."""


@pytest.fixture(scope="module")
def market(served: Served, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Market]:
    """A paper OKX, the signer of the console's edge, and an engine of bots."""
    directory = served.world.directory
    signer_directory = directory / "signer"
    signer_directory.mkdir(mode=0o700)
    callers = {"TT_ENGINE_CALLERS": served.world.environment["TT_ENGINE_CALLERS"]}
    with okx.okx(tmp_path_factory.mktemp("okx"), feed="seeded", step_ms="50") as live:
        live.account("ann")
        live.account("bob")
        more = {"TT_SIGNER_OKX_URL": live.rest, "SSL_CERT_FILE": str(live.authority), **callers}
        url = served.world.database_url
        with signers.running(url, signer_directory, **more) as signer:
            wallet = aside(signers.run, _wallet(served, signer))
            world = Bots(signer, directory, live, venue=at_okx(live))
            token = served.world.environment["TT_BOTS_ENGINE_TOKEN"]
            engine = world.engine("bots", TT_ENGINE_TOKEN=token, **callers)
            engine.start()
            try:
                yield Market(world, live, wallet)
            finally:
                engine.stop()


async def _wallet(served: Served, signer: signers.World) -> str:
    credentials = OkxCredentials(api_key="bob", secret=okx.SECRET, passphrase=okx.PASSPHRASE)
    control = SignerClient(signer.socket, served.world.environment["TT_CONTROL_ENGINE_TOKEN"])
    try:
        return await signers.added(control, credentials, name="bob", max_order_micros=10**11)
    finally:
        await control.aclose()


@pytest.fixture
def trader(browser: Browser, served: Served, admin: Admin) -> Iterator[Page]:
    """The page of an operator of OKX who has logged in by name and password."""
    once = admin.create("tina", "operator", "okx")
    context = browser.new_context()
    page = context.new_page()
    seen = Seen(page, served.url.removesuffix("console/"))
    page.goto(served.url)
    page.get_by_label("Name").fill("tina")
    page.get_by_label("Password", exact=True).fill(once)
    page.get_by_role("button", name="Log in").click()
    page.get_by_label("New password").fill("a long password of hers")
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("navigation")).to_be_visible()
    yield page
    assert seen.problems == []
    context.close()


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_wallet_is_added_and_a_market_maker_quotes_and_fills(
    trader: Page, market: Market
) -> None:
    page = trader
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
    page.get_by_label("Wallet").select_option(label="mine: okx, live")
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
    assert market.bots.requested("trade/orders-pending") == []
    assert market.bots.booked(bot) == market.bots.position()


@pytest.mark.slow
def test_the_kill_switch_says_what_it_does_is_seen_to_its_end_and_is_cleared(
    page: Page, served: Served, market: Market
) -> None:
    """The bot holds something: it is sold, and the bot waits for a person."""
    bot = _maker(served, market.wallet)
    until(lambda: market.bots.booked(bot), "a position")
    go(page, "risk")
    page.get_by_role("button", name="Use the kill switch").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Of").select_option("okx")
    expect(dialog).to_contain_text("of okx will:")
    expect(dialog).to_contain_text("close all that they hold, at what the market pays")
    dialog.get_by_label("Why").fill("prices are wrong")
    dialog.get_by_role("button", name="Stop all bots and sell").click()

    progress = page.get_by_role("region", name="Wallets under the kill switch of okx")
    mine = progress.get_by_role("row", name="bob")
    expect(mine).to_be_visible()
    # One of a test's engine ends by hand, before the last of the others, which ends the whole.
    market.bots.rows(
        "update kill_switch_wallet k set phase = 'DONE', engine = l.engine"
        " from trading_wallet_lease l where l.wallet_id = k.wallet_id and l.engine = 'engine-1'"
    )
    expect(mine.locator(".badge", has_text="done")).to_be_visible(timeout=60_000)
    expect(mine).to_contain_text("nothing rests, nothing is held")
    assert market.bots.position("bob") == 0
    assert market.bots.resting("bob") == []
    stopped = page.get_by_role("region", name="Stopped bots").get_by_role("row", name="bob maker")
    expect(stopped).to_contain_text("Kill switch: prices are wrong")
    expect(page.get_by_text("done since")).to_be_visible(timeout=60_000)

    page.get_by_role("button", name="Clear", exact=True).click()
    page.get_by_role("dialog").get_by_role("button", name="Clear").click()
    expect(page.get_by_text("No kill switch stands")).to_be_visible()
    page.get_by_text("Cleared before: 1").click()
    past = page.get_by_role("region", name="Kill switches that were cleared")
    expect(past.get_by_role("row", name="prices are wrong")).to_be_visible()
    assert market.bots.state(bot)[0] == "RISK_STOPPED"


def _maker(served: Served, wallet: str) -> str:
    """Start a bot that quotes so near that it soon holds something."""
    config = {
        "instrumentId": f"okx:{SWAP}", "orderSize": str(10**8), "maxPosition": str(5 * 10**8),
        "maxHalfSpread": str(10**10), "riskAversion": "0.01", "arrivalDecay": "0.05",
    }  # fmt: skip
    body = {
        "name": "bob maker", "walletId": wallet, "instruments": [f"okx:{SWAP}"],
        "config": {"marketMaking": config}, "limits": {"maxPosition": "6"},
    }  # fmt: skip
    made: str = served.world.call("POST", "/bots", json=body).json()["id"]
    served.world.call("POST", f"/bots/{made}/start").raise_for_status()
    return made


def test_an_engine_shows_its_wallets_and_is_drained(page: Page, market: Market) -> None:
    """There is no other engine: it is told so before, and it keeps what it has."""
    go(page, "engines")
    engine = page.get_by_role("region", name="Engines").get_by_role("row", name="bots 0.1")
    expect(engine.locator(".badge", has_text="live")).to_be_visible(timeout=60_000)
    engine.get_by_role("button", name="Drain").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("takes none until it is undrained")
    dialog.get_by_role("button", name="Drain").click()
    expect(engine.get_by_role("button", name="Undrain")).to_be_visible()
    (row,) = market.bots.rows("select draining from bot_engine where name = 'bots'")
    assert row == (True,)
    engine.get_by_role("button", name="Undrain").click()
    dialog.get_by_role("button", name="Undrain").click()
    expect(engine.get_by_role("button", name="Drain", exact=True)).to_be_visible()
    expect(engine.locator(".badge", has_text="live")).to_be_visible()


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
    row = page.get_by_role("region", name="Bots").get_by_role("row", name="eth night maker")
    expect(row).to_contain_text("Most lost in a day: 201 of 200")
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
    form = page.locator("form.settings")
    page.get_by_label("requote ticks").fill("3")
    page.locator("[name='limits.maxDailyLoss']").fill("a lot")
    page.get_by_role("button", name="Save settings").click()
    expect(form.get_by_role("alert")).to_contain_text("maxDailyLoss")
    page.locator("[name='limits.maxDailyLoss']").fill("300")
    page.get_by_role("button", name="Save settings").click()
    expect(form.get_by_text("Saved.")).to_be_visible()
    expect(form.get_by_text("version 3")).to_be_visible()
    expect(page.get_by_label("requote ticks")).to_have_value("3")
    (row,) = facts.database.execute(
        "select config, limits from bot where id = %s", [facts.bot]
    ).fetchall()
    assert (row["config"]["requote_ticks"], row["config"]["order_size"]) == (3, 10**8)
    assert row["limits"]["max_daily_loss"] == "300"


def test_risk_shows_who_is_stopped_and_who_is_near_a_limit(page: Page, facts: Facts) -> None:
    go(page, "risk")
    near = page.get_by_role("region", name="Limits", exact=True).get_by_role("row")
    expect(near.nth(1)).to_contain_text("eth maker")
    exposure = page.get_by_role("region", name="Exposure by instrument, USDT")
    expect(exposure.get_by_role("row", name="ETH-USDT-SWAP")).to_contain_text("129,809")
    go(page, "overview")
    portfolio = page.get_by_role("region", name="Portfolio").get_by_role("row")
    expect(portfolio.filter(has_text="paper").filter(has_text="USDT")).to_contain_text("bot")
    go(page, "risk")
    page.get_by_role("combobox", name="Exchange").select_option("polymarket")
    expect(page.get_by_text("No bot uses any part of a limit.")).to_be_visible()
    # The choice is kept for the other pages of bots.
    go(page, "bots")
    expect(page.get_by_text("No bots")).to_be_visible()
