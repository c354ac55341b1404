"""The audit log: one line for each decision, granted or refused. It never contains a token."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, Protocol, TextIO

from pydantic_core import to_json

from tokensvc.clock import rfc3339
from tokensvc.errors import AuditUnavailable
from tokensvc.ivs.limits import LONGEST_ARN
from tokensvc.meter import Meter
from tokensvc.redaction import redact

# The requested channel is cut to the length of the longest ARN or name: untrusted input must not
# fill the log.
_LONGEST_NAME = 64
_PLAYBACK = frozenset({"granted", "refused"})


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEvent:
    """One decision.

    Attributes:
        at: the time of the decision, Unix seconds.
        decision: the outcome of a request for a URL, or what was done to a viewer or a channel.
        code: the stable code of the error, empty when granted.
        caller_id: the ID of the caller who sent the request, or the operator. None for a refused
            sign-in, unless the API key is valid and must be confirmed after a restore.
        channel: the requested channel, name or ARN, unchecked; None for a refused sign-in.
        channel_arn: the ARN of the channel, once it is known.
        viewer_id: the viewer ID, if the token has one.
        session_version: the version of the viewer's session: a refresh keeps it, so that one
            viewing is one channel, viewer ID and session version. Of a kick or a ban, the highest
            version that is revoked.
        grant: the name of the grant that was applied.
        key_id: the ID of the key pair that signed.
        expires_at: the token's `exp`, or when a ban ends, Unix seconds; None if it has no end.
        ttl_seconds: the granted lifetime.
        token_sha256: the first 16 hex digits of the token's SHA-256, to identify the token.
        request_id: the ID of the request.
        client_address: the address of the client whose sign-in was refused.
        ban_id: the ban that refused the request, or that was made or lifted.
        omitted: how many refused sign-ins before this one have no line of their own.
        country: the country of the viewer, if it is known from a source that counts.
        rule: the rule that refused; the limit, for `rate_limited`; of a granted request the options
            that a grant or a limit has changed, with commas between them.
        watch_until: when playback is ended, Unix seconds; None if it is not.
    """

    at: float
    decision: Literal["granted", "refused", "kicked", "banned", "closed", "lifted"]
    caller_id: str | None = None
    channel: str | None = None
    code: str = ""
    channel_arn: str | None = None
    viewer_id: str | None = None
    session_version: int | None = None
    grant: str | None = None
    key_id: str | None = None
    expires_at: float | None = None
    ttl_seconds: int | None = None
    token_sha256: str | None = None
    request_id: str | None = None
    client_address: str | None = None
    ban_id: str | None = None
    omitted: int | None = None
    country: str | None = None
    rule: str | None = None
    watch_until: float | None = None

    @property
    def is_decision(self) -> bool:
        """Whether it is about a playback URL or a sign-in.

        What moderators do is not, nor is the line with which a probe tries the audit again.
        """
        return self.decision in _PLAYBACK and self.code != AuditUnavailable.code

    def members(self) -> dict[str, str | int | None]:
        """The members of the audit line. Programs rely on their names."""
        return {
            "at": rfc3339(self.at),
            "decision": self.decision,
            "caller_id": self.caller_id,
            "channel": None if self.channel is None else _shown_channel(self.channel),
            "code": self.code,
            "channel_arn": self.channel_arn,
            "viewer_id": self.viewer_id,
            "session_version": self.session_version,
            "grant": self.grant,
            "key_id": self.key_id,
            "expires_at": None if self.expires_at is None else rfc3339(self.expires_at),
            "ttl_seconds": self.ttl_seconds,
            "token_sha256": self.token_sha256,
            "request_id": self.request_id,
            "client_address": self.client_address,
            "ban_id": self.ban_id,
            "omitted": self.omitted,
            "country": self.country,
            "rule": self.rule,
            "watch_until": None if self.watch_until is None else rfc3339(self.watch_until),
        }


class Audit(Protocol):
    """Records decisions."""

    @property
    def failure(self) -> AuditUnavailable | None:
        """Why the last decision was not recorded, None if it was."""
        ...

    def write(self, event: AuditEvent) -> None:
        """Record the decision. A failure must be raised, never ignored.

        Raises:
            OSError, AuditUnavailable: when the decision was not recorded. The token must then not
                be returned.
        """
        ...


class MeteredAudit:
    """Counts the decisions about playback URLs that another audit has recorded."""

    def __init__(self, audit: Audit, meter: Meter) -> None:
        self._audit = audit
        self._meter = meter

    @property
    def failure(self) -> AuditUnavailable | None:
        """Why the last decision was not recorded, None if it was."""
        return self._audit.failure

    def write(self, event: AuditEvent) -> None:
        """Record and count the decision, or count that it could not be recorded."""
        try:
            self._audit.write(event)
        except (OSError, AuditUnavailable):
            if event.is_decision:
                self._meter.decided(AuditUnavailable.code)
            raise
        if event.is_decision:
            self._meter.decided(event.code)


class JsonLinesAudit:
    """Writes JSON lines to a stream. Times are RFC 3339 UTC; unknown values are null."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lock = threading.Lock()
        self.failure: AuditUnavailable | None = None

    def write(self, event: AuditEvent) -> None:
        """Write and flush one line.

        Raises:
            OSError: when the stream can't be written.
        """
        line = json_line(event.members()).decode()
        # One write call for the whole line, because other threads, and other processes that have
        # the same file open, write to it too.
        with self._lock:
            self._stream.write(line)
            self._stream.flush()


def json_line(members: Mapping[str, object]) -> bytes:
    """The members as one line of JSON, with its line break.

    ASCII escapes keep it on one line, whatever an untrusted name contains.
    """
    return to_json(members, ensure_ascii=True) + b"\n"


@lru_cache(maxsize=256)
def _shown_channel(channel: str) -> str:
    """The channel without a token or an API key, which a client may send there by mistake."""
    shown = redact(channel)[: LONGEST_ARN if channel.startswith("arn:") else _LONGEST_NAME]
    # An argument of a command may have unpaired surrogates, which JSON can't have.
    return shown.encode(errors="backslashreplace").decode()
