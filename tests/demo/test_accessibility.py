"""Every page in Chromium: for keyboard, screen reader and phone, in light and in dark colors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import pytest
from playwright.sync_api import ViewportSize, expect

from tests.demo.page_states import API_PAGE, LOCAL_IVS, OUR_STATES, SIGNED_OUT, State
from tests.support.axe import Violation, violations
from tests.support.keyboard import tab_through
from tests.support.sizes import sized

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Page

    from tests.demo.site import DemoSite

pytestmark = pytest.mark.browser

DESKTOP: ViewportSize = {"width": 1280, "height": 800}
PHONE: ViewportSize = {"width": 360, "height": 740}
LOOKS: Sequence[tuple[ViewportSize, Literal["light", "dark"]]] = sized(
    short=[(DESKTOP, "light"), (PHONE, "dark")],
    full=[(DESKTOP, "light"), (DESKTOP, "dark"), (PHONE, "light"), (PHONE, "dark")],
)
SWAGGER_UI_BREAKS = {
    "nested-interactive": "the row of a route is a button that has other buttons in it",
    "select-name": "its list of servers has a label that is not linked to it",
}


def looks(page: Page) -> Iterator[str]:
    """Show the page on a desktop and a phone, in light and in dark colors; each once if short."""
    for size, scheme in LOOKS:
        page.set_viewport_size(size)
        page.emulate_media(color_scheme=scheme)
        yield f"{scheme}, {size['width']} px"


@pytest.mark.parametrize("state", OUR_STATES, ids=lambda state: state.name)
def test_axe_finds_nothing_and_nothing_is_wider_than_the_window(
    page: Page, site: DemoSite, state: State
) -> None:
    """Of any impact, in each state of each page. What happens is announced to screen readers."""
    state.show(page, site)
    announcing = page.locator("[role=status], [role=alert]")
    expect(announcing.filter(has_text=state.announced).first).to_be_visible()
    found: dict[str, list[Violation]] = {}
    for look in looks(page):
        found[look] = violations(page)
        width = page.evaluate("document.documentElement.scrollWidth")
        assert width <= page.evaluate("window.innerWidth"), look
    assert found == {look: [] for look in found}


@pytest.mark.parametrize("state", [SIGNED_OUT, LOCAL_IVS], ids=lambda state: state.name)
def test_the_tab_key_reaches_everything_and_shows_where_it_is(
    page: Page, site: DemoSite, state: State
) -> None:
    """Each control, and each area that scrolls, has an outline that nothing cuts off."""
    state.show(page, site)
    stops = tab_through(page)
    assert len(stops.reached) >= 4
    assert (stops.not_reached, stops.without_visible_focus) == ((), ())


def test_the_page_of_the_api_breaks_only_what_we_can_not_change(page: Page, site: DemoSite) -> None:
    """It is Swagger UI. Each rule that it breaks is listed, with the reason."""
    API_PAGE.show(page, site)
    page.set_viewport_size(PHONE)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    found = {each.rule for each in violations(page) if each.impact in {"serious", "critical"}}
    assert found == SWAGGER_UI_BREAKS.keys()
