"""The page in a real browser: it shows the actual responses of the edge and the backend."""

from __future__ import annotations

import dataclasses
import json
import re
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import pytest
from local_ivs.edge.refusals import Reason
from playwright.sync_api import expect

from demo.backend import create_app
from tests.demo.site import served
from tokensvc.token.jws import read

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import ConsoleMessage, Locator, Page, Response

    from tests.demo.site import DemoSite

pytestmark = pytest.mark.browser

TIMEOUT_MILLISECONDS = 20_000
HAS_PLAYED_ONE_SECOND = "(from) => document.querySelector('video').currentTime > from + 1"
STREAM_HAS_ENDED = "() => Number.isFinite(document.querySelector('video').duration)"
NO_NATIVE_HLS = "HTMLMediaElement.prototype.canPlayType = () => ''"
RECORD_COPIED_TEXT = """() => {
  navigator.clipboard.writeText = async (text) => { window.copied = text; };
}"""
# The text that the page shows for a claim that it doesn't know.
UNKNOWN_CLAIM = "async () => (await import('/page/token.js')).describe('aws:unknown-claim', '')"
REFUSALS = {
    "no-token": Reason.ABSENT,
    "expired": Reason.EXPIRED,
    "other-channel": Reason.OTHER_CHANNEL,
    "altered": Reason.SIGNATURE,
    "unknown-key": Reason.SIGNATURE,
}


def open_page(page: Page, site: DemoSite) -> None:
    """Open the page and wait until it shows its token."""
    page.set_default_timeout(TIMEOUT_MILLISECONDS)
    page.goto(f"{site.url}/")
    expect(page.locator("#payload > div")).to_have_count(5, timeout=TIMEOUT_MILLISECONDS)


def wait_for_one_second_of_video(page: Page) -> None:
    """Return when the video has played for one more second."""
    start = page.evaluate("document.querySelector('video').currentTime")
    page.wait_for_function(HAS_PLAYED_ONE_SECOND, arg=start)


def run_all(page: Page) -> None:
    """Run all examples and wait for the six responses."""
    page.locator("#run-all").click()
    expect(page.locator(".verdict")).to_have_count(6, timeout=TIMEOUT_MILLISECONDS)


def example_button(page: Page, name: str) -> Locator:
    """The button of the example with this name."""
    return page.locator(f"button[data-example={name}]")


def new_url_button(page: Page) -> Locator:
    """The button that requests and plays a new URL."""
    return page.locator("#url-form button")


def expect_refused(verdict: Locator) -> None:
    """Fail if the one verdict is not a refusal with status 403."""
    expect(verdict).to_have_class("verdict refused")
    expect(verdict.locator("strong")).to_have_text("403")


def shown_token(page: Page) -> str:
    """The token in the URL that the page shows."""
    url = page.locator("#url").text_content() or ""
    return parse_qs(urlsplit(url).query)["token"][0]


def is_fetched_by_script_from(origin: str) -> Callable[[Response], bool]:
    """A filter for responses of this origin to the page's scripts, not to its video."""
    return lambda response: (
        response.url.startswith(origin) and response.request.resource_type == "fetch"
    )


def row(page: Page, claim: str) -> tuple[str, str]:
    """The value and the description that the page shows for a claim."""
    name = page.get_by_text(re.compile(f"^{claim}$"), exact=True)
    cells = page.locator(".claims > div").filter(has=name).locator("dd")
    expect(cells).to_have_count(2, timeout=TIMEOUT_MILLISECONDS)
    value, description = cells.all_text_contents()
    return value, description


