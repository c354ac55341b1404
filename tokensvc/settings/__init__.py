"""The settings: one frozen tree from TOML and environment variables, checked at startup."""

from __future__ import annotations

from tokensvc.settings.loading import config_file, load_settings
from tokensvc.settings.model import Settings

__all__ = ["Settings", "config_file", "load_settings"]
