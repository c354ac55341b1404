"""Several grants together: each of them may only take away."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.access.grants import ARN, EVERY, LIMITS, LONG, caller, channels, requesting, user
from tests.access.test_grant_options import ORIGINS
from tokensvc.access.callers import Caller
from tokensvc.access.conditions import Condition
from tokensvc.access.grant import combine
from tokensvc.access.grants import Grant, Granted, decide, scope
from tokensvc.access.origins import is_covered
from tokensvc.access.requests import PlaybackRequest
from tokensvc.errors import TokensvcError
from tokensvc.token.claims import Resolution

COUNTRIES = st.sampled_from(["DE", "AT"])
# Often such that several grants apply and grant something: otherwise nothing is compared.
GRANTS = st.builds(
    Grant,
    name=st.just(""),
    channels=st.sampled_from([channels(EVERY), channels(str(ARN))]),
    max_ttl_seconds=st.none() | st.integers(1, 1_000),
    allowed_origins=st.just(()) | st.lists(ORIGINS, max_size=2).map(tuple),
    maximum_resolution=st.none() | st.sampled_from(Resolution),
    viewer_id=st.sampled_from(["optional", "optional", "required", "from-identity"]),
    when=st.sampled_from([(), (), (), (Condition(("groups",), "members"),)]),
    strict_origin_enforcement=st.booleans(),
    single_use=st.booleans(),
    countries=st.sampled_from([None, frozenset({"DE"}), frozenset({"DE", "AT"})]),
    unknown_country=st.sampled_from(["refuse", "allow"]),
    trust_viewer_country=st.booleans(),
    acts_for_viewers=st.sampled_from([False, False, False, True]),
    max_watch_seconds=st.none() | st.integers(1, 1_000),
)
NAMES = "abcd"
CALLERS = st.sampled_from([caller(*NAMES), user(*NAMES), user(*NAMES, groups=["members"])])
REQUESTS = st.builds(
    requesting,
    viewer_id=st.sampled_from([None, "viewer-1", "current-viewer-id"]),
    ttl_seconds=st.none() | st.integers(1, 1_000),
    allowed_origins=st.just(()) | st.lists(ORIGINS, max_size=1).map(tuple),
    strict_origin_enforcement=st.booleans(),
    single_use=st.booleans(),
    maximum_resolution=st.none() | st.sampled_from(Resolution),
    viewer_country=st.none() | COUNTRIES,
)
CLIENT_COUNTRIES = st.none() | COUNTRIES


def outcome(
    grants: Sequence[Grant], who: Caller, request: PlaybackRequest, country: str | None
) -> Granted | TokensvcError:
    """What the caller gets with these grants, or the refusal."""
    named = {name: replace(grant, name=name) for name, grant in zip(NAMES, grants, strict=False)}
    try:
        return decide(scope(named, who, ARN), who, request, LIMITS, country)
    except TokensvcError as refusal:
        return refusal


@given(
    grants=st.lists(GRANTS, min_size=1, max_size=3),
    added=GRANTS,
    who=CALLERS,
    request=REQUESTS,
    country=CLIENT_COUNTRIES,
)
def test_another_grant_never_widens_what_a_caller_gets(
    grants: list[Grant], added: Grant, who: Caller, request: PlaybackRequest, country: str | None
) -> None:
    """On no dimension, once any grant applies: what is refused stays refused."""
    before = outcome(grants, who, request, country)
    after = outcome([*grants, added], who, request, country)
    if isinstance(before, TokensvcError):
        no_grant_applied = before.rule == "grant_conditions"
        assert no_grant_applied or isinstance(after, TokensvcError)
        return
    if isinstance(after, TokensvcError):
        return
    wide, narrow = before.options(LONG), after.options(LONG)
    assert narrow.ttl_seconds <= wide.ttl_seconds
    assert all(
        any(is_covered(origin, other) for other in wide.allowed_origins)
        for origin in narrow.allowed_origins
        if wide.allowed_origins
    )
    assert narrow.allowed_origins or not wide.allowed_origins
    assert narrow.strict_origin_enforcement >= wide.strict_origin_enforcement
    assert narrow.single_use >= wide.single_use
    if wide.maximum_resolution is not None:
        assert narrow.maximum_resolution is not None
        assert narrow.maximum_resolution <= wide.maximum_resolution
    if (seconds := before.grant.max_watch_seconds) is not None:
        assert after.grant.max_watch_seconds is not None
        assert after.grant.max_watch_seconds <= seconds
    if before.request.viewer_id is not None:
        assert after.request.viewer_id == before.request.viewer_id


@given(seconds=st.lists(st.none() | st.integers(1, 1_000), min_size=2, max_size=4))
def test_another_grant_never_lengthens_a_session(seconds: list[int | None]) -> None:
    """Whatever the grants before it say, and also if they set no limit."""
    grants = [Grant(str(each), channels(EVERY), max_watch_seconds=each) for each in seconds]
    before, after = combine(grants[:-1]).max_watch_seconds, combine(grants).max_watch_seconds
    assert before is None or (after is not None and after <= before)
    assert after in {before, seconds[-1]}


@given(
    grants=st.lists(GRANTS, min_size=2, max_size=4),
    who=CALLERS,
    request=REQUESTS,
    country=CLIENT_COUNTRIES,
    order=st.permutations(NAMES),
)
def test_the_order_of_grants_does_not_matter(
    grants: list[Grant],
    who: Caller,
    request: PlaybackRequest,
    country: str | None,
    order: list[str],
) -> None:
    """The same names in any order give the same answer, to the last character."""
    other = Caller(who.caller_id, who.name, tuple(order), who.scopes, who.identity)
    first = outcome(grants, who, request, country)
    second = outcome(grants, other, request, country)
    if isinstance(first, TokensvcError):
        assert isinstance(second, TokensvcError)
        assert (first.code, first.rule) == (second.code, second.rule)
    else:
        assert first == second


FORCING = Grant("forcing", channels(EVERY), strict_origin_enforcement=True, single_use=True)


def test_a_grant_can_force_single_use_and_strict_origins() -> None:
    """Of several grants any one does; single use has IVS's limit of ten minutes."""
    open_ = Grant("open", channels(EVERY), allowed_origins=("https://a.example.com",))
    grant = scope({"open": open_, "forcing": FORCING}, caller("open", "forcing"), ARN)
    granted = decide(grant, caller(), requesting(ttl_seconds=3_600), LIMITS)
    options = granted.options(LONG)
    assert (options.single_use, options.strict_origin_enforcement) == (True, True)
    assert options.ttl_seconds == 540
    assert (
        granted.limited(540) == "ttl_seconds,allowed_origins,strict_origin_enforcement,single_use"
    )


