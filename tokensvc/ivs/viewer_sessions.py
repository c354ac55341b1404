"""Revoke viewer sessions in IVS: playback stops, and the same token can't start it again.

IVS: private-channels-start-session-revocation. Only sessions whose token has a viewer ID can be
revoked. IVS has no operation that lists sessions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tokensvc.arns import ChannelArn, Region
from tokensvc.aws import AwsClients
from tokensvc.aws_codes import THROTTLING
from tokensvc.ivs.errors import RESOURCE_NOT_FOUND
from tokensvc.ivs.translation import FAILURES, translate_errors


@dataclass(frozen=True, slots=True, order=True)
class Viewer:
    """A viewer of a channel: the viewer ID and the channel ARN of the token."""

    channel_arn: ChannelArn
    viewer_id: str


@dataclass(frozen=True, slots=True, order=True)
class Revocation:
    """Sessions of a viewer to revoke.

    Attributes:
        viewer: the viewer, on one channel.
        versions_up_to: the sessions of this version and below. IVS's default is 0, which revokes
            no session of tokensvc: their version is their token's time in Unix seconds.
    """

    viewer: Viewer
    versions_up_to: int


@dataclass(frozen=True, slots=True)
class NotRevoked:
    """A viewer whose sessions IVS did not revoke, and IVS's error code."""

    viewer: Viewer
    aws_code: str

    @property
    def is_temporary(self) -> bool:
        """Whether the same revocation may succeed later. A part without a code has no reason."""
        return not self.aws_code or self.aws_code in THROTTLING or self.aws_code in FAILURES

    @property
    def has_no_channel(self) -> bool:
        """Whether the channel does not exist, so that it has no viewers."""
        return self.aws_code == RESOURCE_NOT_FOUND


def start_revocations(
    clients: AwsClients, region: Region, revocations: Sequence[Revocation]
) -> tuple[NotRevoked, ...]:
    """Revoke those sessions with one call. Returns the viewers whose sessions are not revoked.

    It may be called again for the same revocations: what is revoked stays revoked.

    Args:
        clients: the AWS clients.
        region: the region of the viewers' channels.
        revocations: 1 to `MAX_VIEWERS_PER_CALL`, one for each viewer.

    Raises:
        IvsUnavailable, IvsRefused: when the whole call fails.
    """
    client = clients.ivs(region)
    with translate_errors("BatchStartViewerSessionRevocation", region):
        answer = client.batch_start_viewer_session_revocation(
            viewerSessions=[
                {
                    "channelArn": str(revocation.viewer.channel_arn),
                    "viewerId": revocation.viewer.viewer_id,
                    "viewerSessionVersionsLessThanOrEqualTo": revocation.versions_up_to,
                }
                for revocation in revocations
            ]
        )
        # IVS answers HTTP 200 even when every part of the call has failed.
        errors = [(e["channelArn"], e["viewerId"], e.get("code", "")) for e in answer["errors"]]
    return tuple(
        NotRevoked(Viewer(ChannelArn.parse(arn), viewer_id), code)
        for arn, viewer_id, code in errors
    )
