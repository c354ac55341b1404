"""Everything that a process knows about bans, and whether they allow a token: pure.

Looking up a viewer or a channel is one read of a dictionary, however many bans there are.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from tokensvc.access.bans.model import Ban, line_passes_at
from tokensvc.access.bans.record import Event
from tokensvc.arns import ChannelArn
from tokensvc.errors import NotFound, Problem, ViewerBanned, ViewerRevoked
from tokensvc.redaction import redact

_Key = TypeVar("_Key", str, ChannelArn)


@dataclass(frozen=True, slots=True)
class BanBook:
    """The bans as of a number. A change gives a new book.

    Attributes:
        epoch: the epoch of the numbers.
        number: every event up to this number was read.
        events: the last event of each ban, by ban ID.
        of_viewer: what refuses the viewer, by viewer ID.
        of_channel: what closes the channel.
        superseded: the numbers of events that a later one has replaced, and that were still stored
            at the last read of everything.
    """

    epoch: str = ""
    number: int = 0
    events: Mapping[str, Event] = field(default_factory=dict)
    of_viewer: Mapping[str, tuple[Ban, ...]] = field(default_factory=dict)
    of_channel: Mapping[ChannelArn, tuple[Ban, ...]] = field(default_factory=dict)
    superseded: tuple[int, ...] = ()

    @property
    def bans(self) -> Iterator[Ban]:
        """All bans, in no order, also those that are over and still kept."""
        return (event.ban for event in self.events.values())

    def find(self, ban_id: str) -> Ban:
        """The ban with that ID.

        Raises:
            NotFound: when there is none.
        """
        event = self.events.get(ban_id)
        if event is None:
            raise no_such_ban(ban_id)
        return event.ban

    def with_events(self, events: Iterable[Event], number: int) -> BanBook:
        """The book after these events: it then knows every event up to that number."""
        newer = _last_of_each(events, self.events)
        if not newer:
            return replace(self, number=number)
        made_for_viewer: dict[str, list[Ban]] = defaultdict(list)
        made_for_channel: dict[ChannelArn, list[Ban]] = defaultdict(list)
        for event in newer.values():
            for viewer_id in event.ban.viewer_ids:
                made_for_viewer[viewer_id].append(event.ban)
            if event.ban.is_of_channel and event.ban.channel_arn is not None:
                made_for_channel[event.ban.channel_arn].append(event.ban)
        return replace(
            self,
            number=number,
            events={**self.events, **newer},
            of_viewer=_indexed(self.of_viewer, made_for_viewer),
            of_channel=_indexed(self.of_channel, made_for_channel),
        )

    def reread(self, stored: Iterable[Event], number: int) -> BanBook:
        """The book after a read of everything that began when it knew the events up to `number`.

        An event up to that number which was not found is no longer stored. A later one may have
        been written after its place was read.
        """
        later = (event for event in self.events.values() if event.number > number)
        return book_of([*stored, *later], epoch=self.epoch, number=self.number)

    def require_allowed(
        self, channel_arn: ChannelArn, viewer_ids: Iterable[str], version: int, now: float
    ) -> None:
        """Return if a token for this channel and viewer may be signed.

        Args:
            channel_arn: the channel.
            viewer_ids: every ID of the viewer; none for a token without a viewer ID.
            version: the session version of the token.
            now: the time, Unix seconds.

        Raises:
            ViewerBanned: when the viewer is banned, or the channel is closed for everyone.
            ViewerRevoked: when sessions of this version are revoked.
        """
        if self.of_channel:
            for ban in self.of_channel.get(channel_arn, ()):
                if ban.is_active(now):
                    raise _channel_closed(ban)
        for viewer_id in viewer_ids:
            bans = self.of_viewer.get(viewer_id)
            if bans is not None:
                _require_allowed(bans, channel_arn, version, now)


def book_of(events: Sequence[Event], *, epoch: str, number: int) -> BanBook:
    """The book of these events, in any order, which are all up to that number."""
    book = BanBook(epoch).with_events(events, number)
    superseded = (
        event.number
        for event in events
        if event.number < book.events[event.ban.ban_id].number <= number
    )
    return replace(book, superseded=tuple(superseded))


def no_such_ban(ban_id: str) -> NotFound:
    """The error for a ban that does not exist, or that the caller may not see."""
    return NotFound(
        f"There is no ban with the ID {redact(ban_id)!r}.",
        hint="`tokensvc bans list` and `GET /v1/bans` show the IDs of bans.",
    )


def _last_of_each(events: Iterable[Event], known: Mapping[str, Event]) -> dict[str, Event]:
    """The last event of each ban, if it is later than the one that is known."""
    last: dict[str, Event] = {}
    for event in events:
        earlier = last.get(event.ban.ban_id) or known.get(event.ban.ban_id)
        if earlier is None or earlier.number < event.number:
            last[event.ban.ban_id] = event
    return last


def _indexed(
    known: Mapping[_Key, tuple[Ban, ...]], made: Mapping[_Key, Sequence[Ban]]
) -> Mapping[_Key, tuple[Ban, ...]]:
    """The index with these bans. A viewer may have very many, so each is looked at once."""
    return {**known, **{key: _merged(known.get(key, ()), bans) for key, bans in made.items()}}


def _merged(known: Sequence[Ban], made: Sequence[Ban]) -> tuple[Ban, ...]:
    """The last of each ban. Of the kicks on a channel only the one with the last line counts."""
    bans = {ban.ban_id: ban for ban in (*known, *made)}
    kicks: dict[ChannelArn | None, Ban] = {}
    for ban in bans.values():
        if ban.is_kick:
            last = kicks.get(ban.channel_arn)
            kicks[ban.channel_arn] = ban if last is None or last.line <= ban.line else last
    return (*(ban for ban in bans.values() if not ban.is_kick), *kicks.values())


def _require_allowed(
    bans: Iterable[Ban], channel_arn: ChannelArn, version: int, now: float
) -> None:
    lines = []
    for ban in bans:
        if ban.channel_arn is not None and ban.channel_arn != channel_arn:
            continue
        if ban.is_active(now):
            raise _viewer_banned(ban)
        if version <= ban.line:
            lines.append(ban.line)
    if lines:
        raise _viewer_revoked(max(lines), now)


def _viewer_banned(ban: Ban) -> ViewerBanned:
    message = "The viewer is banned " + (
        "on all channels." if ban.channel_arn is None else "on this channel."
    )
    refusal = ViewerBanned(
        message,
        hint="An operator or a moderator can lift the ban.",
        problems=(Problem("viewer_id", "viewer_banned", message),),
    )
    refusal.ban_id = ban.ban_id
    return refusal


def _channel_closed(ban: Ban) -> ViewerBanned:
    message = "The channel is closed for everyone."
    refusal = ViewerBanned(
        message,
        hint="An operator or a moderator can open it.",
        problems=(Problem("channel", "channel_closed", message),),
    )
    refusal.ban_id = ban.ban_id
    return refusal


def _viewer_revoked(line: int, now: float) -> ViewerRevoked:
    """The refusal of a version up to that line."""
    message = "The sessions of this viewer were revoked a moment ago."
    wait_seconds = line_passes_at(line) - int(now)
    if wait_seconds <= 0:
        return ViewerRevoked(
            "The session of this token was revoked.",
            hint="Request a playback URL without `refresh_of`: it begins a new session.",
            problems=(Problem("viewer_id", "viewer_revoked", message),),
        )
    return ViewerRevoked(
        message,
        hint="Try again after `retry_after_seconds`, which begins a new session.",
        problems=(Problem("viewer_id", "viewer_revoked", message),),
        retry_after_seconds=wait_seconds,
    )