@pytest.mark.parametrize(
    ("first", "second", "common"),
    [
        ({"DE", "AT"}, {"AT", "FR"}, {"AT"}),
        ({"DE"}, None, {"DE"}),
        ({"DE"}, {"FR"}, set()),
        (None, None, None),
    ],
)
def test_the_countries_are_those_that_all_grants_allow(
    first: set[str] | None, second: set[str] | None, common: set[str] | None
) -> None:
    """One without countries takes nothing away. Disjoint ones leave none."""
    grants = {
        name: Grant(name, channels(EVERY), countries=None if one is None else frozenset(one))
        for name, one in {"a": first, "b": second}.items()
    }
    assert scope(grants, caller("a", "b"), ARN).countries == common


def combined(**fields: tuple[Any, Any]) -> Grant:
    """Two grants together, whose fields have these values. In both orders it is the same."""
    first, second = (
        Grant(name, channels(EVERY), **{field: pair[number] for field, pair in fields.items()})
        for number, name in enumerate("ab")
    )
    assert combine([first, second]) == combine([second, first])
    return combine([first, second])


SOME, OTHER = frozenset({"DE"}), frozenset({"DE", "AT"})


@pytest.mark.parametrize(
    ("countries", "unknown", "trust", "expected"),
    [
        ((SOME, OTHER), ("refuse", "allow"), (True, True), ("refuse", True)),
        ((SOME, OTHER), ("allow", "allow"), (True, False), ("allow", False)),
        ((SOME, None), ("allow", "refuse"), (True, False), ("allow", True)),
        ((SOME, None), ("refuse", "allow"), (False, True), ("refuse", False)),
        ((None, None), ("allow", "allow"), (True, False), ("allow", False)),
        ((None, None), ("allow", "allow"), (True, True), ("allow", True)),
    ],
)
def test_what_counts_about_countries_is_said_by_grants_that_list_some(
    countries: tuple[object, object],
    unknown: tuple[str, str],
    trust: tuple[bool, bool],
    expected: tuple[str, bool],
) -> None:
    """All of these must allow an unknown country, and trust the backend."""
    grant = combined(countries=countries, unknown_country=unknown, trust_viewer_country=trust)
    assert (grant.unknown_country, grant.trust_viewer_country) == expected


def test_one_grant_is_enough_to_require_and_all_are_needed_to_allow() -> None:
    """For every option that is yes or no. The names are sorted."""
    grant = combined(
        entitlement=(True, False),
        single_use=(False, True),
        strict_origin_enforcement=(True, False),
        acts_for_viewers=(True, False),
        viewer_id=("required", "optional"),
    )
    assert (grant.entitlement, grant.single_use, grant.strict_origin_enforcement) == 3 * (True,)
    assert (grant.acts_for_viewers, grant.viewer_id, grant.name) == (False, "required", "a,b")
    assert combined(acts_for_viewers=(True, True)).acts_for_viewers
    assert combined(viewer_id=("required", "from-identity")).viewer_id == "from-identity"
