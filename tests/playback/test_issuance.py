from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path
from urllib.parse import parse_qs, parse_qsl, quote, urlsplit

import pytest
import urllib3
from hypothesis import given
from hypothesis import strategies as st

from tests.support.clock import EXAMPLE_NOW
from tests.support.deployment import (
    ELSEWHERE,
    OPEN,
    WEBSITE,
    Deployment,
    MemoryAudit,
    directory_over,
)
from tokensvc.access.callers import Caller
from tokensvc.arns import ChannelArn, parse_region
from tokensvc.audit import AuditEvent
from tokensvc.claims import Resolution
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
from tokensvc.playback.issuance import (
    Circumstances,
    PlaybackIssuer,
    PlaybackLimits,
    PlaybackRequest,
    PlaybackUrl,
    with_token,
)
from tokensvc.tokens import verify

ELSEWHERE_REGION = parse_region("us-east-1")
HERE = Circumstances(request_id="request-1")
NOW = int(EXAMPLE_NOW) + 120  # The ring's two publish delays of 60 s have passed.


def status_at_edge(playback_url: str) -> int:
    """The HTTP status with which the edge answers a player."""
    return urllib3.request("GET", playback_url, retries=False).status


def private_channel(arn: ChannelArn) -> Channel:
    """What IVS would say of a private channel of that ARN."""
    return Channel(arn, "", is_private=True, playback_url="https://example.com/a.m3u8")


def payload(url: PlaybackUrl) -> dict[str, object]:
    """The token's claims, read without the code under test."""
    assert url.token
    segment = url.token.split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(segment + "=="))
    assert isinstance(claims, dict)
    return claims


def signed_by(deployment: Deployment, url: PlaybackUrl) -> str:
    """The ID of the key pair whose public half verifies the token."""
    assert url.token
    key = verify(url.token, deployment.public_keys.values())
    (key_id,) = (name for name, public in deployment.public_keys.items() if public == key)
    return key_id


# --- Granted


@pytest.mark.parametrize("by_name", [True, False])
def test_a_private_channel_is_answered_with_a_url_that_plays(
    deployment: Deployment, *, by_name: bool
) -> None:
    """By its configured name and by its ARN; without the token the edge refuses."""
    channel = "demo" if by_name else str(deployment.channel)
    url = deployment.issuer.issue(OPEN, PlaybackRequest(channel=channel), HERE)
    assert status_at_edge(url.playback_url) == 200
    assert status_at_edge(url.playback_url.partition("?")[0]) == 403
    assert url.channel_arn == deployment.channel


def test_the_active_key_signs(deployment: Deployment) -> None:
    """The one that the ring has active, and the answer names it."""
    url = deployment.issuer.issue(OPEN, PlaybackRequest(channel="demo"), HERE)
    assert signed_by(deployment, url) == url.key_id == deployment.active_key_id


def test_nothing_asked_gives_300_seconds_and_two_claims(deployment: Deployment) -> None:
    """The token claims the channel and `exp`; a client comes back after 240 s."""
    url = deployment.issuer.issue(OPEN, PlaybackRequest(channel="demo"), HERE)
    assert payload(url) == {"aws:channel-arn": str(deployment.channel), "exp": NOW + 300}
    assert (url.expires_at, url.ttl_seconds, url.refresh_after_seconds) == (NOW + 300, 300, 240)
    assert url.viewer_id is None


def test_what_is_asked_is_claimed_within_the_grant(deployment: Deployment) -> None:
    """Every option, capped by the grant `website`: 120 s and HD at most."""
    request = PlaybackRequest(
        channel="demo",
        viewer_id="viewer-1",
        ttl_seconds=3_600,
        allowed_origins=("https://app.example.com",),
        strict_origin_enforcement=True,
        single_use=True,
        maximum_resolution=Resolution.FULL_HD,
    )
    url = deployment.issuer.issue(WEBSITE, request, HERE)
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
    """The ring's terms say 3,600 s; a setting that was raised without the ring does not count."""
    issuer = deployment.issuer_with(limits=PlaybackLimits(max_ttl_seconds=7_200))
    url = issuer.issue(OPEN, PlaybackRequest(channel="demo", ttl_seconds=7_200), HERE)
    assert url.ttl_seconds == 3_600
    assert payload(url)["exp"] == NOW + 3_600


