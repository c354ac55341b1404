"""`/ops` in a browser: an operator signs in with an API key and watches a drain."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, Route, ViewportSize, expect

from scripts.take_ops_picture import PICTURE, take_picture
from tests.support.axe import violations
from tests.support.keyboard import tab_through
from tests.web.ops.ops_site import OpsSite, enter, running_ops_site

pytestmark = pytest.mark.browser

DATA = "/v1/ops"
DESKTOP: ViewportSize = {"width": 1280, "height": 800}
PHONE: ViewportSize = {"width": 360, "height": 740}
COLORS: tuple[Literal["light", "dark"], ...] = ("light", "dark")
MAX_PICTURE_BYTES = 200_000
HIDE = """(hidden) => {
  Object.defineProperty(document, "hidden", { configurable: true, get: () => hidden });
  document.dispatchEvent(new Event("visibilitychange"));
}"""


@dataclass
class Watched:
    """What a page does.

    Attributes:
        requested: the URL of each request.
        problems: what its console shows.
    """

    requested: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    @property
    def polls(self) -> int:
        """How often it has asked for data."""
        return sum(urlsplit(url).path == DATA for url in self.requested)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpsSite]:
    """The site, for all tests of this module."""
    with running_ops_site(tmp_path_factory.mktemp("ops")) as site:
        yield site


@pytest.fixture
def watched(page: Page, site: OpsSite) -> Watched:
    """What the page does, which is open and has a clock that a test controls."""
    watched = Watched()
    page.on("console", lambda message: watched.problems.append(message.text))
    page.on("pageerror", lambda error: watched.problems.append(str(error)))
    page.on("request", lambda request: watched.requested.append(request.url))
    page.clock.install()
    page.goto(f"{site.url}/ops")
    return watched


def test_only_the_key_of_an_operator_shows_data(
    page: Page, site: OpsSite, watched: Watched
) -> None:
    """A wrong key and one without the scope have a message each, and are not sent again."""
    alert, content = page.get_by_role("alert"), page.locator("#content")
    enter(page, "tsk_000000000000_wrong")
    expect(alert).to_contain_text("not valid")
    enter(page, site.deployment.key)
    expect(alert).to_contain_text("scope operate")
    site.pass_time(page, 60)
    expect(content).to_be_hidden()
    assert watched.polls == 2
    site.sign_in(page)
    expect(content).to_be_visible()
    expect(page.locator("#sign-in")).to_be_hidden()


def test_the_key_is_in_the_memory_of_the_tab_only(
    page: Page, site: OpsSite, watched: Watched
) -> None:
    """Not in an address, a cookie or a storage. Every request goes to the service."""
    site.sign_in(page)
    assert page.context.cookies() == []
    assert page.evaluate("localStorage.length + sessionStorage.length") == 0
    assert page.evaluate("location.href") == f"{site.url}/ops"
    assert [url for url in watched.requested if site.operator_key in url] == []
    assert [url for url in watched.requested if not url.startswith(f"{site.url}/")] == []
    assert watched.problems == []
    page.get_by_role("button", name="Forget the key").click()
    expect(page.locator("#sign-in")).to_be_visible()
    expect(page.locator("#regions")).to_be_empty()
    expect(page.locator("#key")).to_have_value("")
    assert site.draining not in page.content()


@pytest.mark.usefixtures("watched")
def test_a_drain_runs_down(page: Page, site: OpsSite) -> None:
    """Every second, in the next step, in the timeline and in the table that says the same."""
    site.sign_in(page)
    region = page.locator("#region-us-west-2")
    countdown = region.locator(".countdown")
    expect(countdown).to_have_text(re.compile(r"^in \d+:\d\d$"))
    expect(region.locator(".step")).to_contain_text(f"delete {site.draining}")
    before = countdown.text_content() or ""
    row = region.get_by_role("row", name=site.draining)
    expect(row).to_contain_text("retiring: drains")
    drawing = region.get_by_role("img", name="Timeline of the key pairs")
    expect(drawing.locator(".bar.drains")).to_have_count(1)
    expect(drawing.locator(".label")).to_have_count(3)
    site.pass_time(page, 2)
    expect(countdown).not_to_have_text(before)
    after = (countdown.text_content() or "").removeprefix("in ")
    expect(row).to_contain_text(f"{after} left")
    expect(drawing).to_contain_text(f"{after} left")
    expect(region.locator(".run")).to_contain_text("ann@ops-1")


@pytest.mark.usefixtures("watched")
def test_a_decision_is_shown_after_the_next_poll(page: Page, site: OpsSite) -> None:
    """Granted and refused ones, with counts by code, and without the viewer."""
    site.sign_in(page)
    for channel in ("demo", "nowhere"):
        site.request(channel, "viewer-17")
    site.pass_time(page, 5)
    latest = page.get_by_role("table", name="Last decisions")
    rows = latest.locator("tbody tr")
    expect(rows.nth(0)).to_contain_text("nowhere")
    expect(rows.nth(0)).to_contain_text("not_entitled")
    expect(rows.nth(1)).to_contain_text("granted")
    refusals = page.get_by_role("table", name="Refusals by code")
    expect(refusals.get_by_role("row", name="not_entitled")).to_be_visible()
    page.get_by_label("List refused requests only").check()
    expect(latest.get_by_text("granted", exact=True)).to_have_count(0)
    expect(page.get_by_role("table", name="Answers of Amazon IVS")).to_contain_text("private")
    assert "viewer-17" not in page.content()


@pytest.mark.usefixtures("watched")
def test_a_key_that_is_entered_while_another_is_asked_with_is_used(
    page: Page, site: OpsSite
) -> None:
    """The answer to the first one, which comes later, changes nothing."""
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    page.route(f"**{DATA}", hold, times=1)
    with page.expect_request(f"**{DATA}"):
        enter(page, "wrong")
    enter(page, site.operator_key)
    with page.expect_request(f"**{DATA}"):
        held[0].continue_()
    expect(page.locator("#content")).to_be_visible()
    expect(page.get_by_role("alert")).to_be_hidden()


def test_a_hidden_page_does_not_poll(page: Page, site: OpsSite, watched: Watched) -> None:
    """It polls every 5 s, not while it is hidden, and again when it is visible."""
    site.sign_in(page)
    assert watched.polls == 1
    with page.expect_response(f"**{DATA}"):
        site.pass_time(page, 5)
    page.evaluate(HIDE, arg=True)
    site.pass_time(page, 60)
    assert watched.polls == 2
    with page.expect_response(f"**{DATA}"):
        page.evaluate(HIDE, arg=False)
    assert watched.polls == 3


@pytest.mark.usefixtures("watched")
def test_a_failure_is_shown_and_the_older_data_stay(page: Page, site: OpsSite) -> None:
    """Until the service answers again."""
    site.sign_in(page)
    page.route(f"**{DATA}", lambda route: route.abort())
    site.pass_time(page, 5)
    status = page.get_by_role("status")
    expect(status).to_contain_text("does not answer")
    expect(page.locator("#region-us-west-2")).to_be_visible()
    page.unroute(f"**{DATA}")
    site.pass_time(page, 10)
    expect(status).to_have_text("The page is updated every 5 s.")


def test_axe_finds_nothing_and_nothing_is_wider_than_the_window(page: Page, site: OpsSite) -> None:
    """Before and after signing in, on a desktop and a phone, in light and in dark colors."""
    page.goto(f"{site.url}/ops")
    enter(page, "wrong")
    expect(page.get_by_role("alert")).to_contain_text("not valid")
    assert violations(page) == []
    site.sign_in(page)
    for size in (DESKTOP, PHONE):
        page.set_viewport_size(size)
        for colors in COLORS:
            page.emulate_media(color_scheme=colors)
            assert violations(page) == []
    for width_pixels in (1280, 760, 360, 320):
        page.set_viewport_size({"width": width_pixels, "height": 740})
        assert page.evaluate("document.documentElement.scrollWidth") <= width_pixels
    rows = page.get_by_role("table", name="Key pairs", exact=True).get_by_role("row")
    expect(rows).to_have_count(4)


def test_the_keyboard_reaches_everything_and_shows_where_it_is(page: Page, site: OpsSite) -> None:
    """The field of the key has the focus, and Enter signs in."""
    page.goto(f"{site.url}/ops")
    expect(page.locator("#key")).to_be_focused()
    page.keyboard.type(site.operator_key)
    page.keyboard.press("Enter")
    expect(page.locator("#content")).to_be_visible()
    stops = tab_through(page)
    assert len(stops.reached) >= 3
    assert (stops.not_reached, stops.without_visible_focus) == ((), ())


def test_the_picture_of_the_page_can_be_taken_again(
    browser: Browser, site: OpsSite, tmp_path: Path
) -> None:
    """As in docs/ops-page.md, where it is small enough."""
    take_picture(browser, site, tmp_path / PICTURE.name)
    assert (tmp_path / PICTURE.name).read_bytes()[:8] == PICTURE.read_bytes()[:8]
    assert PICTURE.stat().st_size < MAX_PICTURE_BYTES
