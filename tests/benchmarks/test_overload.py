"""The benchmark of overload: what it requires of a run, and its percentiles."""

from __future__ import annotations

from benchmarks.overload import Report, Results, percentile


def report(*, served_seconds: float, recovery: float = 0.1, resets: int = 0) -> Report:
    """A run in which a hundred requests were served and as many were refused."""
    answers = [(0.0, served_seconds, 200), (0.0, 0.001, 503)] * 100
    return Report(5_000.0, Results(answers), [0.002, 0.003], recovery, resets)


def test_a_run_that_keeps_every_promise_has_no_failures() -> None:
    """Up to 250 ms for those served, and 2 s until all is normal."""
    assert report(served_seconds=0.25, recovery=2.0).failures() == []


def test_every_broken_promise_is_listed() -> None:
    """A service that serves nothing keeps none of them."""
    assert len(report(served_seconds=0.251, recovery=2.1, resets=1).failures()) == 3
    assert len(Report(5_000.0, Results(), [], 0.0, 0).failures()) == 2


def test_a_percentile_is_one_of_the_latencies() -> None:
    """Of the sorted ones."""
    latencies = [number / 1_000 for number in range(1, 101)]
    assert percentile(latencies, 0.5) == 0.051
    assert percentile(latencies, 0.99) == 0.1
    assert percentile([0.007], 0.99) == 0.007
