"""The settings file that `tokensvc init` writes, and the documentation page."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from tokensvc.settings import load_settings
from tokensvc.settings.model import Settings, section_model
from tokensvc.settings.reference import settings_file, settings_page

DOCS_PAGE = Path(__file__).parents[2] / "docs/settings.md"
ENVIRONMENT_ONLY = {
    "custody.key_encryption_secret",
    "custody.previous_key_encryption_secret",
    "notify.webhook_secret",
    "viewer_ids.secret",
    "viewer_country.secret",
    "entitlement.secret",
}


def model_keys() -> dict[str, set[str]]:
    """The fields of every section of the model."""
    return {
        name: set(model.model_fields) if (model := section_model(name)) else set()
        for name in Settings.model_fields
    }


@pytest.fixture
def new_file() -> str:
    """The text that `tokensvc init` writes."""
    return settings_file(
        {
            "ivs": {"account_id": "123456789012", "regions": ("us-west-2", "eu-west-1")},
            "custody": {"key_encryption_secret_file": "key-encryption-secret"},
        }
    )


def test_a_new_file_shows_exactly_the_settings_that_exist(new_file: str) -> None:
    """Uncommented, it has the keys of the model and no others."""
    uncommented = re.sub(r"^#(?=[a-z\[])", "", new_file, flags=re.MULTILINE)
    document = tomllib.loads(uncommented)
    assert set(document["channels"]) == {"demo"}
    shown = {name: set(section) for name, section in document.items()}
    shown |= {name: set(document[name]["example"]) for name in ("grants", "issuers")}
    shown |= {"channels": set()}
    missing = {f"{name}.{key}" for name, keys in model_keys().items() for key in keys - shown[name]}
    assert missing == ENVIRONMENT_ONLY
    assert {name: keys - model_keys()[name] for name, keys in shown.items() if keys} == {
        name: set() for name, keys in shown.items() if keys
    }


def test_a_new_file_loads_with_the_given_values_and_the_defaults(
    new_file: str, tmp_path: Path
) -> None:
    """The defaults shown are correct: commented or not, the settings are the same."""
    path = tmp_path / "tokensvc.toml"
    path.write_text(new_file)
    settings = load_settings(path, {})
    assert settings.ivs.regions == ("us-west-2", "eu-west-1")
    sections = (
        "state|custody|viewer_ids|viewer_country|playback|rotation|notify|entitlement|directory"
        "|service"
    )
    uncommented = re.sub(
        rf"^\[({sections})\]$.*?^$",
        lambda section: re.sub(
            r"(?<!\(not set\)\n)^#(?=[a-z])", "", section[0], flags=re.MULTILINE
        ),
        new_file,
        flags=re.MULTILINE | re.DOTALL,
    )
    assert uncommented.count("#ttl_seconds") == 0
    path.write_text(uncommented)
    assert load_settings(path, {}) == settings


def test_every_setting_has_a_help_line(new_file: str) -> None:
    """The line above each key is a sentence."""
    lines = new_file.splitlines()
    for number, line in enumerate(lines):
        if re.match(r"#?[a-z_]+ = ", line) and not line.startswith("#demo ="):
            assert re.match(r"# \S.*(\.|\(not set\))$", lines[number - 1]), line


def test_the_page_in_docs_is_current() -> None:
    """Regenerate it with `python -m tokensvc.settings.reference > docs/settings.md`."""
    assert DOCS_PAGE.read_text() == settings_page()
