"""Following a leader in the console: simulate, follow, settings that are lists, tiers and rules."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from tests.console.facts import ADMIRED, Facts
from tests.console.world import Served, computed, go
from tests.control.requests import subscription_body


def test_following_is_simulated_and_a_wrong_amount_is_named(page: Page, facts: Facts) -> None:
    go(page, f"leaders/{ADMIRED}")
    page.get_by_label("Amount or ratio").fill("much")
    page.get_by_role("button", name="Simulate").click()
    expect(page.get_by_role("alert")).to_contain_text("amount")
    page.get_by_label("Amount or ratio").fill("20")
    outcome = page.get_by_role("region", name="Outcome")
    computed(page, page.get_by_role("button", name="Simulate"), outcome)
    expect(outcome.get_by_role("row", name="copied, of 2 trades")).to_contain_text("2")
    expect(outcome.get_by_role("row", name="sold, USDC")).to_contain_text("10.71")
    page.get_by_text("What this assumes").click()
    expect(page.get_by_text("halts, stops, take-profits")).to_be_visible()


def test_a_leader_is_followed_after_a_look_at_yesterday(page: Page, facts: Facts) -> None:
    go(page, f"leaders/{ADMIRED}")
    page.get_by_role("link", name="Follow", exact=True).click()
    wallet = "0x" + "6a" * 20
    for name, text in {
        "proxy": wallet, "user": "user-9", "walletId": "wallet-9",
        "sizing.tiers": "0 fixed 5\n30 fifth 0.1",
    }.items():  # fmt: skip
        page.locator(f"[name='{name}']").fill(text)
    tiers = page.locator("[name='sizing.tiers']")
    page.get_by_label("Size of a copy").select_option("tiers")
    page.get_by_role("button", name="Review and follow").click()
    expect(page.get_by_role("alert")).to_contain_text("Tiers: expected lines as")
    expect(tiers).to_have_attribute("aria-invalid", "true")
    tiers.fill("0 fixed 5\n30 ratio 0.1")
    dialog = page.get_by_role("dialog")
    outcome = dialog.get_by_role("region", name="Outcome")
    computed(page, page.get_by_role("button", name="Review and follow"), outcome)
    expect(dialog.get_by_role("row", name="Size of a copy")).to_contain_text("in tiers")
    # Buys of 50 and 20 USDC, and a sell.
    expect(outcome.get_by_role("row", name="copied, of 3 trades")).to_contain_text("3")
    find = "select id, settings, leader, state from subscription where follower_proxy = %s"
    assert facts.database.execute(find, [wallet]).fetchall() == []
    dialog.get_by_role("button", name="Follow").click()
    expect(page.get_by_role("heading", level=1, name="Subscription", exact=True)).to_be_visible()
    expect(tiers).to_have_value("0 fixed 5\n30 ratio 0.1")
    (row,) = facts.database.execute(find, [wallet]).fetchall()
    assert (row["leader"], row["state"]) == (ADMIRED, "ACTIVE")


def test_lists_leader_filters_and_performance_rules_are_changed_and_taken_away(
    page: Page, served: Served
) -> None:
    body = subscription_body("0x" + "6b" * 20, leader=ADMIRED)
    made: str = served.world.call("POST", "/subscriptions", json=body).json()["id"]
    go(page, f"subscriptions/{made}")
    texts = {
        "Not these categories": "sports\nworld news", "Least win rate": "0.5",
        "Most lost in a day": "12.5", "Profit of a step": "100", "A step multiplies by": "1.5",
        "Lowest scale": "0.5", "Highest scale": "2",
    }  # fmt: skip
    for label, text in texts.items():
        page.get_by_label(label).fill(text)
    page.locator("[name='performance.lossStop.action']").select_option("LOSS_ACTION_PAUSE_AND_EXIT")
    page.get_by_label("Only these markets").fill("0x12")
    page.get_by_role("button", name="Review and save").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("row", name="Not these categories")).to_contain_text("sports")
    expect(dialog.get_by_text("rules on performance are no part")).to_be_visible()
    expect(dialog.get_by_role("alert")).to_contain_text("marketsAllowed")
    dialog.get_by_role("button", name="Cancel").click()
    expect(page.get_by_label("Only these markets")).to_have_attribute("aria-invalid", "true")
    page.get_by_label("Only these markets").fill("")
    page.get_by_role("button", name="Review and save").click()
    dialog.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Saved.")).to_be_visible()
    stored = served.world.call("GET", f"/subscriptions/{made}").json()
    assert stored["filters"]["categoriesDenied"] == ["sports", "world news"]
    assert stored["filters"]["leader"]["minWinRate"] == "0.5"
    rules = stored["performance"]
    assert rules["lossStop"]["day"] == {"amount": "12.5"}
    assert rules["lossStop"]["action"] == "LOSS_ACTION_PAUSE_AND_EXIT"
    assert rules["profitScale"]["factor"] == "1.5"

    for label in texts:
        page.get_by_label(label).fill("")
    page.get_by_role("button", name="Review and save").click()
    dialog.get_by_role("button", name="Save").click()
    expect(dialog).to_have_count(0)
    stored = served.world.call("GET", f"/subscriptions/{made}").json()
    assert not stored.get("performance", {}).get("lossStop")
    assert not stored.get("performance", {}).get("profitScale")
    assert not stored.get("filters", {}).get("leader")
