"""Generate the documentation of the settings: a commented `tokensvc.toml` and `docs/settings.md`.

Both are generated from the model, so they always list exactly the settings that exist.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from enum import Enum
from typing import Any

from pydantic import SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from tokensvc.settings.model import Settings, is_table_of_sections, section_model
from tokensvc.settings.section import Section

KEY_ENCRYPTION_FILE = "key-encryption-secret"
"""The name of the key-encryption secret's file in a new settings file, in the same folder."""

_HEAD = """\
# Settings of tokensvc.
#
# A line such as "#name = value" shows the default. If the comment above it says "(not set)", there
# is no default, and the line shows an example.
# Relative paths are relative to the folder of this file.
# Each setting can also be set as an environment variable, which takes precedence:
# TOKENSVC_SECTION__FIELD, for example TOKENSVC_PLAYBACK__TTL_SECONDS=300.
# AWS credentials, profiles and endpoints are not set here. They come from the standard AWS
# environment variables and configuration files.
"""
_PAGE_HEAD = """\
# Settings

The settings are read from a TOML file: the file that `--config` names, otherwise the file in
`TOKENSVC_CONFIG`, otherwise `tokensvc.toml` in the working directory. Each setting can also be set
as an environment variable, which takes precedence. `tokensvc init` writes a commented file. All
problems are reported at once, at startup.

Their JSON Schema is `docs/settings.schema.json`. An editor that uses Taplo completes and checks
the file if its first line names where the schema is: `#:schema ./docs/settings.schema.json`.

A running service reloads its settings at SIGHUP if `tokensvc serve --check` finds no problem.
Otherwise it logs the problem and continues with the old settings. A new host or port requires a
restart."""


def settings_file(values: Mapping[str, Mapping[str, Any]]) -> str:
    """The text of a `tokensvc.toml` with every setting, its help text and its default.

    Args:
        values: the settings that are set in it, by section and name.
    """
    parts = [
        _HEAD,
        *(_toml_section(name, values.get(name, {})) for name in Settings.model_fields),
    ]
    return "\n".join(parts)


def settings_page() -> str:
    """The text of `docs/settings.md`: every setting, its variable, default and help text."""
    parts = [
        _PAGE_HEAD,
        *(_page_section(name) for name in Settings.model_fields),
    ]
    return "\n\n".join(parts) + "\n"


def _help(name: str) -> str:
    model = section_model(name)
    return (model.__doc__ if model else Settings.model_fields[name].description) or ""


def _toml_section(name: str, values: Mapping[str, Any]) -> str:
    lines = [f"# {_help(name)}"]
    model = section_model(name)
    if model is None:
        lines += [f"[{name}]", *_channel_examples()]
    elif is_table_of_sections(name):
        lines += [f"#[{name}.example]", *_toml_fields(model, {})]
    else:
        lines += [f"[{name}]", *_toml_fields(model, values)]
    return "\n".join(lines) + "\n"


def _channel_examples() -> Iterator[str]:
    for example in Settings.model_fields["channels"].examples or ():
        for name, arn in example.items():
            yield f"#{name} = {_toml(arn)}"


def _toml_fields(model: type[Section], values: Mapping[str, Any]) -> Iterator[str]:
    for name, field in model.model_fields.items():
        if field.annotation == SecretStr | None:  # Not allowed in a file.
            continue
        yield f"# {field.description}" + (" (not set)" if field.default is None else "")
        if name in values:
            yield f"{name} = {_toml(values[name])}"
        else:
            yield f"#{name} = {_toml(_default_or_example(field))}"


def _page_section(name: str) -> str:
    model = section_model(name)
    title = f"[{name}.NAME]" if is_table_of_sections(name) else f"[{name}]"
    lines = [f"## `{title}`", "", _help(name)]
    if model:
        lines += ["", "| Setting | Variable | Default | Description |", "| --- | --- | --- | --- |"]
        path = f"{name}__NAME" if is_table_of_sections(name) else name
        for key, field in model.model_fields.items():
            variable = f"TOKENSVC_{path}__{key}".upper()
            lines.append(f"| `{key}` | `{variable}` | {_default(field)} | {field.description} |")
    return "\n".join(lines)


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    return "not set" if field.default is None else f"`{_toml(field.default)}`"


def _default_or_example(field: FieldInfo) -> Any:
    if field.default is None or field.default is PydanticUndefined:
        return next(iter(field.examples or ()), field.default)
    return field.default


def _toml(value: Any) -> str:
    """The value in TOML. For numbers, strings, booleans and lists, JSON is also valid TOML."""
    match value:
        case Enum():
            return json.dumps(value.value)
        case tuple():
            return json.dumps(list(value))
        case Mapping():
            pairs = (f"{json.dumps(name)} = {_toml(each)}" for name, each in value.items())
            return f"{{ {', '.join(pairs)} }}"
        case _:
            return json.dumps(value)


if __name__ == "__main__":
    sys.stdout.write(settings_page())
