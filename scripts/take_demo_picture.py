# ruff: noqa: INP001 - A program, not a package.
"""Take the README's screenshot of the example application: docs/images/demo.png, 1280 pixels wide.

Start the demo (`make run`), then run this script. Give the page's address if it is not the default:

    .venv/bin/python scripts/take_demo_picture.py [http://127.0.0.1:8002/]

Requires Playwright (the project's extra `test`) and Chromium. If Chromium is not on PATH, set the
environment variable CHROMIUM to its path.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from playwright.sync_api import ViewportSize, sync_playwright

PICTURE = Path(__file__).parents[1] / "docs" / "images" / "demo.png"
SIZE: ViewportSize = {"width": 1280, "height": 772}  # pixels; the part of the page above the claims
HAS_PLAYED = "(seconds) => document.querySelector('video').currentTime > seconds"
SECONDS_OF_VIDEO = 5  # At this time, the hand of the test card has a good position.


def take_picture(page_url: str, picture: Path) -> None:
    """Save a screenshot of the page after its video has played for some seconds."""
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
    take_picture(sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8002/", PICTURE)
