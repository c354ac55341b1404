"""What a caller with the scope `moderate` may change: viewers on the channels of its grants."""

from __future__ import annotations

from collections.abc import Mapping

from tokensvc.access.callers import Caller
from tokensvc.access.grants import Grant, scope
from tokensvc.arns import ChannelArn, ChannelPattern
from tokensvc.errors import NotEntitled


def require_channel(grants: Mapping[str, Grant], caller: Caller, arn: ChannelArn) -> None:
    """Return if a grant of the caller covers the channel.

    Raises:
        NotEntitled: when none does.
    """
    scope(grants, caller, arn)


def covers_every_channel(grants: Mapping[str, Grant], caller: Caller) -> bool:
    """Whether the caller's grants cover every channel that any grant of the settings covers."""
    own = {
        pattern
        for name in caller.grants
        if (grant := grants.get(name)) is not None and not grant.unmet(caller)
        for pattern in grant.channels
    }
    every = {pattern for grant in grants.values() for pattern in grant.channels}
    return all(not own.isdisjoint(_that_cover(pattern)) for pattern in every)


def require_every_channel(grants: Mapping[str, Grant], caller: Caller) -> None:
    """Return if the caller may revoke or ban on all channels.

    Raises:
        NotEntitled: when its grants do not cover every channel that any grant covers.
    """
    if not covers_every_channel(grants, caller):
        raise NotEntitled(
            "The grants of this caller do not cover every channel of this service.",
            hint="Name the channels, or use a caller whose grants cover all channels that any grant"
            " in the settings covers.",
        )


def _that_cover(pattern: ChannelPattern) -> tuple[ChannelPattern, ChannelPattern]:
    return pattern, ChannelPattern(pattern.region, pattern.account_id, "*")
