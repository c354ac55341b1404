"""The section [cors]: exact origins only."""

from __future__ import annotations

import pytest

from tests.settings.files import MINIMAL, Load
from tokensvc.errors import SettingsInvalid
from tokensvc.settings.cors import check_exact_origin


def test_without_the_section_no_origin_is_allowed(load: Load) -> None:
    """Pages of other origins are not served."""
    assert load(MINIMAL).cors.allowed_origins == ()


def test_origins_from_the_file_and_the_environment(load: Load) -> None:
    """Separated by commas in a variable."""
    text = f'{MINIMAL}\n[cors]\nallowed_origins = ["https://www.example.com"]\n'
    assert load(text).cors.allowed_origins == ("https://www.example.com",)
    variable = {"TOKENSVC_CORS__ALLOWED_ORIGINS": "https://a.example, http://localhost:8002"}
    assert load(MINIMAL, variable).cors.allowed_origins == (
        "https://a.example",
        "http://localhost:8002",
    )


@pytest.mark.parametrize(
    "origin",
    ["https://example.com", "http://127.0.0.1:8002", "https://[::1]:8443", "https://xn--ls8h.la"],
)
def test_an_exact_origin(origin: str) -> None:
    """As browsers send it."""
    assert check_exact_origin(origin) == origin


@pytest.mark.parametrize(
    "origin",
    [
        "*",
        "https://*",
        "https://*.example.com",
        "null",
        "",
        "example.com",
        "https://example.com/",
        "https://example.com/path",
        "https://example.com:443",
        "http://example.com:80",
        "https://Example.com",
        "HTTPS://example.com",
        "https://user@example.com",
        "https://exämple.com",
        "https://example.com:99999",
        "https://example.com,https://other.example",
        "https://example.com\n",
        "ftp://example.com",
    ],
)
def test_what_no_browser_sends_as_an_origin_is_refused_at_the_start(
    origin: str, load: Load
) -> None:
    """Such as a wildcard, a path, or the default port."""
    with pytest.raises(ValueError, match=r"\.$"):
        check_exact_origin(origin)
    text = f'{MINIMAL}\n[cors]\nallowed_origins = ["https://a.example", {origin!r}]\n'
    if "\\" not in repr(origin):
        with pytest.raises(SettingsInvalid) as caught:
            load(text)
        assert [problem.field for problem in caught.value.problems] == ["cors.allowed_origins.1"]