def test_a_token_of_one_second_is_renewed_after_one(deployment: Deployment) -> None:
    """A client is never told to come back at once."""
    url = deployment.issuer.issue(OPEN, PlaybackRequest(channel="demo", ttl_seconds=1), HERE)
    assert (url.ttl_seconds, url.refresh_after_seconds) == (1, 1)


def test_after_a_rotation_the_new_key_signs(own_deployment: Deployment) -> None:
    """Without a restart, and what the old one signed still plays."""
    before = own_deployment.issuer.issue(OPEN, PlaybackRequest(channel="demo"), HERE)
    old_key_id = own_deployment.active_key_id
    rotator = own_deployment.world.rotator()
    rotator.request_rotation("monthly")
    own_deployment.world.reconcile(rotator)
    assert own_deployment.active_key_id != old_key_id
    own_deployment.world.clock.advance(
        121
    )  # The view is older than its terms allow: it is read anew.
    after = own_deployment.issuer.issue(OPEN, PlaybackRequest(channel="demo"), HERE)
    assert signed_by(own_deployment, before) == old_key_id
    assert signed_by(own_deployment, after) == own_deployment.active_key_id
    assert status_at_edge(before.playback_url) == 200
    assert status_at_edge(after.playback_url) == 200


def test_a_public_channel_is_answered_plainly_where_that_is_allowed(
    deployment: Deployment,
) -> None:
    """With IVS's own URL and nothing that speaks of a token."""
    issuer = deployment.issuer_with(limits=PlaybackLimits(allow_plain_urls=True))
    url = issuer.issue(OPEN, PlaybackRequest(channel="lobby"), HERE)
    assert "token" not in url.playback_url
    assert url == PlaybackUrl(playback_url=url.playback_url, channel_arn=deployment.public_channel)


def test_a_url_does_not_show_its_token(deployment: Deployment) -> None:
    """Neither the URL nor the token is in the text form that a log would get."""
    url = deployment.issuer.issue(OPEN, PlaybackRequest(channel="demo"), HERE)
    assert url.token
    assert url.token.rpartition(".")[2] not in repr(url)
    assert "token=" not in repr(url)


# --- Refused


OTHERS = [
    ("no-such-name", ChannelNotFound),
    ("arn:aws:ivs:us-west-2:123456789012:channel/gone", ChannelNotFound),
    ("arn:aws:ivs:us-west-2:210987654321:channel/demo", NotEntitled),
    ("arn:aws:ivs:us-east-1:123456789012:channel/demo", NotEntitled),
    ("arn:aws:ivs:us-west-2:123456789012:playback-key/demo", InvalidRequest),
    ("arn:", InvalidRequest),
    ("lobby", ChannelNotPrivate),
]


@pytest.mark.parametrize(("channel", "refusal"), OTHERS)
def test_a_channel_that_can_not_be_given_is_refused(
    deployment: Deployment, channel: str, refusal: type[TokensvcError]
) -> None:
    """Each with its own code and a way out, and the next request is answered."""
    with pytest.raises(refusal) as caught:
        deployment.issuer.issue(OPEN, PlaybackRequest(channel=channel), HERE)
    assert caught.value.hint
    assert deployment.issuer.issue(OPEN, PlaybackRequest(channel="demo"), HERE).token


def test_a_region_without_a_ring_is_refused_with_those_that_have_one(
    deployment: Deployment,
) -> None:
    """A grant alone does not make the service serve a region."""
    channel = "arn:aws:ivs:us-east-1:123456789012:channel/demo"
    with pytest.raises(ChannelNotFound, match="no key pairs in us-east-1") as refusal:
        deployment.issuer.issue(ELSEWHERE, PlaybackRequest(channel=channel), HERE)
    assert refusal.value.hint.startswith("It serves us-west-2;")


def test_ivs_is_not_asked_about_a_channel_that_no_grant_covers(deployment: Deployment) -> None:
    """A stranger's ARNs cost none of the account's five GetChannel a second."""
    asked: list[ChannelArn] = []

    def fetch(arn: ChannelArn) -> Channel:
        asked.append(arn)
        return private_channel(arn)

    directory = directory_over(fetch, deployment.world.clock)
    issuer = deployment.issuer_with(directory=directory)
    for caller in (ELSEWHERE, Caller("00000000000d", "nobody", ())):
        with pytest.raises(NotEntitled):
            issuer.issue(caller, PlaybackRequest(channel="demo"), HERE)
    assert asked == []
    issuer.issue(OPEN, PlaybackRequest(channel="demo"), HERE)
    assert asked == [deployment.channel]


