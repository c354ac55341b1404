"""A moderator's ban, from the call to the stopped picture in Chromium, and no way back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from demo.launcher.folder import GRANT
from tests.player.test_playing import PLAY, PLAYERS, wait_for_events, wait_until_played
from tokensvc.access.callers import Caller
from tokensvc.access.revocation_requests import RevocationRequest

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from tests.player.viewers_site import ViewersSite

pytestmark = pytest.mark.browser

IS_STILL = """async () => {
  const before = videos[0].currentTime;
  await new Promise((resolve) => setTimeout(resolve, 1000));
  return videos[0].currentTime === before && !videos[0].ended;
}"""


def test_a_ban_stops_the_picture_and_the_viewer_gets_no_other_url(
    viewer: Page, site: ViewersSite
) -> None:
    """The player shows what it has buffered, and then nothing. Another page gets nothing either."""
    moderator = Caller("00000000000d", "moderator", (GRANT,), ("moderate",))
    viewer.evaluate(PLAY, PLAYERS["video"])
    wait_until_played(viewer)

    made = site.ivs.service.revoker.revoke(
        moderator,
        RevocationRequest(viewer_id=site.options["viewer_id"], channel="demo", ban_seconds=3_600),
        "request-1",
    )

    assert made.pending == frozenset()
    viewer.wait_for_function(IS_STILL, polling=100)
    (refused,) = wait_for_events(viewer, "refused")
    assert refused["code"] == "viewer_banned"
    viewer.reload()
    viewer.wait_for_function("() => window.raised")
    viewer.evaluate(PLAY, PLAYERS["video"])
    (again,) = wait_for_events(viewer, "refused")
    assert again["code"] == "viewer_banned"
    assert viewer.evaluate("videos[0].currentTime") == 0
    assert site.statuses == [200, 403, 403]
