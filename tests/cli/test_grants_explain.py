"""`tokensvc grants explain` for users with a token, with countries and conditions."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.cli.conftest import Desk
from tokensvc.access.viewer_ids import ViewerIds

CHANNEL = "arn:aws:ivs:us-west-2:123456789012:channel/abcdEFGHijkl"
SECRET = bytes(range(32))
ISSUER = "https://login.example.com"
SETTINGS = f"""
[issuers.login]
issuer = "{ISSUER}"
audience = ["tokensvc"]
grants = ["members", "trial", "dach"]
[issuers.services]
issuer = "https://services.example.com"
audience = ["tokensvc"]
grants = ["server"]
scopes_claim = "scope"
[grants.members]
channels = ["{CHANNEL}"]
when = {{ groups = "members" }}
[grants.trial]
channels = ["{CHANNEL}"]
when = {{ plan = {{ trial = true }} }}
maximum_resolution = "SD"
single_use = true
[grants.dach]
channels = ["{CHANNEL}"]
countries = ["DE", "AT", "CH"]
[grants.france]
channels = ["{CHANNEL}"]
countries = ["FR"]
trust_viewer_country = true
[grants.server]
channels = ["{CHANNEL}"]
acts_for_viewers = true
countries = ["DE"]
trust_viewer_country = true
[grants.strict]
channels = ["{CHANNEL}"]
strict_origin_enforcement = true
"""
MEMBER = ("--issuer", "login", "--claim", 'groups=["members"]', "--claim", "sub=ann")


@pytest.fixture(autouse=True)
def _settings(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.settings.write_text(desk.settings.read_text() + SETTINGS)
    monkeypatch.setenv("TOKENSVC_VIEWER_IDS__SECRET", SECRET.hex())


def explained(desk: Desk, *arguments: str) -> dict[str, Any]:
    """The JSON of the command, whose exit status must fit the decision."""
    result = desk.run("grants", "explain", "--channel", CHANNEL, "--json", *arguments)
    document: dict[str, Any] = json.loads(result.stdout)
    assert result.exit_code == (0 if document["decision"] == "granted" else 1)
    return document


def results(document: dict[str, Any]) -> dict[str, str]:
    """The result of each step, by its name."""
    return {step["step"]: step["result"] for step in document["steps"]}


def test_every_step_of_a_decision_about_a_user_is_shown(desk: Desk) -> None:
    """The grants that apply, what is not met, and the own viewer ID."""
    document = explained(desk, *MEMBER, "--country", "DE", "--ttl-seconds", "900")
    assert [(row["name"], row["applies"], row["unmet"]) for row in document["grants"]] == [
        ("members", "yes", []),
        ("trial", "not for this caller", ["plan.trial = True"]),
        ("dach", "yes", []),
    ]
    assert results(document) == {
        "scope": "passed",
        "grants": "passed",
        "viewer_id": "limited",
        "country": "passed",
        "origins": "passed",
        "lifetime": "limited",
        "resolution": "passed",
        "forced_options": "passed",
        "token": "passed",
    }
    assert document["grant"] == "dach,members"
    assert document["viewer_id"] == ViewerIds([SECRET]).of(ISSUER, "ann")[0]
    assert (document["country"], document["ttl_seconds"]) == ("DE", 540)


def test_a_condition_that_is_met_can_take_away(desk: Desk) -> None:
    """The claims are those of the options; the value may be JSON."""
    document = explained(desk, *MEMBER, "--claim", 'plan={"trial": true}', "--country", "AT")
    assert (document["maximum_resolution"], document["single_use"]) == ("SD", True)
    assert results(document)["resolution"] == results(document)["forced_options"] == "limited"


@pytest.mark.parametrize(
    ("arguments", "code", "rule", "refused_by"),
    [
        ((*MEMBER, "--country", "US"), "country_not_allowed", "country_not_granted", "country"),
        (MEMBER, "country_not_allowed", "country_unknown", "country"),
        (
            (*MEMBER, "--country", "DE", "--viewer-id", "another"),
            "not_entitled",
            "viewer_id_of_another",
            "viewer_id",
        ),
        (("--issuer", "services"), "not_permitted", None, "scope"),
        (
            ("--issuer", "services", "--claim", "scope=tokensvc:mint", "--country", "FR"),
            "country_not_allowed",
            "country_not_granted",
            "country",
        ),
    ],
)
def test_a_refusal_names_its_step_and_its_rule(
    desk: Desk, arguments: tuple[str, ...], code: str, rule: str | None, refused_by: str
) -> None:
    """The steps before it passed, and none comes after it."""
    document = explained(desk, *arguments)
    assert (document["code"], document["rule"]) == (code, rule)
    assert list(results(document).values())[-1] == "refused"
    assert document["steps"][-1]["step"] == refused_by
    assert set(list(results(document).values())[:-1]) <= {"passed"}


def test_a_backend_with_a_token_names_the_country_of_its_viewer(desk: Desk) -> None:
    """As one with an API key does."""
    service = ("--issuer", "services", "--claim", "scope=tokensvc:mint", "--country", "DE")
    document = explained(desk, *service, "--viewer-id", "viewer-7")
    assert (document["viewer_id"], document["country"]) == ("viewer-7", "DE")


def test_grants_that_exclude_each_other_are_shown(desk: Desk) -> None:
    """Two API keys: with countries that are disjoint, and with options that no token can have."""
    desk.done("api-keys", "create", "both", "--grant", "dach", "--grant", "france")
    for more in ((), ("--country", "FR")):
        document = explained(desk, "--as", "both", *more)
        assert (document["code"], document["rule"]) == ("country_not_allowed", "countries_disjoint")
        assert "dach,france" in document["detail"]
    desk.done("api-keys", "create", "strict", "--grant", "strict")
    document = explained(desk, "--as", "strict")
    assert document["steps"][-1]["step"] == "token"
    assert document["rule"] == "strict_with_origins"


def test_the_table_shows_the_same(desk: Desk) -> None:
    """For people."""
    shown = desk.done("grants", "explain", "--channel", CHANNEL, *MEMBER, "--country", "DE")
    assert "plan.trial = True" in shown
    assert "Granted under dach,members." in shown
    refused = desk.run("grants", "explain", "--channel", CHANNEL, *MEMBER)
    assert (refused.exit_code, "country_unknown" in refused.stdout) == (1, True)


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("--as", "site", "--issuer", "login"),
        ("--issuer", "nowhere"),
        ("--issuer", "login", "--claim", "groups"),
        ("--issuer", "login", "--country", "UK"),
        ("--as", "site", "--claim", "groups=members"),
    ],
)
def test_wrong_use_is_refused(desk: Desk, arguments: tuple[str, ...]) -> None:
    """With exit status 2."""
    desk.refused("grants", "explain", "--channel", CHANNEL, *arguments, status=2)
