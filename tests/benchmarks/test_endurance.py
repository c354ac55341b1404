"""The verdict of the endurance run."""

from __future__ import annotations

import pytest

from benchmarks.endurance import Sample, growth


@pytest.mark.parametrize(
    ("mebibytes", "descriptors", "grown"),
    [
        ([90, 50, 50, 50, 50], [9, 9, 9, 9, 9], (0.0, 0.0)),  # The first sample is the warm-up.
        ([50, 50, 50, 53, 53], [9, 9, 9, 9, 9], (3.0, 0.0)),
        ([50, 50, 50, 50, 50], [9, 9, 9, 11, 11], (0.0, 2.0)),
    ],
)
def test_growth_is_the_difference_between_early_and_late_samples(
    mebibytes: list[float], descriptors: list[int], grown: tuple[float, float]
) -> None:
    """In MiB and descriptors."""
    pairs = zip(mebibytes, descriptors, strict=True)
    samples = [Sample(1_000 * number, *pair) for number, pair in enumerate(pairs)]
    assert growth(samples) == grown
