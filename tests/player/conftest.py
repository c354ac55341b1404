"""One site for all tests of the player module, and a page of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.player.viewers_site import NPM, ViewersSite, running_viewers_site

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, BrowserContext, Page


@pytest.fixture(scope="session")
def running_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ViewersSite]:
    """The site. It lives as long as the process."""
    assert NPM.exists(), "The players are missing: run `make test`, which installs them."
    with running_viewers_site(tmp_path_factory.mktemp("players")) as site:
        yield site


@pytest.fixture
def site(running_site: ViewersSite) -> ViewersSite:
    """The site, as if no test had used it."""
    running_site.begin()
    return running_site


@pytest.fixture(scope="session")
def context(browser: Browser) -> Iterator[BrowserContext]:
    """One browser context, because a new one takes 500 ms."""
    context = browser.new_context()
    yield context
    context.close()


@pytest.fixture
def viewer(context: BrowserContext, site: ViewersSite) -> Iterator[Page]:
    """A page of the site that has loaded the module, with its `Playback`."""
    page = context.new_page()
    page.set_default_timeout(30_000)
    page.goto(f"{site.url}/")
    page.wait_for_function("() => window.raised")
    yield page
    page.close()
