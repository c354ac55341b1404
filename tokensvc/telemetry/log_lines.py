"""How a log line looks: a JSON object for programs, or text for people.

Both have the same members. In text nothing that a client sends can begin a line, or color one.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Final

from pydantic_core import to_json

LineOf = Callable[[Mapping[str, object]], bytes]
"""Makes a line of its members, with the line break."""

_FIRST: Final = ("at", "level", "logger", "message")
_IN_MESSAGE: Final = ("method", "path", "status")  # Of the access log.
_BELOW: Final = ("exception", "stack")
_COLORS: Final = {"warning": "33", "error": "31", "critical": "31"}
_DIM: Final = "2"


def line_of(log_format: str, environment: Mapping[str, str], *, is_terminal: bool) -> LineOf:
    """What makes the lines of a log in that format, `json` or `text`.

    Text has colors on a terminal, unless the environment has NO_COLOR (https://no-color.org).
    """
    if log_format == "json":
        return json_line
    return colored_line if is_terminal and not environment.get("NO_COLOR") else text_line


def json_line(members: Mapping[str, object]) -> bytes:
    """One JSON object."""
    return to_json(members) + b"\n"


def text_line(members: Mapping[str, object]) -> bytes:
    """One line: time, level, logger, message, and the other members. A traceback is below it."""
    return _text(members, _plain).encode(errors="backslashreplace")


def colored_line(members: Mapping[str, object]) -> bytes:
    """The same for a terminal, where warnings and errors have a color."""
    return _text(members, _painted).encode(errors="backslashreplace")


def _text(members: Mapping[str, object], paint: Callable[[str, str], str]) -> str:
    level = str(members["level"])
    shown = [
        paint(str(members["at"]), _DIM),
        paint(f"{level:<7}", _COLORS.get(level, "")),
        f"{members['logger']}:",
        _printable(str(members["message"])),
    ]
    for name, value in members.items():
        if value is not None and name not in (*_FIRST, *_IN_MESSAGE, *_BELOW):
            shown.append(paint(f"{name}={_value(value)}", _DIM))
    below = (str(members[name]) for name in _BELOW if name in members)
    lines = (f"    {_printable(line)}" for text in below for line in text.splitlines())
    return "\n".join([" ".join(shown), *lines]) + "\n"


def _value(value: object) -> str:
    text = str(value)
    is_simple = text and text.isprintable() and not set(text) & set(' "=')
    return text if is_simple else json.dumps(text)


def _printable(text: str) -> str:
    """The text without line breaks and control characters, which stand as escapes."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text)


def _plain(text: str, _color: str) -> str:
    return text


def _painted(text: str, color: str) -> str:
    return f"\x1b[{color}m{text}\x1b[0m" if color else text
