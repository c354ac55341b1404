"""The error of the benchmark."""

from __future__ import annotations


class BenchmarkFailed(Exception):
    """The benchmark can't start or continue. The text says why."""
