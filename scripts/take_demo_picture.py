# ruff: noqa: INP001 - A program, not a package.
"""Take the README's picture of the player page: docs/images/demo.png, 1280 pixels wide.

Start the demo (`make run`), then give the page's address if it isn't the usual one:

    .venv/bin/python scripts/take_demo_picture.py [http://127.0.0.1:8000/demo]

It needs Playwright (the project's extra `test`) and Chromium, named by the variable CHROMIUM where
it isn't on PATH.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from playwright.sync_api import ViewportSize, sync_playwright

PICTURE = Path(__file__).parents[1] / "docs" / "images" / "demo.png"
SIZE: ViewportSize = {"width": 1280, "height": 772}  # pixels; ends above the claims
HAS_PLAYED = "(seconds) => document.querySelector('video').currentTime > seconds"
SECONDS_OF_VIDEO = 5  # until the test card's hands stand well


def take_picture(page_url: str, picture: Path) -> None:
    """Photograph the page once its video has played for some seconds."""
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport=SIZE, color_scheme="light")
        page.goto(page_url)
        page.wait_for_function(HAS_PLAYED, arg=SECONDS_OF_VIDEO)
        picture.parent.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=picture)
        browser.close()


if __name__ == "__main__":
    take_picture(sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8000/demo", PICTURE)
