"""Writes audit lines to standard output without blocking an event loop, whole or not at all.

Every token that is handed out has its whole line. If the disk is full or the reader does not read,
`write` refuses; it neither blocks for long nor leaves a part of a line.
"""

from __future__ import annotations

import threading
from typing import Final

from tokensvc.audit import AuditEvent, json_line
from tokensvc.errors import AuditUnavailable
from tokensvc.line_targets import MAX_LINE_BYTES, line_target
from tokensvc.waiting import may_wait

MAX_WAIT_SECONDS: Final = 2.0
"""How long a thread waits for the reader to make room."""


class AuditOutput:
    """Writes to the file, pipe, socket or terminal behind a descriptor, from all threads."""

    def __init__(self, descriptor: int) -> None:
        """Prepare to write.

        Raises:
            AuditUnavailable: the descriptor is not open.
        """
        try:
            self._target = line_target(descriptor)
        except OSError as exc:
            raise _unavailable(exc) from exc
        self._lock = threading.Lock()
        self.failure: AuditUnavailable | None = None

    def close(self) -> None:
        """Close what was opened; the descriptor itself stays open."""
        self._target.close()

    def write(self, event: AuditEvent) -> None:
        """Write one line.

        Raises:
            AuditUnavailable: nothing was written. The token must not be returned.
            MustWait: nothing was written, because an event loop may not wait for the reader.
        """
        line = json_line(event.members())
        if len(line) > MAX_LINE_BYTES:
            raise AuditUnavailable(f"An audit line has {len(line)} bytes.")
        try:
            self._write(line)
        except OSError as exc:
            self.failure = _unavailable(exc)
            raise self.failure from exc
        self.failure = None

    def _write(self, line: bytes) -> None:
        try:
            with self._lock:
                self._target.write(line)
        except BlockingIOError:
            may_wait()
            self._target.wait(MAX_WAIT_SECONDS)
            with self._lock:
                self._target.write(line)


def _unavailable(error: OSError) -> AuditUnavailable:
    return AuditUnavailable(
        f"The audit log can't be written ({error.strerror or error}).",
        hint="Check the disk, and the program that reads the service's standard output.",
    )
