"""Two sizes of the long tests: short in `make test`, full in `make test-all`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")

IS_FULL = os.environ.get("TEST_SIZE") == "full"


def sized(*, short: T, full: T) -> T:
    """One of the two, by the variable TEST_SIZE."""
    return full if IS_FULL else short


def spread(count: int, most: int | None) -> Sequence[int]:
    """The numbers from 0 to `count`, or `most` of them, evenly spread with the first and last."""
    if most is None or count < most:
        return range(count + 1)
    return sorted({round(index * count / (most - 1)) for index in range(most)})
