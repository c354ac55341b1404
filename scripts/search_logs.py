# ruff: noqa: INP001 - A program, not a package.
"""Search all logs that a test run wrote for tokens and the secrets of API keys.

    python -m scripts.search_logs FOLDER

FOLDER is pytest's `--basetemp`. Lines of a log or of the audit are searched, in every file: JSON
objects with a logger, a decision or an event. What commands print for their caller is no log.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

SECRETS: Final = (
    re.compile(rb"eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]{20,}"),  # A JWT with its signature.
    re.compile(rb"tsk_[0-9a-f]{12}_[0-9a-f]{64}"),
)
_LOG_LINE: Final = re.compile(rb'\{.*"(?:logger|decision|event)": ?"')
_LARGEST_BYTES: Final = 50_000_000


def log_lines(folder: Path) -> Iterator[tuple[Path, bytes]]:
    """Each line of a log in the folder, with its file."""
    for file in folder.rglob("*"):
        try:
            is_read = file.is_file() and not file.is_symlink()
            if not is_read or file.stat().st_size > _LARGEST_BYTES:
                continue
            content = file.read_bytes()
        except OSError:  # A file that a test made unreadable.
            continue
        for line in content.splitlines():
            if _LOG_LINE.match(line):
                yield file, line


def main() -> int:
    """Print each file with a secret in a line of a log; the exit status."""
    searched, found = 0, []
    for file, line in log_lines(Path(sys.argv[1])):
        searched += 1
        if any(secret.search(line) for secret in SECRETS):
            found.append(str(file))
    for name in sorted(set(found)):
        sys.stdout.write(f"A token or an API key is in a line of the log {name}\n")
    sys.stdout.write(f"Searched {searched} lines of logs for tokens and API keys.\n")
    if searched == 0:
        sys.stdout.write("The run wrote no logs: is this the folder of a test run?\n")
    return 1 if found or searched == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
