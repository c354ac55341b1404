"""Every page that a person opens, in each state. A new page needs a line in `OUR_STATES`.

The operator's page has tests of its own: `tests/web/ops/test_page.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import urllib3
from playwright.sync_api import expect

from tests.demo.test_page import (
    TIMEOUT_MILLISECONDS,
    open_page,
    run_all,
    wait_for_one_second_of_video,
)

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from tests.demo.site import DemoSite


@dataclass(frozen=True)
class State:
    """A page in one of its states.

    Attributes:
        name: the page and the state, as in the name of the test.
        show: opens the page and brings it into the state.
        announced: the text of a status or an alert that says so to screen readers.
    """

    name: str
    show: Callable[[Page, DemoSite], None]
    announced: str


def _signed_out(page: Page, site: DemoSite) -> None:
    """The guest watches; each of the examples has its answer."""
    open_page(page, site)
    wait_for_one_second_of_video(page)
    run_all(page)


def _signed_in(page: Page, site: DemoSite) -> None:
    open_page(page, site)
    page.get_by_label("Ann", exact=True).check()
    wait_for_one_second_of_video(page)


def _preview(page: Page, site: DemoSite) -> None:
    open_page(page, site)
    page.get_by_role("button", name="Watch for 30 seconds").click()
    expect(page.locator("#refresh-after")).not_to_have_text("240 s")
    wait_for_one_second_of_video(page)


def _refused(page: Page, site: DemoSite, code: str) -> None:
    """As the service refuses a viewer."""
    page.route("**/playback-urls", lambda route: route.fulfill(status=403, json={"code": code}))
    page.goto(f"{site.url}/")
    expect(page.get_by_role("button", name="Watch again")).to_be_visible(
        timeout=TIMEOUT_MILLISECONDS
    )


def _banned(page: Page, site: DemoSite) -> None:
    _refused(page, site, "viewer_banned")


def _without_backend(page: Page, site: DemoSite) -> None:
    page.route("**/playback-urls", lambda route: route.abort())
    page.goto(f"{site.url}/")
    expect(page.get_by_role("alert")).to_be_visible(timeout=TIMEOUT_MILLISECONDS)


def _local_ivs(page: Page, site: DemoSite) -> None:
    """Each table has rows."""
    url = site.local_ivs.url
    fault = {"operation": "ListStreams", "kind": "slow", "seconds": 0.1}
    assert urllib3.request("POST", f"{url}/_local/faults", json=fault).status == 201
    site.local_ivs.client().start_viewer_session_revocation(
        channelArn=str(site.channel_arn), viewerId="gone"
    )
    page.goto(url)
    for table in ("channels", "key-pairs", "revocations", "faults", "requests"):
        page.locator(f"#{table} table").wait_for()


def _api(page: Page, site: DemoSite) -> None:
    page.goto(f"{site.service_url}/docs")
    page.locator(".opblock").first.wait_for()


SIGNED_OUT = State("the example application, signed out", _signed_out, "Playing")
LOCAL_IVS = State("Local IVS", _local_ivs, "Running")
OUR_STATES = (
    SIGNED_OUT,
    State("the example application, signed in", _signed_in, "Ann watches"),
    State("the example application, preview", _preview, "Playing"),
    State("the example application, banned", _banned, "You are banned"),
    State("the example application, without backend", _without_backend, "does not respond"),
    LOCAL_IVS,
)
API_PAGE = State("the page of the API", _api, "")
