"""Loads settings from a text."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.settings.files import MINIMAL, Load
from tokensvc.settings import Settings, load_settings


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Loads settings from a file with the given text and from the given variables."""

    def load_text(text: str = MINIMAL, environment: Mapping[str, str] | None = None) -> Settings:
        path = tmp_path / "tokensvc.toml"
        path.write_text(text)
        return load_settings(path, environment or {})

    return load_text
