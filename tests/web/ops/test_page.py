"""`/ops` in a browser: an operator signs in with an API key and watches a drain."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import pytest
from flask.testing import FlaskClient
from playwright.sync_api import BrowserContext, Page, expect

from tests.support.deployment import Deployment, deployment_in
from tests.support.serving import serving

pytestmark = pytest.mark.browser

DATA = "/v1/ops"
HIDE = """(hidden) => {
  Object.defineProperty(document, "hidden", { configurable: true, get: () => hidden });
  document.dispatchEvent(new Event("visibilitychange"));
}"""


@dataclass
class OpsSite:
    """A service with the page, in whose ring a key pair drains.

    Attributes:
        url: the address of the service.
        deployment: its parts.
        client: a client of the same service, with the API key of a backend.
        operator_key: an API key with the scope `operate`.
        drained: the ID of the key pair that drains.
        requested: the URL of each request of the page.
        problems: what the console of the page shows.
    """

    url: str
    deployment: Deployment
    client: FlaskClient
    operator_key: str
    drained: str
    requested: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    @property
    def polls(self) -> int:
        """How often the page has asked for data."""
        return sum(urlsplit(url).path == DATA for url in self.requested)

    def pass_time(self, page: Page, seconds: int) -> None:
        """Let the time pass for the service and for the page."""
        self.deployment.world.clock.advance(seconds)
        page.clock.fast_forward(seconds * 1_000)


@pytest.fixture(scope="module")
def running_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpsSite]:
    """The site, for all tests of this module."""
    with (
        pytest.MonkeyPatch.context() as monkeypatch,
        deployment_in(tmp_path_factory.mktemp("ops"), monkeypatch) as deployment,
    ):
        drained = deployment.active_key_id
        deployment.world.rotator().request_rotation(reason="monthly")
        deployment.world.reconcile()
        deployment.read_state_again()
        app = deployment.create_app(deployment.service_with_ops_page())
        client = app.test_client()
        client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {deployment.key}"
        key = deployment.new_key("ann", scopes=("operate",))
        with serving(app) as url:
            yield OpsSite(url, deployment, client, key, drained)


@pytest.fixture
def site(running_site: OpsSite, page: Page) -> OpsSite:
    """The site, whose page is open and has a clock that a test controls."""
    for recorded in (running_site.requested, running_site.problems):
        recorded.clear()
    page.on("console", lambda message: running_site.problems.append(message.text))
    page.on("pageerror", lambda error: running_site.problems.append(str(error)))
    page.on("request", lambda request: running_site.requested.append(request.url))
    page.clock.install()
    page.goto(f"{running_site.url}/ops")
    return running_site


def sign_in(page: Page, key: str) -> None:
    """Enter the key."""
    page.get_by_label("API key with the scope").fill(key)
    page.get_by_role("button", name="Show").click()


def open_with_key(page: Page, site: OpsSite) -> None:
    """Sign in as an operator, and wait for the data."""
    sign_in(page, site.operator_key)
    expect(page.get_by_role("heading", name="Region us-west-2")).to_be_visible()


def test_only_the_key_of_an_operator_shows_data(page: Page, site: OpsSite) -> None:
    """A wrong key and one without the scope have a message each, and are not asked with again."""
    alert = page.get_by_role("alert")
    content = page.locator("#content")
    sign_in(page, "tsk_000000000000_wrong")
    expect(alert).to_contain_text("not valid")
    sign_in(page, site.deployment.key)
    expect(alert).to_contain_text("scope operate")
    site.pass_time(page, 60)
    expect(content).to_be_hidden()
    assert site.polls == 2
    open_with_key(page, site)
    expect(content).to_be_visible()
    expect(page.locator("#sign-in")).to_be_hidden()


def test_the_key_is_in_the_memory_of_the_tab_only(page: Page, site: OpsSite) -> None:
    """Not in an address, a cookie or a storage. Every request goes to the service."""
    open_with_key(page, site)
    context: BrowserContext = page.context
    assert context.cookies() == []
    assert page.evaluate("localStorage.length + sessionStorage.length") == 0
    assert page.evaluate("location.href") == f"{site.url}/ops"
    assert [url for url in site.requested if site.operator_key in url] == []
    assert [url for url in site.requested if not url.startswith(f"{site.url}/")] == []
    assert site.problems == []
    page.get_by_role("button", name="Forget the key").click()
    expect(page.locator("#sign-in")).to_be_visible()
    expect(page.locator("#regions")).to_be_empty()
    expect(page.locator("#key")).to_have_value("")


def test_a_drain_runs_down(page: Page, site: OpsSite) -> None:
    """Every second, in the next step, in the timeline and in the table that says the same."""
    open_with_key(page, site)
    region = page.locator("#region-us-west-2")
    countdown = region.locator(".countdown")
    expect(countdown).to_have_text(re.compile(r"^in (1:)?\d+:\d\d$"))
    expect(region.locator(".step")).to_contain_text(site.drained)
    before = countdown.text_content() or ""
    row = region.get_by_role("row", name=site.drained)
    expect(row).to_contain_text("retiring: drains")
    drawing = region.get_by_role("img", name="Timeline of the key pairs")
    expect(drawing.locator(".bar.drains")).to_have_count(1)
    expect(drawing.locator(".label")).to_have_count(3)
    site.pass_time(page, 2)
    expect(countdown).not_to_have_text(before)
    after = (countdown.text_content() or "").removeprefix("in ")
    expect(row).to_contain_text(f"{after} left")
    expect(drawing).to_contain_text(f"{after} left")


def test_a_decision_is_shown_after_the_next_poll(page: Page, site: OpsSite) -> None:
    """Granted and refused ones, with counts by code, and without the viewer."""
    open_with_key(page, site)
    latest = page.get_by_role("table", name="Last decisions")
    for channel in ("demo", "nowhere"):
        body = {"channel": channel, "viewer_id": "viewer-17"}
        site.client.post("/v1/playback-urls", json=body)
    site.pass_time(page, 5)
    rows = latest.locator("tbody tr")
    expect(rows.nth(0)).to_contain_text("not_entitled")
    expect(rows.nth(1)).to_contain_text("granted")
    refusals = page.get_by_role("table", name="Refusals by code")
    expect(refusals.get_by_role("row", name="not_entitled")).to_be_visible()
    page.get_by_label("List refused requests only").check()
    expect(latest.get_by_text("granted", exact=True)).to_have_count(0)
    expect(page.get_by_role("table", name="Answers of Amazon IVS")).to_contain_text("private")
    assert "viewer-17" not in page.content()


def test_a_hidden_page_does_not_poll(page: Page, site: OpsSite) -> None:
    """It polls every 5 s, not while it is hidden, and again when it is visible."""
    open_with_key(page, site)
    assert site.polls == 1
    with page.expect_response(f"**{DATA}"):
        site.pass_time(page, 5)
    page.evaluate(HIDE, arg=True)
    site.pass_time(page, 60)
    assert site.polls == 2
    with page.expect_response(f"**{DATA}"):
        page.evaluate(HIDE, arg=False)
    assert site.polls == 3


def test_a_failure_is_shown_and_the_older_data_stay(page: Page, site: OpsSite) -> None:
    """Until the service answers again."""
    open_with_key(page, site)
    page.route(f"**{DATA}", lambda route: route.abort())
    site.pass_time(page, 5)
    status = page.get_by_role("status")
    expect(status).to_contain_text("does not answer")
    expect(page.locator("#region-us-west-2")).to_be_visible()
    page.unroute(f"**{DATA}")
    site.pass_time(page, 10)
    expect(status).to_have_text("The page is updated every 5 s.")


def test_the_page_fits_into_a_narrow_window_and_has_a_keyboard(page: Page, site: OpsSite) -> None:
    """It never scrolls sideways. The field of the key has the focus, and Enter signs in."""
    expect(page.locator("#key")).to_be_focused()
    page.keyboard.type(site.operator_key)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Region us-west-2")).to_be_visible()
    for width_pixels in (1280, 820, 740, 360, 320):
        page.set_viewport_size({"width": width_pixels, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth") <= width_pixels
    rows = page.get_by_role("table", name="Key pairs", exact=True).get_by_role("row")
    expect(rows).to_have_count(4)
