"""The audit: one line for each decision, granted or refused; never a token."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass
from typing import Literal, Protocol, TextIO

from tokensvc.clock import rfc3339

# Characters that a line keeps of a channel as it was asked for: as many as the longest ARN or name
# has. What a stranger sends must not fill the log, and of a token or an API key that was sent by
# mistake no usable part is left.
_LONGEST_ARN = 128
_LONGEST_NAME = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEvent:
    """One decision.

    Attributes:
        at: when it was made, Unix seconds.
        decision: what was decided.
        code: the error's stable code, empty when granted.
        caller_id: who asked.
        channel: the channel as it was asked for, name or ARN, unchecked.
        channel_arn: the channel's ARN, once it is known.
        viewer_id: the viewer ID, if the token has one.
        grant: the name of the grant that decided.
        key_id: the key pair that signed.
        expires_at: the token's `exp`, Unix seconds.
        ttl_seconds: the time granted.
        token_sha256: the first 16 hex digits of the token's SHA-256, to find it again.
        request_id: the request's ID.
    """

    at: float
    decision: Literal["granted", "refused"]
    caller_id: str
    channel: str
    code: str = ""
    channel_arn: str | None = None
    viewer_id: str | None = None
    grant: str | None = None
    key_id: str | None = None
    expires_at: float | None = None
    ttl_seconds: int | None = None
    token_sha256: str | None = None
    request_id: str | None = None

    def members(self) -> dict[str, str | int | None]:
        """The members of the audit line, with the identifiers that programs see."""
        return {
            "at": rfc3339(self.at),
            "decision": self.decision,
            "caller_id": self.caller_id,
            "channel": _shortened(self.channel),
            "code": self.code,
            "channel_arn": self.channel_arn,
            "viewer_id": self.viewer_id,
            "grant": self.grant,
            "key_id": self.key_id,
            "expires_at": None if self.expires_at is None else rfc3339(self.expires_at),
            "ttl_seconds": self.ttl_seconds,
            "token_sha256": self.token_sha256,
            "request_id": self.request_id,
        }


class Audit(Protocol):
    """Where decisions are written down."""

    def write(self, event: AuditEvent) -> None:
        """Return when the decision is written; when it can't be, the error must reach the caller.

        Raises:
            OSError: when it could not be written. A token must not be given out then.
        """
        ...


class JsonLinesAudit:
    """Writes JSON lines to a stream; times in RFC 3339 UTC, what is not known as null."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lock = threading.Lock()

    def write(self, event: AuditEvent) -> None:
        """Write and flush one line.

        Raises:
            OSError: when the stream does not take it.
        """
        # ASCII escapes keep one decision on one line, whatever a stranger named the channel.
        line = json.dumps(event.members(), ensure_ascii=True, separators=(",", ":"))
        # One write of the whole line, as threads and, by file, other processes write too.
        with self._lock:
            self._stream.write(line + "\n")
            self._stream.flush()


def _shortened(channel: str) -> str:
    return channel[: _LONGEST_ARN if channel.startswith("arn:") else _LONGEST_NAME]
