"""What a ban, a kick and a closed channel are, and how they change: pure functions.

Each token with a viewer ID has a session version: when it was signed, in Unix seconds. The *line*
of a ban is the highest version that is revoked. IVS is asked to revoke the sessions up to the line,
and no token is signed with a version up to it.

1. A kick ends what was signed before it: its line is now + skew, because the worker that signed may
   have a clock that is ahead.
2. A ban until T also refuses tokens until T. A process that can't read the state may sign for as
   long as it accepts what it has read (`access_max_age_seconds`), and the write takes time. So the
   line is min(T, now + that age + the write) + skew: what such a process signs is revoked too.
3. A lifted ban refuses nothing any more, but its line stays, because IVS revokes for good. The
   viewer gets a token when the line has passed.
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from tokensvc.arns import ChannelArn

FOREVER: Final = 253_402_300_799
"""The end of a ban without one: the last second of the year 9999, in Unix seconds."""

WRITE_SECONDS: Final = 5
"""A ban whose write took longer gets a later line."""

LONGEST_NOTE: Final = 200  # characters
MAX_CHANNELS_LEFT: Final = 1_000
"""More channels than these are not recorded one by one: all are tried again."""

KEPT_SECONDS: Final = 25 * 3_600
"""How long a ban is kept after its end. A token may be refreshed for 24 hours and keeps its session
version, so its line must be known for that long; clocks differ."""

KEPT_UNCONFIRMED_SECONDS: Final = 30 * 86_400
"""The same for a ban that IVS has not confirmed: a session may go on for days."""


@dataclass(frozen=True, slots=True)
class BanTerms:
    """What the lines depend on.

    Attributes:
        clock_skew_seconds: the most by which any two clocks differ.
        access_max_age_seconds: how old the bans may be with which a process signs.
    """

    clock_skew_seconds: int
    access_max_age_seconds: int


@dataclass(frozen=True, slots=True)
class Target:
    """Who is banned, and where.

    Attributes:
        viewer_ids: the IDs of one viewer; several if it has one under each viewer ID secret. Empty
            for everyone, on one channel.
        channel_arn: the channel; None for all channels.
    """

    viewer_ids: tuple[str, ...]
    channel_arn: ChannelArn | None


@dataclass(frozen=True, slots=True)
class Ban:
    """A ban, a kick or a closed channel.

    Attributes:
        ban_id: 16 characters of lower-case hex.
        viewer_ids: the viewer, as in `Target`.
        channel_arn: the channel; None for all channels.
        made_at: Unix seconds.
        made_by: the caller's ID, or the operator who ran the command.
        note: why, in the words of who made it; "" for none.
        banned_until: until when tokens are refused, Unix seconds; `FOREVER` without an end, None
            for a kick.
        line: the highest session version that is revoked, Unix seconds; 0 for a closed channel,
            which revokes no session.
        unconfirmed: whether IVS has not confirmed yet that it revoked the sessions.
        channels_left: of an unconfirmed ban on all channels, those that IVS has not confirmed;
            empty if none was tried yet, or more than `MAX_CHANNELS_LEFT` are left.
        lifted_at: when it was lifted, Unix seconds; None if it was not.
        lifted_by: who lifted it; "" if it was not lifted.
    """

    ban_id: str
    viewer_ids: tuple[str, ...]
    channel_arn: ChannelArn | None
    made_at: int
    made_by: str
    note: str
    banned_until: int | None
    line: int
    unconfirmed: bool
    channels_left: tuple[ChannelArn, ...] = ()
    lifted_at: int | None = None
    lifted_by: str = ""

    @property
    def is_kick(self) -> bool:
        """Whether it revokes sessions and refuses no new ones."""
        return self.banned_until is None

    @property
    def is_of_channel(self) -> bool:
        """Whether it closes a channel for everyone."""
        return not self.viewer_ids

    def is_active(self, now: float) -> bool:
        """Whether it refuses tokens at that time, whatever their session version."""
        return self.lifted_at is None and self.banned_until is not None and now < self.banned_until

    def is_over(self, now: float) -> bool:
        """Whether it refuses no new token, and IVS has confirmed what it revoked."""
        return not (self.is_active(now) or self.unconfirmed) and int(now) > self.line

    @property
    def expires_at(self) -> int:
        """When nothing depends on it any more, Unix seconds."""
        refused_until = 0 if self.lifted_at is not None else self.banned_until or 0
        kept = KEPT_UNCONFIRMED_SECONDS if self.unconfirmed else KEPT_SECONDS
        return max(self.made_at, self.line, self.lifted_at or 0, refused_until) + kept


def still_refused_by(lifted: Ban, bans: Iterable[Ban], now: float) -> tuple[Ban, ...]:
    """The other bans and closed channels that refuse tokens which `lifted` refused."""
    return tuple(
        other
        for other in bans
        if other.ban_id != lifted.ban_id
        and other.is_active(now)
        and (other.is_of_channel or not set(other.viewer_ids).isdisjoint(lifted.viewer_ids))
        and (
            None in (other.channel_arn, lifted.channel_arn)
            or other.channel_arn == lifted.channel_arn
        )
    )


def new_ban_id() -> str:
    """A new ban ID."""
    return secrets.token_hex(8)


def kick(
    target: Target, *, now: float, terms: BanTerms, made_by: str, ban_id: str, note: str = ""
) -> Ban:
    """Revoke the viewer's sessions up to now. The viewer may come back when the line has passed.

    Raises:
        ValueError: when the target is everyone: IVS revokes the sessions of viewers only.
    """
    if not target.viewer_ids:
        raise ValueError("Only a viewer can be kicked.")
    return Ban(
        ban_id,
        target.viewer_ids,
        target.channel_arn,
        int(now),
        made_by,
        note,
        banned_until=None,
        line=int(now) + terms.clock_skew_seconds,
        unconfirmed=True,
    )


def ban(
    target: Target,
    until: float,
    *,
    now: float,
    terms: BanTerms,
    made_by: str,
    ban_id: str,
    note: str = "",
) -> Ban:
    """Refuse the viewer's tokens until that time, and revoke the viewer's sessions.

    For everyone it closes the channel: tokens are refused, and no session is revoked, because IVS
    revokes the sessions of viewers that are named.

    Raises:
        ValueError: when the target is everyone on all channels.
    """
    if not target.viewer_ids and target.channel_arn is None:
        raise ValueError("Everyone can be banned on one channel only.")
    banned_until = math.ceil(min(until, FOREVER))
    made = Ban(
        ban_id,
        target.viewer_ids,
        target.channel_arn,
        int(now),
        made_by,
        note,
        banned_until=banned_until,
        line=0,
        unconfirmed=bool(target.viewer_ids),
    )
    return with_line(made, now=now, terms=terms)


def with_line(made: Ban, *, now: float, terms: BanTerms) -> Ban:
    """The ban with the line of one that is written now, or its own if that is later."""
    if made.banned_until is None or not made.viewer_ids:
        return made
    seen_everywhere_at = int(now) + terms.access_max_age_seconds + WRITE_SECONDS
    line = min(made.banned_until, seen_everywhere_at) + terms.clock_skew_seconds
    return replace(made, line=max(made.line, line))


def lift(made: Ban, *, now: float, by: str) -> Ban:
    """The ban, lifted: IVS need not confirm it. It is the same if it was lifted, or is a kick."""
    if made.is_kick or made.lifted_at is not None:
        return made
    lifted = replace(made, lifted_at=int(now), lifted_by=by)
    return replace(lifted, unconfirmed=False, channels_left=())


def confirm(made: Ban, channels_left: tuple[ChannelArn, ...] = ()) -> Ban:
    """The ban, of which IVS has confirmed all but those channels. One that was lifted is done."""
    if made.lifted_at is not None:
        return made
    recorded = channels_left if len(channels_left) <= MAX_CHANNELS_LEFT else ()
    return replace(made, unconfirmed=bool(channels_left), channels_left=recorded)


def line_passes_at(line: int) -> int:
    """The first second in which a token gets a session version above the line, Unix seconds."""
    return line + 1