def test_all_broken_claim_rules_are_told_at_once(deployment: Deployment) -> None:
    """By the names of the request's fields."""
    request = PlaybackRequest(
        channel="demo",
        viewer_id="someone@example.com",
        allowed_origins=("https://example.com/path",),
    )
    with pytest.raises(InvalidRequest) as refusal:
        deployment.issuer.issue(OPEN, request, HERE)
    fields = {problem.field for problem in refusal.value.problems}
    assert fields == {"viewer_id", "allowed_origins"}


def test_a_needed_viewer_id_is_asked_for(deployment: Deployment) -> None:
    """The grant `website` wants to know who watches."""
    with pytest.raises(InvalidRequest) as refusal:
        deployment.issuer.issue(WEBSITE, PlaybackRequest(channel="demo"), HERE)
    assert [problem.rule for problem in refusal.value.problems] == ["viewer_id_required"]


def test_ivs_out_of_reach_is_told_and_passes(own_deployment: Deployment) -> None:
    """An unknown channel can't be looked up; when IVS is back, the same request is answered."""
    is_down = True

    def fetch(arn: ChannelArn) -> Channel:
        if is_down:
            raise IvsUnavailable("Amazon IVS does not answer.")
        return private_channel(arn)

    clock = own_deployment.world.clock
    issuer = own_deployment.issuer_with(directory=directory_over(fetch, clock))
    with pytest.raises(IvsUnavailable):
        issuer.issue(OPEN, PlaybackRequest(channel="demo"), HERE)
    is_down = False
    clock.advance(10)
    assert issuer.issue(OPEN, PlaybackRequest(channel="demo"), HERE).token


def test_a_region_without_an_active_key_is_refused(deployment: Deployment) -> None:
    """A ring that was never made signs nothing."""
    world = deployment.world
    region = ELSEWHERE_REGION
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
    with pytest.raises(NoSigningKey, match="us-east-1"):
        issuer.issue(ELSEWHERE, PlaybackRequest(channel=channel), HERE)
    view.close()


def test_nothing_is_signed_from_a_view_that_is_too_old(
    own_deployment: Deployment, tmp_path: Path
) -> None:
    """121 s after the last good read, with the state away; when it is back, signing goes on."""
    state_file, moved = tmp_path / "state.sqlite3", tmp_path / "moved.sqlite3"
    request = PlaybackRequest(channel="demo")
    state_file.rename(moved)
    own_deployment.world.clock.advance(120)
    assert own_deployment.issuer.issue(OPEN, request, HERE).token
    own_deployment.world.clock.advance(1)
    with pytest.raises(StateUnavailable):
        own_deployment.issuer.issue(OPEN, request, HERE)
    moved.rename(state_file)
    assert own_deployment.issuer.issue(OPEN, request, HERE).token


# --- Audited


def test_a_grant_leaves_one_line(deployment: Deployment) -> None:
    """With all that finds the token again, and not the token."""
    request = PlaybackRequest(channel="demo", viewer_id="viewer-1")
    url = deployment.issuer.issue(WEBSITE, request, HERE)
    assert url.token
    assert deployment.audit.events == [
        AuditEvent(
            at=float(NOW),
            decision="granted",
            caller_id="00000000000b",
            channel="demo",
            channel_arn=str(deployment.channel),
            viewer_id="viewer-1",
            grant="website",
            key_id=deployment.active_key_id,
            expires_at=NOW + 120,
            ttl_seconds=120,
            token_sha256=hashlib.sha256(url.token.encode()).hexdigest()[:16],
            request_id="request-1",
        )
    ]


@pytest.mark.parametrize(("channel", "refusal"), OTHERS)
def test_a_refusal_leaves_one_line(
    deployment: Deployment, channel: str, refusal: type[TokensvcError]
) -> None:
    """With the channel as it was asked for, and the code."""
    with pytest.raises(refusal):
        deployment.issuer.issue(OPEN, PlaybackRequest(channel=channel), HERE)
    (event,) = deployment.audit.events
    assert (event.decision, event.code, event.channel) == ("refused", refusal.code, channel)
    assert (event.caller_id, event.request_id) == ("00000000000a", "request-1")
    assert event.token_sha256 is None


