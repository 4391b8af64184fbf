"""Take the README's picture of the console from a run that goes on.

``make run`` in one terminal, ``python -m tools.console_picture`` in another: it logs in as
`tt console` does, waits until copies are shown, and writes docs/console.png.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

from playwright.sync_api import ViewportSize, sync_playwright

ROOT = Path(__file__).resolve().parent.parent
PICTURE = ROOT / "docs" / "console.png"
_SECONDS = 100
_SIZE = ViewportSize(width=1200, height=860)
_CHROMIUM = ("chromium", "chromium-browser", "google-chrome")


def main() -> int:
    """Take it; returns the exit status."""
    browser = next(filter(None, map(shutil.which, _CHROMIUM)), None)
    if browser is None:
        sys.stderr.write("there is no Chromium: make browser, as root\n")
        return 1
    reported = subprocess.run(
        [sys.executable, "-m", "cli", "console", "--json"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if reported.returncode:
        sys.stderr.write(reported.stderr)
        return reported.returncode
    _take(browser, json.loads(reported.stdout)["url"])
    sys.stdout.write(f"{PICTURE.relative_to(ROOT)}: {PICTURE.stat().st_size} bytes\n")
    return 0


def _take(browser: str, url: str) -> None:
    with sync_playwright() as playwright:
        # Run by root in a container, Chromium has no sandbox to offer.
        launched = playwright.chromium.launch(executable_path=browser, args=["--no-sandbox"])
        page = launched.new_page(viewport=_SIZE, color_scheme="light")
        page.goto(url)
        page.get_by_text("copies shown").wait_for(timeout=_SECONDS * 1000)
        page.get_by_role("img", name="Events a minute").wait_for(timeout=_SECONDS * 1000)
        page.screenshot(path=PICTURE)
        launched.close()


if __name__ == "__main__":
    sys.exit(main())
