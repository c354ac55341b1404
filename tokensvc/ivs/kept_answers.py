"""The last good answers about channels, kept in the shared state.

They serve where IVS fails: to a process that has just started, and to one that never asked. Keeping
is a courtesy to them, so a state that fails here is logged and costs no request its answer.
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
# An answer that has not changed is written again when it has lost this share of its life.
KEPT_AGAIN_AFTER = 0.1

_log = logging.getLogger(__name__)


class _Text(BaseModel):
    """The body of a record; its ID is the channel's ARN."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    schema_version: int
    name: str
    is_private: bool
    playback_url: str


class KeptAnswers:
    """What all processes have learned of channels, for all threads of this one."""

    def __init__(self, state: State, clock: Clock, capacity: int) -> None:
        """Answers in that state.

        Args:
            state: where they are kept, until they may serve no more.
            clock: the time.
            capacity: of how many channels it is remembered what was written.
        """
        self._state = state
        self._clock = clock
        self._written: LRUCache[ChannelArn, tuple[Channel, float]] = LRUCache(capacity)
        self._lock = threading.Lock()

    def keep(self, channel: Channel, usable_seconds: float) -> None:
        """Write the answer down, to serve that long; not if that was done a short while ago."""
        expires_at = self._clock.now() + usable_seconds
        with self._lock:
            written, until = self._written.get(channel.arn, (None, 0.0))
        if written == channel and expires_at - until < KEPT_AGAIN_AFTER * usable_seconds:
            return
        text = _Text(
            schema_version=SCHEMA_VERSION,
            name=channel.name,
            is_private=channel.is_private,
            playback_url=channel.playback_url,
        )
        try:
            self._state.put(KIND, Record(str(channel.arn), text.model_dump_json(), expires_at))
        except (StateUnavailable, StateDamaged) as exc:
            _log.warning("What IVS says of %s was not kept: %s", channel.arn, exc)
            return
        with self._lock:
            self._written[channel.arn] = channel, expires_at

    def drop(self, arn: ChannelArn) -> None:
        """Forget the channel: IVS knows it no more."""
        with self._lock:
            self._written.pop(arn, None)
        try:
            if self._state.record(KIND, str(arn)) is not None:
                self._state.remove(KIND, str(arn))
        except (StateUnavailable, StateDamaged) as exc:
            _log.warning("What IVS said of %s is still kept: %s", arn, exc)

    def recall(self, arn: ChannelArn) -> tuple[Channel, float] | None:
        """The channel's last good answer, and for how many seconds it may serve yet; or None."""
        try:
            record = self._state.record(KIND, str(arn))
        except (StateUnavailable, StateDamaged) as exc:
            _log.warning("Whether an answer of IVS about %s is kept can't be read: %s", arn, exc)
            return None
        if record is None or record.expires_at <= self._clock.now():
            return None
        try:
            text = _Text.model_validate_json(record.body)
        except ValidationError:
            text = None
        if text is None or text.schema_version != SCHEMA_VERSION:
            _log.warning("What is kept of IVS's answer about %s can't be read", arn)
            return None
        channel = Channel(arn, text.name, text.is_private, text.playback_url)
        return channel, record.expires_at - self._clock.now()
