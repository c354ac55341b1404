from __future__ import annotations

import math
import uuid
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokensvc.arns import ChannelArn
from tokensvc.errors import InvalidRequest
from tokensvc.token.claims import PlaybackClaims, PlaybackOptions, Resolution
from tokensvc.token.rules import broken_rules

NOW = 1_800_000_000.75
CHANNEL = ChannelArn.parse("arn:aws:ivs:us-west-2:123456789012:channel/abcdEFGHijkl")
PLAIN = PlaybackOptions(ttl_seconds=300)
ONE_UUID = uuid.UUID("11111111-2222-4333-8444-555555555555")


def problems(options: PlaybackOptions, viewer_id: str | None = None) -> set[tuple[str, str]]:
    """The fields and rules in the problems of the refusal."""
    with pytest.raises(InvalidRequest) as refusal:
        PlaybackClaims.at(NOW, CHANNEL, options, viewer_id)
    return {(problem.field, problem.rule) for problem in refusal.value.problems}


def test_a_token_without_options_claims_only_its_channel_and_exp() -> None:
    """`exp` is counted from the whole second of signing; there are no other claims."""
    claims = PlaybackClaims.at(NOW, CHANNEL, PLAIN)
    assert claims.payload() == {"aws:channel-arn": str(CHANNEL), "exp": 1_800_000_300}
    assert claims.expires_at == 1_800_000_300
    assert claims.ttl_seconds == 300


def test_every_option_becomes_a_claim_under_ivss_name() -> None:
    """All eight claims, with the types that IVS requires."""
    options = PlaybackOptions(
        ttl_seconds=540,
        allowed_origins=("https://a.example", "https://*.b.example"),
        strict_origin_enforcement=True,
        single_use=True,
        maximum_resolution=Resolution.HD,
    )
    claims = PlaybackClaims.at(NOW, CHANNEL, options, "viewer-1", new_uuid=lambda: ONE_UUID)
    assert claims.payload() == {
        "aws:channel-arn": "arn:aws:ivs:us-west-2:123456789012:channel/abcdEFGHijkl",
        "aws:access-control-allow-origin": "https://a.example,https://*.b.example",
        "aws:strict-origin-enforcement": True,
        "aws:single-use-uuid": "11111111-2222-4333-8444-555555555555",
        "aws:viewer-id": "viewer-1",
        "aws:viewer-session-version": 1_800_000_000,
        "aws:maximum-resolution": "HD",
        "exp": 1_800_000_540,
    }


def test_every_single_use_token_has_its_own_uuid() -> None:
    """No two tokens have the same UUID, so using one does not invalidate another."""
    once = PlaybackOptions(ttl_seconds=60, single_use=True)
    uuids = {PlaybackClaims.at(NOW, CHANNEL, once).single_use_uuid for _ in range(50)}
    assert len(uuids) == 50
    assert None not in uuids


def test_ten_minutes_are_allowed_with_a_viewer_id_and_one_second_more_is_refused() -> None:
    """600 s is accepted; for 601 s, the refusal names the field."""
    ten_minutes = PlaybackOptions(ttl_seconds=600)
    assert PlaybackClaims.at(NOW, CHANNEL, ten_minutes, "v").expires_at == 1_800_000_600
    longer = PlaybackOptions(ttl_seconds=601)
    assert PlaybackClaims.at(NOW, CHANNEL, longer).expires_at == 1_800_000_601
    assert problems(longer, "v") == {("ttl_seconds", "ten_minute_rule")}
    assert problems(replace(longer, single_use=True)) == {("ttl_seconds", "ten_minute_rule")}


@pytest.mark.parametrize("ttl_seconds", [0, -1, -(10**12)])
def test_a_ttl_below_one_second_is_refused(ttl_seconds: int) -> None:
    """Zero and negative TTLs are refused."""
    assert problems(PlaybackOptions(ttl_seconds)) == {("ttl_seconds", "exp_in_future")}


def test_an_exp_in_the_year_5138_or_later_is_treated_as_milliseconds() -> None:
    """This service's own rules apply when signing too."""
    assert problems(PlaybackOptions(98_200_000_000)) == {("ttl_seconds", "exp_in_seconds")}


def test_a_refusal_reports_every_problem_at_once() -> None:
    """Four mistakes give four problems; the text has every message but no viewer ID."""
    options = PlaybackOptions(
        ttl_seconds=601,
        allowed_origins=tuple(f"https://{n}.example/" for n in range(6)),
        strict_origin_enforcement=True,
    )
    with pytest.raises(InvalidRequest) as refusal:
        PlaybackClaims.at(NOW, CHANNEL, options, "ann@example.com")
    assert {(problem.field, problem.rule) for problem in refusal.value.problems} == {
        ("ttl_seconds", "ten_minute_rule"),
        ("viewer_id", "viewer_id_private"),
        ("allowed_origins", "origins_form"),
        ("allowed_origins", "strict_origins_at_most_five"),
    }
    assert all(problem.message in str(refusal.value) for problem in refusal.value.problems)
    assert "ann@" not in str(refusal.value)


