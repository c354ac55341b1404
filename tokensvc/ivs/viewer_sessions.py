"""Viewer sessions: revoked in IVS, so that a stream that plays stops and can't start again.

IVS: private-channels-start-session-revocation. Only sessions whose token had a viewer ID can be
named, and IVS lists none.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from tokensvc.arns import ChannelArn, Region
from tokensvc.aws import AwsClients, translated
from tokensvc.clock import Clock

MOST_IN_A_BATCH = 20  # IVS: botocore model, BatchStartViewerSessionRevocationViewerSessionList
_PAUSE_SECONDS = 0.5  # IVS: service-quotas, BatchStartViewerSessionRevocation: 2 a second


@dataclass(frozen=True, slots=True, order=True)
class Viewer:
    """A viewer of a channel, as the token named both."""

    channel_arn: ChannelArn
    viewer_id: str


@dataclass(frozen=True, slots=True)
class NotRevoked:
    """A viewer whose sessions IVS did not revoke, and its error code."""

    viewer: Viewer
    aws_code: str


@dataclass(frozen=True, slots=True)
class RevokedBatch:
    """How one call ended: how many viewers it named, and those whose sessions were not revoked."""

    viewers: int
    failures: tuple[NotRevoked, ...]


def revoke_sessions(
    clients: AwsClients,
    region: Region,
    viewers: Iterable[Viewer],
    clock: Clock,
    *,
    versions_up_to: int,
) -> Iterator[RevokedBatch]:
    """Revoke the sessions of those viewers, at the pace that IVS allows; one item for each call.

    Doing it again does no harm, so that after an error all of it may be tried again.

    Args:
        clients: the AWS clients.
        region: the region of the viewers' channels.
        viewers: whose sessions.
        clock: paces the calls.
        versions_up_to: sessions of this version and below are revoked. Without it IVS takes 0,
            which revokes none of ours: their version is the Unix second of their token.

    Raises:
        IvsUnavailable, IvsRefused: when a whole call fails; the calls before it are done.
    """
    waiting = iter(viewers)
    client = clients.ivs(region)
    for number in itertools.count():
        batch = tuple(itertools.islice(waiting, MOST_IN_A_BATCH))
        if not batch:
            return
        if number:
            clock.sleep(_PAUSE_SECONDS)
        with translated("BatchStartViewerSessionRevocation", region):
            answer = client.batch_start_viewer_session_revocation(
                viewerSessions=[
                    {
                        "channelArn": str(viewer.channel_arn),
                        "viewerId": viewer.viewer_id,
                        "viewerSessionVersionsLessThanOrEqualTo": versions_up_to,
                    }
                    for viewer in batch
                ]
            )
            # A call of which every part has failed is an HTTP 200 all the same.
            errors = [(e["channelArn"], e["viewerId"], e.get("code", "")) for e in answer["errors"]]
        yield RevokedBatch(len(batch), _failures(errors))


def _failures(errors: Sequence[tuple[str, str, str]]) -> tuple[NotRevoked, ...]:
    return tuple(
        NotRevoked(Viewer(ChannelArn.parse(arn), viewer_id), code)
        for arn, viewer_id, code in errors
    )
