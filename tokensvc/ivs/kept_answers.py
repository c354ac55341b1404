"""Cached answers about channels, stored in the shared state.

They are used when IVS fails: by a process that has just started, and by one that never looked the
channel up. Storing them is best effort: when the state fails, a warning is logged and the request
still gets its answer.
"""

from __future__ import annotations

import logging
import threading

from cachetools import LRUCache
from pydantic import BaseModel, ConfigDict, ValidationError

from tokensvc.arns import ChannelArn
from tokensvc.clock import Clock
from tokensvc.errors import StateDamaged, StateUnavailable
from tokensvc.ivs.model import Channel
from tokensvc.state.base import Record, State

KIND = "channel"
SCHEMA_VERSION = 1
# An unchanged answer is written again once this share of its lifetime has passed.
REWRITE_AFTER_SHARE = 0.1

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

    def __init__(self, state: State, clock: Clock, capacity: int) -> None:
        """The answers stored in that state.

        Args:
            state: where answers are stored until they expire.
            clock: the time.
            capacity: the number of channels whose last written answer this process caches.
        """
        self._state = state
        self._clock = clock
        self._written: LRUCache[ChannelArn, tuple[Channel, float]] = LRUCache(capacity)
        self._lock = threading.Lock()

    def save(self, channel: Channel, usable_seconds: float) -> None:
        """Store the answer for that time; does nothing if it was stored a short while ago."""
        expires_at = self._clock.now() + usable_seconds
        with self._lock:
            written, written_expires_at = self._written.get(channel.arn, (None, 0.0))
        gained_seconds = expires_at - written_expires_at
        if written == channel and gained_seconds < REWRITE_AFTER_SHARE * usable_seconds:
            return
        body = _RecordBody(
            schema_version=SCHEMA_VERSION,
            name=channel.name,
            is_private=channel.is_private,
            playback_url=channel.playback_url,
        )
        try:
            self._state.put(KIND, Record(str(channel.arn), body.model_dump_json(), expires_at))
        except (StateUnavailable, StateDamaged) as exc:
            _log.warning("Storing the cached answer for channel %s failed: %s", channel.arn, exc)
            return
        with self._lock:
            self._written[channel.arn] = channel, expires_at

    def delete(self, arn: ChannelArn) -> None:
        """Delete the stored answer, because the channel no longer exists in IVS."""
        with self._lock:
            self._written.pop(arn, None)
        try:
            if self._state.record(KIND, str(arn)) is not None:
                self._state.remove(KIND, str(arn))
        except (StateUnavailable, StateDamaged) as exc:
            _log.warning("Deleting the stored answer for channel %s failed: %s", arn, exc)

    def load(self, arn: ChannelArn) -> tuple[Channel, float] | None:
        """Return the stored answer and the seconds until it expires; None if there is none."""
        try:
            record = self._state.record(KIND, str(arn))
        except (StateUnavailable, StateDamaged) as exc:
            _log.warning("Loading the stored answer for channel %s failed: %s", arn, exc)
            return None
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
