"""What people read about the settings: the commented `tokensvc.toml`, and `docs/settings.md`.

Both are made from the model, so that no setting is missing there and none is invented.
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

from tokensvc.settings.model import Section, Settings, section_model

KEY_ENCRYPTION_FILE = "key-encryption-secret"
"""The name that a new settings file gives to the key-encryption secret's file, beside it."""

_HEAD = """\
# tokensvc: settings. A line that begins with "#" and a name has the default shown; where it says
# "not set" there is none, and an example is shown.
# Relative paths are relative to this file's folder. Each setting can be given as an environment
# variable instead: TOKENSVC_SECTION__FIELD, such as TOKENSVC_PLAYBACK__TTL_SECONDS=300.
# AWS credentials, profiles and endpoints are found the AWS way and have no setting here.
"""
_PAGE_HEAD = """\
# Settings

Read from `tokensvc.toml` (the one that `--config` names, else `TOKENSVC_CONFIG`, else the working
directory's); each can be given as an environment variable instead. `tokensvc init` writes a
commented file. All that is wrong is told at once, at the start.

A running service reads them again at SIGHUP where `tokensvc serve --check` finds nothing wrong;
otherwise it logs why and goes on as it is. Another host or port takes a restart."""


def settings_file(*, account_id: str, regions: tuple[str, ...]) -> str:
    """The text of a `tokensvc.toml` with every setting, its help and its default."""
    given = {
        "account_id": account_id,
        "regions": regions,
        "key_encryption_secret_file": KEY_ENCRYPTION_FILE,
    }
    parts = [_HEAD, *(_toml_section(name, given) for name in Settings.model_fields)]
    return "\n".join(parts)


def settings_page() -> str:
    """The text of `docs/settings.md`: every setting, its variable, default and help."""
    parts = [
        _PAGE_HEAD,
        *(_page_section(name) for name in Settings.model_fields),
    ]
    return "\n\n".join(parts) + "\n"


def _help(name: str) -> str:
    model = section_model(name)
    return (model.__doc__ if model else Settings.model_fields[name].description) or ""


def _toml_section(name: str, given: Mapping[str, Any]) -> str:
    lines = [f"# {_help(name)}"]
    model = section_model(name)
    if model is None:
        lines += [f"[{name}]", *_channel_examples()]
    elif name == "grants":
        lines += [f"#[{name}.example]", *_toml_fields(model, {})]
    elif not Settings.model_fields[name].is_required():
        lines += [f"#[{name}]", *_toml_fields(model, {})]
    else:
        lines += [f"[{name}]", *_toml_fields(model, given)]
    return "\n".join(lines) + "\n"


def _channel_examples() -> Iterator[str]:
    for example in Settings.model_fields["channels"].examples or ():
        for name, arn in example.items():
            yield f"#{name} = {_toml(arn)}"


def _toml_fields(model: type[Section], given: Mapping[str, Any]) -> Iterator[str]:
    for name, field in model.model_fields.items():
        if field.annotation == SecretStr | None:  # Has no place in a file.
            continue
        yield f"# {field.description}" + (" (not set)" if field.default is None else "")
        if name in given:
            yield f"{name} = {_toml(given[name])}"
        else:
            yield f"#{name} = {_toml(_default_or_example(field))}"


def _page_section(name: str) -> str:
    model = section_model(name)
    title = "[grants.NAME]" if name == "grants" else f"[{name}]"
    lines = [f"## `{title}`", "", _help(name)]
    if model:
        lines += ["", "| setting | variable | default | what it is |", "| --- | --- | --- | --- |"]
        path = f"{name}__NAME" if name == "grants" else name
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
    """The TOML of a number, text, switch or list: there, JSON's form is TOML's too."""
    match value:
        case Enum():
            return json.dumps(value.value)
        case tuple():
            return json.dumps(list(value))
        case _:
            return json.dumps(value)


if __name__ == "__main__":
    sys.stdout.write(settings_page())
