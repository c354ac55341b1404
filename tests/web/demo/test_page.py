"""The page in a real browser: what it shows is what the edge and the backend really answered."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import expect

from tokensvc.tokens import read

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import ConsoleMessage, Page, Response

    from tests.web.demo.site import DemoSite

pytestmark = pytest.mark.browser

PATIENCE_MILLISECONDS = 20_000
HAS_MOVED_ON = "(from) => document.querySelector('video').currentTime > from + 1"
NO_NATIVE_HLS = "HTMLMediaElement.prototype.canPlayType = () => ''"
KEEPS_WHAT_IS_COPIED = """() => {
  navigator.clipboard.writeText = async (text) => { window.copied = text; };
}"""
REFUSALS = {
    "Ask without a token": "the URL needs a token parameter",
    "Ask with an expired token": "has expired",
    "Ask with another channel's": "for another channel",
    "Ask with an altered token": "made this signature",
    "Ask with a stranger's": "made this signature",
}
LOWEST_CONTRAST = """() => {
  const channels = (color) => color.match(/[\\d.]+/g).map(Number);
  const luminance = (color) => {
    const [r, g, b] = channels(color).map((value) => {
      const share = value / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const color = getComputedStyle(at).backgroundColor;
      if (channels(color)[3] !== 0) return color;
    }
  };
  const texts = [...document.body.querySelectorAll("*")].filter(
    (element) =>
      element.checkVisibility() &&
      !element.matches(":disabled, option") &&
      [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim()),
  );
  return texts
    .map((element) => {
      const pair = [getComputedStyle(element).color, ground(element)].map(luminance);
      return [(Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05), element.outerHTML];
    })
    .sort((one, other) => one[0] - other[0])[0];
}"""


def open_page(page: Page, site: DemoSite) -> None:
    """Go to the page and wait until its token is there."""
    page.set_default_timeout(PATIENCE_MILLISECONDS)
    page.goto(f"{site.url}/demo")
    expect(page.locator("#payload > div")).to_have_count(5, timeout=PATIENCE_MILLISECONDS)


def wait_until_it_plays_on(page: Page) -> None:
    """Return when a second of video has gone by since now."""
    start = page.evaluate("document.querySelector('video').currentTime")
    page.wait_for_function(HAS_MOVED_ON, arg=start)


def try_all(page: Page) -> None:
    """Press the button and wait for six answers."""
    page.get_by_role("button", name="Try them all").click()
    expect(page.locator(".verdict")).to_have_count(6, timeout=PATIENCE_MILLISECONDS)


def shown_token(page: Page) -> str:
    """The token in the URL that the page shows."""
    url = page.locator("#url").text_content() or ""
    return parse_qs(urlsplit(url).query)["token"][0]


def is_asked_by_script_of(origin: str) -> Callable[[Response], bool]:
    """Tells answers of that origin to the page's scripts from those to its video."""
    return lambda response: (
        response.url.startswith(origin) and response.request.resource_type == "fetch"
    )


def row(page: Page, claim: str) -> tuple[str, str]:
    """The value and the sentence that stand beside a claim, once it is shown."""
    name = page.get_by_text(re.compile(f"^{claim}$"), exact=True)
    cells = page.locator(".claims > div").filter(has=name).locator("dd")
    expect(cells).to_have_count(2, timeout=PATIENCE_MILLISECONDS)
    value, sentence = cells.all_text_contents()
    return value, sentence


def test_the_private_channel_plays_without_a_complaint(page: Page, site: DemoSite) -> None:
    """The video moves; nothing leaves this machine; scripts and policy have nothing to report."""
    complaints: list[str] = []
    requested: list[str] = []

    def note(message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            complaints.append(message.text)

    page.on("console", note)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: requested.append(request.url))
    open_page(page, site)
    wait_until_it_plays_on(page)
    wait_until_it_plays_on(page)
    expect(page.locator("#status")).to_have_text("Playing")
    assert complaints == []
    assert {urlsplit(url).netloc for url in requested} == {
        urlsplit(site.url).netloc,
        urlsplit(site.local_ivs.url).netloc,
    }


def test_every_claim_is_shown_with_a_sentence(page: Page, site: DemoSite) -> None:
    """Header and payload are the token's own, and each member has words beside it."""
    open_page(page, site)
    token = read(shown_token(page))
    for members in (token.header, token.payload):
        for name, value in members.items():
            shown, sentence = row(page, name)
            assert json.loads(shown) == value
            assert sentence.endswith(".")
            assert "Not a claim" not in sentence
    expect(page.locator("#channel-arn")).to_have_text(str(site.demo.channel_arn))
    expect(page.locator("#refresh-after")).to_have_text("240 s")


def test_the_countdown_ticks_to_the_end_and_the_picture_goes_on(page: Page, site: DemoSite) -> None:
    """The time left falls second by second; after `exp` the page says why it still plays."""
    page.clock.install()
    open_page(page, site)
    countdown = page.locator("#countdown")
    expect(countdown).to_have_text(re.compile("^(5:00|4:5[0-9])$"))
    page.clock.fast_forward("04:00")
    expect(countdown).to_have_text(re.compile("^0:[45][0-9]|1:00$"))
    before = countdown.text_content()
    page.clock.fast_forward("00:02")
    expect(countdown).not_to_have_text(before or "")
    page.clock.fast_forward("02:00")
    expect(countdown).to_have_text("0:00")
    expect(page.locator("#countdown-unit")).to_have_text("expired")
    expect(page.locator("#countdown-hint")).to_contain_text("The picture goes on")
    wait_until_it_plays_on(page)


def test_each_refusal_is_the_edges_own(page: Page, site: DemoSite) -> None:
    """A button asks the edge; beside it stand the 403 and the very JSON of that answer."""
    open_page(page, site)
    for action, reason in REFUSALS.items():
        button = page.get_by_role("button", name=action)
        with page.expect_response(is_asked_by_script_of(site.local_ivs.url)) as answered:
            button.click()
        trial = page.locator("#trials > li").filter(has=button)
        expect(trial.locator(".verdict")).to_have_text("403 Refused")
        assert answered.value.status == 403
        shown = json.loads(trial.locator("pre").text_content() or "")
        assert shown == answered.value.json()
        assert reason in shown[0]["error"]
        assert shown[0]["error_code"] == "invalid_playback_auth_token"


def test_all_trials_run_in_one_go_and_only_the_signed_url_plays(page: Page, site: DemoSite) -> None:
    """Five refusals, and the playlist for the token as it was issued."""
    open_page(page, site)
    try_all(page)
    expect(page.locator(".verdict")).to_have_text(["200 It plays", *["403 Refused"] * 5])
    expect(page.locator("#trials pre").first).to_contain_text("#EXTM3U")


def test_the_url_is_copied_whole_or_marked_for_copying(page: Page, site: DemoSite) -> None:
    """What the clipboard gets is the URL that plays; without a clipboard the text is marked."""
    open_page(page, site)
    url = page.locator("#url").text_content()
    copy = page.get_by_role("button", name="Copy the URL")
    page.evaluate(
        "() => { navigator.clipboard.writeText = async (text) => { window.copied = text; }; }"
    )
    copy.click()
    expect(page.locator("#copy")).to_have_text("Copied")
    assert page.evaluate("window.copied") == url
    page.evaluate("() => { navigator.clipboard.writeText = () => Promise.reject(); }")
    copy.click()
    expect(page.locator("#copy")).to_have_text("Marked")
    assert page.evaluate("getSelection().toString()") == url


def test_a_lower_resolution_is_asked_for_and_played(page: Page, site: DemoSite) -> None:
    """A new URL with a cap shows the claim, and the picture is no larger."""
    open_page(page, site)
    page.get_by_label("Resolution").select_option("SD")
    page.get_by_label("Start within").select_option("60")
    page.get_by_role("button", name="Ask for a new URL").click()
    expect(page.locator("#picture")).to_have_text(
        re.compile("^852 . 480$"), timeout=PATIENCE_MILLISECONDS
    )
    assert row(page, "aws:maximum-resolution")[0] == '"SD"'
    expect(page.locator("#countdown")).to_have_text(re.compile("^1:00|0:5[0-9]$"))
    wait_until_it_plays_on(page)


def test_a_browser_without_hls_is_told_and_shown_the_rest(page: Page, site: DemoSite) -> None:
    """Where the browser can't play, a sentence names those that can; tokens and trials work."""
    page.add_init_script(NO_NATIVE_HLS)
    open_page(page, site)
    expect(page.get_by_role("alert")).to_contain_text("Safari and current versions of Chrome")
    page.get_by_role("button", name="Ask without a token").click()
    expect(page.locator(".verdict")).to_have_text("403 Refused")


def test_the_page_recovers_when_the_service_was_away(page: Page, site: DemoSite) -> None:
    """A backend that doesn't answer is told in words, and the next try plays."""
    page.route("**/demo/playback-urls", lambda route: route.abort())
    page.set_default_timeout(PATIENCE_MILLISECONDS)
    page.goto(f"{site.url}/demo")
    expect(page.get_by_role("alert")).to_contain_text("The service doesn't answer")
    page.unroute("**/demo/playback-urls")
    page.get_by_role("button", name="Ask for a new URL").click()
    wait_until_it_plays_on(page)
    expect(page.get_by_role("alert")).to_be_hidden()


def test_an_offline_channel_is_named_and_plays_again_when_it_is_back(
    page: Page, site: DemoSite
) -> None:
    """The edge's own reason stands where the picture was."""
    site.local_ivs.go_offline(str(site.demo.channel_arn))
    try:
        open_page(page, site)
        expect(page.get_by_role("alert")).to_contain_text("The channel is offline")
    finally:
        site.local_ivs.go_live(str(site.demo.channel_arn))
    page.get_by_role("button", name="Ask for a new URL").click()
    wait_until_it_plays_on(page)


def test_the_keyboard_reaches_everything(page: Page, site: DemoSite) -> None:
    """The first stop skips the video; Enter on a focused button runs a trial."""
    open_page(page, site)
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the playback URL")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="The signed playback URL")).to_be_focused()
    page.get_by_role("button", name="Ask with an expired token").focus()
    page.keyboard.press("Enter")
    expect(page.locator(".verdict")).to_have_text("403 Refused")


def test_every_text_stands_out_from_its_ground(page: Page, site: DemoSite) -> None:
    """All text has a contrast of 4.5 to 1 at least, in light and in dark (WCAG 2.2, 1.4.3)."""
    open_page(page, site)
    try_all(page)
    page.emulate_media(color_scheme="light")
    light, light_element = page.evaluate(LOWEST_CONTRAST)
    assert light >= 4.5, light_element
    page.emulate_media(color_scheme="dark")
    dark, dark_element = page.evaluate(LOWEST_CONTRAST)
    assert dark >= 4.5, dark_element
    assert dark != light


def test_nothing_runs_out_of_a_narrow_window(page: Page, site: DemoSite) -> None:
    """The page never scrolls sideways, not even with every answer of the edge on it."""
    open_page(page, site)
    try_all(page)
    for width_pixels in (1280, 820, 390, 320):
        page.set_viewport_size({"width": width_pixels, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth") <= width_pixels


def test_nothing_but_the_video_moves_where_motion_is_unwanted(page: Page, site: DemoSite) -> None:
    """No animation runs under prefers-reduced-motion; otherwise the light of `Playing` breathes."""
    open_page(page, site)
    expect(page.locator("#status")).to_have_text("Playing", timeout=PATIENCE_MILLISECONDS)
    page.wait_for_function("document.getAnimations().length === 1")
    page.emulate_media(reduced_motion="reduce")
    page.wait_for_function("document.getAnimations().length === 0")
