"""Revocation of viewer sessions: StartViewerSessionRevocation and its batch operation.

`edge.revocations` implements the effect of a revocation. A request without a version revokes
version 0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from local_ivs.edge.revocations import Revocation, revoke
from local_ivs.errors import ApiError
from local_ivs.operations.lookup import find_channel

if TYPE_CHECKING:
    from collections.abc import Mapping

    from local_ivs.calls import Call

DEFAULT_VERSION = 0  # botocore model: StartViewerSessionRevocationRequest


def start_revocation(call: Call, request: Mapping[str, Any]) -> dict[str, Any]:
    """StartViewerSessionRevocation: Local IVS completes it immediately."""
    channel_arn = find_channel(call, request["channelArn"])["arn"]
    version = request.get("viewerSessionVersionsLessThanOrEqualTo", DEFAULT_VERSION)
    revoke(call.connection, Revocation(channel_arn, request["viewerId"], version, call.now))
    return {}


def batch_start_revocation(call: Call, request: Mapping[str, Any]) -> dict[str, Any]:
    """BatchStartViewerSessionRevocation: status 200; failed revocations are listed in `errors`."""
    errors: list[dict[str, str]] = []
    for viewer_session in request["viewerSessions"]:
        try:
            start_revocation(call, viewer_session)
        except ApiError as error:
            errors.append(
                {
                    "channelArn": viewer_session["channelArn"],
                    "viewerId": viewer_session["viewerId"],
                    "code": error.error_type,
                    "message": str(error),
                }
            )
    return {"errors": errors}
