from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from fractions import Fraction
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest
import urllib3

from local_ivs.testing import Account, Channel, KeyPair, LocalIvsServer, claims

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Page

pytestmark = pytest.mark.browser

SEGMENT = Fraction(32, 15)
ADD_VIDEO = """
([url, crossOrigin]) => {
  window.video = document.createElement('video');
  video.muted = true;
  if (crossOrigin) video.crossOrigin = crossOrigin;
  document.body.append(video);
  window.failed = new Promise(resolve => video.addEventListener('error', () => resolve(true)));
  video.src = url;
  video.play().catch(() => {});
}
"""
# The pixels of the video, reduced to 64 x 36.
READ_PIXELS = """
() => {
  const canvas = document.createElement('canvas');
  [canvas.width, canvas.height] = [64, 36];
  const context = canvas.getContext('2d');
  context.drawImage(video, 0, 0, 64, 36);
  return Array.from(context.getImageData(0, 0, 64, 36).data);
}
"""
# Read timed metadata as a page does: from the playlists that its player plays.
READ_METADATA = """
async url => {
  const read = async (url) => await (await fetch(url)).text();
  const [variant] = (await read(url)).match(/^[^#].*$/gm);
  const texts = (await read(new URL(variant, url))).matchAll(/X-LOCAL-IVS-METADATA="([^"]*)"/g);
  return Array.from(texts, ([, text]) => decodeURIComponent(text));
}
"""


@dataclass
class ShiftedClock:
    """The machine's time plus a number of seconds."""

    shift_seconds: float = 0.0

    def now(self) -> float:
        """The time in Unix seconds."""
        return time.time() + self.shift_seconds

    def advance_to_loop_end(self) -> None:
        """Advance to the time at which the first segment of a loop has just become the newest.

        A player starts three segments before the end. It then plays the last two segments of the
        previous loop (or only the last one, if it is slow to start), and continues in the new loop.
        """
        loop_seconds = 6 * SEGMENT
        loops = Fraction(self.now()) // loop_seconds
        self.shift_seconds += float((loops + 1) * loop_seconds + SEGMENT - Fraction(self.now()))


@pytest.fixture
def clock() -> ShiftedClock:
    """A clock that runs."""
    return ShiftedClock()


@pytest.fixture
def server(tmp_path: Path, clock: ShiftedClock) -> Iterator[LocalIvsServer]:
    """A Local IVS whose clock runs."""
    with LocalIvsServer(tmp_path, clock) as server:
        yield server


@pytest.fixture
def channel(server: LocalIvsServer, pair: KeyPair) -> Channel:
    """A private channel that is live."""
    account = Account(server, "123456789012")
    account.import_key(pair)
    return account.create_channel()


class EmptyPage(BaseHTTPRequestHandler):
    """Answers every request with an empty page, and logs none."""

    def do_GET(self) -> None:
        """Send the page."""
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><link rel=icon href=data:,><title>A page</title>")

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - The base class's name.
        """Log nothing."""


@pytest.fixture
def site() -> Iterator[str]:
    """The origin of an empty page, on another port than the edge."""
    with ThreadingHTTPServer(("127.0.0.1", 0), EmptyPage) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def fetched_segments(urls: list[str]) -> set[int]:
    """The numbers of the media segments among these URLs."""
    names = (url.rpartition("/")[2] for url in urls)
    return {int(name.removesuffix(".m4s")) for name in names if name.endswith(".m4s")}


def test_a_page_on_another_port_plays_across_the_end_of_the_loop(
    page: Page, site: str, channel: Channel, pair: KeyPair, clock: ShiftedClock
) -> None:
    """Chromium's own player, without CORS: three segments, with no gap in its buffer."""
    urls: list[str] = []
    page.on("request", lambda request: urls.append(request.url))
    page.goto(site)
    clock.advance_to_loop_end()
    token = pair.token(claims(channel.arn, now=int(clock.now())))
    page.evaluate(ADD_VIDEO, [f"{channel.playback_url}?token={token}", None])
    page.wait_for_function("video.currentTime > 6.4", timeout=30_000)
    state = page.evaluate("[video.error, video.buffered.length, video.paused, video.ended]")
    assert state == [None, 1, False, False]
    fetched = fetched_segments(urls)
    (end_of_loop,) = (sequence for sequence in fetched if sequence % 6 == 5)
    assert {end_of_loop, end_of_loop + 1, end_of_loop + 2} <= fetched


