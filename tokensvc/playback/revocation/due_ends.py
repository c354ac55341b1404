"""Due ends: when a viewer's right to watch a channel ends, and the sessions that end with it.

Amazon IVS checks a token when playback starts and never again, so a right that ends must end the
session by a revocation. A playback URL with `watch_until` has a due end: a record that is stored
before the URL is handed out. `tokensvc viewers end-due` revokes the sessions when it is time.

1. There is one due end for each channel and viewer. It revokes every session up to its version.
2. The latest decision about the viewer counts: its time replaces that of an earlier one, whether it
   is earlier or later, and the version becomes the highest one of both. A decision that is stored
   late, after a newer one, changes no time. Of two at the same instant the earlier end counts.
3. A session without `watch_until` that begins later has a higher version, and goes on.
4. Before IVS is called, the due end is marked as begun. From then on its sessions can't go on: a
   request that would continue one is refused. So a process that stops after the mark, and calls IVS
   much later, ends no session that was continued meanwhile.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final, Literal, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from tokensvc.arns import ChannelArn
from tokensvc.clock import unix_seconds
from tokensvc.errors import (
    InvalidArn,
    InvalidRequest,
    Problem,
    SchemaUnsupported,
    StateDamaged,
    StateUnavailable,
    ViewerRevoked,
)
from tokensvc.ivs.limits import LONGEST_WATCH_SECONDS
from tokensvc.ivs.viewer_sessions import Revocation, Viewer
from tokensvc.state import schema
from tokensvc.state.base import Record, State
from tokensvc.state.moving import require_not_moved
from tokensvc.state.schema import CURRENT
from tokensvc.token.claims import PlaybackClaims, PlaybackOptions
from tokensvc.waiting import may_wait

KIND: Final = "due-end"

KEPT_PENDING_SECONDS: Final = 30 * 86_400
"""How long a due end is kept while no process carries it out: a session may go on for days."""

KEPT_DONE_SECONDS: Final = 3_600
"""How long one that was carried out is kept. All are read often, so it is not long: a request that
continues a session which ended before gets a token that IVS refuses."""

Progress = Literal["waiting", "begun", "done"]

_MAX_ATTEMPTS: Final = 10


@dataclass(frozen=True, slots=True)
class DueEnd:
    """The end of a viewer's right to watch a channel.

    Attributes:
        viewer: the viewer, on one channel.
        version: the highest session version that ends, in Unix seconds.
        decided_at: when the caller was granted this end, Unix seconds.
        ends_at: when the sessions end, Unix seconds.
        progress: `waiting`, `begun` before IVS is called, or `done` when IVS has confirmed.
    """

    viewer: Viewer
    version: int
    decided_at: float
    ends_at: int
    progress: Progress = "waiting"

    @property
    def revocation(self) -> Revocation:
        """What IVS is asked for when it is time."""
        return Revocation(self.viewer, self.version)

    @property
    def expires_at(self) -> float:
        """When nothing depends on it any more, Unix seconds."""
        is_done = self.progress == "done"
        return self.ends_at + (KEPT_DONE_SECONDS if is_done else KEPT_PENDING_SECONDS)

    def after(self, earlier: DueEnd | None) -> DueEnd:
        """The due end that counts after this decision, by the rules above.

        Raises:
            ViewerRevoked: when the session of this decision has ended already.
        """
        if earlier is None:
            return self
        if earlier.progress != "waiting":
            if self.version <= earlier.version:
                raise _session_has_ended()
            return self
        version = max(self.version, earlier.version)
        if self.decided_at == earlier.decided_at:
            return replace(self, version=version, ends_at=min(self.ends_at, earlier.ends_at))
        later = self if self.decided_at > earlier.decided_at else earlier
        return replace(later, version=version)


@dataclass(frozen=True, slots=True)
class StoredDueEnd:
    """A due end as it was read, with the record that a change must replace."""

    due_end: DueEnd
    record: Record

    @classmethod
    def of(cls, record: Record) -> Self:
        """The due end in that record.

        Raises:
            StateDamaged: when it is not one that this program writes.
            SchemaUnsupported: when a newer release wrote it.
        """
        try:
            text = _Text.model_validate_json(record.body)
            viewer = Viewer(ChannelArn.parse(text.channel_arn), text.viewer_id)
        except (ValidationError, InvalidArn) as exc:
            raise StateDamaged(f"The due end {record.record_id!r} is damaged.") from exc
        if text.schema_version > CURRENT:
            raise SchemaUnsupported(
                "A due end was written by a newer release of tokensvc.",
                hint="Install the newer release of tokensvc on this host.",
            )
        due_end = DueEnd(viewer, text.version, text.decided_at, text.ends_at, text.progress)
        return cls(due_end, record)


class DueEnds:
    """The due ends in the state that all processes share."""

    def __init__(self, state: State) -> None:
        self._state = state

    def store(self, due_end: DueEnd) -> DueEnd:
        """Store this decision durably, and return the due end that counts now.

        Raises:
            ViewerRevoked: when the session has ended already.
            StateUnavailable: when it is not certain that it was stored. Hand out no URL.
        """
        may_wait()
        for _ in range(_MAX_ATTEMPTS):
            stored = self._state.record(KIND, record_id(due_end.viewer))
            earlier = None if stored is None else StoredDueEnd.of(stored).due_end
            effective = due_end.after(earlier)
            if effective == earlier or self._state.put_if(
                KIND, _record(effective), replacing=stored
            ):
                self._require_not_moved()
                return effective
        raise StateUnavailable("Too many other requests set a due end for the same viewer.")

    def merge(self, others: Iterable[StoredDueEnd]) -> None:
        """Store those of another state, by the rules above. It may be done again.

        Raises:
            StateUnavailable: when it is not certain that all were stored.
        """
        for stored in others:
            if stored.due_end.progress != "done":
                with suppress(ViewerRevoked):  # It is carried out here already.
                    self.store(stored.due_end)

    def _require_not_moved(self) -> None:
        """Return if the state has not been copied to another place since the due end was stored.

        A copy marks the schema first and copies due ends last, so it has copied this one.
        """
        document = self._state.load(schema.DOCUMENT_NAME)
        if document is not None:
            require_not_moved(document)

    def all(self, known: Iterable[StoredDueEnd] = ()) -> Sequence[StoredDueEnd]:
        """Every due end, also those that are done or not due yet.

        Those that are known and have not changed are not parsed again.

        Raises:
            StateUnavailable: when the state can't be read now.
            StateDamaged, SchemaUnsupported: when a record can't be read.
        """
        parsed = {stored.record: stored for stored in known}
        return [
            parsed.get(record) or StoredDueEnd.of(record) for record in self._state.records(KIND)
        ]

    def advance(self, stored: StoredDueEnd, progress: Progress) -> StoredDueEnd | None:
        """Mark it as begun or done. None if another process has changed it.

        Raises:
            StateUnavailable: when the state can't be written now.
        """
        record = _record(replace(stored.due_end, progress=progress))
        if not self._state.put_if(KIND, record, replacing=stored.record):
            return None
        return StoredDueEnd.of(record)


def watch_end(
    requested: str | None, max_watch_seconds: int | None, began_at: int, now: float
) -> int | None:
    """When playback ends by a request and its grant, Unix seconds; None if neither says.

    A session that goes on with another token (`refresh_of`) keeps the end by its grant.

    Args:
        requested: `watch_until` of the request: an RFC 3339 time in UTC.
        max_watch_seconds: how long the session lasts at most, by the grant.
        began_at: when the session began: its session version.
        now: Unix seconds.

    Raises:
        InvalidRequest: when the requested time is not in the next 30 days.
        ViewerRevoked: when the session has ended by its grant.
    """
    may_wait()  # Such a request waits for the state, so nothing of it is done on an event loop.
    ends = [] if requested is None else [_requested_end(requested, now)]
    if max_watch_seconds is not None:
        if began_at + max_watch_seconds <= int(now):
            raise _session_has_ended()
        ends.append(began_at + max_watch_seconds)
    return min(ends, default=None)


def _requested_end(watch_until: str, now: float) -> int:
    try:
        ends_at = unix_seconds(watch_until)
    except ValueError as exc:
        raise _refusal(
            "watch_until",
            "rfc3339_utc",
            "watch_until must be an RFC 3339 time in UTC, such as 2026-11-26T18:00:00Z.",
        ) from exc
    if ends_at <= int(now):
        raise _refusal("watch_until", "watch_until_in_future", "watch_until must be in the future.")
    if ends_at > now + LONGEST_WATCH_SECONDS:
        raise _refusal(
            "watch_until", "watch_until_too_late", "watch_until must be in the next 30 days."
        )
    return ends_at


def earliest(requested: int | None, allowed: int | None, now: float) -> int | None:
    """The earlier of two ends, Unix seconds; None if there is none.

    An allowed end that is further ahead than `LONGEST_WATCH_SECONDS` is none: no session lasts so
    long.
    """
    is_near = allowed is not None and allowed <= now + LONGEST_WATCH_SECONDS
    ends = (requested, allowed if is_near else None)
    return min((end for end in ends if end is not None), default=None)


def due_end_of(claims: PlaybackClaims, ends_at: int, now: float) -> DueEnd:
    """The due end of a token that is about to be signed.

    Raises:
        InvalidRequest: when the token has no viewer ID: IVS can't end its session.
    """
    viewer_id, version = claims.viewer_id, claims.viewer_session_version
    if viewer_id is None or version is None:
        raise _refusal(
            "viewer_id", "viewer_id_required", "A session that ends requires a viewer ID."
        )
    return DueEnd(Viewer(claims.channel_arn, viewer_id), version, now, ends_at)


def within(options: PlaybackOptions, ends_at: int, now: float) -> PlaybackOptions:
    """The options of a token that expires when the right ends, or before."""
    return replace(options, ttl_seconds=min(options.ttl_seconds, ends_at - int(now)))


def due(stored: Iterable[StoredDueEnd], now: float) -> Sequence[StoredDueEnd]:
    """Those that are due at that time and not done, the one that was due first in front."""
    waiting = (
        one for one in stored if one.due_end.progress != "done" and one.due_end.ends_at <= now
    )
    return sorted(waiting, key=lambda one: (one.due_end.ends_at, one.record.record_id))


def record_id(viewer: Viewer) -> str:
    """The ID of the record of that viewer's due end."""
    return f"{viewer.channel_arn}/{viewer.viewer_id}"


def _record(due_end: DueEnd) -> Record:
    """The record of that due end, with a body that no other write has."""
    text = _Text(
        schema_version=CURRENT,
        nonce=secrets.token_hex(8),
        channel_arn=str(due_end.viewer.channel_arn),
        viewer_id=due_end.viewer.viewer_id,
        version=due_end.version,
        decided_at=due_end.decided_at,
        ends_at=due_end.ends_at,
        progress=due_end.progress,
    )
    return Record(record_id(due_end.viewer), text.model_dump_json(), due_end.expires_at)


def _session_has_ended() -> ViewerRevoked:
    message = "The session of this token has ended."
    return ViewerRevoked(
        message,
        hint="Request a playback URL without `refresh_of`: it begins a new session.",
        problems=(Problem("refresh_of", "session_has_ended", message),),
    )


def _refusal(field: str, rule: str, message: str) -> InvalidRequest:
    return InvalidRequest(message, problems=(Problem(field, rule, message),))


class _Text(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True)  # A newer release may add members.

    schema_version: int
    nonce: str
    channel_arn: str
    viewer_id: str
    version: int
    decided_at: float
    ends_at: int
    progress: Progress = "waiting"
