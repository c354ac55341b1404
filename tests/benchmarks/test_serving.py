"""The benchmark of servers: what it reads, and the numbers and the picture that it computes."""

from __future__ import annotations

import platform

import pytest

from benchmarks.serving import machine, picture
from benchmarks.serving.failure import BenchmarkFailed
from benchmarks.serving.load import Answers, Load, busy_seconds, find_wrk, parse_answers, parse_stat
from benchmarks.serving.results import Round, Row, Spread, disturbed_runs, document, rows, table

RESULT = (
    'BENCH {"requests": 8000, "microseconds": 4000000, "p50_microseconds": 5500,'
    ' "p99_microseconds": 19250, "refused": 0, "socket_errors": 0}'
)
# A program may have any name, also one with spaces and parentheses.
STAT = "4711 (python (a b) 7) S 4700 4242 4242 0 -1 4194304 900 0 0 0 125 75 11 13 20 0 1 0 5 6 7\n"


def load(requests: int, *, seconds: float, cpu_seconds: float, p99_ms: float = 10.0) -> Load:
    """A run with these numbers."""
    return Load(Answers(requests, seconds, 5.0, p99_ms), cpu_seconds, disturbance=0.02)


# The unit is 0.5 ms, then 0.25 ms: the machine was twice as fast in the second round.
ROUNDS = [
    Round(
        {"unit": 0.0005, "fast": 0.00025},
        {
            "ours": load(8_000, seconds=4.0, cpu_seconds=6.0, p99_ms=12.0),
            "other": load(2_000, seconds=4.0, cpu_seconds=4.0, p99_ms=40.0),
        },
    ),
    Round(
        {"unit": 0.00025, "fast": 0.000125},
        {
            "ours": load(16_000, seconds=4.0, cpu_seconds=8.0, p99_ms=8.0),
            "other": load(8_000, seconds=4.0, cpu_seconds=6.0, p99_ms=20.0),
        },
    ),
]


def test_the_result_of_wrk_is_read_between_its_other_lines() -> None:
    """The script prints the result as one line, in microseconds."""
    output = f"Running 4s test @ http://127.0.0.1:1/\n{RESULT}\nTransfer/sec: 1.00MB\n"

    assert parse_answers(output) == Answers(requests=8000, seconds=4.0, p50_ms=5.5, p99_ms=19.25)


@pytest.mark.parametrize(
    "output",
    [
        "unable to connect to 127.0.0.1:1 Connection refused\n",
        RESULT.replace('"refused": 0', '"refused": 3'),
        RESULT.replace('"socket_errors": 0', '"socket_errors": 1'),
        RESULT.replace('"requests": 8000', '"requests": 0'),
    ],
)
def test_a_run_with_a_failed_request_has_no_result(output: str) -> None:
    """Nor a run without an answered request: a fast refusal must not look like speed."""
    with pytest.raises(BenchmarkFailed):
        parse_answers(output)


def test_a_missing_wrk_is_reported_with_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """In one line."""
    monkeypatch.setenv("PATH", "")

    with pytest.raises(BenchmarkFailed, match=r"^[^\n]*apt install wrk$"):
        find_wrk()


def test_the_cpu_time_of_a_process_is_its_user_and_system_time() -> None:
    """In ticks of the kernel; the time of its child processes is not added."""
    assert parse_stat(STAT, ticks_per_second=100) == (4242, 2.0)


def test_the_busy_time_of_the_machine_leaves_out_idle_and_waiting_time() -> None:
    """User 100 + nice 20 + system 30 + irq 4 + softirq 6 = 160 ticks."""
    text = "cpu  100 20 30 5000 700 4 6 80 9 0\ncpu0 50 10 15 2500 350 2 3 40 4 0\n"

    assert busy_seconds(text, ticks_per_second=100) == 1.6


def test_disturbed_runs_are_counted() -> None:
    """So that a reader can see whether the machine was quiet."""
    assert "2% of the CPU time in 0 of 4 runs" in disturbed_runs(ROUNDS, 0.02)
    assert "1% of the CPU time in 4 of 4 runs" in disturbed_runs(ROUNDS, 0.01)


def test_the_cpu_model_is_that_of_the_first_processor() -> None:
    """From /proc/cpuinfo."""
    cpuinfo = "processor\t: 0\nmodel name\t: AMD EPYC 9R14\nprocessor\t: 1\nmodel name\t: Other\n"

    assert machine.cpu_model(cpuinfo) == "AMD EPYC 9R14"


