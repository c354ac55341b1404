from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokensvc.access.callers import Caller
from tokensvc.access.grants import (
    AskedOptions,
    Grant,
    Limits,
    decide,
    parse_channel_pattern,
    scope,
)
from tokensvc.arns import ChannelArn
from tokensvc.claims import PlaybackOptions, Resolution
from tokensvc.errors import InvalidArn, InvalidRequest, NotEntitled
from tokensvc.localivs.edge.origins import matches

ARN = ChannelArn.parse("arn:aws:ivs:us-west-2:123456789012:channel/abcdEFGHijkl")
EVERY = "arn:aws:ivs:us-west-2:123456789012:channel/*"
LIMITS = Limits(ttl_seconds=300, max_ttl_seconds=3_600)
OPEN = Grant("open", (EVERY,))


def caller(*grants: str) -> Caller:
    """A caller that holds those grants."""
    return Caller("00000000000a", "backend", grants)


# --- Which channels


@pytest.mark.parametrize("pattern", [str(ARN), EVERY])
def test_a_grant_covers_its_channel(pattern: str) -> None:
    """By the channel's own ARN, or by its whole account and region."""
    grant = Grant("demo", (pattern,))
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
    """Another ID, region or account is not covered, and neither are near misses."""
    with pytest.raises(NotEntitled, match="No grant of this caller covers"):
        scope({"demo": Grant("demo", (pattern,))}, caller("demo"), ARN)


def test_the_first_grant_that_covers_decides() -> None:
    """The caller's order counts, not the settings'."""
    grants = {"a": Grant("a", (EVERY,)), "b": Grant("b", (str(ARN),)), "c": Grant("c", (EVERY,))}
    assert scope(grants, caller("c", "b", "a"), ARN).name == "c"


def test_a_grant_that_the_settings_lost_covers_nothing() -> None:
    """A name that is left in an API key opens nothing; the next grant is tried."""
    assert scope({"open": OPEN}, caller("lost", "open"), ARN) is OPEN
    with pytest.raises(NotEntitled):
        scope({"open": OPEN}, caller("lost"), ARN)


def test_a_grant_that_the_caller_does_not_hold_covers_nothing() -> None:
    """That the settings have it is not enough; the way out names what the caller holds."""
    with pytest.raises(NotEntitled) as refusal:
        scope({"open": OPEN, "other": Grant("other", ())}, caller("other"), ARN)
    assert refusal.value.hint.endswith("one of the caller's grants: other.")


def test_a_caller_without_a_grant_is_told_how_one_begins() -> None:
    """An operator whose settings have none yet, with `tokens sign`."""
    with pytest.raises(NotEntitled) as refusal:
        scope({}, caller(), ARN)
    assert "begin with a section [grants.NAME]" in refusal.value.hint


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
    """As prefixes and equality say, judged without the code under test."""
    matches = any(
        str(arn).startswith(pattern[:-1]) if pattern.endswith("*") else str(arn) == pattern
        for pattern in patterns
    )
    grants = {"demo": Grant("demo", tuple(patterns))}
    if matches:
        assert scope(grants, caller("demo"), arn).name == "demo"
    else:
        with pytest.raises(NotEntitled):
            scope(grants, caller("demo"), arn)


@pytest.mark.parametrize("text", [str(ARN), EVERY])
def test_a_pattern_is_an_arn_or_a_whole_region(text: str) -> None:
    """Both forms are taken as they are."""
    assert parse_channel_pattern(text) == text


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
    """A pattern never reaches beyond one account and region."""
    with pytest.raises(InvalidArn):
        parse_channel_pattern(text)


# --- Which options


def test_nothing_asked_gives_the_defaults() -> None:
    """300 seconds, from anywhere, any resolution."""
    assert decide(OPEN, AskedOptions(), LIMITS) == PlaybackOptions(ttl_seconds=300)


@pytest.mark.parametrize(
    ("asked", "grant_cap", "granted"),
    [
        (None, None, 300),
        (None, 120, 120),
        (60, None, 60),
        (60, 120, 60),
        (121, 120, 120),
        (3_600, None, 3_600),
        (3_601, None, 3_600),
        (7_200, 7_200, 3_600),
    ],
)
def test_the_life_is_the_smallest_of_what_is_asked_and_allowed(
    asked: int | None, grant_cap: int | None, granted: int
) -> None:
    """Seconds asked, the grant's cap, seconds granted; 300 by default and 3,600 at most."""
    grant = Grant("demo", (EVERY,), max_ttl_seconds=grant_cap)
    assert decide(grant, AskedOptions(ttl_seconds=asked), LIMITS).ttl_seconds == granted


