from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path

import pytest
import urllib3

from tests.support.clock import EXAMPLE_NOW
from tests.support.deployment import (
    OPEN,
    OTHER_REGION,
    WEBSITE,
    Deployment,
    MemoryAudit,
    directory_over,
)
from tokensvc.access.callers import Caller
from tokensvc.access.requests import PlaybackRequest
from tokensvc.arns import ChannelArn, parse_region
from tokensvc.audit import AuditEvent
from tokensvc.errors import (
    ChannelNotFound,
    ChannelNotPrivate,
    InvalidRequest,
    IvsUnavailable,
    NoSigningKey,
    NotEntitled,
    StateUnavailable,
    TokensvcError,
)
from tokensvc.ivs.model import Channel
from tokensvc.keyring.view import RingView
from tokensvc.playback.issuance import PlaybackIssuer
from tokensvc.playback.urls import PlaybackUrl
from tokensvc.settings.model import PlaybackSettings
from tokensvc.token.claims import Resolution
from tokensvc.token.jws import verify

REGION_WITHOUT_RING = parse_region("us-east-1")
REQUEST_ID = "request-1"
NOW = int(EXAMPLE_NOW) + 120  # The ring's two publish delays of 60 s have passed.


def status_at_edge(playback_url: str) -> int:
    """The HTTP status that the edge answers to a player."""
    return urllib3.request("GET", playback_url, retries=False).status


def private_channel(arn: ChannelArn) -> Channel:
    """A private channel with that ARN, as IVS would describe it."""
    return Channel(arn, "", is_private=True, playback_url="https://example.com/a.m3u8")


def payload(url: PlaybackUrl) -> dict[str, object]:
    """The claims of the token, decoded without the code under test."""
    assert url.token
    segment = url.token.split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(segment + "=="))
    assert isinstance(claims, dict)
    return claims


def signed_by(deployment: Deployment, url: PlaybackUrl) -> str:
    """The ID of the key pair whose public key verifies the token."""
    assert url.token
    key = verify(url.token, deployment.public_keys.values())
    (key_id,) = (name for name, public in deployment.public_keys.items() if public == key)
    return key_id


# --- Granted


@pytest.mark.parametrize("by_name", [True, False])
def test_a_private_channel_is_answered_with_a_url_that_plays(
    deployment: Deployment, *, by_name: bool
) -> None:
    """By its configured name and by its ARN. Without the token the edge refuses."""
    channel = "demo" if by_name else str(deployment.channel)
    url = deployment.issuer.issue(OPEN, PlaybackRequest(channel=channel), REQUEST_ID)
    assert status_at_edge(url.playback_url) == 200
    assert status_at_edge(url.playback_url.partition("?")[0]) == 403
    assert url.channel_arn == deployment.channel


def test_the_active_key_signs(deployment: Deployment) -> None:
    """The key pair that is active in the ring; the result has its ID."""
    url = deployment.issuer.issue(OPEN, PlaybackRequest(channel="demo"), REQUEST_ID)
    assert signed_by(deployment, url) == url.key_id == deployment.active_key_id


def test_a_request_without_options_gets_300_seconds_and_two_claims(deployment: Deployment) -> None:
    """The token has the channel and `exp`; the client should refresh after 240 s."""
    url = deployment.issuer.issue(OPEN, PlaybackRequest(channel="demo"), REQUEST_ID)
    assert payload(url) == {"aws:channel-arn": str(deployment.channel), "exp": NOW + 300}
    assert (url.expires_at, url.ttl_seconds, url.refresh_after_seconds) == (NOW + 300, 300, 240)
    assert url.viewer_id is None


def test_the_claims_are_the_requested_options_within_the_grant(deployment: Deployment) -> None:
    """Every option, under the grant `website`: at most 120 s and HD."""
    request = PlaybackRequest(
        channel="demo",
        viewer_id="viewer-1",
        ttl_seconds=3_600,
        allowed_origins=("https://app.example.com",),
        strict_origin_enforcement=True,
        single_use=True,
        maximum_resolution=Resolution.FULL_HD,
    )
    url = deployment.issuer.issue(WEBSITE, request, REQUEST_ID)
    claims = payload(url)
    assert claims.pop("aws:single-use-uuid")
    assert claims == {
        "aws:channel-arn": str(deployment.channel),
        "aws:access-control-allow-origin": "https://app.example.com",
        "aws:strict-origin-enforcement": True,
        "aws:viewer-id": "viewer-1",
        "aws:viewer-session-version": NOW,
        "aws:maximum-resolution": "HD",
        "exp": NOW + 120,
    }
    assert (url.viewer_id, url.ttl_seconds, url.refresh_after_seconds) == ("viewer-1", 120, 96)


