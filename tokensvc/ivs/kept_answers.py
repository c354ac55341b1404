"""Cached answers about channels, stored in the shared state.

They are used when IVS fails: by a process that has just started, and by one that never looked the
channel up. Storing them is best effort. A background writer does it, so that no request waits for a
write, and while the state fails, requests still get their answers. A process that is killed loses
the answers that it has not written yet.

Reading waits for the state, but only a request for which IVS has failed reads, and for a bounded
time: `State.record` waits for at most about a second, and after a failed read this process reads no
answer for `PAUSE_AFTER_FAILED_READ_SECONDS`.
"""

from __future__ import annotations

import logging
import math
import threading

from cachetools import LRUCache
from pydantic import BaseModel, ConfigDict, ValidationError

from tokensvc.arns import ChannelArn
from tokensvc.clock import Clock
from tokensvc.errors import StateDamaged, StateUnavailable
from tokensvc.ivs.model import Channel
from tokensvc.state.base import Record, State
from tokensvc.state.record_writer import RecordWriter

KIND = "channel"
SCHEMA_VERSION = 1
# An unchanged answer is written again once this share of its lifetime has passed.
REWRITE_AFTER_SHARE = 0.1
PAUSE_AFTER_FAILED_READ_SECONDS = 5.0
"""So that the requests of an IVS outage don't all wait for a state that fails too."""

_log = logging.getLogger(__name__)


class _RecordBody(BaseModel):
    """The body of a record; its ID is the channel's ARN."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    schema_version: int
    name: str
    is_private: bool
    playback_url: str


class KeptAnswers:
    """The stored answers of all processes, for all threads of this process."""

    def __init__(self, state: State, clock: Clock, capacity: int, writer: RecordWriter) -> None:
        """The answers stored in that state.

        Args:
            state: where answers are stored until they expire.
            clock: the time.
            capacity: the number of channels whose last saved answer this process caches.
            writer: writes the records of kind `KIND` to the same state. Whoever built it starts it
                and closes it.
        """
        self._state = state
        self._clock = clock
        self._writer = writer
        self._saved: LRUCache[ChannelArn, tuple[Channel, float]] = LRUCache(capacity)
        self._no_read_until = -math.inf  # Monotonic seconds.
        self._lock = threading.Lock()

    def save(self, channel: Channel, usable_seconds: float) -> None:
        """Store the answer for that time, soon; does nothing if it was saved a short while ago."""
        expires_at = self._clock.now() + usable_seconds
        with self._lock:
            saved, saved_expires_at = self._saved.get(channel.arn, (None, 0.0))
            gained_seconds = expires_at - saved_expires_at
            if saved == channel and gained_seconds < REWRITE_AFTER_SHARE * usable_seconds:
                return
            self._saved[channel.arn] = channel, expires_at
            self._forget_dropped(self._writer.put(_record(channel, expires_at)))

    def delete(self, arn: ChannelArn) -> None:
        """Delete the stored answer, soon, because the channel no longer exists in IVS."""
        with self._lock:
            self._saved.pop(arn, None)
            self._forget_dropped(self._writer.remove(str(arn)))

    def load(self, arn: ChannelArn) -> tuple[Channel, float] | None:
        """Return the stored answer and the seconds until it expires; None if there is none."""
        if queued := self._writer.queued_change(str(arn)):
            record = queued.record
        else:
            record = self._read(arn)
        if record is None or record.expires_at <= self._clock.now():
            return None
        try:
            body = _RecordBody.model_validate_json(record.body)
        except ValidationError:
            body = None
        if body is None or body.schema_version != SCHEMA_VERSION:
            _log.warning(
                "Ignoring the stored answer for channel %s: its record is damaged, or of another"
                " version of tokensvc",
                arn,
            )
            return None
        channel = Channel(arn, body.name, body.is_private, body.playback_url)
        return channel, record.expires_at - self._clock.now()

    def _read(self, arn: ChannelArn) -> Record | None:
        if self._clock.monotonic() < self._no_read_until:
            return None
        try:
            return self._state.record(KIND, str(arn))
        except (StateUnavailable, StateDamaged) as exc:
            self._no_read_until = self._clock.monotonic() + PAUSE_AFTER_FAILED_READ_SECONDS
            _log.warning("Loading the stored answer for channel %s failed: %s", arn, exc)
            return None

    def _forget_dropped(self, record_id: str | None) -> None:
        """Let the next lookup of a channel save its answer again, which was dropped unwritten."""
        if record_id is not None:
            self._saved.pop(ChannelArn.parse(record_id), None)


def _record(channel: Channel, expires_at: float) -> Record:
    body = _RecordBody(
        schema_version=SCHEMA_VERSION,
        name=channel.name,
        is_private=channel.is_private,
        playback_url=channel.playback_url,
    )
    return Record(str(channel.arn), body.model_dump_json(), expires_at)
