"""player.js in Chromium: when it asks for a URL again, and what it reports."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import pytest

from tests.player.viewers_site import Answer
from tokensvc.token.jws import read

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from tests.player.viewers_site import ViewersSite

pytestmark = pytest.mark.browser

# Before the module is loaded: what it leaves running, and whether the page is hidden.
COUNT_TIMERS = """(() => {
  window.timers = new Set();
  const { setTimeout: set, clearTimeout: clear } = window;
  window.setTimeout = (act, ...rest) => {
    const timer = set(() => { timers.delete(timer); act(); }, ...rest);
    timers.add(timer);
    return timer;
  };
  window.clearTimeout = (timer) => { timers.delete(timer); clear(timer); };
})()"""
SHOW = """(visible) => {
  Object.defineProperty(document, "hidden", { configurable: true, get: () => !visible });
  document.dispatchEvent(new Event("visibilitychange"));
}"""
ASK = "() => { start('/watch', { random: () => 0 }); playback.prefetch(); }"
REFUSALS = [
    (401, "unauthenticated", "unauthenticated"),
    (401, "", "unauthenticated"),
    (403, "viewer_banned", "banned"),
    (403, "viewer_revoked", "revoked"),
    (403, "not_entitled", "forbidden"),
    (403, "country_not_allowed", "forbidden"),
    (404, "channel_not_found", "unavailable"),
    (409, "channel_not_private", "unavailable"),
]


def problem(status: int, code: str, **members: object) -> Answer:
    """A refusal of the service."""
    return Answer(status, json.dumps({"status": status, "code": code, "detail": "No.", **members}))


def url(token: str, **members: object) -> Answer:
    """A URL for five minutes; a player can't play it."""
    issued = {"playback_url": f"http://127.0.0.1:9/?token={token}", "token": token}
    times = {"ttl_seconds": 300, "refresh_after_seconds": 240}
    return Answer(200, json.dumps(issued | times | members))


def stop_clock(viewer: Page) -> None:
    """Let the time of the page pass in `fast_forward` only: a busy machine adds seconds."""
    now = time.time()
    viewer.clock.install(time=now)
    viewer.clock.pause_at(now + 1)


def wait_until_asked(viewer: Page, site: ViewersSite, count: int) -> None:
    """Return when the page has the answer of that many requests."""
    viewer.wait_for_function(
        "(count) => events.filter(({ type }) => type !== 'expired').length >= count", arg=count
    )
    assert len(site.asked) == count


def raised(viewer: Page) -> list[str]:
    """The types of all events, in order."""
    types: list[str] = viewer.evaluate("events.map(({ type }) => type)")
    return types


def test_a_url_is_refreshed_at_its_time_with_jitter(viewer: Page, site: ViewersSite) -> None:
    """After 240 s at the latest, and with the largest jitter a fifth earlier: after 192 s."""
    site.answers.extend([url("a.e30.a"), url("b.e30.b"), url("c.e30.c")])
    stop_clock(viewer)
    viewer.evaluate("() => { start('/watch', { random: () => early }); window.early = 0; }")
    viewer.evaluate("() => playback.prefetch()")
    wait_until_asked(viewer, site, 1)
    viewer.clock.fast_forward(239_000)
    assert len(site.asked) == 1
    viewer.evaluate("() => { window.early = 1; }")
    viewer.clock.fast_forward(2_000)
    wait_until_asked(viewer, site, 2)
    viewer.clock.fast_forward(191_000)
    assert len(site.asked) == 2
    viewer.clock.fast_forward(2_000)
    wait_until_asked(viewer, site, 3)


def test_a_hidden_page_asks_when_it_is_visible_again(viewer: Page, site: ViewersSite) -> None:
    """Meanwhile its URL expires, which is an event."""
    site.answers.extend([url("a.e30.a"), url("b.e30.b")])
    stop_clock(viewer)
    viewer.evaluate(ASK)
    wait_until_asked(viewer, site, 1)
    viewer.evaluate(SHOW, arg=False)
    viewer.clock.fast_forward(299_000)
    assert raised(viewer) == ["url"]
    viewer.clock.fast_forward(2_000)
    assert raised(viewer) == ["url", "expired"]
    viewer.evaluate(SHOW, arg=True)
    wait_until_asked(viewer, site, 2)
    viewer.evaluate(SHOW, arg=False)
    viewer.evaluate(SHOW, arg=True)
    assert len(site.asked) == 2


