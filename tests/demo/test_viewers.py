"""Who watches in the page, and what a moderator does: the real service decides."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
import urllib3
from playwright.sync_api import expect

from tests.demo.test_backend import post
from tests.demo.test_page import (
    TIMEOUT_MILLISECONDS,
    new_url_button,
    open_page,
    row,
    shown_token,
    wait_for_one_second_of_video,
)
from tokensvc.token.jws import read

if TYPE_CHECKING:
    from playwright.sync_api import Page, Route

    from tests.demo.site import DemoSite


def moderate(page: Page, action: str, viewer: str) -> None:
    """Press the moderator's button, and wait for the answer."""
    with page.expect_response("**/moderation") as responded:
        page.locator(f"button[data-action={action}][data-viewer={viewer}]").click()
    assert responded.value.status == 200


def watch_as(page: Page, viewer: str) -> str:
    """Choose who watches, and return the viewer ID of the token that plays then."""
    before = shown_token(page)
    page.locator(f"input[value={viewer}]").check()
    page.wait_for_function(
        "(token) => !document.getElementById('url').textContent.includes(token)", arg=before
    )
    wait_for_one_second_of_video(page)
    return row(page, "aws:viewer-id")[0].strip('"')


@pytest.mark.browser
def test_two_viewers_sign_in_and_have_ids_of_their_own(page: Page, site: DemoSite) -> None:
    """The page sends each viewer's own token to tokensvc. The IDs don't show who they are."""
    open_page(page, site)
    assert row(page, "aws:viewer-id")[0] == '"demo-viewer"'
    with page.expect_response(f"{site.service_url}/v1/playback-urls") as responded:
        ann = watch_as(page, "ann")
    assert responded.value.request.headers["authorization"].startswith("Bearer eyJ")
    ben = watch_as(page, "ben")
    assert len({ann, ben}) == 2
    assert [len(ann), len(ben)] == [40, 40]
    assert watch_as(page, "guest") == "demo-viewer"


@pytest.mark.browser
def test_a_preview_has_an_end(page: Page, site: DemoSite) -> None:
    """In 30 s, also for a viewer who has signed in. `tokensvc viewers end-due` carries it out."""
    open_page(page, site)
    watch_as(page, "ann")
    with page.expect_response(f"{site.service_url}/v1/playback-urls") as responded:
        page.locator("#preview").click()
    issued = responded.value.json()
    assert issued["watch_until"] is not None
    assert 25 <= issued["ttl_seconds"] <= 30
    assert read(issued["token"]).payload["aws:viewer-id"] == issued["viewer_id"]


@pytest.mark.browser
def test_the_page_says_that_the_preview_has_ended(page: Page, site: DemoSite) -> None:
    """From the second on from which the service refuses its `watch_until`."""
    open_page(page, site)
    held: list[Route] = []
    page.route("**/playback-urls", lambda route: held.append(route))  # noqa: PLW0108 # It can't mark a built-in.
    page.clock.set_fixed_time(1_800_000_000.9)  # In seconds.
    with page.expect_request("**/playback-urls"):
        page.locator("#preview").click()
    page.clock.set_fixed_time(1_800_000_030.0)
    (asked,) = held
    assert '"watch_until":"2027-01-15T08:00:30Z"' in (asked.request.post_data or "")
    asked.fulfill(status=400, json={"code": "invalid_request", "detail": "It is over."})
    expect(page.get_by_role("alert")).to_contain_text("preview has ended")


@pytest.mark.browser
def test_a_banned_viewer_gets_no_url_until_the_ban_is_lifted(page: Page, site: DemoSite) -> None:
    """The page says why nothing plays. Other viewers are not affected."""
    open_page(page, site)
    watch_as(page, "ann")
    moderate(page, "ban", "ann")
    new_url_button(page).click()
    expect(page.get_by_role("alert")).to_contain_text("banned", timeout=TIMEOUT_MILLISECONDS)
    expect(page.locator("#status")).to_have_attribute("data-state", "stopped")
    watch_as(page, "guest")
    page.locator("input[value=ann]").check()
    expect(page.get_by_role("alert")).to_contain_text("banned", timeout=TIMEOUT_MILLISECONDS)
    expect(page.locator("#video")).not_to_have_attribute("src", re.compile(""))  # Of the guest.
    watch_as(page, "guest")
    moderate(page, "lift", "ann")
    assert post(site, "/moderation", {"action": "lift", "viewer": "ann"}).json() == {"lifted": []}


@pytest.mark.browser
@pytest.mark.parametrize(
    ("problem", "seconds"),
    [
        ({"code": "viewer_banned"}, 30),
        ({"code": "viewer_revoked", "retry_after_seconds": 7}, 7),
    ],
    ids=["banned", "kicked"],
)
def test_a_viewer_who_may_watch_again_does_without_pressing_a_button(
    page: Page, site: DemoSite, problem: dict[str, object], seconds: int
) -> None:
    """The page asks again: when a kick has passed, and every 30 s in case a ban is lifted."""
    page.clock.install()
    page.set_default_timeout(TIMEOUT_MILLISECONDS)
    page.route("**/playback-urls", lambda route: route.fulfill(status=403, json=problem))
    page.goto(f"{site.url}/")
    expect(page.get_by_role("alert")).to_contain_text(f"{seconds} s", timeout=TIMEOUT_MILLISECONDS)
    page.unroute("**/playback-urls")
    page.clock.fast_forward(seconds * 1_000)
    wait_for_one_second_of_video(page)
    expect(page.get_by_role("alert")).to_be_hidden()


def test_a_kicked_viewer_gets_no_url_for_some_seconds(site: DemoSite) -> None:
    """About 11 s, which the refusal names."""
    token = post(site, "/sign-in", {"viewer": "ben"}).json()["id_token"]
    (made,) = post(site, "/moderation", {"action": "kick", "viewer": "ben"}).json()["revocations"]
    assert made["banned_until"] is None
    refusal = urllib3.request(
        "POST",
        f"{site.service_url}/v1/playback-urls",
        json={"channel": "demo"},
        headers={"Authorization": f"Bearer {token}"},
        retries=False,
    )
    assert refusal.status == 403
    assert refusal.json()["code"] == "viewer_revoked"
    assert 0 < refusal.json()["retry_after_seconds"] <= 12


def test_only_known_viewers_and_actions_are_accepted(site: DemoSite) -> None:
    """Each other value is named."""
    for path, body, field in (
        ("/sign-in", {"viewer": "eve"}, "viewer"),
        ("/moderation", {"action": "pardon", "viewer": "ann"}, "action"),
        ("/moderation", {"action": "kick"}, "viewer"),
    ):
        refusal = post(site, path, body)
        assert refusal.status == 400
        assert refusal.json()["errors"][0]["field"] == field


def test_another_page_can_not_moderate(site: DemoSite) -> None:
    """The backend has no login, so it accepts its own page only."""
    answer = urllib3.request(
        "POST",
        f"{site.url}/moderation",
        json={"action": "ban", "viewer": "ann"},
        headers={"Origin": "https://elsewhere.example"},
        retries=False,
    )
    assert answer.status == 403
