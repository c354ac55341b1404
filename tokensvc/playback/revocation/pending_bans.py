"""Kicks and bans that are pending, to go on with them instead of making other ones."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tokensvc.access.bans.book import BanBook
from tokensvc.access.bans.model import Ban, Target
from tokensvc.arns import ChannelArn

_Key = tuple[frozenset[str], ChannelArn | None, int | None]


class PendingBans:
    """Finds a pending kick or ban by whom it is for, where, and for how long."""

    def __init__(self, bans: Iterable[Ban]) -> None:
        self._bans = {_key_of(ban): ban for ban in bans}

    @classmethod
    def in_book(cls, book: BanBook, now: float) -> PendingBans:
        """All that IVS has not confirmed and that still hold at that time, Unix seconds."""
        return cls(_pending(book, now))

    @classmethod
    def just_made(cls, book: BanBook, now: float) -> PendingBans:
        """Those of them since which no session has begun that they do not end.

        A ban refuses every session until its line has passed, and a kick only where no clock is
        ahead: elsewhere the viewer may be back before. So a kick counts in its own second only.
        """
        return cls(
            ban
            for ban in _pending(book, now)
            if (int(now) <= ban.made_at if ban.is_kick else now <= ban.line)
        )

    def find(self, target: Target, ban_seconds: int | None) -> Ban | None:
        """The one of exactly that target: a kick, or a ban for exactly that time."""
        viewer_ids = frozenset(target.viewer_ids)
        # The second in which a ban begins is cut off, and the one in which it ends is rounded up.
        for seconds in (None,) if ban_seconds is None else (ban_seconds, ban_seconds + 1):
            ban = self._bans.get((viewer_ids, target.channel_arn, seconds))
            if ban is not None:
                return ban
        return None


def _pending(book: BanBook, now: float) -> Iterator[Ban]:
    for ban in book.bans:
        if ban.unconfirmed and ban.lifted_at is None and (ban.is_kick or ban.is_active(now)):
            yield ban


def _key_of(ban: Ban) -> _Key:
    seconds = None if ban.banned_until is None else ban.banned_until - ban.made_at
    return frozenset(ban.viewer_ids), ban.channel_arn, seconds
