"""The JSON Schema of the settings accepts what the start accepts, as far as one setting goes."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from tokensvc.settings.json_schema import json_schema
from tokensvc.settings.reference import settings_file

ROOT = Path(__file__).parents[2]
FILE = ROOT / "docs/settings.schema.json"
PAGES = [page for page in sorted(ROOT.glob("docs/*.md")) if "```toml" in page.read_text()]
IVS = {"account_id": "123456789012", "regions": ["us-west-2"]}
VALID = """
[ivs]
account_id = "123456789012"
regions = ["us-west-2"]
[channels]
demo = "arn:aws:ivs:us-west-2:123456789012:channel/abcdEFGHijkl"
[grants.web]
channels = ["demo"]
maximum_resolution = "HD"
"""


def errors(toml: str) -> list[str]:
    """The places of all errors in a settings file."""
    found = Draft202012Validator(json_schema()).iter_errors(tomllib.loads(toml))
    return [".".join(map(str, error.absolute_path)) for error in found]


def test_the_file_in_docs_is_current_and_a_schema() -> None:
    """As printed by `python -m tokensvc.settings.json_schema`."""
    stored = json.loads(FILE.read_text())
    assert stored == json_schema()
    Draft202012Validator.check_schema(stored)


def test_a_minimal_and_a_new_file_are_valid() -> None:
    """Sections that require nothing may be left out."""
    assert errors(VALID) == []
    values: Mapping[str, Mapping[str, Any]] = {
        "ivs": {"account_id": "123456789012", "regions": ("us-west-2",)}
    }
    assert errors(settings_file(values)) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_examples_in_docs_are_valid(page: Path) -> None:
    """Each one alone, beside an account and a region, if it begins with a section."""
    for example in re.findall(r"^```toml\n(\[.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE):
        values = {"ivs": IVS} | tomllib.loads(example)
        found = Draft202012Validator(json_schema()).iter_errors(values)
        assert [error.message for error in found] == [], example


def test_an_audience_is_a_text_or_a_list() -> None:
    """As the start accepts it. An empty one is an error."""
    for audience, places in (
        ('"tokensvc"', []),
        ('["tokensvc", "web"]', []),
        ('""', ["issuers.main.audience"]),
        ("[]", ["issuers.main.audience"]),
    ):
        issuer = f'[issuers.main]\nissuer = "https://a.example"\naudience = {audience}\n'
        assert errors(VALID + issuer) == places


@pytest.mark.parametrize(
    ("old", "new", "place"),
    [
        ('regions = ["us-west-2"]', "", "ivs"),
        ("[channels]", "[servce]\nport = 1\n[channels]", ""),
        ('maximum_resolution = "HD"', 'maximum_resolution = "4K"', "grants.web.maximum_resolution"),
        ('maximum_resolution = "HD"', "max_ttl_seconds = 0", "grants.web.max_ttl_seconds"),
        ('channels = ["demo"]', "channels = []", "grants.web.channels"),
        ("arn:aws:ivs:us-west-2:123456789012:channel/", "arn:aws:s3:::", "channels.demo"),
    ],
)
def test_a_wrong_value_is_marked_where_it_is(old: str, new: str, place: str) -> None:
    """A missing, unknown or wrong setting, as an editor shows it."""
    assert errors(VALID.replace(old, new)) == [place]