def test_refusals_are_distinguished_by_their_code(viewer: Page, site: ViewersSite) -> None:
    """None of them is asked again by itself; without a code, the status decides."""
    for status, code, kind in REFUSALS:
        site.answers.append(problem(status, code, hint="Do this.", request_id="r-1"))
        refusal = viewer.evaluate(
            "async () => { start(); return { ...(await playback.url().catch((error) => error)) }; }"
        )
        assert (refusal["status"], refusal["code"], refusal["kind"]) == (status, code, kind)
        assert (refusal["hint"], refusal["requestId"]) == ("Do this.", "r-1")
    assert raised(viewer) == ["refused"] * len(REFUSALS)
    assert len(site.asked) == len(REFUSALS)


@pytest.mark.parametrize(
    "answer",
    [
        problem(503, "ivs_unavailable", retry_after_seconds=7),
        problem(429, "rate_limited", retry_after_seconds=7),
        Answer(503, "<h1>Bad gateway</h1>", {"Retry-After": "7"}),
    ],
    ids=["503", "429", "header"],
)
def test_retry_after_is_waited_for(viewer: Page, site: ViewersSite, answer: Answer) -> None:
    """Seven seconds, and with the largest jitter 8.4 s. The player that waits gets its URL then."""
    site.answers.extend([answer, url("a.e30.a")])
    stop_clock(viewer)
    viewer.evaluate("() => { start('/watch', { random: () => 1 }); window.got = playback.url(); }")
    wait_until_asked(viewer, site, 1)
    (waiting,) = viewer.evaluate("raised('waiting')")
    assert waiting["seconds"] == pytest.approx(8.4)
    viewer.clock.fast_forward(8_000)
    assert len(site.asked) == 1
    viewer.clock.fast_forward(1_000)
    assert viewer.evaluate("async () => (await got).token") == "a.e30.a"
    assert raised(viewer) == ["waiting", "url"]


def test_without_an_answer_the_pauses_grow_to_30_seconds(viewer: Page, site: ViewersSite) -> None:
    """1, 2, 4, 8, 16 and then 30 s. An error of the page's own function counts as no answer."""
    viewer.clock.install()
    viewer.evaluate(
        """() => {
          start(async () => { throw new TypeError("no network"); }, { random: () => 0 });
          playback.prefetch();
        }"""
    )
    for count in range(1, 8):
        viewer.wait_for_function("(count) => events.length >= count", arg=count)
        viewer.clock.run_for(30_000)
    pauses = viewer.evaluate("raised('waiting').map(({ seconds, status }) => [seconds, status])")
    assert pauses[:7] == [[1, 0], [2, 0], [4, 0], [8, 0], [16, 0], [30, 0], [30, 0]]


def test_a_kicked_viewer_is_not_asked_for_before_retry_after(
    viewer: Page, site: ViewersSite
) -> None:
    """Then a visible page asks again, and its players start."""
    site.answers.append(problem(403, "viewer_revoked", retry_after_seconds=11))
    stop_clock(viewer)
    viewer.evaluate("() => { start(); playback.attach(videos[0]); }")
    wait_until_asked(viewer, site, 1)
    viewer.clock.fast_forward(10_000)
    viewer.evaluate("() => playback.reload()")
    viewer.wait_for_function("() => raised('refused').length === 2")
    assert len(site.asked) == 1
    viewer.clock.fast_forward(2_000)
    viewer.clock.resume()  # A player needs it.
    viewer.evaluate(SHOW, arg=True)
    viewer.wait_for_function("() => videos[0].currentTime > 0.3")
    assert site.statuses == [403, 200]