def test_a_refusal_tells_how_far_it_came(deployment: Deployment) -> None:
    """The ARN and the grant are in the line as soon as they are known."""
    for channel in ("no-such-name", "lobby"):
        with pytest.raises(TokensvcError):
            deployment.issuer.issue(OPEN, PlaybackRequest(channel=channel), HERE)
    first, second = deployment.audit.events
    assert (first.channel_arn, first.grant) == (None, None)
    assert (second.channel_arn, second.grant) == (str(deployment.public_channel), "open")


@pytest.mark.parametrize(
    ("viewer_id", "written"), [("viewer-1", "viewer-1"), ("a@b.example", None)]
)
def test_an_e_mail_address_is_not_written_down(
    deployment: Deployment, viewer_id: str, written: str | None
) -> None:
    """A refused request's viewer ID is in the line only when it could be in a token."""
    with pytest.raises(ChannelNotPrivate):
        deployment.issuer.issue(OPEN, PlaybackRequest(channel="lobby", viewer_id=viewer_id), HERE)
    assert [event.viewer_id for event in deployment.audit.events] == [written]


def test_what_can_not_be_written_down_is_not_granted(deployment: Deployment) -> None:
    """A full disk under the audit stops the URL; when there is room again, it is given."""
    deployment.audit.fails = True
    with pytest.raises(OSError, match="No space left"):
        deployment.issuer.issue(OPEN, PlaybackRequest(channel="demo"), HERE)
    deployment.audit.fails = False
    assert deployment.issuer.issue(OPEN, PlaybackRequest(channel="demo"), HERE).token
    assert [event.decision for event in deployment.audit.events] == ["granted"]


def test_a_fault_of_our_own_is_audited_as_such(deployment: Deployment) -> None:
    """An exception that nobody foresaw leaves a line too, and goes on its way."""

    def fetch(arn: ChannelArn) -> Channel:
        raise ZeroDivisionError

    directory = directory_over(fetch, deployment.world.clock)
    audit = MemoryAudit()
    issuer: PlaybackIssuer = deployment.issuer_with(directory=directory, audit=audit)
    with pytest.raises(ZeroDivisionError):
        issuer.issue(OPEN, PlaybackRequest(channel="demo"), HERE)
    assert [(event.decision, event.code) for event in audit.events] == [
        ("refused", "internal_error")
    ]


# --- The URL


@pytest.mark.parametrize(
    ("url", "with_it"),
    [
        ("https://a.example/b.m3u8", "https://a.example/b.m3u8?token=x.y.z"),
        ("https://a.example/b.m3u8?", "https://a.example/b.m3u8?token=x.y.z"),
        ("https://a.example/b.m3u8?p=1&q=", "https://a.example/b.m3u8?p=1&q=&token=x.y.z"),
        ("https://a.example/b.m3u8?token=old", "https://a.example/b.m3u8?token=x.y.z"),
        (
            "https://a.example/b.m3u8?token=1&p=2&token=3",
            "https://a.example/b.m3u8?p=2&token=x.y.z",
        ),
        ("http://127.0.0.1:8001/a%20b.m3u8", "http://127.0.0.1:8001/a%20b.m3u8?token=x.y.z"),
        ("https://a.example/b.m3u8#t", "https://a.example/b.m3u8?token=x.y.z#t"),
    ],
)
def test_the_url_is_ivss_own_with_one_token(url: str, with_it: str) -> None:
    """All else that IVS put there stays."""
    assert with_token(url, "x.y.z") == with_it


@given(query=st.lists(st.tuples(st.text(min_size=1), st.text()), max_size=4))
def test_any_query_is_kept_beside_the_token(query: list[tuple[str, str]]) -> None:
    """Names and values come out as they went in, the token once and last."""
    encoded = "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in query)
    made = urlsplit(with_token(f"https://a.example/b.m3u8?{encoded}", "x.y.z"))
    assert parse_qs(made.query)["token"] == ["x.y.z"]
    kept = [pair for pair in query if pair[0] != "token"]
    assert parse_qsl(made.query, keep_blank_values=True) == [*kept, ("token", "x.y.z")]
    assert (made.netloc, made.path) == ("a.example", "/b.m3u8")