def test_strict_enforcement_without_origins_is_refused() -> None:
    """It would have no effect."""
    assert problems(PlaybackOptions(60, strict_origin_enforcement=True)) == {
        ("strict_origin_enforcement", "strict_with_origins")
    }


@pytest.mark.parametrize("origins", [("",), ("", "*"), ("https://a.example/",)])
def test_a_malformed_origin_is_refused(origins: tuple[str, ...]) -> None:
    """Also an empty item, whether or not it is the only one."""
    assert {field for field, _ in problems(PlaybackOptions(60, origins))} == {"allowed_origins"}


def test_an_origin_with_a_comma_is_refused() -> None:
    """It would be two origins in the claim, although a grant has allowed only one item."""
    two_in_one = PlaybackOptions(60, ("https://a.example,https://evil.example",))
    assert problems(two_in_one) == {("allowed_origins", "origins_one_each")}


def test_resolutions_are_ordered_from_sd_to_full_hd() -> None:
    """By size, not by name, so that `min` returns the lower of two."""
    sd, hd, full_hd = Resolution.SD, Resolution.HD, Resolution.FULL_HD
    assert sorted([full_hd, sd, hd]) == [sd, hd, full_hd]
    assert min(full_hd, hd) is hd
    assert max(sd, hd) is hd
    assert sd < hd < full_hd
    assert full_hd > hd > sd
    assert hd <= Resolution("HD") <= full_hd
    assert hd >= Resolution("HD") >= sd
    assert not full_hd < hd
    assert not sd > hd
    assert not full_hd <= sd
    assert not sd >= full_hd


good_origins = st.sampled_from(
    ["*", "https://a.example", "https://*.b.example:8443", "http://[::1]"]
)
bad_origins = st.sampled_from(["", "a.example", "https://a.example/", "*,*"]) | st.text(max_size=9)


def options_of(
    ttl_seconds: st.SearchStrategy[int], origins: st.SearchStrategy[str], most_origins: int
) -> st.SearchStrategy[PlaybackOptions]:
    """Any options with such a TTL and at least one such origin, so that strict has an effect."""
    return st.builds(
        PlaybackOptions,
        ttl_seconds=ttl_seconds,
        allowed_origins=st.lists(origins, min_size=1, max_size=most_origins).map(tuple),
        strict_origin_enforcement=st.booleans(),
        single_use=st.booleans(),
        maximum_resolution=st.none() | st.sampled_from(Resolution),
    )


@given(
    now=st.floats(0, 2**31 - 1),
    options=options_of(st.integers(1, 600), good_origins, most_origins=5),
    viewer_id=st.none() | st.text("abc-._~é🎥", min_size=1, max_size=40),
)
def test_valid_options_are_never_refused_and_break_no_rule_until_exp(
    now: float, options: PlaybackOptions, viewer_id: str | None
) -> None:
    """The claims are valid from the time of signing until just before they expire."""
    claims = PlaybackClaims.at(now, CHANNEL, options, viewer_id)
    for checked_at in (now, math.nextafter(claims.expires_at, 0)):
        assert broken_rules(claims.payload(), checked_at) == ()
    assert claims.expires_at == int(now) + options.ttl_seconds
    assert ("aws:viewer-session-version" in claims.payload()) == (viewer_id is not None)


@given(
    options=options_of(st.integers(-2, 700), good_origins | bad_origins, most_origins=7),
    viewer_id=st.none() | st.text(max_size=45) | st.emails(),
)
def test_options_are_refused_exactly_when_their_claims_would_break_a_rule(
    options: PlaybackOptions, viewer_id: str | None
) -> None:
    """Claims that are created break no rule; a refusal names the rules that would be broken."""
    unchecked = PlaybackClaims(
        channel_arn=CHANNEL,
        options=options,
        expires_at=1_800_000_000 + options.ttl_seconds,
        viewer_id=viewer_id,
        viewer_session_version=None if viewer_id is None else 1_800_000_000,
        single_use_uuid=ONE_UUID if options.single_use else None,
    )
    expected = {broken.rule for broken in broken_rules(unchecked.payload(), NOW)}
    if any("," in origin for origin in options.allowed_origins):
        expected.add("origins_one_each")
    if expected:
        assert {rule for _, rule in problems(options, viewer_id)} == expected
    else:
        checked = PlaybackClaims.at(NOW, CHANNEL, options, viewer_id, new_uuid=lambda: ONE_UUID)
        assert checked == unchecked
