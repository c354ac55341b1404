"""`/docs` in a browser: it shows the API, and loads nothing from elsewhere."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.support.deployment import Deployment
from tests.support.serving import serving

pytestmark = pytest.mark.browser


def test_the_page_shows_the_routes_and_can_call_them(page: Page, shared: Deployment) -> None:
    """Nothing is refused by its policy, and no request goes to another origin."""
    problems: list[str] = []
    page.on("console", lambda message: problems.append(message.text))
    page.on("pageerror", lambda error: problems.append(str(error)))
    requested: list[str] = []
    page.on("request", lambda request: requested.append(request.url))
    with serving(shared.app()) as url:
        page.goto(f"{url}/docs")
        expect(page.get_by_role("heading", name="tokensvc")).to_be_visible()
        expect(page.locator(".opblock")).to_have_count(12)
        route = page.locator("#operations-Public-get_health")
        route.get_by_role("button", name="/healthz").first.click()
        route.get_by_role("button", name="Try it out").click()
        route.get_by_role("button", name="Execute").click()
        expect(route.locator(".live-responses-table")).to_contain_text('"status": "ok"')
    assert problems == []
    assert [each for each in requested if not each.startswith((url, "data:"))] == []
    assert f"{url}/healthz" in requested
