"""The messages of settings problems are tokensvc's own sentences, never pydantic's."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from tokensvc.errors import Problem, SettingsInvalid
from tokensvc.settings import Settings, load_settings
from tokensvc.settings.messages import SENTENCES
from tokensvc.settings.model import section_model

# A wrong value of every type and size for every setting, as TOML.
WRONG_VALUES = [
    "3",
    "-1",
    "1000000000000000000000000",
    "1.5",
    "inf",
    "nan",
    "true",
    '""',
    '"x"',
    '"X Y"',
    "[]",
    "[3]",
    '[""]',
    "[[]]",
    "{}",
    "{ a = 3 }",
    "1979-05-27T07:32:00Z",
    "07:32:00",
]
# An environment variable is never empty, and its value is always text.
WRONG_TEXTS = ["x", "-1", "1.5", "9" * 5_000, ",", "x,,y", "\udcff"]
# Reported by the loader under the rule unknown_key.
UNKNOWN_KEY = "extra_forbidden"


def setting_names() -> list[tuple[str, str]]:
    """The section, or one grant, and the name of every setting."""
    names = [("channels", "x")]
    for section in Settings.model_fields:
        model = section_model(section)
        path = f"{section}.x" if section in {"grants", "issuers"} else section
        names += [(path, field) for field in (model.model_fields if model else ())]
    return names


def problems_of(path: Path, environment: Mapping[str, str]) -> tuple[Problem, ...]:
    """The problems of the settings; these settings are never complete."""
    with pytest.raises(SettingsInvalid) as caught:
        load_settings(path, environment)
    return caught.value.problems


def errors_of(section: str, value: Any) -> list[ErrorDetails]:
    """The errors of pydantic for that section."""
    annotation = Settings.model_fields[section].rebuild_annotation()
    try:
        TypeAdapter(annotation).validate_python(value)
    except ValidationError as exc:
        return exc.errors()
    return []


def trees(section_path: str, field: str) -> Iterator[tuple[str, dict[str, str], dict[str, Any]]]:
    """TOML text, environment and the settings in them, with each wrong value of that setting."""
    for value in WRONG_VALUES:
        text = f"[{section_path}]\n{field} = {value}\n"
        yield text, {}, tomllib.loads(text)
    variable = f"TOKENSVC_{section_path.replace('.', '__')}__{field}".upper()
    for value in WRONG_TEXTS:
        tree: dict[str, Any] = {field: value}
        for name in reversed(section_path.split(".")):
            tree = {name: tree}
        yield "", {variable: value}, tree


@pytest.mark.parametrize(("section_path", "field"), setting_names())
def test_no_message_comes_from_pydantic(tmp_path: Path, section_path: str, field: str) -> None:
    """Every error type that a setting can produce has a sentence of tokensvc."""
    path = tmp_path / "tokensvc.toml"
    section = section_path.partition(".")[0]
    for text, environment, tree in trees(section_path, field):
        path.write_text(text)
        errors = errors_of(section, tree[section])
        types = {error["type"] for error in errors}
        assert types <= {*SENTENCES, "value_error", UNKNOWN_KEY}, text or environment
        messages = [problem.message for problem in problems_of(path, environment)]
        for error in errors:
            assert not [message for message in messages if error["msg"] in message]
        assert not [message for message in messages if "Input should" in message]


@pytest.mark.parametrize("section", list(Settings.model_fields))
def test_a_section_that_is_not_a_table_is_reported_without_pydantics_message(
    tmp_path: Path, section: str
) -> None:
    """Also a single grant that is not a table."""
    path = tmp_path / "tokensvc.toml"
    for text in (f"{section} = 3\n", f"[{section}]\nx = 3\n"):
        path.write_text(text)
        messages = [problem.message for problem in problems_of(path, {})]
        assert messages
        assert not [message for message in messages if "Input should" in message]


@pytest.mark.parametrize(
    ("lines", "field", "allowed"),
    [
        ("[ivs]\nregions = []", "ivs.regions", "one region"),
        ("[grants.web]\nchannels = []", "grants.web.channels", "one channel"),
        ('[ivs]\naccount_id = "12"', "ivs.account_id", "12 digits"),
        ("[service]\nport = 0", "service.port", "1 or more"),
        ("[service]\nport = 65536", "service.port", "65535 or less"),
        ('[service]\nlog_level = "loud"', "service.log_level", "debug, info, warning, error"),
        (
            '[grants.web]\nmaximum_resolution = "UHD"',
            "grants.web.maximum_resolution",
            "SD, HD, FULL_HD",
        ),
    ],
)
def test_a_message_says_what_is_allowed(
    tmp_path: Path, lines: str, field: str, allowed: str
) -> None:
    """The limits and values in the message are those of the setting."""
    path = tmp_path / "tokensvc.toml"
    path.write_text(lines)
    (message,) = (problem.message for problem in problems_of(path, {}) if problem.field == field)
    assert allowed in message
