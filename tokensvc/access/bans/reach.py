"""Which channels a moderator may moderate: those of the grants that apply to the caller."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from tokensvc.access.bans.model import Ban
from tokensvc.access.callers import Caller
from tokensvc.access.grant import Grant
from tokensvc.access.moderators import covers_every_channel
from tokensvc.arns import ChannelArn


class Reach:
    """The channels of a caller.

    Args:
        grants: all grants of the settings, by name.
        caller: the caller.
    """

    def __init__(self, grants: Mapping[str, Grant], caller: Caller) -> None:
        own = (grants[name] for name in caller.grants if name in grants)
        self._own = [grant for grant in own if not grant.unmet(caller)]
        self._grants = grants
        self._caller = caller

    def covers(self, channel_arn: ChannelArn) -> bool:
        """Whether a grant of the caller covers the channel."""
        return any(grant.covers(channel_arn) for grant in self._own)

    def includes(self, ban: Ban) -> bool:
        """Whether the caller may see and lift the ban."""
        if ban.channel_arn is None:
            return covers_every_channel(self._grants, self._caller)
        return self.covers(ban.channel_arn)

    def of(self, bans: Iterable[Ban]) -> Sequence[Ban]:
        """Those of the bans that the caller may see."""
        covers_everything = covers_every_channel(self._grants, self._caller)
        covered: dict[ChannelArn, bool] = {}
        seen = []
        for ban in bans:
            if ban.channel_arn is None:
                is_covered = covers_everything
            else:
                if ban.channel_arn not in covered:
                    covered[ban.channel_arn] = self.covers(ban.channel_arn)
                is_covered = covered[ban.channel_arn]
            if is_covered:
                seen.append(ban)
        return seen
