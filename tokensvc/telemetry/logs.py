"""Logs: JSON lines for the service, plain lines for a person, and no secret in either.

Code never logs a token, a private key or a secret. The redaction here is a second line of defence,
for what another library or an exception's text may carry.
"""

from __future__ import annotations

import json as jsonlib
import logging
import re
from datetime import UTC, datetime
from typing import TextIO

_SECRETS: tuple[tuple[re.Pattern[str], str], ...] = (
    # Every JWS header begins with `{"`, which is `eyJ` in base64url (RFC 7515 §7.1).
    (re.compile(r"eyJ[\w-]*(?:\.[\w-]*)+"), "[redacted]"),
    (re.compile(r"(?i)(\btoken=)[^\s&\"'<>]+"), r"\1[redacted]"),
    (re.compile(r"(?i)(\bbearer\s+)[^\s\"',]+"), r"\1[redacted]"),
    (re.compile(r"\btsk_[\w-]+"), "tsk_[redacted]"),
    (
        re.compile(
            r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)",
            re.DOTALL,
        ),
        "[redacted private key]",
    ),
)

_OWN_MEMBERS = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
"""What a record carries by itself; the rest came by `extra=` and is logged as fields."""

_LOUD_AT_DEBUG = ("botocore", "boto3", "urllib3")


def configure_logging(level: str, stream: TextIO, *, json: bool) -> None:
    """Send the records of every logger to `stream`; a second call replaces the first.

    Args:
        level: `DEBUG`, `INFO`, `WARNING`, `ERROR` or `CRITICAL`.
        stream: where the lines go.
        json: whether a line is a JSON object, or a sentence for a person.

    Raises:
        ValueError: when there is no such level.
    """
    handler = _Handler(stream)
    handler.setFormatter(_JsonLines() if json else _PlainLines())
    root = logging.getLogger()
    root.setLevel(level)
    for earlier in [h for h in root.handlers if isinstance(h, _Handler)]:
        root.removeHandler(earlier)
    root.addHandler(handler)
    for name in _LOUD_AT_DEBUG:
        # At DEBUG these print signed requests, credentials among them.
        logging.getLogger(name).setLevel(max(root.level, logging.INFO))


def redacted(text: str) -> str:
    """The text without what looks like a token, an API key, a bearer's secret or a private key."""
    for pattern, replacement in _SECRETS:
        text = pattern.sub(replacement, text)
    return text


class _Handler(logging.StreamHandler[TextIO]):
    """A type of our own, so that a second call finds the first one's handler and no other."""


class _PlainLines(logging.Formatter):
    """`warning: what happened`, with the traceback below when there is one."""

    def format(self, record: logging.LogRecord) -> str:
        return redacted(f"{record.levelname.lower()}: {super().format(record)}")


class _JsonLines(logging.Formatter):
    """One JSON object for a record; what came by `extra=` is among its members."""

    def format(self, record: logging.LogRecord) -> str:
        members: dict[str, object] = {
            "at": f"{datetime.fromtimestamp(record.created, UTC):%Y-%m-%dT%H:%M:%S}"
            f".{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": redacted(record.getMessage()),
        }
        for name, value in vars(record).items():
            if name not in _OWN_MEMBERS:
                members.setdefault(name, _loggable(value))
        if record.exc_info:
            members["exception"] = redacted(self.formatException(record.exc_info))
        if record.stack_info:
            members["stack"] = redacted(self.formatStack(record.stack_info))
        return jsonlib.dumps(members, ensure_ascii=False)


def _loggable(value: object) -> object:
    """Numbers and None as they are, anything else as redacted text."""
    return value if value is None or isinstance(value, int | float) else redacted(str(value))
