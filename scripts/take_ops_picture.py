# ruff: noqa: INP001 - A program, not a package.
"""Take the picture of the operator's page for docs/ops-page.md: docs/images/ops/page.png.

    .venv/bin/python -m scripts.take_ops_picture

It runs a service as the tests do. It requires Playwright (the project's extra `test`) and Chromium.
If Chromium is not on PATH, set the environment variable CHROMIUM to its path.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Final

from playwright.sync_api import Browser, ViewportSize, sync_playwright

from tests.support.browser import ARGUMENTS, find_chromium
from tests.web.ops.ops_site import OpsSite, running_ops_site

PICTURE: Final = Path(__file__).parents[1] / "docs/images/ops/page.png"
SIZE: Final[ViewportSize] = {"width": 1120, "height": 1000}
"""Pixels: down to the key pairs."""


def take_picture(browser: Browser, site: OpsSite, picture: Path) -> None:
    """Write the picture of the page after signing in."""
    page = browser.new_page(viewport=SIZE, color_scheme="light")
    page.goto(f"{site.url}/ops")
    site.sign_in(page)
    page.screenshot(path=picture)
    page.close()


def main(picture: Path) -> None:
    """Run a service and take the picture of its page."""
    os.umask(0o077)  # A private key that others can read is refused.
    with (
        tempfile.TemporaryDirectory() as data,
        running_ops_site(Path(data)) as site,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=list(ARGUMENTS))
        take_picture(browser, site, picture)
        browser.close()


if __name__ == "__main__":
    main(PICTURE)
