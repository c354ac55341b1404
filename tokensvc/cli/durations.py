"""Durations on the command line: `30d`, `12h`, `90m`, `600s`."""

from __future__ import annotations

import re

import click

_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}


def seconds(_context: click.Context, _parameter: click.Parameter, value: str | None) -> int | None:
    """The seconds of an option's value, a whole number and its unit; None without a value.

    Raises:
        click.BadParameter: for a zero duration, or a text that is not a number and a unit.
    """
    if value is None:
        return None
    match = re.fullmatch(r"([1-9][0-9]{0,8})([smhd])", value, re.ASCII)
    if match is None:
        raise click.BadParameter(f"{value!r} is not a duration such as 30d, 12h, 90m or 600s.")
    return int(match[1]) * _SECONDS[match[2]]
