"""The sections `[grants.NAME]`: conditions, countries and forced options."""

from __future__ import annotations

import pytest

from tests.settings.files import ARN, MINIMAL, Load
from tokensvc.access.conditions import Condition
from tokensvc.errors import SettingsInvalid

GRANT = f'{MINIMAL}[grants.web]\nchannels = ["{ARN}"]\n'
SIX_ORIGINS = [f"https://{number}.example.com" for number in range(6)]


def test_every_option_of_a_grant_is_used(load: Load) -> None:
    """From the file to the grant that decides."""
    settings = load(
        f"""{GRANT}
        viewer_id = "from-identity"
        when = {{ groups = "members", realm_access = {{ roles = "viewer" }}, "a b" = true }}
        strict_origin_enforcement = true
        single_use = true
        countries = ["DE", "XK"]
        unknown_country = "allow"
        trust_viewer_country = true
        """
    )
    grant = settings.grants_by_name()["web"]
    assert set(grant.when) == {
        Condition(("groups",), "members"),
        Condition(("realm_access", "roles"), "viewer"),
        Condition(("a b",), value=True),
    }
    assert (grant.strict_origin_enforcement, grant.single_use) == (True, True)
    assert grant.countries == frozenset({"DE", "XK"})
    assert (grant.unknown_country, grant.trust_viewer_country) == ("allow", True)
    assert (grant.viewer_id, grant.acts_for_viewers) == ("from-identity", False)


def test_a_grant_without_these_options_allows_as_before(load: Load) -> None:
    """Every country, no condition, nothing forced."""
    grant = load(GRANT).grants_by_name()["web"]
    assert (grant.countries, grant.when) == (None, ())
    assert (grant.strict_origin_enforcement, grant.single_use) == (False, False)


def test_conditions_and_countries_can_be_set_in_the_environment(load: Load) -> None:
    """Conditions as CLAIM=VALUE with commas; the value is JSON where it is valid JSON."""
    environment = {
        "TOKENSVC_GRANTS__WEB__WHEN": 'groups=members, verified=true, id="7", level=7',
        "TOKENSVC_GRANTS__WEB__COUNTRIES": "DE, AT",
    }
    grant = load(GRANT, environment).grants_by_name()["web"]
    assert set(grant.when) == {
        Condition(("groups",), "members"),
        Condition(("verified",), value=True),
        Condition(("id",), "7"),
        Condition(("level",), 7),
    }
    assert grant.countries == frozenset({"DE", "AT"})


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ('countries = ["UK"]', "grants.web.countries.0"),
        ('countries = ["de"]', "grants.web.countries.0"),
        ('countries = ["EU"]', "grants.web.countries.0"),
        ('unknown_country = "maybe"', "grants.web.unknown_country"),
        ('viewer_id = "from_identity"', "grants.web.viewer_id"),
        ("when = {}", "grants.web.when"),
        ('when = "members"', "grants.web.when"),
        ('when = { groups = ["a", "b"] }', "grants.web.when"),
        ("when = { level = 1.5 }", "grants.web.when"),
        ("when = { since = 2026-11-26 }", "grants.web.when"),
        (
            'viewer_id = "from-identity"\nacts_for_viewers = true',
            "grants.web.acts_for_viewers",
        ),
        (
            f"strict_origin_enforcement = true\nallowed_origins = {SIX_ORIGINS}",
            "grants.web.allowed_origins",
        ),
    ],
)
def test_a_wrong_value_is_refused_with_its_place(load: Load, text: str, field: str) -> None:
    """The start names each of them."""
    with pytest.raises(SettingsInvalid) as refusal:
        load(GRANT + text)
    assert [problem.field for problem in refusal.value.problems] == [field]