def test_the_private_channel_plays_without_errors_or_warnings(page: Page, site: DemoSite) -> None:
    """The video plays, the console is empty, and all requests stay on this machine."""
    problems: list[str] = []
    requested: list[str] = []

    def record(message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            problems.append(message.text)

    page.on("console", record)
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("request", lambda request: requested.append(request.url))
    open_page(page, site)
    wait_for_one_second_of_video(page)
    wait_for_one_second_of_video(page)
    expect(page.locator("#status")).to_have_attribute("data-state", "playing")
    assert problems == []
    assert {urlsplit(url).netloc for url in requested} == {
        urlsplit(site.url).netloc,
        urlsplit(site.service_url).netloc,
        urlsplit(site.local_ivs.url).netloc,
    }


def test_every_claim_is_shown_with_a_description(page: Page, site: DemoSite) -> None:
    """Header and payload are the token's own, and the page knows each of their members."""
    open_page(page, site)
    unknown_claim = page.evaluate(UNKNOWN_CLAIM)
    token = read(shown_token(page))
    for members in (token.header, token.payload):
        for name, value in members.items():
            shown, description = row(page, name)
            assert json.loads(shown) == value
            assert description.endswith(".")
            assert description != unknown_claim
    expect(page.locator("#channel-arn")).to_have_text(str(site.channel_arn))
    expect(page.locator("#refresh-after")).to_have_text("240 s")


def test_the_countdown_reaches_zero_and_the_video_continues(page: Page, site: DemoSite) -> None:
    """The remaining time decreases every second. After `exp` the page explains the playback."""
    page.clock.install()
    open_page(page, site)
    countdown = page.locator("#countdown")
    expect(countdown).to_have_text(re.compile("^(5:00|4:5[0-9])$"))
    page.clock.fast_forward("04:00")
    expect(countdown).to_have_text(re.compile("^0:[45][0-9]|1:00$"))
    before = countdown.text_content()
    hint = page.locator("#countdown-hint")
    hint_before = hint.text_content()
    assert hint_before
    page.clock.fast_forward("00:02")
    expect(countdown).not_to_have_text(before or "")
    page.clock.fast_forward("02:00")
    expect(countdown).to_have_text("0:00")
    expect(page.locator("body")).to_have_class("expired")
    expect(page.locator("#countdown-unit")).to_have_text("expired")
    expect(hint).not_to_have_text(hint_before)
    expect(hint).not_to_be_empty()
    wait_for_one_second_of_video(page)


def test_each_refusal_shows_the_response_of_the_edge(page: Page, site: DemoSite) -> None:
    """A button sends a request to the edge. Below it, the page shows the 403 and its JSON."""
    open_page(page, site)
    for name, reason in REFUSALS.items():
        button = example_button(page, name)
        with page.expect_response(is_fetched_by_script_from(site.local_ivs.url)) as responded:
            button.click()
        example = page.locator("#examples > li").filter(has=button)
        expect_refused(example.locator(".verdict"))
        assert responded.value.status == 403
        shown = json.loads(example.locator("pre").text_content() or "")
        assert shown == responded.value.json()
        assert site.refusal(responded.value.url) == (reason, shown[0]["error"])
        assert shown[0]["error_code"] == "invalid_playback_auth_token"


def test_run_all_runs_all_examples_and_only_the_signed_url_plays(
    page: Page, site: DemoSite
) -> None:
    """Five refusals, and the playlist for the unchanged token."""
    open_page(page, site)
    run_all(page)
    expect(page.locator(".verdict")).to_have_class(["verdict plays", *["verdict refused"] * 5])
    expect(page.locator(".verdict strong")).to_have_text(["200", *["403"] * 5])
    expect(page.locator("#examples pre").first).to_contain_text("#EXTM3U")


def test_the_whole_url_is_copied_or_else_selected(page: Page, site: DemoSite) -> None:
    """The clipboard gets the URL that plays. Without a clipboard the URL's text is selected."""
    open_page(page, site)
    url = page.locator("#url").text_content()
    copy = page.locator("#copy")
    page.evaluate(RECORD_COPIED_TEXT)
    copy.click()
    expect(copy).to_have_text("Copied")
    assert page.evaluate("window.copied") == url
    page.evaluate("() => { navigator.clipboard.writeText = () => Promise.reject(); }")
    copy.click()
    expect(copy).to_have_text("Selected")
    assert page.evaluate("getSelection().toString()") == url


def test_a_lower_maximum_resolution_is_requested_and_played(page: Page, site: DemoSite) -> None:
    """The new token has the claim, and the video is no larger."""
    open_page(page, site)
    page.get_by_label("Maximum resolution").select_option("SD")
    page.get_by_label("Token lifetime").select_option("60")
    new_url_button(page).click()
    expect(page.locator("#picture")).to_have_text(
        re.compile("^852 . 480$"), timeout=TIMEOUT_MILLISECONDS
    )
    assert row(page, "aws:maximum-resolution")[0] == '"SD"'
    expect(page.locator("#countdown")).to_have_text(re.compile("^1:00|0:5[0-9]$"))
    wait_for_one_second_of_video(page)


def test_a_browser_without_hls_shows_an_alert_and_the_rest_of_the_page(
    page: Page, site: DemoSite
) -> None:
    """The alert names browsers that can play HLS. The token and the examples work."""
    page.add_init_script(NO_NATIVE_HLS)
    open_page(page, site)
    alert = page.get_by_role("alert")
    for browser in ("Safari", "Chrome", "Edge", "Chromium"):
        expect(alert).to_contain_text(browser)
    expect(page.locator("#status")).to_have_attribute("data-state", "stopped")
    example_button(page, "no-token").click()
    expect_refused(page.locator(".verdict"))


def test_the_page_recovers_after_the_backend_was_unavailable(page: Page, site: DemoSite) -> None:
    """If the backend doesn't respond, the page shows an alert. The next request plays."""
    page.route("**/playback-urls", lambda route: route.abort())
    page.set_default_timeout(TIMEOUT_MILLISECONDS)
    page.goto(f"{site.url}/")
    expect(page.get_by_role("alert")).to_contain_text("backend")
    expect(page.locator("#status")).to_have_attribute("data-state", "stopped")
    page.unroute("**/playback-urls")
    new_url_button(page).click()
    wait_for_one_second_of_video(page)
    expect(page.get_by_role("alert")).to_be_hidden()


def test_a_refusal_of_the_service_is_shown_with_its_hint(page: Page, site: DemoSite) -> None:
    """For example, a channel that is not in the settings."""
    unknown = dataclasses.replace(site.configuration, channel="no-such-channel")
    page.set_default_timeout(TIMEOUT_MILLISECONDS)
    with served(create_app(unknown)) as url:
        with page.expect_response("**/playback-urls") as responded:
            page.goto(f"{url}/")
        refusal = responded.value.json()
        assert refusal["code"] == "not_entitled"
        expect(page.get_by_role("alert")).to_contain_text(refusal["detail"])
        expect(page.get_by_role("alert")).to_contain_text(refusal["hint"])
        expect(page.locator("#status")).to_have_attribute("data-state", "stopped")


def test_an_offline_channel_is_reported_and_plays_again_when_it_is_live(
    page: Page, site: DemoSite
) -> None:
    """The alert has the edge's own error message."""
    site.local_ivs.go_offline(str(site.channel_arn))
    try:
        with page.expect_response(is_fetched_by_script_from(site.local_ivs.url)) as responded:
            open_page(page, site)
        (refusal,) = responded.value.json()
        assert refusal["error_code"] == "channel_offline"
        expect(page.get_by_role("alert")).to_contain_text(refusal["error"])
    finally:
        site.local_ivs.go_live(str(site.channel_arn))
    new_url_button(page).click()
    wait_for_one_second_of_video(page)


def test_the_end_of_the_stream_is_reported_when_the_video_has_played_to_it(
    page: Page, site: DemoSite
) -> None:
    """The rest is played eight times as fast, which Chromium does after a stream has ended only."""
    open_page(page, site)
    wait_for_one_second_of_video(page)
    site.local_ivs.go_offline(str(site.channel_arn))
    try:
        page.wait_for_function(STREAM_HAS_ENDED)
        page.evaluate("() => { document.querySelector('video').playbackRate = 8 }")
        expect(page.get_by_role("alert")).to_be_visible()
        assert page.evaluate("document.querySelector('video').ended") is True
        expect(page.locator("#status")).to_have_attribute("data-state", "stopped")
    finally:
        site.local_ivs.go_live(str(site.channel_arn))


def test_the_page_can_be_used_with_the_keyboard(page: Page, site: DemoSite) -> None:
    """The first Tab stop skips the video. Enter on a focused button runs an example."""
    open_page(page, site)
    page.keyboard.press("Tab")
    expect(page.locator("a.skip")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#access-title")).to_be_focused()
    example_button(page, "expired").focus()
    page.keyboard.press("Enter")
    expect_refused(page.locator(".verdict"))


def test_the_page_fits_into_a_narrow_window(page: Page, site: DemoSite) -> None:
    """It never scrolls sideways, even when it shows all responses of the edge."""
    open_page(page, site)
    run_all(page)
    for width_pixels in (1280, 820, 390, 320):
        page.set_viewport_size({"width": width_pixels, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth") <= width_pixels


def test_no_animation_runs_if_the_user_prefers_reduced_motion(page: Page, site: DemoSite) -> None:
    """Otherwise the light of the status `Playing` is animated."""
    open_page(page, site)
    expect(page.locator("#status")).to_have_attribute(
        "data-state", "playing", timeout=TIMEOUT_MILLISECONDS
    )
    page.wait_for_function("() => document.getAnimations().length === 1")
    page.emulate_media(reduced_motion="reduce")
    page.wait_for_function("() => document.getAnimations().length === 0")
