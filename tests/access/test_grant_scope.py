"""Which channels a grant covers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.access.grants import ARN, EVERY, OPEN, caller, channels
from tokensvc.access.grants import (
    Grant,
    scope,
)
from tokensvc.arns import ChannelArn, ChannelPattern
from tokensvc.errors import InvalidArn, NotEntitled
from tokensvc.token.claims import Resolution

OTHER_CHANNEL = "arn:aws:ivs:us-west-2:123456789012:channel/otherChannel"


@pytest.mark.parametrize("pattern", [str(ARN), EVERY])
def test_a_grant_covers_its_channel(pattern: str) -> None:
    """By the channel's ARN, or by all channels of its account and region."""
    grant = Grant("demo", channels(pattern))
    assert scope({"demo": grant}, caller("demo"), ARN) is grant


@pytest.mark.parametrize(
    "pattern",
    [
        "arn:aws:ivs:us-west-2:123456789012:channel/abcdEFGHijkL",
        "arn:aws:ivs:us-west-2:123456789012:channel/abcdEFGHijk",
        "arn:aws:ivs:us-east-1:123456789012:channel/*",
        "arn:aws:ivs:us-west-2:210987654321:channel/*",
        "arn:aws:ivs:us-west-2:12345678901:channel/*",
    ],
)
def test_a_grant_covers_no_other_channel(pattern: str) -> None:
    """With another ID, region or account, even if it differs by one character."""
    with pytest.raises(NotEntitled):
        scope({"demo": Grant("demo", channels(pattern))}, caller("demo"), ARN)


GRANTS = {
    "wide": Grant("wide", channels(EVERY), max_ttl_seconds=900, maximum_resolution=Resolution.HD),
    "narrow": Grant(
        "narrow",
        channels(str(ARN)),
        max_ttl_seconds=120,
        allowed_origins=("https://*.example.com",),
        viewer_id="required",
    ),
    "page": Grant("page", channels(EVERY), allowed_origins=("https://a.example.com", "http://b")),
    "elsewhere": Grant("elsewhere", channels(OTHER_CHANNEL), max_ttl_seconds=1),
    "app": Grant("app", channels(EVERY), allowed_origins=("https://app.example.org",)),
}


@pytest.mark.parametrize("names", [("wide", "narrow", "page"), ("page", "narrow", "wide")])
def test_of_all_grants_that_cover_the_channel_the_tightest_caps_apply(
    names: tuple[str, ...],
) -> None:
    """In any order. A grant for other channels has no effect."""
    grant = scope(GRANTS, caller(*names, "elsewhere"), ARN)
    assert set(grant.name.split(",")) == {"wide", "narrow", "page"}
    assert grant.max_ttl_seconds == 120
    assert grant.maximum_resolution is Resolution.HD
    assert grant.allowed_origins == ("https://a.example.com",)
    assert grant.viewer_id == "required"


def test_grants_without_a_common_origin_allow_nothing() -> None:
    """A token without origins would play everywhere."""
    with pytest.raises(NotEntitled) as refusal:
        scope(GRANTS, caller("page", "app"), ARN)
    assert "page" in refusal.value.detail
    assert "app" in refusal.value.detail


def test_a_grant_that_was_removed_from_the_settings_covers_nothing() -> None:
    """Its name in an API key is skipped, and the next grant is tried."""
    assert scope({"open": OPEN}, caller("removed", "open"), ARN) is OPEN
    with pytest.raises(NotEntitled):
        scope({"open": OPEN}, caller("removed"), ARN)


def test_a_grant_that_the_caller_does_not_have_covers_nothing() -> None:
    """Even if it is in the settings. The hint names the grants of the caller."""
    with pytest.raises(NotEntitled) as refusal:
        scope({"open": OPEN, "other": Grant("other", channels())}, caller("other"), ARN)
    assert "other" in refusal.value.hint
    assert "open" not in refusal.value.hint


def test_the_hint_for_a_caller_without_grants_names_the_section_to_add() -> None:
    """For `tokens sign` with settings that have no grant yet."""
    with pytest.raises(NotEntitled) as refusal:
        scope({}, caller(), ARN)
    assert "[grants.NAME]" in refusal.value.hint


@given(
    patterns=st.lists(
        st.builds(
            "arn:aws:ivs:{}:{}:channel/{}".format,
            st.sampled_from(["us-west-2", "us-east-1"]),
            st.sampled_from(["123456789012", "210987654321"]),
            st.sampled_from(["*", "abc", "abcd"]),
        ),
        max_size=3,
    ),
    arn=st.builds(
        lambda region, account, resource_id: ChannelArn.parse(
            f"arn:aws:ivs:{region}:{account}:channel/{resource_id}"
        ),
        st.sampled_from(["us-west-2", "us-east-1", "eu-west-1"]),
        st.sampled_from(["123456789012", "210987654321"]),
        st.sampled_from(["abc", "abcd", "xyz"]),
    ),
)
def test_scope_grants_what_a_pattern_matches_and_nothing_else(
    patterns: list[str], arn: ChannelArn
) -> None:
    """By prefix and equality, computed without the code under test."""
    matches = any(
        str(arn).startswith(pattern[:-1]) if pattern.endswith("*") else str(arn) == pattern
        for pattern in patterns
    )
    grants = {"demo": Grant("demo", channels(*patterns))}
    if matches:
        assert scope(grants, caller("demo"), arn).name == "demo"
    else:
        with pytest.raises(NotEntitled):
            scope(grants, caller("demo"), arn)


@pytest.mark.parametrize("text", [str(ARN), EVERY])
def test_a_pattern_is_an_arn_or_a_whole_region(text: str) -> None:
    """Both forms are printed as they were written."""
    assert str(ChannelPattern.parse(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "*",
        "demo",
        "arn:aws:ivs:*:123456789012:channel/*",
        "arn:aws:ivs:us-west-2:*:channel/*",
        "arn:aws:ivs:us-west-2:123456789012:channel/ab*",
        "arn:aws:ivs:us-west-2:123456789012:channel/**",
        "arn:aws:ivs:us-west-2:123456789012:playback-key/*",
        "arn:aws:ivs:nowhere:123456789012:channel/*",
        EVERY + "\n",
    ],
)
def test_a_wider_pattern_is_refused(text: str) -> None:
    """A pattern can't span accounts or regions."""
    with pytest.raises(InvalidArn) as refusal:
        ChannelPattern.parse(text)
    assert "channel/*" in refusal.value.hint or "region" in refusal.value.hint
