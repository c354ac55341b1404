"""Writes log lines to a descriptor and never waits for its reader.

Lines that the reader has no room for are kept, up to a limit. Further lines are dropped and
counted, and a line with their number is written when the reader reads again.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Final

from tokensvc.clock import rfc3339
from tokensvc.line_targets import MAX_LINE_BYTES, LineTarget
from tokensvc.telemetry.log_lines import LineOf, json_line

MAX_KEPT_BYTES: Final = 1024 * 1024

MAX_FLUSH_SECONDS: Final = 1.0
"""How long a process that ends waits for the reader."""


class LogOutput:
    """Log lines on their way to a target, from all threads of a process.

    Attributes:
        dropped: the number of lines that were dropped and not yet reported.
    """

    def __init__(
        self,
        target: LineTarget,
        *,
        line_of: LineOf = json_line,
        max_kept_bytes: int = MAX_KEPT_BYTES,
    ) -> None:
        self._target = target
        self._line_of = line_of
        self._max_kept_bytes = max_kept_bytes
        self._kept: deque[bytes] = deque()
        self._kept_bytes = 0
        self._lock = threading.Lock()
        self.dropped = 0

    def write(self, line: bytes) -> None:
        """Write the line, which ends with a line break, or keep or drop it."""
        with self._lock:
            if self._kept:
                self._write_kept()
            if self._keep(line):
                self._write_kept()

    def keep(self, line: bytes) -> None:
        """Keep the line for `write_kept`, or drop it. Lines that are written together cost less."""
        with self._lock:
            self._keep(line)

    def write_kept(self) -> None:
        """Write the kept lines for which the reader has room."""
        with self._lock:
            self._write_kept()

    def flush(self) -> None:
        """Write the kept lines, before the process ends, if their reader reads soon."""
        give_up_at = time.monotonic() + MAX_FLUSH_SECONDS
        with self._lock:
            self._write_kept()
            while self._kept and time.monotonic() < give_up_at:
                try:
                    self._target.wait(give_up_at - time.monotonic())
                except OSError:
                    return
                self._write_kept()

    def close(self) -> None:
        """Close what was opened. Kept lines are lost."""
        self._target.close()

    def _keep(self, line: bytes) -> bool:
        """Keep the line, or drop it. Returns whether there was room for it."""
        if self._kept_bytes + len(line) > self._max_kept_bytes:
            self.dropped += 1
            return False
        if len(line) <= MAX_LINE_BYTES:
            self._kept.append(line)
        else:  # Such as a traceback: it is written in parts.
            starts = range(0, len(line), MAX_LINE_BYTES)
            self._kept.extend(line[start : start + MAX_LINE_BYTES] for start in starts)
        self._kept_bytes += len(line)
        return True

    def _write_kept(self) -> None:
        try:
            while self._kept:
                lines = self._next_lines()
                self._target.write(b"".join(lines))
                for _ in lines:
                    self._kept_bytes -= len(self._kept.popleft())
            if self.dropped:
                self._target.write(self._line_of(_dropped(self.dropped)))
                self.dropped = 0
        except BlockingIOError:
            return
        except OSError:  # The disk is full, or the reader has gone.
            self.dropped += len(self._kept)
            self._kept.clear()
            self._kept_bytes = 0

    def _next_lines(self) -> Sequence[bytes]:
        """As many of the kept lines as a target takes at once."""
        size = 0
        lines = []
        for line in self._kept:
            size += len(line)
            if size > MAX_LINE_BYTES:
                break
            lines.append(line)
        return lines


def _dropped(count: int) -> Mapping[str, object]:
    return {
        "at": rfc3339(time.time()),
        "level": "warning",
        "logger": __name__,
        "message": "Log lines were dropped because they could not be written.",
        "dropped": count,
    }
