"""A real Chromium for the tests, started once in each test process.

Playwright controls it. The browser is the operating system's (Debian: ``apt install chromium``),
because only a browser with proprietary codecs plays an IVS stream.
"""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import sync_playwright

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

NAMES_ON_PATH = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = (
    "--no-sandbox",  # Chromium can't run its sandbox as root, the user in CI containers.
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # No page, and no player of others, reaches another host.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
    "--autoplay-policy=no-user-gesture-required",
)


def find_chromium() -> str | None:
    """The path of Chromium: from the variable ``CHROMIUM``, or by its usual names on PATH."""
    return os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES_ON_PATH)), None)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """A headless Chromium. If it is not installed, the test is skipped, or under CI it fails."""
    executable = find_chromium()
    if executable is None:
        message = (
            "Chromium was not found, so this test did not run. Install it (Debian: "
            "`apt install chromium`), or set the environment variable CHROMIUM to its path."
        )
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=executable, headless=True, args=list(ARGUMENTS)
        )
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page in a new browser context, without the cookies, cache and storage of other tests."""
    context = browser.new_context()
    yield context.new_page()
    context.close()
