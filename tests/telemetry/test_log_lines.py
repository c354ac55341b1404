"""Log lines for people: one line each, whatever a client has sent."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.telemetry.test_logs import fail
from tokensvc.telemetry.log_lines import LineOf, colored_line, json_line, line_of, text_line
from tokensvc.telemetry.logs import TextLines, configure_logging

MEMBERS = {
    "at": "2027-01-15T08:00:00.000Z",
    "level": "warning",
    "logger": "tokensvc.example",
    "message": "No answer",
}


def test_the_members_in_a_line() -> None:
    """Unknown ones are left out; values that are no single word are quoted."""
    more = {"region": "us-west-2", "tries": 3, "ban_id": None, "reason": 'a "b"', "empty": ""}
    assert text_line({**MEMBERS, **more}).decode() == (
        "2027-01-15T08:00:00.000Z warning tokensvc.example: No answer region=us-west-2 tries=3"
        ' reason="a \\"b\\"" empty=""\n'
    )


def test_a_traceback_is_below_its_line() -> None:
    """Indented, so that no text of an exception can look like a line of its own."""
    stream = io.StringIO()
    configure_logging("INFO", stream, TextLines(text_line))
    fail(logging.getLogger("tokensvc.example"), "first\n2027-01-15T08:00:00.000Z info forged")
    line, *below = stream.getvalue().splitlines()
    assert line.endswith(" error   tokensvc.example: It failed")
    assert below[0] == "    Traceback (most recent call last):"
    assert all(each.startswith("    ") for each in below)
    assert below[-1] == "    2027-01-15T08:00:00.000Z info forged"


@given(text=st.text(), value=st.text())
def test_one_line_without_control_characters(text: str, value: str) -> None:
    """So that a client can neither forge a line nor change the terminal of who reads it."""
    line = text_line({**MEMBERS, "message": text, "value": value}).decode()
    assert line.endswith("\n")
    assert line[:-1].isprintable()


def test_colors_are_those_of_the_level() -> None:
    """The text is the same without them."""
    line = colored_line({**MEMBERS, "tries": 3}).decode()
    assert "\x1b[33mwarning\x1b[0m" in line
    plain = line.replace("\x1b[33m", "").replace("\x1b[2m", "").replace("\x1b[0m", "")
    assert plain == text_line({**MEMBERS, "tries": 3}).decode()
    assert "\x1b[31merror  \x1b[0m" in colored_line({**MEMBERS, "level": "error"}).decode()


@pytest.mark.parametrize(
    ("log_format", "environment", "is_terminal", "made_by"),
    [
        ("json", {}, True, json_line),
        ("text", {}, False, text_line),
        ("text", {}, True, colored_line),
        ("text", {"NO_COLOR": ""}, True, colored_line),
        ("text", {"NO_COLOR": "1"}, True, text_line),
    ],
)
def test_when_lines_have_colors(
    log_format: str,
    environment: Mapping[str, str],
    is_terminal: bool,  # noqa: FBT001 - pytest passes it by name.
    made_by: LineOf,
) -> None:
    """On a terminal, as https://no-color.org has it."""
    assert line_of(log_format, environment, is_terminal=is_terminal) is made_by


def test_json_has_the_same_members() -> None:
    """As one object."""
    assert json.loads(json_line({**MEMBERS, "tries": 3})) == {**MEMBERS, "tries": 3}