def test_no_token_outlives_what_the_ring_allows(deployment: Deployment) -> None:
    """The ring's terms say 3,600 s. A setting raised without the ring has no effect."""
    issuer = deployment.issuer_with(playback=PlaybackSettings(max_ttl_seconds=7_200))
    url = issuer.issue(OPEN, PlaybackRequest(channel="demo", ttl_seconds=7_200), REQUEST_ID)
    assert url.ttl_seconds == 3_600
    assert payload(url)["exp"] == NOW + 3_600


def test_a_token_of_one_second_is_refreshed_after_one_second(deployment: Deployment) -> None:
    """`refresh_after_seconds` is never 0."""
    url = deployment.issuer.issue(OPEN, PlaybackRequest(channel="demo", ttl_seconds=1), REQUEST_ID)
    assert (url.ttl_seconds, url.refresh_after_seconds) == (1, 1)


def test_after_a_rotation_the_new_key_signs(own_deployment: Deployment) -> None:
    """Without a restart. Tokens of the old key still play."""
    before = own_deployment.issuer.issue(OPEN, PlaybackRequest(channel="demo"), REQUEST_ID)
    old_key_id = own_deployment.active_key_id
    rotator = own_deployment.world.rotator()
    rotator.request_rotation("monthly")
    own_deployment.world.reconcile(rotator)
    assert own_deployment.active_key_id != old_key_id
    # Now the view is older than its terms allow, so the ring is read again.
    own_deployment.world.clock.advance(121)
    after = own_deployment.issuer.issue(OPEN, PlaybackRequest(channel="demo"), REQUEST_ID)
    assert signed_by(own_deployment, before) == old_key_id
    assert signed_by(own_deployment, after) == own_deployment.active_key_id
    assert status_at_edge(before.playback_url) == 200
    assert status_at_edge(after.playback_url) == 200


def test_a_public_channel_gets_a_plain_url_if_the_settings_allow_it(
    deployment: Deployment,
) -> None:
    """IVS's own URL, and no member about a token."""
    issuer = deployment.issuer_with(playback=PlaybackSettings(allow_plain_urls=True))
    url = issuer.issue(OPEN, PlaybackRequest(channel="lobby"), REQUEST_ID)
    assert "token" not in url.playback_url
    assert url == PlaybackUrl(playback_url=url.playback_url, channel_arn=deployment.public_channel)


def test_a_url_does_not_show_its_token(deployment: Deployment) -> None:
    """Its `repr` contains neither the URL nor the token, so that no log gets them."""
    url = deployment.issuer.issue(OPEN, PlaybackRequest(channel="demo"), REQUEST_ID)
    assert url.token
    assert url.token.rpartition(".")[2] not in repr(url)
    assert "token=" not in repr(url)


# --- Refused


REFUSED_CHANNELS = [
    ("no-such-name", NotEntitled),
    ("arn:aws:ivs:us-west-2:123456789012:channel/gone", ChannelNotFound),
    ("arn:aws:ivs:us-west-2:210987654321:channel/demo", NotEntitled),
    ("arn:aws:ivs:us-east-1:123456789012:channel/demo", NotEntitled),
    ("arn:aws:ivs:us-west-2:123456789012:playback-key/demo", InvalidRequest),
    ("arn:", InvalidRequest),
    ("lobby", ChannelNotPrivate),
]


@pytest.mark.parametrize(("channel", "refusal"), REFUSED_CHANNELS)
def test_a_channel_that_can_not_be_granted_is_refused(
    deployment: Deployment, channel: str, refusal: type[TokensvcError]
) -> None:
    """Each with its own code and a hint. The next request succeeds."""
    with pytest.raises(refusal) as caught:
        deployment.issuer.issue(OPEN, PlaybackRequest(channel=channel), REQUEST_ID)
    assert caught.value.hint
    assert deployment.issuer.issue(OPEN, PlaybackRequest(channel="demo"), REQUEST_ID).token


