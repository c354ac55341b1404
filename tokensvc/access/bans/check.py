"""The check of the bans before a token is signed."""

from __future__ import annotations

from typing import Protocol

from tokensvc.access.bans.book import BanBook
from tokensvc.access.callers import Caller
from tokensvc.arns import ChannelArn
from tokensvc.clock import Moment


class KnownBans(Protocol):
    """The bans in memory, such as a `BanView`."""

    def within(self, max_age_seconds: float, moment: Moment) -> BanBook:
        """The bans, at that moment no older than that.

        Raises:
            StateUnavailable, StateDamaged: when they are older and can't be read now.
        """
        ...


class BanCheck:
    """Refuses tokens by the bans, which are at most `max_age_seconds` old."""

    def __init__(self, bans: KnownBans, max_age_seconds: float) -> None:
        self._bans = bans
        self._max_age_seconds = max_age_seconds

    def require_known(self, moment: Moment) -> None:
        """Return if the bans are known at that moment; ones that are too old are read again.

        Raises:
            StateUnavailable, StateDamaged: when they can't be read now.
        """
        self._bans.within(self._max_age_seconds, moment)

    def require_allowed(
        self,
        caller: Caller,
        channel_arn: ChannelArn,
        viewer_id: str | None,
        moment: Moment,
        *,
        version: int | None = None,
    ) -> None:
        """Return if this caller may have a token for the channel.

        The clock was read before the bans, so that a ban which this process does not know yet has a
        line above the session version.

        Args:
            caller: a ban of any viewer ID of its identity applies.
            channel_arn: the channel.
            viewer_id: the viewer ID of the token; None for none.
            moment: when the session begins.
            version: the session version of the token, if it is an earlier one.

        Raises:
            ViewerBanned: when the viewer is banned, or the channel is closed for everyone.
            ViewerRevoked: when sessions of this version are revoked.
            StateUnavailable, StateDamaged: when the bans are too old and can't be read now.
        """
        book = self._bans.within(self._max_age_seconds, moment)
        if not book.events:
            return
        viewer_ids = () if caller.identity is None else caller.identity.viewer_ids
        if viewer_id is not None and viewer_id not in viewer_ids:
            viewer_ids = (*viewer_ids, viewer_id)
        book.require_allowed(
            channel_arn, viewer_ids, int(moment.now) if version is None else version, moment.now
        )
