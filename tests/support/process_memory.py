"""What Linux says about a process: its children, its threads, its memory and its files."""

from __future__ import annotations

import os
import re
from pathlib import Path

_KIB_PER_MIB = 1_024


def children_of(pid: int) -> set[int]:
    """The process IDs of its children."""
    return {int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()}


def thread_count(pid: int) -> int:
    """How many threads it has."""
    return len(os.listdir(f"/proc/{pid}/task"))  # noqa: PTH208 # Only their number.


def descriptor_count(pid: int) -> int:
    """How many descriptors it has open."""
    return len(os.listdir(f"/proc/{pid}/fd"))  # noqa: PTH208 # Only their number.


def unique_mebibytes(pid: int) -> float:
    """The memory that only this process has (USS), in MiB: what its end would free."""
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    sizes = re.findall(r"^Private_(?:Clean|Dirty): +(\d+) kB", rollup, re.MULTILINE)
    return sum(map(int, sizes)) / _KIB_PER_MIB


def resident_mebibytes(pid: int) -> float:
    """All memory that it uses (RSS), in MiB. It does not grow when a shared page is copied."""
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    (size,) = re.findall(r"^Rss: +(\d+) kB", rollup, re.MULTILINE)
    return int(size) / _KIB_PER_MIB


def has_loaded(pid: int, library: str) -> bool:
    """Whether a file whose name contains this text is in its memory."""
    return library in Path(f"/proc/{pid}/maps").read_text()