def test_a_refresh_names_the_token_that_it_replaces(viewer: Page, site: ViewersSite) -> None:
    """With `keepSession`. If the session is too old, or was revoked long ago, a new one begins."""
    too_old = problem(400, "invalid_request", errors=[{"field": "refresh_of"}])
    site.answers.extend([url("a.e30.a"), url("b.e30.b"), too_old, url("c.e30.c")])
    site.answers.extend([problem(403, "viewer_revoked"), url("d.e30.d")])
    viewer.clock.install()
    viewer.evaluate("() => { start('/watch', { keepSession: true }); playback.prefetch(); }")
    for count in range(1, 4):
        viewer.wait_for_function("(count) => events.length === count", arg=count)
        viewer.clock.fast_forward(240_000)
    viewer.wait_for_function("() => events.length === 4")
    assert raised(viewer) == 4 * ["url"]
    assert site.asked == [
        {},
        {"refresh_of": "a.e30.a"},
        {"refresh_of": "b.e30.b"},
        {},
        {"refresh_of": "c.e30.c"},
        {},
    ]


def test_a_new_session_begins_after_a_refusal_and_not_before(
    viewer: Page, site: ViewersSite
) -> None:
    """A moderator has removed the viewer just now: the page shows it, and asks later."""
    site.answers.extend([url("a.e30.a"), problem(403, "viewer_revoked", retry_after_seconds=11)])
    site.answers.extend([problem(400, "invalid_request"), url("b.e30.b")])
    viewer.clock.install()
    viewer.evaluate("() => { start('/watch', { keepSession: true }); playback.prefetch(); }")
    viewer.wait_for_function("() => events.length === 1")
    viewer.clock.fast_forward(240_000)
    for count in (2, 3):
        viewer.wait_for_function("(count) => events.length === count", arg=count)
        assert raised(viewer)[-1] == "refused"
        viewer.clock.fast_forward(12_000)
        viewer.evaluate("() => playback.prefetch()")
    viewer.wait_for_function("() => events.length === 4")
    assert raised(viewer) == ["url", "refused", "refused", "url"]
    assert site.asked == [{}, {"refresh_of": "a.e30.a"}, {}, {}]


def test_the_service_keeps_the_session_of_a_refresh(viewer: Page, site: ViewersSite) -> None:
    """The new token has the session version of the first one."""
    site.options["ttl_seconds"] = 3
    viewer.evaluate("() => { start('/watch', { keepSession: true }); playback.prefetch(); }")
    viewer.wait_for_function("() => raised('url').length === 2")
    payloads = [read(each["token"]).payload for each in viewer.evaluate("raised('url')")]
    assert payloads[0]["exp"] != payloads[1]["exp"]
    versions = [each["aws:viewer-session-version"] for each in payloads]
    assert versions[0] == versions[1]


def test_stop_leaves_nothing_behind(page: Page, site: ViewersSite) -> None:
    """No timer, no request and no event; a stream that plays goes on."""
    page.add_init_script(COUNT_TIMERS)
    page.goto(f"{site.url}/")
    page.wait_for_function("() => window.raised")
    page.evaluate("() => { start(); playback.attach(videos[0]); }")
    page.wait_for_function("() => videos[0].currentTime > 0.3")
    assert page.evaluate("timers.size") == 2
    page.evaluate("() => playback.stop()")
    assert page.evaluate("timers.size") == 0
    assert raised(page) == ["url"]
    played = page.evaluate("videos[0].currentTime")
    page.wait_for_function("(played) => videos[0].currentTime > played + 0.3", arg=played)
    assert page.evaluate("playback.url().catch(({ name }) => name)") == "AbortError"


def test_stop_aborts_the_request_that_runs(viewer: Page, site: ViewersSite) -> None:
    """Also one that ends all the same. A page that becomes visible asks nothing."""
    viewer.evaluate(
        """() => {
          start((ask) => new Promise((answer) => Object.assign(window, { ask, answer })));
          window.got = playback.url().catch(({ name }) => name);
          playback.stop();
        }"""
    )
    assert viewer.evaluate("ask.signal.aborted") is True
    viewer.evaluate("() => { answer({ playback_url: 'http://127.0.0.1:9/', ttl_seconds: 300 }); }")
    assert viewer.evaluate("got") == "AbortError"
    viewer.evaluate(SHOW, arg=True)
    assert raised(viewer) == []
