"""Who the viewer of a request is, and in which country."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.access.grants import (
    ARN,
    EVERY,
    LIMITS,
    LONG,
    OPEN,
    VIEWER_IDS,
    caller,
    channels,
    requesting,
    user,
)
from tokensvc.access.callers import Caller
from tokensvc.access.countries import COUNTRY_CODES
from tokensvc.access.grants import Grant, decide, scope
from tokensvc.access.requests import PlaybackRequest
from tokensvc.access.viewer_ids import ViewerIds
from tokensvc.errors import CountryNotAllowed, InvalidRequest, NotEntitled, TokensvcError
from tokensvc.token.rules import VIEWER_ID, broken_rules

OWN = Grant("own", channels(EVERY), viewer_id="from-identity")
SERVER = Grant("server", channels(EVERY), acts_for_viewers=True)
REQUIRED = Grant("required", channels(EVERY), viewer_id="required")
GERMANY = Grant("germany", channels(EVERY), countries=frozenset({"DE", "AT"}))
TRUSTED = replace(GERMANY, name="trusted", trust_viewer_country=True)


def rule_of_refusal(
    grant: Grant, who: Caller, request: PlaybackRequest, client_country: str | None = None
) -> str | None:
    """The rule that refuses the request; None if it is granted."""
    try:
        decide(grant, who, request, LIMITS, client_country)
    except TokensvcError as refusal:
        return refusal.rule
    return None


# --- The viewer


@pytest.mark.parametrize("grant", [OPEN, OWN, REQUIRED])
@pytest.mark.parametrize("requested", [None, *VIEWER_IDS])
def test_a_user_gets_the_own_viewer_id_in_every_token(grant: Grant, requested: str | None) -> None:
    """Whatever the grant says, also if none was requested, or the one under a previous secret."""
    granted = decide(grant, user(), requesting(viewer_id=requested, ttl_seconds=3_600), LIMITS)
    assert granted.request.viewer_id == "current-viewer-id"
    assert granted.options(LONG).ttl_seconds == 540  # IVS's rule for tokens with a viewer ID.


@pytest.mark.parametrize("grant", [OPEN, OWN, REQUIRED])
def test_a_user_can_not_request_a_url_for_another_viewer(grant: Grant) -> None:
    """Otherwise a banned user could use any other viewer ID."""
    with pytest.raises(NotEntitled) as refusal:
        decide(grant, user(), requesting(viewer_id="another"), LIMITS)
    assert refusal.value.rule == "viewer_id_of_another"


def test_a_grant_for_users_does_not_apply_to_an_api_key() -> None:
    """An API key has no identity, so there is no viewer ID."""
    assert scope({"own": OWN}, user("own"), ARN) is OWN
    with pytest.raises(NotEntitled) as refusal:
        scope({"own": OWN}, caller("own"), ARN)
    assert refusal.value.rule == "grant_conditions"
    assert scope({"own": OWN, "open": OPEN}, caller("own", "open"), ARN) is OPEN


def test_a_backend_with_a_token_of_its_own_names_its_viewers() -> None:
    """If the grant says that it acts for viewers. Then it is as one with an API key."""
    for backend in (user(), caller()):
        for requested in (None, "viewer-7"):
            granted = decide(SERVER, backend, requesting(viewer_id=requested), LIMITS)
            assert granted.request.viewer_id == requested
    required = replace(SERVER, viewer_id="required")
    contradictory = replace(SERVER, viewer_id="from-identity")  # The start refuses it.
    for grant in (required, contradictory):
        assert rule_of_refusal(grant, user(), requesting()) == "viewer_id_required"


def test_grants_must_agree_whether_a_caller_is_the_viewer() -> None:
    """Neither way would be the tighter one. An API key is always a backend."""
    grants = {"open": OPEN, "server": SERVER}
    with pytest.raises(NotEntitled) as refusal:
        scope(grants, user("open", "server"), ARN)
    assert refusal.value.rule == "acts_for_viewers_differs"
    assert scope(grants, caller("open", "server"), ARN).name == "open,server"


@given(subject=st.text())
def test_every_viewer_id_of_a_user_is_one_that_ivs_accepts(subject: str) -> None:
    """It breaks no rule about viewer IDs: such as the one against telephone numbers."""
    (viewer_id,) = ViewerIds([bytes(range(32))]).of("https://issuer.example.com", subject)
    broken = broken_rules({VIEWER_ID: viewer_id}, now=0)
    assert [rule for rule in broken if rule.claim == VIEWER_ID] == []


# --- The country


@pytest.mark.parametrize(
    ("grant", "country", "rule"),
    [
        (OPEN, None, None),
        (OPEN, "US", None),
        (GERMANY, "DE", None),
        (GERMANY, "AT", None),
        (GERMANY, "US", "country_not_granted"),
        (GERMANY, None, "country_unknown"),
        (replace(GERMANY, unknown_country="allow"), None, None),
        (replace(GERMANY, unknown_country="allow"), "US", "country_not_granted"),
        (replace(GERMANY, countries=frozenset()), "DE", "countries_disjoint"),
        (
            replace(GERMANY, countries=frozenset(), unknown_country="allow"),
            None,
            "countries_disjoint",
        ),
    ],
)
def test_the_country_of_a_user_is_that_of_the_client(
    grant: Grant, country: str | None, rule: str | None
) -> None:
    """As the trusted proxy says. One that is not known is refused unless the grant allows it."""
    assert rule_of_refusal(grant, user(), requesting(), country) == rule
    if rule is None:
        assert decide(grant, user(), requesting(), LIMITS, country).country == country
    else:
        with pytest.raises(CountryNotAllowed) as refusal:
            decide(grant, user(), requesting(), LIMITS, country)
        known = None if rule == "countries_disjoint" else country
        assert refusal.value.country == known


@pytest.mark.parametrize("grant", [OPEN, GERMANY, TRUSTED])
def test_a_user_can_not_name_the_country(grant: Grant) -> None:
    """Not even the right one, and not where the country does not matter."""
    with pytest.raises(InvalidRequest) as refusal:
        decide(grant, user(), requesting(viewer_country="DE"), LIMITS, "DE")
    assert refusal.value.rule == "viewer_country_not_accepted"


@pytest.mark.parametrize("backend", [caller(), user()], ids=["API key", "token"])
@pytest.mark.parametrize(
    ("grant", "named", "rule"),
    [
        (TRUSTED, "DE", None),
        (TRUSTED, "US", "country_not_granted"),
        (TRUSTED, None, "country_unknown"),
        (TRUSTED, "XX", "country_code"),
        (TRUSTED, "de", "country_code"),
        (OPEN, "XX", "country_code"),
        (GERMANY, "DE", "viewer_country_not_trusted"),
        (GERMANY, None, "country_unknown"),
    ],
)
def test_the_country_of_a_backends_viewer_is_what_it_names_if_it_is_trusted(
    backend: Caller, grant: Grant, named: str | None, rule: str | None
) -> None:
    """The country of the client would be that of the backend: it never counts."""
    grant = replace(grant, acts_for_viewers=True)
    request = requesting(viewer_country=named)
    assert rule_of_refusal(grant, backend, request) == rule
    assert rule_of_refusal(grant, backend, request, "DE") == rule


def test_the_country_is_known_only_from_a_source_that_counts() -> None:
    """For the audit, where no grant is about countries."""
    named = requesting(viewer_country="DE")
    trusting = replace(OPEN, trust_viewer_country=True)
    assert decide(OPEN, caller(), named, LIMITS, "FR").country is None
    assert decide(trusting, caller(), named, LIMITS, "FR").country == "DE"
    assert decide(OPEN, user(), requesting(), LIMITS, "FR").country == "FR"


def test_the_codes_are_those_of_the_standard_and_of_cloudfront() -> None:
    """The time zone database has the standard's 249; CloudFront has XK too."""
    table = Path("/usr/share/zoneinfo/iso3166.tab")
    if not table.exists():
        pytest.skip("There is no time zone database.")
    lines = [line for line in table.read_text().splitlines() if not line.startswith("#")]
    assert {line.split("\t")[0] for line in lines} | {"XK"} == COUNTRY_CODES
