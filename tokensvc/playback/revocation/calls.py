"""The calls to Amazon IVS that the revocation loop makes."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from tokensvc.arns import ChannelArn, ChannelPattern, Region
from tokensvc.aws import AwsClients
from tokensvc.ivs.viewer_sessions import NotRevoked, Revocation, start_revocations
from tokensvc.playback.revocation.every_channel import every_channel


@dataclass(frozen=True, slots=True)
class IvsRevocations:
    """Calls IVS with these clients.

    Attributes:
        clients: the AWS clients.
        covered: what the grants of all callers cover.
    """

    clients: AwsClients
    covered: Collection[ChannelPattern]

    def revoke(self, region: Region, batch: Sequence[Revocation]) -> Sequence[NotRevoked]:
        """Revoke those sessions. Raises IvsUnavailable, IvsRefused."""
        return start_revocations(self.clients, region, batch)

    def channels(self, region: Region) -> Sequence[ChannelArn]:
        """The channels that grants cover, live ones first. Raises IvsUnavailable, IvsRefused."""
        return every_channel(self.clients, region, self.covered)
