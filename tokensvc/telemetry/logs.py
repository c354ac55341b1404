"""Logging: JSON or text for the service, plain lines for a command, and no secrets in any.

Code never logs a token, a private key or a secret. The redaction here is a second line of defense,
against secrets in the messages of other libraries and in the texts of exceptions.
"""

from __future__ import annotations

import json as jsonlib
import logging
from datetime import UTC, datetime
from typing import TextIO

from tokensvc.redaction import redact
from tokensvc.telemetry.log_lines import LineOf
from tokensvc.telemetry.log_output import LogOutput

_STANDARD_ATTRIBUTES = frozenset(vars(logging.makeLogRecord({}))) | {
    "message",
    "asctime",
    "taskName",
}
"""The attributes of every record. All others were given in `extra=` and are logged as members."""

_LOGS_CREDENTIALS_AT_DEBUG = ("botocore", "boto3", "urllib3")
_LOGS_TRACEBACKS_OF_CREDENTIALS = ("botocore.credentials", "botocore.tokens")


def configure_logging(level: str, output: TextIO | LogOutput, formatter: logging.Formatter) -> None:
    """Write the records of every logger to `output`. A second call replaces the first.

    Args:
        level: `DEBUG`, `INFO`, `WARNING`, `ERROR` or `CRITICAL`.
        output: a stream, or an output that never waits for its reader.
        formatter: `JsonLines`, `TextLines` or `PlainLines`.

    Raises:
        ValueError: when the level does not exist.
    """
    handler = _OutputHandler(output) if isinstance(output, LogOutput) else _StreamHandler(output)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.setLevel(level)
    for earlier in [h for h in root.handlers if isinstance(h, _OutputHandler | _StreamHandler)]:
        root.removeHandler(earlier)
        earlier.close()
    root.addHandler(handler)
    for name in _LOGS_CREDENTIALS_AT_DEBUG:
        # At DEBUG, these log signed requests, including credentials. At INFO, botocore logs in each
        # process where it found credentials and endpoints.
        logging.getLogger(name).setLevel(max(root.level, logging.WARNING))
    for name in _LOGS_TRACEBACKS_OF_CREDENTIALS:
        logging.getLogger(name).addFilter(_without_traceback)


def _without_traceback(record: logging.LogRecord) -> bool:
    """Keep the record, which is about credentials that failed, and drop its traceback.

    If they are needed, the same exception is raised and becomes an error with a hint.
    """
    record.exc_info = None
    return True


class _StreamHandler(logging.StreamHandler[TextIO]):
    """A separate type, so that a second call finds the handler of the first, and no other."""


class _OutputHandler(logging.Handler):
    """Writes each record as a line to an output that never waits."""

    def __init__(self, output: LogOutput) -> None:
        super().__init__()
        self._output = output

    def emit(self, record: logging.LogRecord) -> None:
        self._output.write(f"{self.format(record)}\n".encode(errors="backslashreplace"))

    def flush(self) -> None:
        self._output.flush()

    def close(self) -> None:
        self._output.close()
        super().close()


class PlainLines(logging.Formatter):
    """`warning: message`, followed by the traceback if there is one: for a command."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its line break, and the traceback."""
        return redact(f"{record.levelname.lower()}: {super().format(record)}")


class JsonLines(logging.Formatter):
    """One JSON object per record. The values in `extra=` are members of it."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its line break."""
        return jsonlib.dumps(_members_of(record, self), ensure_ascii=False)


class TextLines(logging.Formatter):
    """The same members as text, as `text_line` or `colored_line` makes it."""

    def __init__(self, line_of: LineOf) -> None:
        super().__init__()
        self._line_of = line_of

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its line break, and the traceback."""
        return self._line_of(_members_of(record, self)).decode().rstrip("\n")


def _members_of(record: logging.LogRecord, formatter: logging.Formatter) -> dict[str, object]:
    members: dict[str, object] = {
        "at": f"{datetime.fromtimestamp(record.created, UTC):%Y-%m-%dT%H:%M:%S}"
        f".{int(record.msecs):03d}Z",
        "level": record.levelname.lower(),
        "logger": record.name,
        "message": redact(record.getMessage()),
    }
    for name, value in vars(record).items():
        if name not in _STANDARD_ATTRIBUTES:
            members.setdefault(name, _member_value(value))
    if record.exc_info:
        members["exception"] = redact(formatter.formatException(record.exc_info))
    if record.stack_info:
        members["stack"] = redact(formatter.formatStack(record.stack_info))
    return members


def _member_value(value: object) -> object:
    """Numbers and None unchanged, every other value as redacted text."""
    return value if value is None or isinstance(value, int | float) else redact(str(value))
