"""The base class of the sections of the settings."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """Base class of all sections of the settings."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)