@pytest.mark.parametrize(
    "asked",
    [
        AskedOptions(ttl_seconds=600, viewer_id="viewer-1"),
        AskedOptions(ttl_seconds=541, single_use=True),
        AskedOptions(ttl_seconds=3_600, viewer_id="viewer-1", single_use=True),
    ],
)
def test_ten_minute_tokens_live_540_seconds(asked: AskedOptions) -> None:
    """With a viewer ID or single use, a minute is left to clocks that differ."""
    assert decide(OPEN, asked, LIMITS).ttl_seconds == 540


SD, HD, FULL_HD = Resolution.SD, Resolution.HD, Resolution.FULL_HD


@pytest.mark.parametrize(
    ("granted", "asked", "given"),
    [
        (None, None, None),
        (HD, None, HD),
        (None, HD, HD),
        (SD, FULL_HD, SD),
        (FULL_HD, SD, SD),
        (HD, FULL_HD, HD),
    ],
)
def test_the_resolution_is_the_smaller(
    granted: Resolution | None, asked: Resolution | None, given: Resolution | None
) -> None:
    """SD is below HD, and HD below FULL_HD, whatever the alphabet says."""
    grant = Grant("demo", (EVERY,), maximum_resolution=granted)
    assert decide(grant, AskedOptions(maximum_resolution=asked), LIMITS).maximum_resolution is given


def test_a_required_viewer_id_is_required() -> None:
    """The field and the rule are named."""
    grant = Grant("demo", (EVERY,), viewer_id="required")
    assert decide(grant, AskedOptions(viewer_id="viewer-1"), LIMITS).ttl_seconds == 300
    with pytest.raises(InvalidRequest) as refusal:
        decide(grant, AskedOptions(), LIMITS)
    (problem,) = refusal.value.problems
    assert (problem.field, problem.rule) == ("viewer_id", "viewer_id_required")


def test_the_rest_is_as_asked() -> None:
    """Strictness and single use make a token safer, so no grant has a say."""
    asked = AskedOptions(
        strict_origin_enforcement=True, single_use=True, allowed_origins=("https://a.example.com",)
    )
    assert decide(OPEN, asked, LIMITS) == PlaybackOptions(
        ttl_seconds=300,
        allowed_origins=("https://a.example.com",),
        strict_origin_enforcement=True,
        single_use=True,
    )


def test_the_grants_origins_are_used_when_none_is_asked() -> None:
    """A request that says nothing is not free of them."""
    grant = Grant("demo", (EVERY,), allowed_origins=("https://*.example.com",))
    assert decide(grant, AskedOptions(), LIMITS).allowed_origins == ("https://*.example.com",)


@pytest.mark.parametrize(
    ("granted", "asked"),
    [
        ("https://a.example.com", "https://a.example.com"),
        ("https://a.example.com", "HTTPS://A.Example.com"),
        ("https://*.example.com", "https://a.example.com"),
        ("https://*.example.com", "https://a.b.example.com"),
        ("https://*.example.com", "https://*.example.com"),
        ("https://*.example.com", "https://*.b.example.com"),
        ("https://*.example.com:8443", "https://a.example.com:8443"),
        ("https://*", "https://a.example.com"),
        ("*", "https://a.example.com:8443"),
        ("*", "*"),
    ],
)
def test_an_origin_within_the_grant_is_given_as_asked(granted: str, asked: str) -> None:
    """The narrower one goes into the token."""
    grant = Grant("demo", (EVERY,), allowed_origins=("https://other.example.org", granted))
    options = decide(grant, AskedOptions(allowed_origins=(asked,)), LIMITS)
    assert options.allowed_origins == (asked,)


