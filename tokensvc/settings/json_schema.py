"""The JSON Schema of `tokensvc.toml`, with which editors complete and check it.

    python -m tokensvc.settings.json_schema > docs/settings.schema.json

It is generated from the model. Rules about several settings are not in it: the start checks them.
"""

from __future__ import annotations

import json
from typing import Any, Final

from tokensvc.settings.model import Settings

_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_NULL: Final = {"type": "null"}


def json_schema() -> dict[str, Any]:
    """The schema, in the dialect 2020-12. Unknown keys are refused, as by the start."""
    made = Settings.model_json_schema()
    sections = {name: _without_null(section) for name, section in made["$defs"].items()}
    # A section that requires nothing may be left out of the file.
    required = [
        name
        for name in made["properties"]
        if sections.get(_section(made, name), {}).get("required")
    ]
    return {
        "$schema": _DIALECT,
        "title": "Settings of tokensvc",
        "type": "object",
        "additionalProperties": False,
        "properties": _without_null(made["properties"]),
        "required": required,
        "$defs": sections,
    }


def _section(schema: dict[str, Any], name: str) -> str:
    """The name of the definition of that section; "" for a table of free names."""
    return str(schema["properties"][name].get("$ref", "")).rpartition("/")[2]


def _without_null(node: Any) -> Any:
    """The node without what only pydantic needs: TOML has no null, and a title repeats a name."""
    if isinstance(node, list):
        return [_without_null(each) for each in node]
    if not isinstance(node, dict):
        return node
    kept = {
        name: _without_null(value)
        for name, value in node.items()
        if not (name == "title" and isinstance(value, str))
        and not (name == "default" and value is None)
    }
    if _NULL in kept.get("anyOf", ()):
        (other,) = (each for each in kept.pop("anyOf") if each != _NULL)
        kept |= other
    if kept.get("type") == "array" and "minLength" in kept:
        kept["minItems"] = kept.pop("minLength")
    return kept


def main() -> None:
    """Print the schema."""
    print(json.dumps(json_schema(), indent=2))  # noqa: T201 # Its output is the file.


if __name__ == "__main__":
    main()
