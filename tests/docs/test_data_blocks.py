"""The blocks of settings, JSON, YAML, Python and JavaScript in the pages are valid."""

from __future__ import annotations

import json
import subprocess
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.docs.blocks import Block, all_blocks, blocks_of
from tokensvc.settings.model import Settings
from tokensvc.settings.rules import broken_rules

PAGES_WITH_SETTINGS = sorted({block.page for block in all_blocks("toml")})
BEGINNING: Mapping[str, Any] = {
    # What the examples add to. Every section exists.
    **{name: {} for name in Settings.model_fields},
    "ivs": {"account_id": "123456789012", "regions": ["us-west-2"]},
    "custody": {"key_encryption_secret_file": "key-encryption-secret"},
    "channels": {"demo": "arn:aws:ivs:us-west-2:123456789012:channel/abcdEFGHijkl"},
    "grants": {"members": {"channels": ["demo"]}},
    "viewer_ids": {"secret_file": "viewer-id-secret"},
}


def merged(tree: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """Both trees. Where both have a table, both tables."""
    both = dict(tree)
    for name, value in more.items():
        inner = both.get(name)
        both[name] = merged(inner, value) if isinstance(inner, Mapping) else value
    return both


@pytest.mark.parametrize("page", PAGES_WITH_SETTINGS)
def test_the_settings_of_a_page_are_accepted(page: str, tmp_path: Path) -> None:
    """After each block: a page adds to its own examples."""
    tree: Mapping[str, Any] = BEGINNING
    for block in blocks_of(page):
        if block.language == "toml":
            tree = merged(tree, tomllib.loads(block.text))
            settings = Settings.model_validate(tree)
            assert list(broken_rules(dict(settings), tmp_path)) == [], str(block)


def test_a_wrong_setting_is_found() -> None:
    """The test above can fail."""
    with pytest.raises(ValueError, match="ttl_secs"):
        Settings.model_validate(merged(BEGINNING, {"playback": {"ttl_secs": 1}}))


@pytest.mark.parametrize("block", all_blocks("json"), ids=str)
def test_json_is_valid(block: Block) -> None:
    """Also where a value is left out by `…`."""
    json.loads(block.text)


@pytest.mark.parametrize("block", all_blocks("yaml"), ids=str)
def test_yaml_is_valid(block: Block) -> None:
    """Of Kubernetes."""
    assert yaml.safe_load(block.text)


@pytest.mark.parametrize("block", all_blocks("python"), ids=str)
def test_python_is_valid(block: Block) -> None:
    """Those that are run have tests of their own."""
    compile(block.text, str(block), "exec")


@pytest.mark.parametrize("block", all_blocks("js"), ids=str)
def test_javascript_is_valid(block: Block, tmp_path: Path) -> None:
    """As a module."""
    module = tmp_path / "block.mjs"
    module.write_text(block.text)
    subprocess.run(["node", "--check", module], check=True)  # noqa: S607 # From PATH.
