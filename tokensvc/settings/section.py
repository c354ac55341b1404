"""The base class of the sections of the settings."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """Base class of all sections of the settings."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)


def split_list(value: Any) -> Any:
    """Split the text of an environment variable, in which a list is separated by commas."""
    if isinstance(value, str):
        return [item.strip() for item in value.split(",") if item.strip()]
    return value


def or_one_text(schema: dict[str, Any]) -> None:
    """Let the JSON Schema of a list accept one text too, which `split_list` makes a list of."""
    described = {key: schema[key] for key in ("description", "examples") if key in schema}
    listed = {key: value for key, value in schema.items() if key not in described}
    schema.clear()
    schema |= described | {"anyOf": [listed, {"type": "string", "minLength": 1}]}
