"""`tokensvc issuers`: which keys of which issuer are used, and fetching them now."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing

import pytest

from tests.cli.conftest import Desk
from tests.state.watching import wait_until
from tests.support.issuer_server import IssuerServer, issuer_server
from tests.support.oidc_tokens import signing_key
from tokensvc.access.oidc.callers import OidcCallers
from tokensvc.errors import SettingsInvalid
from tokensvc.issuers import build_oidc_callers
from tokensvc.settings import load_settings
from tokensvc.state.shared_versions import SharedVersions
from tokensvc.state.sqlite import SqliteState

FIRST = signing_key("ES256", "first")
SECOND = signing_key("ES256", "second")
ENVIRONMENT = {"TOKENSVC_VIEWER_IDS__SECRET": bytes(range(32)).hex()}


@pytest.fixture
def issuer(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Iterator[IssuerServer]:
    """An issuer of the settings, with one key, and one that does not answer."""
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    with issuer_server(FIRST) as running:
        sections = [
            f'[issuers.main]\nissuer = "{running.url}"\naudience = "tokensvc"\n',
            '[issuers.down]\nissuer = "http://127.0.0.1:1"\naudience = "tokensvc"\n',
        ]
        desk.settings.write_text(desk.settings.read_text() + "".join(sections))
        desk.done("viewers", "record-secrets")
        yield running


@pytest.fixture
def worker(desk: Desk, issuer: IssuerServer) -> Iterator[OidcCallers]:
    """What authenticates callers in a worker, started."""
    assert issuer.url
    settings = load_settings(desk.settings, ENVIRONMENT)
    with closing(SqliteState(desk.folder / "keys/state.sqlite3", desk.clock)) as state:
        callers = build_oidc_callers(
            settings,
            desk.clock,
            state,
            refresh_seconds=0.05,
            versions=SharedVersions(state, desk.clock),
        )
        assert callers is not None
        with closing(callers):
            callers.start()
            yield callers


def key_ids(desk: Desk) -> dict[str, list[str]]:
    """The IDs of the keys of each issuer, a second later."""
    desk.clock.advance(1)
    return {each["name"]: each["key_ids"] for each in desk.json("issuers", "list")}


@pytest.mark.usefixtures("worker")
def test_a_refresh_reaches_every_worker(desk: Desk, issuer: IssuerServer) -> None:
    """Within seconds, for one issuer or for all; the list shows the new keys."""
    wait_until(lambda: key_ids(desk) == {"main": ["first"], "down": []})
    issuer.keys = [SECOND.jwk]
    desk.done("issuers", "refresh", "main")
    wait_until(lambda: key_ids(desk)["main"] == ["second"])

    issuer.keys = [FIRST.jwk, SECOND.jwk]
    desk.done("issuers", "refresh")
    wait_until(lambda: key_ids(desk)["main"] == ["first", "second"])
    printed = desk.done("issuers", "list")
    assert "usable" in printed
    assert "not fetched" in printed

    desk.clock.advance(86_401)
    main, down = desk.json("issuers", "list")
    assert not main["usable"]
    assert 86_401 <= main["age_seconds"] < 2 * 86_400
    assert (down["usable"], down["fetched_at"]) == (False, None)


@pytest.mark.usefixtures("worker")
def test_the_list_shows_that_fetches_fail(desk: Desk, issuer: IssuerServer) -> None:
    """Since the keys were fetched, by whom and why, until a fetch succeeds again."""
    wait_until(lambda: key_ids(desk) == {"main": ["first"], "down": []})
    main, down = desk.json("issuers", "list")
    assert main["failure"] is None
    assert "issuer down" in down["failure"]["detail"]
    issuer.keys = []
    desk.done("issuers", "refresh", "main")
    wait_until(lambda: failure_of_main(desk) is not None)
    main, _ = desk.json("issuers", "list")
    assert main["usable"]
    assert main["key_ids"] == ["first"]
    assert main["failure"]["by"].endswith(f"process {os.getpid()}")
    assert "usable, failed at " in desk.done("issuers", "list")

    issuer.keys = [SECOND.jwk]
    desk.done("issuers", "refresh", "main")
    wait_until(lambda: failure_of_main(desk) is None)


def failure_of_main(desk: Desk) -> object:
    """The failure of the issuer main in the list, a second later."""
    desk.clock.advance(1)
    main, _ = desk.json("issuers", "list")
    return main["failure"]


@pytest.mark.usefixtures("issuer")
def test_an_unknown_issuer_is_refused(desk: Desk) -> None:
    """It names those of the settings."""
    assert "main, down" in desk.refused("issuers", "refresh", "mian", status=2)


def test_without_an_issuer_nothing_is_requested(desk: Desk) -> None:
    """The list is empty."""
    desk.done("api-keys", "create", "site", "--grant", "web")
    desk.done("issuers", "refresh")
    assert desk.json("issuers", "list") == []


@pytest.mark.usefixtures("issuer")
def test_a_check_of_the_service_fetches_the_keys_and_fails_only_for_what_stops_a_start(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An issuer that is down stops none; other viewer ID secrets than the recorded ones do."""
    output = desk.run("serve", "--check").stdout
    assert "ok      issuer main: " in output
    assert "1 usable key" in output
    assert "ok      issuer down: not available now." in output
    assert "ok      viewer IDs: under 1 secret" in output
    monkeypatch.setenv("TOKENSVC_VIEWER_IDS__SECRET", bytes(range(100, 132)).hex())
    assert "FAILED  viewer IDs" in desk.run("serve", "--check").stdout