@pytest.mark.parametrize(
    ("granted", "asked"),
    [
        ("https://a.example.com", "https://b.example.com"),
        ("https://a.example.com", "http://a.example.com"),
        ("https://a.example.com", "https://a.example.com:8443"),
        ("https://a.example.com", "https://*.example.com"),
        ("https://a.example.com", "*"),
        ("https://*.example.com", "https://example.com"),
        ("https://*.example.com", "https://.example.com"),
        ("https://*.example.com", "https://*"),
        ("https://*.example.com", "https://evil.org/.example.com"),
        ("https://*.example.com", "https://evil.org,https://a.example.com"),
        ("https://*.example.com", "https://evil.org:1@a.example.com"),
        ("https://*", "https://a.example.com:8443"),
        ("https://*.example.com", ""),
    ],
)
def test_an_origin_outside_the_grant_is_refused(granted: str, asked: str) -> None:
    """The refusal says which one, and names those that are allowed."""
    grant = Grant("demo", (EVERY,), allowed_origins=(granted,))
    with pytest.raises(NotEntitled) as refusal:
        decide(grant, AskedOptions(allowed_origins=("https://x.example.com", asked)), LIMITS)
    assert refusal.value.hint == f"It allows {granted}."
    assert refusal.value.problems[-1].message == f"{asked} is not allowed."


HOSTS = st.lists(st.sampled_from(["a", "b", "example", "com", "*"]), min_size=1, max_size=4).map(
    ".".join
)
ORIGINS = st.one_of(
    st.just("*"),
    st.builds(
        "{}://{}{}".format,
        st.sampled_from(["https", "HTTPS", "http"]),
        HOSTS,
        st.sampled_from(["", ":8443"]),
    ),
)


@given(granted=ORIGINS, asked=ORIGINS, part=st.sampled_from(["a", "a.b", "b.example", "com"]))
def test_no_granted_origin_reaches_beyond_the_grant(granted: str, asked: str, part: str) -> None:
    """What the edge lets through for the origins given, it lets through for the grant's."""
    grant = Grant("demo", (EVERY,), allowed_origins=(granted,))
    try:
        options = decide(grant, AskedOptions(allowed_origins=(asked,)), LIMITS)
    except NotEntitled:
        return
    origin = f"https://{part}" if asked == "*" else asked.replace("*", part)
    if any(matches(item, origin) for item in options.allowed_origins):
        assert matches(granted, origin)


@given(
    grant=st.builds(
        Grant,
        name=st.just("demo"),
        channels=st.just((EVERY,)),
        max_ttl_seconds=st.none() | st.integers(1, 10_000),
        allowed_origins=st.lists(ORIGINS, max_size=2).map(tuple),
        maximum_resolution=st.none() | st.sampled_from(Resolution),
        viewer_id=st.sampled_from(["required", "optional"]),
    ),
    asked=st.builds(
        AskedOptions,
        viewer_id=st.none() | st.just("viewer-1"),
        ttl_seconds=st.none() | st.integers(1, 10_000),
        allowed_origins=st.lists(ORIGINS, max_size=2).map(tuple),
        single_use=st.booleans(),
        maximum_resolution=st.none() | st.sampled_from(Resolution),
    ),
    limits=st.builds(Limits, st.integers(1, 4_000), st.integers(1, 4_000)),
)
def test_a_decision_never_exceeds_a_cap(grant: Grant, asked: AskedOptions, limits: Limits) -> None:
    """Whatever is asked, under whatever grant and limits."""
    try:
        options = decide(grant, asked, limits)
    except (InvalidRequest, NotEntitled):
        return
    ranks = ["SD", "HD", "FULL_HD"]
    assert options.ttl_seconds <= limits.max_ttl_seconds
    assert options.ttl_seconds <= (grant.max_ttl_seconds or 10_000)
    assert options.ttl_seconds <= (asked.ttl_seconds or limits.ttl_seconds)
    if asked.viewer_id or asked.single_use:
        assert options.ttl_seconds <= 540
    if grant.viewer_id == "required":
        assert asked.viewer_id
    for cap in (grant.maximum_resolution, asked.maximum_resolution):
        if cap:
            assert options.maximum_resolution
            assert ranks.index(options.maximum_resolution.value) <= ranks.index(cap.value)
    if grant.allowed_origins or asked.allowed_origins:
        assert options.allowed_origins in (asked.allowed_origins, grant.allowed_origins)
    assert options.single_use == asked.single_use
