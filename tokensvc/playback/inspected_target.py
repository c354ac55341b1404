"""Whether an inspected token fits what is to be played: the channel, the page, the viewer."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from tokensvc.access.bans.book import BanBook
from tokensvc.access.origins import is_covered
from tokensvc.arns import ChannelArn
from tokensvc.errors import ChannelNotFound, TokensvcError, ViewerBanned, ViewerRevoked
from tokensvc.ivs.model import Channel
from tokensvc.token.rules import (
    ALLOWED_ORIGINS,
    CHANNEL_ARN,
    VIEWER_ID,
    VIEWER_SESSION_VERSION,
    BrokenRule,
)

Findings = tuple[BrokenRule, ...]


def channel_findings(
    payload: Mapping[str, object], claimed: ChannelArn | None, requested: ChannelArn | None
) -> Findings:
    """Whether the token is for another channel than the requested one.

    Args:
        payload: the claims.
        claimed: the channel that they name, if it is the ARN of one.
        requested: the channel to be played, if it is known.
    """
    if requested is None or CHANNEL_ARN not in payload or claimed == requested:
        return ()
    message = f"The token is for another channel, not for {requested}. Sign a token for it."
    return (BrokenRule(CHANNEL_ARN, "channel_arn_asked_for", message, enforced_by_ivs=True),)


def channel_in_ivs_findings(
    channel_arn: ChannelArn, get_channel: Callable[[ChannelArn], Channel]
) -> Findings:
    """Whether IVS has the channel, and whether it is private.

    Raises:
        TokensvcError: when IVS can't be asked.
    """
    try:
        channel = get_channel(channel_arn)
    except ChannelNotFound as exc:
        return (BrokenRule(CHANNEL_ARN, "channel_exists", exc.detail, enforced_by_ivs=True),)
    if channel.is_private:
        return ()
    message = (
        "The channel is public: it plays without a token, and no rule of a token protects it."
        f" `tokensvc channels protect {channel_arn}` makes it private."
    )
    return (BrokenRule(CHANNEL_ARN, "channel_private", message, enforced_by_ivs=False),)


def origin_findings(payload: Mapping[str, object], origin: str) -> Findings:
    """Whether a page of that origin may play the token."""
    allowed = payload.get(ALLOWED_ORIGINS)
    if not isinstance(allowed, str) or any(is_covered(origin, each) for each in allowed.split(",")):
        return ()
    message = (
        f"A page of {origin} is not among the allowed origins. Request the URL with it in"
        " `allowed_origins`, or play it from an allowed page."
    )
    return (BrokenRule(ALLOWED_ORIGINS, "origin_allowed", message, enforced_by_ivs=True),)


def refusal_in(book: BanBook, now: float) -> Callable[[ChannelArn, str, int], TokensvcError | None]:
    """What the bans refuse at that time: of a channel, a viewer ID and a session version."""

    def refusal(channel_arn: ChannelArn, viewer_id: str, version: int) -> TokensvcError | None:
        try:
            book.require_allowed(channel_arn, (viewer_id,), version, now)
        except (ViewerBanned, ViewerRevoked) as exc:
            return exc
        return None

    return refusal


def viewer_findings(
    payload: Mapping[str, object],
    channel_arn: ChannelArn,
    refusal_of_viewer: Callable[[ChannelArn, str, int], TokensvcError | None],
) -> Findings:
    """Whether the session of the token was revoked, or its viewer is banned."""
    viewer_id, version = payload.get(VIEWER_ID), payload.get(VIEWER_SESSION_VERSION, 0)
    if not isinstance(viewer_id, str) or not isinstance(version, int):
        return ()
    refusal = refusal_of_viewer(channel_arn, viewer_id, version)
    if refusal is None:
        return ()
    return (BrokenRule(VIEWER_ID, refusal.code, refusal.detail, enforced_by_ivs=True),)