TOO_LONG = "refresh_interval_too_long"
VALID = 'issuer = "https://a.example.com"\naudience = "a"'
TWO = f"{VALID}\n[issuers.two]\n{VALID}"


@pytest.mark.parametrize(
    ("section", "field", "rule"),
    [
        ('issuer = "https://a.example.com"', "main.audience", "missing"),
        ('audience = "a"', "main.issuer", "missing"),
        (VALID.replace('"a"', "[]"), "main.audience", "too_short"),
        (VALID.replace("https", "http"), "main.issuer", "value_error"),
        (VALID.replace(".com", ".com?x"), "main.issuer", "value_error"),
        (VALID.replace("https://", "https://user@"), "main.issuer", "value_error"),
        (f'{VALID}\nalgorithms = ["HS256"]', "main.algorithms.0", "literal_error"),
        (f'{VALID}\nalgorithms = ["none"]', "main.algorithms.0", "literal_error"),
        (f'{VALID}\njwks_url = "ftp://a.example.com"', "main.jwks_url", "value_error"),
        (f'{VALID}\ngrants = ["missing"]', "main.grants", "unknown_grant"),
        (f"{VALID}\nkeys_max_age_seconds = 599", "main.keys_refresh_seconds", TOO_LONG),
        (TWO, "two.issuer", "repeated_issuer"),
    ],
)
def test_a_wrong_issuer_stops_the_start(desk: Desk, section: str, field: str, rule: str) -> None:
    """An audience is required: a token for another service would be accepted without."""
    desk.settings.write_text(f"{desk.settings.read_text()}[issuers.main]\n{section}\n")
    with pytest.raises(SettingsInvalid) as caught:
        load_settings(desk.settings, ENVIRONMENT)
    (problem,) = caught.value.problems
    assert (problem.field, problem.rule) == (f"issuers.{field}", rule)


def test_an_issuer_needs_a_viewer_id_secret(desk: Desk) -> None:
    """And its settings may be in the environment."""
    variables = {
        "TOKENSVC_ISSUERS__MAIN__ISSUER": "https://a.example.com",
        "TOKENSVC_ISSUERS__MAIN__AUDIENCE": "a,b",
    }
    settings = load_settings(desk.settings, ENVIRONMENT | variables)
    assert settings.issuers["main"].audience == ("a", "b")
    with pytest.raises(SettingsInvalid) as caught:
        load_settings(desk.settings, variables)
    assert [problem.field for problem in caught.value.problems] == ["viewer_ids.secret_file"]
