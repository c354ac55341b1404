"""The section `[viewer_country]`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.settings.files import ARN, MINIMAL, Load
from tokensvc.errors import SettingsInvalid

SECTION = """[viewer_country]
header = "CloudFront-Viewer-Country"
secret_header = "X-Origin-Secret"
"""
PROXIES = '[service]\ntrusted_proxies = ["10.0.0.0/8"]\n'
SECRET = {"TOKENSVC_VIEWER_COUNTRY__SECRET": 64 * "a"}
USERS = f"""[grants.users]
channels = ["{ARN}"]
viewer_id = "from-identity"
countries = ["DE"]
"""


def rules(load: Load, text: str, environment: dict[str, str] | None = None) -> set[tuple[str, str]]:
    """The field and rule of each problem with the settings."""
    with pytest.raises(SettingsInvalid) as refusal:
        load(MINIMAL + text, environment)
    return {(problem.field, problem.rule) for problem in refusal.value.problems}


def test_the_header_is_read_with_the_secret_beside_it(load: Load, tmp_path: Path) -> None:
    """The secret is in a file beside the settings, or in the environment."""
    (tmp_path / "origin").touch(mode=0o600)
    (tmp_path / "origin").write_text(64 * "a")
    in_file = load(f'{MINIMAL}{SECTION}secret_file = "origin"\n{PROXIES}')
    in_environment = load(f"{MINIMAL}{SECTION}{PROXIES}", SECRET)
    environ = {
        "REMOTE_ADDR": "10.1.2.3",
        "HTTP_CLOUDFRONT_VIEWER_COUNTRY": "DE",
        "HTTP_X_ORIGIN_SECRET": 64 * "a",
    }
    for settings in (in_file, in_environment):
        countries = settings.viewer_country.client_countries(settings.service.trusted_proxies)
        assert countries is not None
        assert countries.of(environ) == "DE"
    assert in_file.viewer_country.secret_file in in_file.secret_files


def test_without_a_header_no_country_is_read(load: Load) -> None:
    """The usual case."""
    assert load().viewer_country.client_countries(()) is None


def test_a_header_that_any_client_could_send_is_refused(load: Load) -> None:
    """Without a proxy, without a secret, or without a header for it."""
    header = '[viewer_country]\nheader = "X-Country"\n'
    assert rules(load, header) == {
        ("service.trusted_proxies", "missing"),
        ("viewer_country.secret_header", "missing"),
        ("viewer_country.secret_file", "one_secret"),
    }
    assert rules(load, "", SECRET) == {
        ("viewer_country.header", "missing"),
        ("viewer_country.secret_header", "missing"),
    }
    same = header + 'secret_header = "x-country"\n' + PROXIES
    assert rules(load, same, SECRET) == {("viewer_country.secret_header", "same_header")}
    in_file = f'{SECTION}secret = "{64 * "a"}"\n{PROXIES}'
    assert ("viewer_country.secret", "secret_in_file") in rules(load, in_file)


@pytest.mark.parametrize("name", ["X_Country", "X Country", "", "Authorization", "X-Land:"])
def test_a_name_that_no_header_can_have_is_refused(load: Load, name: str) -> None:
    """The server leaves out names with underscores."""
    text = SECTION.replace("CloudFront-Viewer-Country", name) + PROXIES
    assert "viewer_country.header" in {field for field, _ in rules(load, text, SECRET)}


def test_a_grant_that_would_refuse_every_user_is_refused(load: Load) -> None:
    """Without a header, no user's country is known."""
    assert rules(load, USERS) == {("grants.users.countries", "no_country_header")}
    load(f'{MINIMAL}{USERS}unknown_country = "allow"\n')
    load(f"{MINIMAL}{USERS}{SECTION}{PROXIES}", SECRET)
