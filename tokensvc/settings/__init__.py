"""Settings: one frozen tree from TOML and environment, checked as a whole at the start."""

from __future__ import annotations

from tokensvc.settings.loading import config_file, load_settings
from tokensvc.settings.model import Settings

__all__ = ["Settings", "config_file", "load_settings"]