def test_a_region_without_a_ring_is_refused(
    deployment: Deployment,
) -> None:
    """Even if a grant covers it. The error names the region, and the hint the configured ones."""
    channel = "arn:aws:ivs:us-east-1:123456789012:channel/demo"
    with pytest.raises(ChannelNotFound) as refusal:
        deployment.issuer.issue(OTHER_REGION, PlaybackRequest(channel=channel), REQUEST_ID)
    assert "us-east-1" in refusal.value.detail
    assert "us-west-2" in refusal.value.hint
    assert "`ivs.regions`" in refusal.value.hint


def test_a_channel_that_no_grant_covers_is_not_looked_up(deployment: Deployment) -> None:
    """So that its requests use none of the account's five GetChannel calls per second."""
    looked_up: list[ChannelArn] = []

    def fetch(arn: ChannelArn) -> Channel:
        looked_up.append(arn)
        return private_channel(arn)

    directory = directory_over(fetch, deployment.world.clock)
    issuer = deployment.issuer_with(directory=directory)
    for caller in (OTHER_REGION, Caller("00000000000d", "no grants", ())):
        with pytest.raises(NotEntitled):
            issuer.issue(caller, PlaybackRequest(channel="demo"), REQUEST_ID)
    assert looked_up == []
    issuer.issue(OPEN, PlaybackRequest(channel="demo"), REQUEST_ID)
    assert looked_up == [deployment.channel]


def test_all_broken_claim_rules_are_reported_at_once(deployment: Deployment) -> None:
    """Under the names of the request's fields."""
    request = PlaybackRequest(
        channel="demo",
        viewer_id="someone@example.com",
        allowed_origins=("https://example.com/path",),
    )
    with pytest.raises(InvalidRequest) as refusal:
        deployment.issuer.issue(OPEN, request, REQUEST_ID)
    fields = {problem.field for problem in refusal.value.problems}
    assert fields == {"viewer_id", "allowed_origins"}


def test_a_required_viewer_id_must_be_sent(deployment: Deployment) -> None:
    """The grant `website` requires a viewer ID."""
    with pytest.raises(InvalidRequest) as refusal:
        deployment.issuer.issue(WEBSITE, PlaybackRequest(channel="demo"), REQUEST_ID)
    assert [problem.rule for problem in refusal.value.problems] == ["viewer_id_required"]


def test_a_request_fails_only_while_ivs_is_unavailable(own_deployment: Deployment) -> None:
    """An unknown channel can't be looked up. When IVS is back, the same request succeeds."""
    is_down = True

    def fetch(arn: ChannelArn) -> Channel:
        if is_down:
            raise IvsUnavailable("No answer.")
        return private_channel(arn)

    clock = own_deployment.world.clock
    issuer = own_deployment.issuer_with(directory=directory_over(fetch, clock))
    with pytest.raises(IvsUnavailable):
        issuer.issue(OPEN, PlaybackRequest(channel="demo"), REQUEST_ID)
    is_down = False
    clock.advance(10)
    assert issuer.issue(OPEN, PlaybackRequest(channel="demo"), REQUEST_ID).token


def test_a_region_without_an_active_key_is_refused(deployment: Deployment) -> None:
    """A region whose ring was never created; the error names the region."""
    world = deployment.world
    region = REGION_WITHOUT_RING
    view = RingView(region, world.state, world.custody, world.clock, refresh_seconds=3_600)
    view.start()
    issuer = deployment.issuer_with(
        rings={region: view},
        directory=directory_over(
            lambda arn: Channel(arn, "", is_private=True, playback_url="https://example.com/a"),
            world.clock,
        ),
    )
    channel = f"arn:aws:ivs:{region}:123456789012:channel/demo"
    with pytest.raises(NoSigningKey) as refusal:
        issuer.issue(OTHER_REGION, PlaybackRequest(channel=channel), REQUEST_ID)
    assert "us-east-1" in str(refusal.value)
    view.close()


def test_nothing_is_signed_from_an_outdated_view(
    own_deployment: Deployment, tmp_path: Path
) -> None:
    """121 s after the last read, without the state; signing continues when it is back."""
    state_file, moved = tmp_path / "state.sqlite3", tmp_path / "moved.sqlite3"
    request = PlaybackRequest(channel="demo")
    state_file.rename(moved)
    own_deployment.world.clock.advance(120)
    assert own_deployment.issuer.issue(OPEN, request, REQUEST_ID).token
    own_deployment.world.clock.advance(1)
    with pytest.raises(StateUnavailable):
        own_deployment.issuer.issue(OPEN, request, REQUEST_ID)
    moved.rename(state_file)
    assert own_deployment.issuer.issue(OPEN, request, REQUEST_ID).token


