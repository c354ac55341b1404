"""A refresh names the token that it replaces, and keeps the version of its viewer session.

So one viewing is one thread in the audit: the same channel, viewer and session version. A refresh
gets nothing that a new session would not get. Its older version is revoked by more revocations.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Never

from tokensvc.arns import ChannelArn
from tokensvc.clock import Moment
from tokensvc.errors import InvalidRequest, Problem
from tokensvc.keyring.view import RingView
from tokensvc.token.jws import broken_header_rules, read
from tokensvc.token.p384 import PublicKey
from tokensvc.token.rules import CHANNEL_ARN, VIEWER_ID, VIEWER_SESSION_VERSION

RULE: Final = "refresh_of"
"""The identifier of the rule for a token that can't be refreshed."""

LONGEST_SESSION_SECONDS: Final = 86_400
"""The age of a session at which it is not refreshed any more, in seconds."""


def kept_version(
    token: str, ring: RingView, moment: Moment, *, channel_arn: ChannelArn, viewer_id: str | None
) -> int:
    """The version of the session of a token that a key pair of the ring signed.

    Raises:
        InvalidRequest: as `session_version` does.
        NoSigningKey, StateUnavailable, CustodyUnavailable: as `RingView.active` does.
    """
    active = ring.active(moment).signer.public_key  # Tried first: it signed most tokens.
    return session_version(
        token,
        sorted(ring.public_keys(moment), key=lambda public_key: public_key != active),
        channel_arn=channel_arn,
        viewer_id=viewer_id,
        now=moment.now,
    )


def session_version(
    token: str,
    public_keys: Iterable[PublicKey],
    *,
    channel_arn: ChannelArn,
    viewer_id: str | None,
    now: float,
) -> int:
    """The version of the session that the token is for, expired or not.

    Args:
        token: the token to be replaced.
        public_keys: the keys whose tokens are ours, the most probable one first.
        channel_arn: the channel of the request.
        viewer_id: the viewer ID of the request.
        now: Unix seconds.

    Raises:
        InvalidRequest: when the request has no viewer ID, or when none of the keys signed the
            token, it is for another channel or viewer, or its session is too old. Which of these
            is not said: that would help someone who tries tokens.
    """
    if viewer_id is None:
        message = "A token without a viewer ID can't be refreshed: it belongs to no session."
        raise InvalidRequest(
            message,
            hint="Set `viewer_id`, or request a URL without `refresh_of`.",
            problems=(Problem("viewer_id", "refresh_viewer_id", message),),
        )
    try:
        unverified = read(token)
    except InvalidRequest:
        _refuse()
    payload = unverified.payload
    version = payload.get(VIEWER_SESSION_VERSION)
    if (
        broken_header_rules(unverified.header)
        or payload.get(CHANNEL_ARN) != str(channel_arn)
        or payload.get(VIEWER_ID) != viewer_id
        or not isinstance(version, int)
        or isinstance(version, bool)
        or now - version >= LONGEST_SESSION_SECONDS
        or not any(
            key.has_signed(unverified.signature, unverified.signing_input) for key in public_keys
        )
    ):
        _refuse()
    return version


def _refuse() -> Never:
    message = (
        "The token in `refresh_of` is not one of this service, for this channel and this viewer,"
        f" whose session began less than {LONGEST_SESSION_SECONDS // 3600} hours ago."
    )
    raise InvalidRequest(
        message,
        hint="Send the last token of this viewer for this channel, unchanged, or request a URL"
        " without `refresh_of`.",
        problems=(Problem("refresh_of", RULE, message),),
    ) from None
