"""The settings file that `tokensvc init` writes and the page of the documentation."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from tokensvc.settings import load_settings
from tokensvc.settings.model import Settings, section_model
from tokensvc.settings.reference import settings_file, settings_page

DOCS_PAGE = Path(__file__).parents[2] / "docs/settings.md"
NOT_IN_A_FILE = {"custody.key_encryption_secret", "custody.previous_key_encryption_secret"}


def model_keys() -> dict[str, set[str]]:
    """Every section of the model with its fields."""
    return {
        name: set(model.model_fields) if (model := section_model(name)) else set()
        for name in Settings.model_fields
    }


@pytest.fixture
def written() -> str:
    """The text that `tokensvc init` writes."""
    return settings_file(account_id="123456789012", regions=("us-west-2", "eu-west-1"))


def test_a_new_file_shows_every_setting_and_no_other(written: str) -> None:
    """Uncommented, it has exactly the model's keys."""
    uncommented = re.sub(r"^#(?=[a-z\[])", "", written, flags=re.MULTILINE)
    document = tomllib.loads(uncommented)
    assert set(document["channels"]) == {"demo"}
    shown = {name: set(section) for name, section in document.items()}
    shown |= {"grants": set(document["grants"]["example"]), "channels": set()}
    missing = {f"{name}.{key}" for name, keys in model_keys().items() for key in keys - shown[name]}
    assert missing == NOT_IN_A_FILE
    assert {name: keys - model_keys()[name] for name, keys in shown.items() if keys} == {
        name: set() for name, keys in shown.items() if keys
    }


def test_a_new_file_loads_with_what_was_given_and_the_defaults(
    written: str, tmp_path: Path
) -> None:
    """What is shown as a default is the default: commented or not, the settings are the same."""
    path = tmp_path / "tokensvc.toml"
    path.write_text(written)
    settings = load_settings(path, {})
    assert settings.ivs.regions == ("us-west-2", "eu-west-1")
    sections = "state|custody|playback|rotation|directory|service"
    uncommented = re.sub(
        rf"^\[({sections})\]$.*?^$",
        lambda section: re.sub(
            r"(?<!\(not set\)\n)^#(?=[a-z])", "", section[0], flags=re.MULTILINE
        ),
        written,
        flags=re.MULTILINE | re.DOTALL,
    )
    assert uncommented.count("#ttl_seconds") == 0
    path.write_text(uncommented)
    assert load_settings(path, {}) == settings


def test_every_setting_has_a_help_line(written: str) -> None:
    """The line above each key is its help, a sentence."""
    lines = written.splitlines()
    for number, line in enumerate(lines):
        if re.match(r"#?[a-z_]+ = ", line) and not line.startswith("#demo ="):
            assert re.match(r"# \S.*(\.|\(not set\))$", lines[number - 1]), line


def test_the_page_in_docs_is_current() -> None:
    """It is made from the model: `python -m tokensvc.settings.reference > docs/settings.md`."""
    assert DOCS_PAGE.read_text() == settings_page()