def test_the_description_of_the_machine_has_no_name_and_no_path() -> None:
    """It is published."""
    described = str(machine.describe())

    assert platform.node() not in described
    assert "/home" not in described
    assert "/usr" not in described


def test_the_spread_of_an_even_number_of_values_has_the_middle_of_two_as_median() -> None:
    """And the lowest and the highest value."""
    assert Spread.of([4.0, 1.0, 2.0, 3.0]) == Spread(1.0, 2.5, 4.0)
    assert Spread(1.0, 2345.6, 4000.0).text(0) == "2,346 (1 to 4,000)"


def test_each_ratio_is_computed_within_one_round() -> None:
    """The two rounds have other units, and the rows begin with the least CPU time.

    ours: 6 s / 8,000 = 0.75 ms = 1.5 units; 8 s / 16,000 = 0.5 ms = 2 units.
    other: 4 s / 2,000 = 2 ms = 4 units; 6 s / 8,000 = 0.75 ms = 3 units.
    """
    assert rows(ROUNDS, unit="unit", ours="ours") == [
        Row("fast", Spread(0.5, 0.5, 0.5)),
        Row("unit", Spread(1.0, 1.0, 1.0)),
        Row(
            "ours",
            Spread(1.5, 1.75, 2.0),
            Spread(2_000, 3_000, 4_000),
            Spread(1.0, 1.0, 1.0),
            Spread(8.0, 10.0, 12.0),
        ),
        Row(
            "other",
            Spread(3.0, 3.5, 4.0),
            Spread(500, 1_250, 2_000),
            Spread(2.0, 3.0, 4.0),
            Spread(20.0, 30.0, 40.0),
        ),
    ]


def test_the_table_has_a_line_for_each_row() -> None:
    """A bare loop serves no requests."""
    lines = table(rows(ROUNDS, unit="unit", ours="ours")).splitlines()

    assert lines[2] == "| fast | 0.50 (0.50 to 0.50) | - | - | - |"
    assert lines[5] == (
        "| other | 3.50 (3.00 to 4.00) | 1,250 (500 to 2,000) | 3.00 (2.00 to 4.00)"
        " | 30 (20 to 40) |"
    )


def test_the_document_has_the_spreads_and_each_round() -> None:
    """So that another engineer can compute something else from it."""
    found = document([Row("unit", Spread(1.0, 1.0, 1.0))], ROUNDS[:1])

    assert found["rows"] == [
        {
            "name": "unit",
            "signatures": {"min": 1.0, "median": 1.0, "max": 1.0},
            "requests_per_second": None,
            "ours_to_this": None,
            "p99_ms": None,
        }
    ]
    assert found["rounds"] == [
        {
            "signature_seconds": {"unit": 0.0005, "fast": 0.00025},
            "loads": {
                "ours": {
                    "answers": {"requests": 8000, "seconds": 4.0, "p50_ms": 5.0, "p99_ms": 12.0},
                    "cpu_seconds": 6.0,
                    "disturbance": 0.02,
                },
                "other": {
                    "answers": {"requests": 2000, "seconds": 4.0, "p50_ms": 5.0, "p99_ms": 40.0},
                    "cpu_seconds": 4.0,
                    "disturbance": 0.02,
                },
            },
        }
    ]


def test_the_bars_of_the_picture_have_the_lengths_of_the_medians() -> None:
    """The highest value, 4.0, is as long as the space for bars: 320."""
    found = [
        Row("a & b", Spread(1.0, 2.0, 3.0)),
        Row("c", Spread(3.0, 3.5, 4.0), Spread(1.0, 1.0, 1.0)),
    ]
    svg = picture.picture(found, title="t", ours=("c",))

    assert (picture.LABEL_WIDTH, picture.BAR_WIDTH, picture.ROW_HEIGHT) == (370, 320, 30)
    assert '<text x="360" y="65" text-anchor="end">a &amp; b</text>' in svg
    assert '<rect x="370" y="53" width="160" height="16" fill="#c3cad3"/>' in svg
    assert '<line x1="450" x2="610" y1="61" y2="61" stroke="#1f2328"/>' in svg
    assert '<text x="618" y="65">2.00</text>' in svg
    assert '<rect x="370" y="83" width="280" height="16" fill="#1a7f5a"/>' in svg
    assert svg.startswith("<svg ")
    assert svg.endswith("</svg>\n")
