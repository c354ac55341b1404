"""The header in which a proxy names the country of a client."""

from __future__ import annotations

import ipaddress
from pathlib import Path

import pytest

from tokensvc.access.client_countries import ClientCountries, load_header_secrets
from tokensvc.errors import SettingsInvalid

SECRET, NEXT = 32 * "s", 32 * "n"
PROXIES = [ipaddress.ip_network("10.0.0.0/8")]
COUNTRIES = ClientCountries("CloudFront-Viewer-Country", "X-Origin-Secret", [NEXT, SECRET], PROXIES)
FROM_PROXY = {
    "REMOTE_ADDR": "10.0.0.1",
    "HTTP_CLOUDFRONT_VIEWER_COUNTRY": "DE",
    "HTTP_X_ORIGIN_SECRET": SECRET,
}


@pytest.mark.parametrize("changes", [{}, {"HTTP_X_ORIGIN_SECRET": NEXT}])
def test_the_header_of_a_trusted_proxy_counts(changes: dict[str, str]) -> None:
    """With either secret, while it is changed."""
    assert COUNTRIES.of({**FROM_PROXY, **changes}) == "DE"


@pytest.mark.parametrize(
    "changes",
    [
        {"REMOTE_ADDR": "192.0.2.1"},
        {"REMOTE_ADDR": "192.0.2.1", "HTTP_X_FORWARDED_FOR": "10.0.0.1"},
        {"REMOTE_ADDR": ""},
        {"HTTP_X_ORIGIN_SECRET": "wrong"},
        {"HTTP_X_ORIGIN_SECRET": SECRET[:-1]},
        {"HTTP_X_ORIGIN_SECRET": f"{SECRET},wrong"},
        {"HTTP_X_ORIGIN_SECRET": ""},
        {"HTTP_X_ORIGIN_SECRET": 32 * "\u00e9"},
        {"HTTP_CLOUDFRONT_VIEWER_COUNTRY": "de"},
        {"HTTP_CLOUDFRONT_VIEWER_COUNTRY": "DE,US"},
        {"HTTP_CLOUDFRONT_VIEWER_COUNTRY": " DE"},
        {"HTTP_CLOUDFRONT_VIEWER_COUNTRY": "XX"},
        {"HTTP_CLOUDFRONT_VIEWER_COUNTRY": "T1"},
        {"HTTP_CLOUDFRONT_VIEWER_COUNTRY": ""},
    ],
)
def test_any_other_header_is_no_country(changes: dict[str, str]) -> None:
    """From elsewhere, without the secret, sent twice, or with what the proxy does not know."""
    assert COUNTRIES.of({**FROM_PROXY, **changes}) is None


@pytest.mark.parametrize("missing", FROM_PROXY)
def test_without_one_of_the_three_there_is_no_country(missing: str) -> None:
    """The address, the country or the secret."""
    assert COUNTRIES.of({key: FROM_PROXY[key] for key in FROM_PROXY if key != missing}) is None


def test_the_secrets_are_read_from_a_file_or_the_environment(tmp_path: Path) -> None:
    """One per line."""
    file = tmp_path / "secret"
    file.touch(mode=0o600)
    file.write_text(f"{NEXT}\n{SECRET}\n")
    assert load_header_secrets(file) == [NEXT, SECRET]
    assert load_header_secrets(SECRET) == [SECRET]


@pytest.mark.parametrize("text", ["", "short", f"{SECRET} short", 16 * "a,", 32 * "\u00e9"])
def test_a_secret_that_can_be_guessed_or_not_be_sent_is_refused(text: str) -> None:
    """No message has a secret."""
    with pytest.raises(SettingsInvalid) as refusal:
        load_header_secrets(text)
    assert SECRET not in str(refusal.value)
