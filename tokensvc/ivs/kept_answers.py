"""Cached answers about channels, stored in the shared state.

All processes use them: instead of a call to IVS while they are fresh, and when IVS fails. Storing
them is best effort. A background writer does it, so that no request waits for a write, and while
the state fails, requests still get their answers. A process that is killed loses the answers that
it has not written yet.

A record has no time of its lookup: it expires `DirectoryTerms.usable_seconds` after it. Where two
processes have other settings, an answer is at worst taken for an older one, and asked for again.

Reading waits for the state, for a bounded time: `State.read_many` waits for at most about a second,
and after a failed read this process reads no answer for `PAUSE_AFTER_FAILED_READ_SECONDS`.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Collection, Mapping

from pydantic import BaseModel, ConfigDict, ValidationError

from tokensvc.arns import ChannelArn
from tokensvc.clock import Clock
from tokensvc.errors import TokensvcError
from tokensvc.ivs.model import Channel
from tokensvc.state.base import Record, State
from tokensvc.state.record_writer import RecordWriter

KIND = "channel"
SCHEMA_VERSION = 1
PAUSE_AFTER_FAILED_READ_SECONDS = 5.0
"""So that the requests of an IVS outage don't all wait for a state that fails too."""

_MAX_NAMED = 5

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

    def __init__(self, state: State, clock: Clock, writer: RecordWriter) -> None:
        """The answers stored in that state.

        Args:
            state: where answers are stored until they expire.
            clock: the time.
            writer: writes the records of kind `KIND` to the same state. Whoever built it starts it
                and closes it.
        """
        self._state = state
        self._clock = clock
        self._writer = writer
        self._no_read_until = -math.inf  # Monotonic seconds.

    def save(self, channel: Channel, usable_seconds: float) -> None:
        """Store the answer for that time, soon."""
        self._writer.put(_record(channel, self._clock.now() + usable_seconds))

    def delete(self, arn: ChannelArn) -> None:
        """Delete the stored answer, soon, because the channel no longer exists in IVS."""
        self._writer.remove(str(arn))

    def flush(self) -> None:
        """Store now what is to be stored soon. While the state fails, it is stored later."""
        self._writer.flush()

    def load(self, arn: ChannelArn) -> tuple[Channel, float] | None:
        """Return the stored answer and the seconds until it expires; None if there is none."""
        return self.load_many([arn]).get(arn)

    def load_many(self, arns: Collection[ChannelArn]) -> Mapping[ChannelArn, tuple[Channel, float]]:
        """Return the stored answers that there are, with the seconds until they expire."""
        queued = {arn: self._writer.queued_change(str(arn)) for arn in arns}
        records = self._read([arn for arn, change in queued.items() if change is None])
        records += [change.record for change in queued.values() if change and change.record]
        now = self._clock.now()
        return {
            channel.arn: (channel, record.expires_at - now)
            for record in records
            if record.expires_at > now and (channel := _channel(record))
        }

    def _read(self, arns: Collection[ChannelArn]) -> list[Record]:
        if not arns or self._clock.monotonic() < self._no_read_until:
            return []
        try:
            return list(self._state.read_many(KIND, [str(arn) for arn in arns]))
        except TokensvcError as exc:
            self._no_read_until = self._clock.monotonic() + PAUSE_AFTER_FAILED_READ_SECONDS
            names = ", ".join(map(str, sorted(arns)[:_MAX_NAMED]))
            _log.warning("Loading stored answers for channels (%s) failed: %s", names, exc)
            return []


def _channel(record: Record) -> Channel | None:
    try:
        body = _RecordBody.model_validate_json(record.body)
    except ValidationError:
        body = None
    if body is None or body.schema_version != SCHEMA_VERSION:
        _log.warning(
            "Ignoring the stored answer for channel %s: its record is damaged, or of another"
            " version of tokensvc",
            record.record_id,
        )
        return None
    arn = ChannelArn.parse(record.record_id)
    return Channel(arn, body.name, body.is_private, body.playback_url)


def _record(channel: Channel, expires_at: float) -> Record:
    body = _RecordBody(
        schema_version=SCHEMA_VERSION,
        name=channel.name,
        is_private=channel.is_private,
        playback_url=channel.playback_url,
    )
    return Record(str(channel.arn), body.model_dump_json(), expires_at)
