"""The table of a run, and what went wrong in it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from benchmarks.reliability.observations import GRANTED, Answers, Row

_MAY_REFUSE: Final = {"revocation", "clock_behind", "clock_ahead"}
"""Where the edge refuses tokens by one key: the revoked one, or the one that signed until the clock
was known to be off."""

_HEAD = (
    "| what happened | for | known channels | new channels | `/readyz` | `?scope=replica`"
    " | plays, refused | normal after |\n"
    "| --- | ---: | --- | --- | --- | --- | ---: | ---: |"
)


def table(rows: Mapping[str, Row]) -> str:
    """The Markdown table, with a line for each scenario."""
    return "\n".join([_HEAD, *map(_line, rows.values())])


def failures(rows: Mapping[str, Row]) -> list[str]:
    """A sentence for each token that the edge should have played, and each recovery that failed."""
    sentences = []
    for name, row in rows.items():
        if not row.plays:
            sentences.append(f"{name}: no token was presented at the edge.")
        refused = sum(row.refused_plays.values())
        if refused and (name not in _MAY_REFUSE or len(row.refused_plays) > 1):
            sentences.append(f"{name}: the edge refused {refused} plays.")
        if row.normal_after_seconds is None:
            sentences.append(f"{name}: the service did not recover.")
        without_code = [
            code
            for code in (*row.known.codes, *row.new.codes)
            if code.startswith("500") or code.endswith("without a code")
        ]
        sentences += [f"{name}: an answer was {code}." for code in without_code]
    return sentences


def _line(row: Row) -> str:
    refused = sum(row.refused_plays.values())
    normal = row.normal_after_seconds
    cells = (
        row.title,
        f"{row.fault_seconds:.0f} s",
        _answers(row.known),
        _answers(row.new),
        _codes(row.readyz),
        _codes(row.replica),
        f"{row.plays:,}, {refused:,}",
        "not" if normal is None else f"{normal:.1f} s",
    )
    return f"| {' | '.join(cells)} |"


def _answers(answers: Answers) -> str:
    granted = answers.codes.get(GRANTED, 0)
    refused = [f"{count} {_code(code)}" for code, count in answers.codes.items() if code != GRANTED]
    if not refused:
        return f"all {granted}"
    since = f", from {answers.first_refused_after_seconds:.1f} s"
    return f"{granted}; {', '.join(refused)}{since}"


def _codes(codes: Mapping[str, int]) -> str:
    total = sum(codes.values())
    return ", ".join(f"{_code(code)} {100 * count / total:.0f} %" for code, count in codes.items())


def _code(code: str) -> str:
    """The code without the status 503, which nearly all have."""
    return f"`{code.removeprefix('503 ')}`"
