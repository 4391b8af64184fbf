"""The guard's pages: how far each watched position is from its stops and targets."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from tests.console.books import Books
from tests.console.facts import WALLET, Facts
from tests.console.world import Served, go
from tests.control.requests import ASSET, trigger_body


def test_a_position_is_seen_between_its_stop_and_its_target(
    page: Page, served: Served, facts: Facts, books: Books
) -> None:
    """40 shares were bought for 20 USDC, and fetch 0.60 each now."""
    stop = trigger_body(
        WALLET, facts.subscription, triggerType="TRIGGER_TYPE_STOP_LOSS", triggerPrice="0.45"
    )
    made = served.world.call("POST", "/triggers", json=stop)
    made.raise_for_status()
    go(page, "guard")
    line = page.get_by_role("img", name="stop loss 0.450, 25.0 % away; entry 0.500; now 0.600")
    expect(line).to_be_visible()
    row = page.get_by_role("region", name="Triggers").get_by_role("row", name="stop loss")
    expect(row).to_contain_text("0.45025.0 %")
    row.get_by_role("link", name="stop loss").click()
    expect(page.get_by_role("heading", name="Its position")).to_be_visible()
    expect(line).to_be_visible()
    # The price falls through the stop, and nothing has sold so far.
    books.bid(ASSET, 440_000)
    reached = page.get_by_role("img", name="now 0.440; stop loss 0.450, reached")
    expect(reached).to_be_visible()
    served.world.call("DELETE", f"/triggers/{made.json()['id']}").raise_for_status()
    go(page, "guard")
    expect(page.get_by_role("row", name="stop loss")).to_have_count(0)
    page.get_by_label("Status").select_option("CANCELLED")
    page.get_by_role("button", name="Show").click()
    expect(page.get_by_role("row", name="stop loss")).to_be_visible()
    books.bid(ASSET, 600_000)