def test_a_page_plays_a_stream_with_timed_metadata_and_reads_it(
    page: Page,
    site: str,
    server: LocalIvsServer,
    channel: Channel,
    pair: KeyPair,
    clock: ShiftedClock,
) -> None:
    """The page reads the exact texts of PutMetadata, and Chromium's player ignores them.

    Two segments later, the player starts before the segment that contains them.
    """
    urls: list[str] = []
    page.on("request", lambda request: urls.append(request.url))
    texts = ['{"question": "Schön?"}', 'a "b", #c\n']
    for text in texts:
        server.client().put_metadata(channelArn=channel.arn, metadata=text)
    clock.shift_seconds += float(2 * SEGMENT)
    page.goto(site)
    url = f"{channel.playback_url}?token={pair.token(claims(channel.arn, now=int(clock.now())))}"
    assert page.evaluate(READ_METADATA, url) == texts
    page.evaluate(ADD_VIDEO, [url, None])
    page.wait_for_function("video.currentTime > 0.5", timeout=20_000)
    segments = [urllib3.request("GET", url).data for url in urls if url.endswith(".m4s")]
    assert any(b"urn:twitch:id3" in segment for segment in segments)
    assert page.evaluate("[video.error, video.buffered.length]") == [None, 1]


def test_a_playback_ends_when_its_stream_does(
    page: Page,
    site: str,
    server: LocalIvsServer,
    channel: Channel,
    pair: KeyPair,
    clock: ShiftedClock,
) -> None:
    """Chromium's own player learns the length of the stream, plays to its end, and stops there."""
    page.goto(site)
    token = pair.token(claims(channel.arn, now=int(clock.now())))
    page.evaluate(ADD_VIDEO, [f"{channel.playback_url}?token={token}", None])
    page.wait_for_function("video.currentTime > 0.5", timeout=20_000)
    assert page.evaluate("video.duration === Infinity")
    server.go_offline(channel.arn)
    page.wait_for_function("Number.isFinite(video.duration)", timeout=20_000)
    page.evaluate("() => { video.playbackRate = 8 }")
    page.wait_for_function("video.ended", timeout=20_000)
    assert page.evaluate("video.error") is None


def strict_token(pair: KeyPair, channel: Channel, site: str, clock: ShiftedClock) -> str:
    """A token that requires a page of the site as the origin of every request."""
    return pair.token(
        claims(
            channel.arn,
            now=int(clock.now()),
            access_control_allow_origin=site,
            strict_origin_enforcement=True,
        )
    )


def test_under_strict_enforcement_a_video_that_sends_its_origin_plays(
    page: Page, site: str, channel: Channel, pair: KeyPair, clock: ShiftedClock
) -> None:
    """With crossorigin="anonymous". The page can read the pixels, and they change."""
    token = strict_token(pair, channel, site, clock)
    page.goto(site)
    page.evaluate(ADD_VIDEO, [f"{channel.playback_url}?token={token}", "anonymous"])
    page.wait_for_function("video.currentTime > 0.5", timeout=20_000)
    first = page.evaluate(READ_PIXELS)
    page.wait_for_function("video.currentTime > 1.5", timeout=20_000)
    second = page.evaluate(READ_PIXELS)
    assert max(first) > 200
    assert sum(abs(a - b) > 40 for a, b in zip(first, second, strict=True)) > 10


def test_under_strict_enforcement_a_video_without_an_origin_is_refused(
    page: Page, site: str, channel: Channel, pair: KeyPair, clock: ShiftedClock
) -> None:
    """The same token, without the attribute crossorigin."""
    token = strict_token(pair, channel, site, clock)
    page.goto(site)
    page.evaluate(ADD_VIDEO, [f"{channel.playback_url}?token={token}", None])
    assert page.evaluate("failed") is True


def test_without_a_token_nothing_plays_and_the_page_can_read_the_reason(
    page: Page, site: str, channel: Channel
) -> None:
    """The video element fails. A script of the page can read the cross-origin refusal."""
    page.goto(site)
    page.evaluate(ADD_VIDEO, [channel.playback_url, None])
    assert page.evaluate("failed") is True
    answer = page.evaluate(
        "async url => { const r = await fetch(url); return [r.status, await r.json()]; }",
        channel.playback_url,
    )
    assert answer[0] == 403
    assert answer[1][0]["error_code"] == "invalid_playback_auth_token"
