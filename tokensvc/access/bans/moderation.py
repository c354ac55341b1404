"""What a moderator works with: the bans, the writer, and the channels of each caller."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from tokensvc.access.bans.log import BanLog
from tokensvc.access.bans.model import BanTerms
from tokensvc.access.bans.reach import Reach
from tokensvc.access.bans.view import BanView
from tokensvc.access.bans.writing import BanWriter
from tokensvc.access.callers import Caller
from tokensvc.access.grant import Grant
from tokensvc.arns import ChannelArn
from tokensvc.clock import Clock
from tokensvc.state.base import State


@dataclass(frozen=True, slots=True)
class Moderation:
    """The parts of a service that moderate.

    Attributes:
        bans: the bans, watched for changes.
        writer: makes and lifts bans.
        grants: the grants of the settings, by name.
        channel_names: the channels that have a name in the settings.
    """

    bans: BanView
    writer: BanWriter
    grants: Mapping[str, Grant]
    channel_names: Mapping[str, ChannelArn]

    @classmethod
    def of(
        cls,
        state: State,
        clock: Clock,
        terms: BanTerms,
        bans: BanView,
        grants: Mapping[str, Grant],
        channel_names: Mapping[str, ChannelArn],
    ) -> Self:
        """The parts over that state, in which `bans` are."""
        writer = BanWriter(BanLog(state, clock), clock, terms, bans.refresh)
        return cls(bans, writer, grants, channel_names)

    def reach(self, caller: Caller) -> Reach:
        """The channels that this caller may moderate."""
        return Reach(self.grants, caller)