# --- Audited


def test_a_granted_request_writes_one_audit_line(deployment: Deployment) -> None:
    """With everything that identifies the token, but without the token."""
    request = PlaybackRequest(channel="demo", viewer_id="viewer-1")
    url = deployment.issuer.issue(WEBSITE, request, REQUEST_ID)
    assert url.token
    assert deployment.audit.events == [
        AuditEvent(
            at=float(NOW),
            decision="granted",
            caller_id="00000000000b",
            channel="demo",
            channel_arn=str(deployment.channel),
            viewer_id="viewer-1",
            session_version=NOW,
            grant="website",
            key_id=deployment.active_key_id,
            expires_at=NOW + 120,
            ttl_seconds=120,
            token_sha256=hashlib.sha256(url.token.encode()).hexdigest()[:16],
            request_id="request-1",
            rule="allowed_origins,maximum_resolution",
        )
    ]


@pytest.mark.parametrize(("channel", "refusal"), REFUSED_CHANNELS)
def test_a_refused_request_writes_one_audit_line(
    deployment: Deployment, channel: str, refusal: type[TokensvcError]
) -> None:
    """With the channel as it was requested, and the code of the error."""
    with pytest.raises(refusal):
        deployment.issuer.issue(OPEN, PlaybackRequest(channel=channel), REQUEST_ID)
    (event,) = deployment.audit.events
    assert (event.decision, event.code, event.channel) == ("refused", refusal.code, channel)
    assert (event.caller_id, event.request_id) == ("00000000000a", "request-1")
    assert event.token_sha256 is None


def test_the_audit_line_of_a_refusal_has_all_known_values(deployment: Deployment) -> None:
    """The ARN and the grant, if the request was refused after they were found."""
    for channel in ("no-such-name", "lobby"):
        with pytest.raises(TokensvcError):
            deployment.issuer.issue(OPEN, PlaybackRequest(channel=channel), REQUEST_ID)
    first, second = deployment.audit.events
    assert (first.channel_arn, first.grant) == (None, None)
    assert (second.channel_arn, second.grant) == (str(deployment.public_channel), "open")


@pytest.mark.parametrize(
    ("viewer_id", "written"), [("viewer-1", "viewer-1"), ("a@b.example", None)]
)
def test_an_e_mail_address_is_not_audited(
    deployment: Deployment, viewer_id: str, written: str | None
) -> None:
    """The viewer ID of a refused request is audited only if it breaks no rule."""
    with pytest.raises(ChannelNotPrivate):
        deployment.issuer.issue(
            OPEN, PlaybackRequest(channel="lobby", viewer_id=viewer_id), REQUEST_ID
        )
    assert [event.viewer_id for event in deployment.audit.events] == [written]


def test_nothing_is_granted_while_the_audit_can_not_be_written(deployment: Deployment) -> None:
    """For example on a full disk. When the disk has space again, the URL is granted."""
    deployment.audit.fails = True
    with pytest.raises(OSError, match="No space left"):
        deployment.issuer.issue(OPEN, PlaybackRequest(channel="demo"), REQUEST_ID)
    deployment.audit.fails = False
    assert deployment.issuer.issue(OPEN, PlaybackRequest(channel="demo"), REQUEST_ID).token
    assert [event.decision for event in deployment.audit.events] == ["granted"]


def test_an_unexpected_exception_is_audited_as_an_internal_error(deployment: Deployment) -> None:
    """It is raised again after the audit line is written."""

    def fetch(arn: ChannelArn) -> Channel:
        raise ZeroDivisionError

    directory = directory_over(fetch, deployment.world.clock)
    audit = MemoryAudit()
    issuer: PlaybackIssuer = deployment.issuer_with(directory=directory, audit=audit)
    with pytest.raises(ZeroDivisionError):
        issuer.issue(OPEN, PlaybackRequest(channel="demo"), REQUEST_ID)
    assert [(event.decision, event.code) for event in audit.events] == [
        ("refused", "internal_error")
    ]


# --- The URL
