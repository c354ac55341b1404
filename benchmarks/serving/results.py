"""The results: ratios that are computed within one round, then their spread over all rounds."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass

from benchmarks.serving.load import Load


@dataclass(frozen=True, slots=True)
class Spread:
    """The lowest value, the median and the highest value."""

    min: float
    median: float
    max: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Spread:
        """The spread of at least one value."""
        found = list(values)
        return cls(min(found), statistics.median(found), max(found))

    def text(self, digits: int) -> str:
        """`median (min to max)`, rounded."""
        return f"{self.median:,.{digits}f} ({self.min:,.{digits}f} to {self.max:,.{digits}f})"


@dataclass(frozen=True, slots=True)
class Round:
    """What one round measured.

    Attributes:
        signature_seconds: CPU seconds of one signature of each bare loop, by name.
        loads: the run of each server, by name.
    """

    signature_seconds: Mapping[str, float]
    loads: Mapping[str, Load]


@dataclass(frozen=True, slots=True)
class Row:
    """The results of a server or a bare loop.

    Attributes:
        name: its name.
        signatures: CPU per request, as a multiple of one signature of the unit.
        requests_per_second: answered requests per second; None for a bare loop, as what follows.
        ours_to_this: our requests per second, divided by this server's.
        p99_ms: the 99th percentile of the latency, in milliseconds.
    """

    name: str
    signatures: Spread
    requests_per_second: Spread | None = None
    ours_to_this: Spread | None = None
    p99_ms: Spread | None = None


def rows(rounds: Sequence[Round], *, unit: str, ours: str) -> list[Row]:
    """A row for each bare loop and each server, from the least CPU to the most.

    Args:
        rounds: at least one round; all have the same names.
        unit: the bare loop whose signature is the unit of CPU time.
        ours: the server to compare the requests per second with.
    """
    bare = [
        Row(
            name,
            Spread.of(
                each.signature_seconds[name] / each.signature_seconds[unit] for each in rounds
            ),
        )
        for name in rounds[0].signature_seconds
    ]
    served = [_row(name, rounds, unit=unit, ours=ours) for name in rounds[0].loads]
    return sorted([*bare, *served], key=lambda row: row.signatures.median)


def _row(name: str, rounds: Sequence[Round], *, unit: str, ours: str) -> Row:
    loads = [each.loads[name] for each in rounds]
    return Row(
        name,
        Spread.of(
            each.loads[name].cpu_seconds_per_request / each.signature_seconds[unit]
            for each in rounds
        ),
        Spread.of(load.requests_per_second for load in loads),
        Spread.of(
            each.loads[ours].requests_per_second / each.loads[name].requests_per_second
            for each in rounds
        ),
        Spread.of(load.answers.p99_ms for load in loads),
    )


def table(found: Sequence[Row]) -> str:
    """The rows as a Markdown table: medians, with the lowest and the highest value."""
    lines = [
        "| server | CPU per request, in signatures | requests/s | tokensvc's ÷ its | p99 ms |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for row in found:
        cells = [
            row.name,
            row.signatures.text(2),
            _text(row.requests_per_second, 0),
            _text(row.ours_to_this, 2),
            _text(row.p99_ms, 0),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def disturbed_runs(rounds: Sequence[Round], limit: float) -> str:
    """How many runs other programs disturbed by more than `limit`, in one sentence."""
    disturbances = [load.disturbance for each in rounds for load in each.loads.values()]
    count = sum(found > limit for found in disturbances)
    return (
        f"Other programs used more than {limit:.0%} of the CPU time in {count} of"
        f" {len(disturbances)} runs."
    )


def document(found: Sequence[Row], rounds: Sequence[Round]) -> dict[str, object]:
    """The rows and the measurements of every round, as JSON."""
    return {
        "rows": [asdict(row) for row in found],
        "rounds": [asdict(each) for each in rounds],
    }


def _text(spread: Spread | None, digits: int) -> str:
    return "-" if spread is None else spread.text(digits)
