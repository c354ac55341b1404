"""Which options of a token a grant allows."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from local_ivs.edge.origins import matches

from tests.access.grants import ARN, EVERY, LIMITS, LONG, OPEN, caller, channels, requesting
from tokensvc.access.grants import (
    Grant,
    Limits,
    decide,
    granted_ttl_seconds,
)
from tokensvc.access.requests import PlaybackRequest
from tokensvc.errors import InvalidRequest, NotEntitled
from tokensvc.token.claims import PlaybackOptions, Resolution


def test_a_request_without_options_gets_the_defaults() -> None:
    """300 seconds, every origin, every resolution."""
    options = decide(OPEN, caller(), requesting(), LIMITS).options(LONG)
    assert options == PlaybackOptions(ttl_seconds=300)


@pytest.mark.parametrize(
    ("requested", "service_cap", "grant_cap", "key_cap", "granted"),
    [
        (None, 3_600, None, LONG, 300),
        (None, 3_600, 120, LONG, 120),
        (60, 3_600, None, LONG, 60),
        (60, 3_600, 120, LONG, 60),
        (121, 3_600, 120, LONG, 120),
        (3_600, 3_600, None, LONG, 3_600),
        (3_601, 3_600, None, LONG, 3_600),
        (7_200, 3_600, 7_200, LONG, 3_600),
        (7_200, 7_200, None, 3_600, 3_600),
        (7_200, 7_200, 900, 3_600, 900),
        (None, 3_600, None, 299, 299),
        (None, 200, None, LONG, 200),
        (1, 1, 1, 1, 1),
    ],
)
def test_the_ttl_is_the_minimum_of_the_request_and_the_caps(
    requested: int | None, service_cap: int, grant_cap: int | None, key_cap: int, granted: int
) -> None:
    """Caps of the service, the grant and the key pair that signs; the default is 300 seconds."""
    grant = Grant("demo", channels(EVERY), max_ttl_seconds=grant_cap)
    request, limits = requesting(ttl_seconds=requested), Limits(300, service_cap)
    assert granted_ttl_seconds(request, grant, limits, key_cap) == granted
    assert decide(grant, caller(), request, limits).options(key_cap).ttl_seconds == granted


@pytest.mark.parametrize(
    ("request_", "key_cap", "granted"),
    [
        (requesting(ttl_seconds=600, viewer_id="viewer-1"), LONG, 540),
        (requesting(ttl_seconds=541, single_use=True), LONG, 540),
        (requesting(ttl_seconds=540, single_use=True), LONG, 540),
        (requesting(ttl_seconds=539, single_use=True), LONG, 539),
        (requesting(ttl_seconds=3_600, viewer_id="viewer-1", single_use=True), LONG, 540),
        (requesting(ttl_seconds=3_600, viewer_id="viewer-1", single_use=True), 500, 500),
        (requesting(ttl_seconds=600), LONG, 600),
    ],
)
def test_tokens_under_the_ten_minute_rule_get_540_seconds(
    request_: PlaybackRequest, key_cap: int, granted: int
) -> None:
    """With a viewer ID or single use; one minute is left for clocks that differ."""
    assert granted_ttl_seconds(request_, OPEN, LIMITS, key_cap) == granted


SD, HD, FULL_HD = Resolution.SD, Resolution.HD, Resolution.FULL_HD


@pytest.mark.parametrize(
    ("cap", "requested", "granted"),
    [
        (None, None, None),
        (HD, None, HD),
        (None, HD, HD),
        (SD, FULL_HD, SD),
        (FULL_HD, SD, SD),
        (HD, FULL_HD, HD),
    ],
)
def test_the_lower_resolution_is_granted(
    cap: Resolution | None, requested: Resolution | None, granted: Resolution | None
) -> None:
    """SD is below HD, and HD is below FULL_HD; the order is not alphabetical."""
    grant = Grant("demo", channels(EVERY), maximum_resolution=cap)
    decision = decide(grant, caller(), requesting(maximum_resolution=requested), LIMITS)
    assert decision.options(LONG).maximum_resolution is granted


def test_a_required_viewer_id_is_required() -> None:
    """The problem has the field and the rule."""
    grant = Grant("demo", channels(EVERY), viewer_id="required")
    assert (
        decide(grant, caller(), requesting(viewer_id="viewer-1"), LIMITS).options(LONG).ttl_seconds
        == 300
    )
    with pytest.raises(InvalidRequest) as refusal:
        decide(grant, caller(), requesting(), LIMITS)
    (problem,) = refusal.value.problems
    assert (problem.field, problem.rule) == ("viewer_id", "viewer_id_required")


def test_the_other_options_are_granted_as_requested() -> None:
    """Strict origins and single use make a token safer, so no grant limits them."""
    requested = requesting(
        strict_origin_enforcement=True, single_use=True, allowed_origins=("https://a.example.com",)
    )
    assert decide(OPEN, caller(), requested, LIMITS).options(LONG) == PlaybackOptions(
        ttl_seconds=300,
        allowed_origins=("https://a.example.com",),
        strict_origin_enforcement=True,
        single_use=True,
    )


def test_the_origins_of_the_grant_apply_when_the_request_has_none() -> None:
    """A request can't avoid them by leaving out `allowed_origins`."""
    grant = Grant("demo", channels(EVERY), allowed_origins=("https://*.example.com",))
    decision = decide(grant, caller(), requesting(), LIMITS)
    assert decision.options(LONG).allowed_origins == ("https://*.example.com",)


