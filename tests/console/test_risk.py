"""Limits of many bots in the console: how near they are, what was reached, and setting them."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from tests.console.facts import Facts
from tests.console.world import go


def test_limits_of_many_bots_are_set_and_a_wrong_one_is_named(page: Page, facts: Facts) -> None:
    go(page, "risk")
    used = page.get_by_role("region", name="Used by scope, USDC")
    expect(used.get_by_role("row", name="all bots")).to_contain_text("129,809")
    limits = page.get_by_role("region", name="Limits of scopes")
    expect(limits.get_by_role("row", name="Most in all wallet demo one")).to_contain_text(
        "129,809150,000"
    )
    breaches = page.get_by_role("region", name="Breaches, newest first")
    expect(breaches.get_by_role("row", name="eth night maker")).to_contain_text("201 of 200")
    gross = breaches.get_by_role("row", name="wallet demo one Most in all")
    expect(gross).to_contain_text("reduce only")

    page.get_by_role("button", name="Set a limit").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Bots of").select_option("MARKET")
    dialog.get_by_label("Which").fill("okx:ETH-USDT-SWAP")
    dialog.get_by_label("Most in all").fill("a lot")
    dialog.get_by_role("button", name="Set").click()
    expect(dialog.get_by_role("alert")).to_contain_text("limits.maxGross")
    expect(dialog.get_by_label("Most in all")).to_have_attribute("aria-invalid", "true")
    dialog.get_by_label("Most in all").fill("200000")
    dialog.get_by_label("Most with copies").fill("250000.5")
    dialog.get_by_role("button", name="Set").click()
    expect(limits.get_by_role("row", name="Most with copies")).to_contain_text("250,000.5")
    stored = "select limits from risk_limit where subject = 'okx:ETH-USDT-SWAP'"
    (row,) = facts.database.execute(stored).fetchall()
    assert row["limits"] == {"max_gross": 200_000_000_000, "max_with_copies": 250_000_500_000}

    # Without any it has none any more, and nothing else has changed.
    used.get_by_role("row", name="market").get_by_role("button", name="Limits").click()
    for label in ("Most in all", "Most with copies"):
        dialog.get_by_label(label).fill("")
    dialog.get_by_role("button", name="Set").click()
    expect(limits.get_by_role("row", name="Most with copies")).to_have_count(0)
    assert facts.database.execute(stored).fetchall() == []
    expect(limits.get_by_role("row", name="Most lost in a day wallet demo one")).to_be_visible()
