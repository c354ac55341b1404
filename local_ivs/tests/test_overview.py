"""The overview page at `/` and its data."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import urllib3

from edge.tokens import claims
from local_ivs.testing import Account, KeyPair, Player

if TYPE_CHECKING:
    from mypy_boto3_ivs import IVSClient
    from playwright.sync_api import Page

    from local_ivs.testing import LocalIvsServer, ManualClock


def overview(server: LocalIvsServer) -> dict[str, Any]:
    """The data of the page."""
    document: dict[str, Any] = urllib3.request("GET", f"{server.url}/_local/overview").json()
    return document


def test_the_overview_of_an_empty_account_is_empty(server: LocalIvsServer) -> None:
    """All lists are present and empty."""
    assert overview(server) == {
        "now": "2027-01-15T08:00:00.000Z",
        "offset_seconds": 0.0,
        "channels": [],
        "key_pairs": [],
        "sessions": [],
        "revocations": [],
        "faults": [],
        "requests": [],
    }


def test_the_overview_shows_the_state_and_no_secret(
    server: LocalIvsServer, ivs: IVSClient, clock: ManualClock
) -> None:
    """Channels, streams, key pairs, sessions, revocations. No session ID, stream key or token."""
    account = Account(server, "123456789012")
    pair, channel = KeyPair(), account.create_channel()
    key_arn = account.import_key(pair)
    token = pair.token(claims(channel.arn, viewer_id="alice", viewer_session_version=7))
    with urllib3.PoolManager() as pool:
        session_id = Player(pool, server.url).watch(channel, token).variants[0].split("/")[-2]
    clock.advance(1)
    ivs.start_viewer_session_revocation(
        channelArn=channel.arn, viewerId="bob", viewerSessionVersionsLessThanOrEqualTo=3
    )
    (stream_key,) = ivs.list_stream_keys(channelArn=channel.arn)["streamKeys"]
    value = ivs.get_stream_key(arn=stream_key["arn"])["streamKey"]["value"]
    shown = overview(server)
    assert shown["channels"] == [
        {
            "arn": channel.arn,
            "name": "",
            "private": True,
            "live_since": "2027-01-15T08:00:00.000Z",
            "stream_id": ivs.get_stream(channelArn=channel.arn)["stream"]["streamId"],
            "health": "HEALTHY",
        }
    ]
    assert shown["key_pairs"] == [
        {
            "arn": key_arn,
            "name": "",
            "fingerprint": ivs.get_playback_key_pair(arn=key_arn)["keyPair"]["fingerprint"],
            "deleted": False,
            "accepted_at_the_edge": True,
        }
    ]
    assert shown["sessions"] == [
        {
            "channel_arn": channel.arn,
            "viewer_id": "alice",
            "viewer_session_version": 7,
            "created_at": "2027-01-15T08:00:00.000Z",
            "expires_at": "2027-01-15T08:05:00.000Z",
        }
    ]
    assert shown["revocations"] == [
        {
            "channel_arn": channel.arn,
            "viewer_id": "bob",
            "versions_up_to": 3,
            "revoked_at": "2027-01-15T08:00:01.000Z",
        }
    ]
    text = json.dumps(shown)
    assert len(session_id) > 20
    for secret in (token, value, session_id):
        assert secret not in text


def test_the_page_loads_files_from_local_ivs_only(server: LocalIvsServer) -> None:
    """HTML, style, script and icon, with a content security policy for its own origin only."""
    for path, kind in (
        ("/", "text/html"),
        ("/_local/pages/page.css", "text/css"),
        ("/_local/pages/page.js", "text/javascript"),
        ("/_local/pages/icon.svg", "image/svg+xml"),
    ):
        response = urllib3.request("GET", server.url + path)
        assert response.status == 200
        assert response.headers["Content-Type"].startswith(kind)
        assert response.headers["Content-Security-Policy"].startswith("default-src 'self'")
        assert "https://" not in response.data.decode().replace("http://www.w3.org", "")


@pytest.mark.browser
def test_the_page_shows_the_state_and_sets_a_channel_live(
    server: LocalIvsServer, ivs: IVSClient, page: Page
) -> None:
    """In Chromium: a new channel appears without a reload. Its button sets it live or offline."""
    problems: list[str] = []
    page.on("console", lambda message: problems.append(message.text))
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.goto(server.url)
    page.locator("#channels .empty", has_text="CreateChannel").wait_for()
    arn = ivs.create_channel(name="news")["channel"]["arn"]
    page.get_by_role("cell", name="news", exact=True).wait_for()
    page.get_by_role("button", name="Go live").click()
    page.locator("#channels td.good", has_text="08:00:00").wait_for()
    assert ivs.get_stream(channelArn=arn)["stream"]["state"] == "LIVE"
    page.get_by_role("button", name="Take offline").click()
    page.get_by_role("cell", name="offline", exact=True).wait_for()
    assert ivs.list_streams()["streams"] == []
    page.get_by_text(f"AWS_ENDPOINT_URL_IVS={server.url}").wait_for()
    page.get_by_text("POST CreateChannel").wait_for()
    assert problems == []