@pytest.mark.parametrize(
    ("granted", "requested"),
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
def test_an_origin_that_the_grant_covers_is_granted_as_requested(
    granted: str, requested: str
) -> None:
    """The token gets the narrower, requested origin."""
    grant = Grant("demo", channels(EVERY), allowed_origins=("https://other.example.org", granted))
    options = decide(grant, caller(), requesting(allowed_origins=(requested,)), LIMITS).options(
        LONG
    )
    assert options.allowed_origins == (requested,)


@pytest.mark.parametrize(
    ("granted", "requested"),
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
def test_an_origin_that_the_grant_does_not_cover_is_refused(granted: str, requested: str) -> None:
    """The error names that origin, and the hint names the allowed origins."""
    grant = Grant("demo", channels(EVERY), allowed_origins=(granted,))
    with pytest.raises(NotEntitled) as refusal:
        decide(
            grant,
            caller(),
            requesting(allowed_origins=("https://x.example.com", requested)),
            LIMITS,
        )
    problem = refusal.value.problems[-1]
    assert (problem.field, problem.rule) == ("allowed_origins", "origin_not_granted")
    assert requested in problem.message
    assert granted in refusal.value.hint


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


@given(granted=ORIGINS, requested=ORIGINS, part=st.sampled_from(["a", "a.b", "b.example", "com"]))
def test_no_granted_origin_exceeds_the_grant(granted: str, requested: str, part: str) -> None:
    """The edge allows nothing for the granted origins that it refuses for the grant's own."""
    grant = Grant("demo", channels(EVERY), allowed_origins=(granted,))
    try:
        options = decide(grant, caller(), requesting(allowed_origins=(requested,)), LIMITS).options(
            LONG
        )
    except NotEntitled:
        return
    origin = f"https://{part}" if requested == "*" else requested.replace("*", part)
    if any(matches(item, origin) for item in options.allowed_origins):
        assert matches(granted, origin)


@given(
    grant=st.builds(
        Grant,
        name=st.just("demo"),
        channels=st.just(channels(EVERY)),
        max_ttl_seconds=st.none() | st.integers(1, 10_000),
        allowed_origins=st.lists(ORIGINS, max_size=2).map(tuple),
        maximum_resolution=st.none() | st.sampled_from(Resolution),
        viewer_id=st.sampled_from(["required", "optional"]),
    ),
    requested=st.builds(
        PlaybackRequest,
        channel=st.just(str(ARN)),
        viewer_id=st.none() | st.just("viewer-1"),
        ttl_seconds=st.none() | st.integers(1, 10_000),
        allowed_origins=st.lists(ORIGINS, max_size=2).map(tuple),
        single_use=st.booleans(),
        maximum_resolution=st.none() | st.sampled_from(Resolution),
    ),
    limits=st.builds(Limits, st.integers(1, 4_000), st.integers(1, 4_000)),
    key_cap=st.integers(1, 10_000),
)
def test_a_decision_never_exceeds_a_cap(
    grant: Grant, requested: PlaybackRequest, limits: Limits, key_cap: int
) -> None:
    """For any request, grant, limits and key pair. The TTL is never below every cap either."""
    try:
        options = decide(grant, caller(), requested, limits).options(key_cap)
    except (InvalidRequest, NotEntitled):
        return
    ranks = ["SD", "HD", "FULL_HD"]
    assert options.ttl_seconds <= limits.max_ttl_seconds
    assert options.ttl_seconds <= (grant.max_ttl_seconds or 10_000)
    assert options.ttl_seconds <= (requested.ttl_seconds or limits.ttl_seconds)
    assert options.ttl_seconds <= key_cap
    if requested.viewer_id or requested.single_use:
        assert options.ttl_seconds <= 540
    assert options.ttl_seconds in {
        540,
        key_cap,
        limits.max_ttl_seconds,
        limits.ttl_seconds,
        grant.max_ttl_seconds,
        requested.ttl_seconds,
    }
    if grant.viewer_id == "required":
        assert requested.viewer_id
    for cap in (grant.maximum_resolution, requested.maximum_resolution):
        if cap:
            assert options.maximum_resolution
            assert ranks.index(options.maximum_resolution.value) <= ranks.index(cap.value)
    if grant.allowed_origins or requested.allowed_origins:
        assert options.allowed_origins in (requested.allowed_origins, grant.allowed_origins)
    assert options.single_use == requested.single_use
