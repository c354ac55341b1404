"""player.js in Chromium, with Chromium's own player, hls.js and the Amazon IVS player."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.player.viewers_site import Answer, ViewersSite

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser

PLAYERS = {
    "video": "() => videos[0]",
    "hls.js": """async () => {
      const { default: Hls } = await import("/npm/hls.js/dist/hls.min.mjs");
      const hls = new Hls();
      hls.attachMedia(videos[0]);
      return hls;
    }""",
    "Amazon IVS player": """async () => {
      const { load } = await import("/commonjs.js");
      const files = new URL("/npm/amazon-ivs-player/dist/assets/", location).href;
      const player = load("amazon-ivs-player").create({
        wasmWorker: files + "amazon-ivs-wasmworker.min.js",
        wasmBinary: files + "amazon-ivs-wasmworker.min.wasm",
      });
      player.attachHTMLVideoElement(videos[0]);
      player.setAutoplay(true);
      return player;
    }""",
}
PLAY = "async (make) => { start(); playback.attach(await eval(make)()); }"
PLAY_IN_BOTH = "() => { start(); videos.forEach((video) => playback.attach(video)); }"
HAVE_PLAYED = "(count) => [...videos].filter((video) => video.currentTime > 0.3).length >= count"
HAS_RAISED = "([type, count]) => raised(type).length >= count"


def wait_until_played(viewer: Page, players: int = 1) -> None:
    """Return when that many players show the stream."""
    viewer.wait_for_function(HAVE_PLAYED, arg=players)


def wait_for_events(viewer: Page, kind: str, count: int = 1) -> list[dict[str, Any]]:
    """The events of that type, when there are so many."""
    viewer.wait_for_function(HAS_RAISED, arg=[kind, count])
    events: list[dict[str, Any]] = viewer.evaluate("(kind) => raised(kind)", kind)
    return events


def refused_url(site: ViewersSite) -> Answer:
    """An answer of the service whose token Amazon IVS refuses: its signature is altered."""
    answer = json.loads(site.url_for({}).data)
    site.asked.clear()
    site.statuses.clear()
    url: str = answer["playback_url"]
    altered = "A" * 8 if not url.endswith("A" * 8) else "B" * 8
    return Answer(200, json.dumps(answer | {"playback_url": url[:-8] + altered}))


@pytest.mark.parametrize("player", PLAYERS)
def test_a_player_that_amazon_ivs_refuses_gets_a_new_url_and_plays(
    viewer: Page, site: ViewersSite, player: str
) -> None:
    """The edge answers 403 to the first URL. The second one plays, and no other is requested."""
    site.answers.append(refused_url(site))
    viewer.evaluate(PLAY, PLAYERS[player])
    wait_until_played(viewer)
    (reload,) = viewer.evaluate("raised('reload')")
    assert (reload["reason"], reload["status"], reload["attempt"]) == ("forbidden", 403, 1)
    assert site.statuses == [200, 200]


def test_two_players_share_one_request_and_one_url(viewer: Page, site: ViewersSite) -> None:
    """At the start, and again when Amazon IVS refuses both."""
    site.answers.append(refused_url(site))
    viewer.evaluate(PLAY_IN_BOTH)
    wait_until_played(viewer, 2)
    assert len(viewer.evaluate("raised('reload')")) == 2
    assert site.statuses == [200, 200]
    assert viewer.evaluate("videos[0].src === videos[1].src")


def test_players_do_not_share_a_url_that_starts_once(viewer: Page, site: ViewersSite) -> None:
    """With `single_use`, each player gets its own."""
    site.options["single_use"] = True
    viewer.evaluate(PLAY_IN_BOTH)
    wait_until_played(viewer, 2)
    assert site.statuses == [200, 200]
    assert viewer.evaluate("videos[0].src !== videos[1].src")


def test_a_url_is_refreshed_before_it_expires(viewer: Page, site: ViewersSite) -> None:
    """A token of 3 s is refreshed after 2 s. What plays does not start again."""
    site.options["ttl_seconds"] = 3
    viewer.evaluate(PLAY, PLAYERS["video"])
    first, second = wait_for_events(viewer, "url", 2)[:2]
    assert first["refresh_after_seconds"] == 2
    assert second["token"] != first["token"]
    assert viewer.evaluate("raised('expired')") == []
    assert viewer.evaluate("videos[0].src") == first["playback_url"]


def test_a_url_that_was_got_in_advance_starts_playback(viewer: Page, site: ViewersSite) -> None:
    """Without another request; so does the URL that the page takes for itself."""
    viewer.evaluate("() => { start(); playback.prefetch(); }")
    wait_for_events(viewer, "url")
    viewer.evaluate("() => playback.attach(videos[0])")
    wait_until_played(viewer)
    taken = viewer.evaluate("async () => (await playback.url()).playback_url")
    assert taken == viewer.evaluate("videos[0].src")
    assert site.statuses == [200]


def test_a_session_that_amazon_ivs_ends_is_started_again(viewer: Page, site: ViewersSite) -> None:
    """Chromium raises no error then. After 6 s without a picture, the edge says that it is over."""
    viewer.clock.install()
    viewer.evaluate(PLAY, PLAYERS["video"])
    wait_until_played(viewer)
    (first,) = wait_for_events(viewer, "url")
    site.ivs.local_ivs.client().start_viewer_session_revocation(
        channelArn=str(site.ivs.channel_arn),
        viewerId=site.options["viewer_id"],
        viewerSessionVersionsLessThanOrEqualTo=2_147_483_647,
    )
    site.options["viewer_id"] += "-again"
    viewer.evaluate("() => videos[0].dispatchEvent(new Event('waiting'))")
    viewer.clock.fast_forward(6_500)
    reload = wait_for_events(viewer, "reload")[0]
    assert (reload["reason"], reload["status"]) == ("forbidden", 403)
    wait_for_events(viewer, "url", 2)
    wait_until_played(viewer)
    assert viewer.evaluate("videos[0].src") != first["playback_url"]


def test_an_offline_channel_needs_no_new_url(viewer: Page, site: ViewersSite) -> None:
    """The edge answers 404. The player starts with the same URL when the channel is live."""
    channel = str(site.ivs.channel_arn)
    site.ivs.local_ivs.go_offline(channel)
    viewer.evaluate(PLAY, PLAYERS["video"])
    first = wait_for_events(viewer, "reload")[0]
    assert (first["reason"], first["status"]) == ("failed", 404)
    site.ivs.local_ivs.go_live(channel)
    wait_until_played(viewer)
    assert site.statuses == [200]


def test_a_player_is_given_up_that_amazon_ivs_refuses_each_time(
    viewer: Page, site: ViewersSite
) -> None:
    """The first URL and three more, after 1 and 2 s. Then the page can start it again."""
    site.answers.extend([refused_url(site)] * 4)
    viewer.clock.install()
    viewer.evaluate(PLAY, PLAYERS["video"])
    for count in (1, 2, 3):
        wait_for_events(viewer, "reload", count)
        viewer.clock.run_for(3_000)
    (refused,) = wait_for_events(viewer, "refused")
    assert (refused["kind"], refused["code"]) == ("forbidden", "refused_by_ivs")
    assert site.statuses == [200] * 4
    viewer.evaluate("() => playback.reload()")
    viewer.clock.run_for(3_000)
    wait_until_played(viewer)
