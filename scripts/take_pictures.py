# ruff: noqa: INP001 - A program, not a package.
"""Take the pictures that README shows, in `docs/images`: the pages while a channel plays.

    .venv/bin/python -m scripts.take_pictures

It runs the example application as the tests do. It requires Playwright (the project's extra `test`)
and Chromium. If Chromium is not on PATH, set the environment variable CHROMIUM to its path.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from playwright.sync_api import Browser, Page, ViewportSize, sync_playwright

from tests.demo.site import DemoSite, running_demo_site
from tests.support.browser import ARGUMENTS, find_chromium

FOLDER: Final = Path(__file__).parents[1] / "docs/images"
_HAS_PLAYED: Final = "() => document.querySelector('video').currentTime > 2"
_TIMEOUT_MILLISECONDS: Final = 30_000


@dataclass(frozen=True)
class Picture:
    """A picture to take.

    Attributes:
        name: the file.
        size: of the window, in pixels of CSS.
        scale: pixels of the picture for each of them.
        colors: the color scheme.
        show: opens the page and waits until it shows what it should.
    """

    name: str
    size: ViewportSize
    scale: float
    colors: Literal["light", "dark"]
    show: Callable[[Page, DemoSite], None]


def _playing(page: Page, site: DemoSite) -> None:
    page.goto(f"{site.url}/")
    page.wait_for_function(_HAS_PLAYED)


def _local_ivs(page: Page, site: DemoSite) -> None:
    page.goto(f"{site.local_ivs.url}/")
    page.locator("#sessions table").wait_for()


PICTURES: Final = (
    Picture("demo.png", {"width": 1000, "height": 736}, 1, "light", _playing),
    Picture("demo-phone.png", {"width": 390, "height": 780}, 1.5, "dark", _playing),
    Picture("local-ivs.png", {"width": 1120, "height": 760}, 1, "light", _local_ivs),
)


def take_pictures(browser: Browser, site: DemoSite, folder: Path) -> None:
    """Write every picture into the folder."""
    for picture in PICTURES:
        context = browser.new_context(
            viewport=picture.size,
            device_scale_factor=picture.scale,
            color_scheme=picture.colors,
        )
        page = context.new_page()
        page.set_default_timeout(_TIMEOUT_MILLISECONDS)
        picture.show(page, site)
        page.screenshot(path=folder / picture.name)
        context.close()


def main(folder: Path) -> None:
    """Run the example application and take its pictures."""
    with (
        tempfile.TemporaryDirectory() as data,
        running_demo_site(Path(data)) as site,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=list(ARGUMENTS))
        take_pictures(browser, site, folder)
        browser.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]) if sys.argv[1:] else FOLDER)
