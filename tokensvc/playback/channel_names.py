"""The channel that a request names."""

from __future__ import annotations

from collections.abc import Mapping

from tokensvc.access.callers import Caller
from tokensvc.access.grants import not_entitled
from tokensvc.arns import ChannelArn
from tokensvc.errors import InvalidArn, InvalidRequest, Problem


def channel_arn_of(names: Mapping[str, ChannelArn], caller: Caller, channel: str) -> ChannelArn:
    """The ARN of a channel that a caller names by its ARN, or by a name of the settings.

    Raises:
        NotEntitled: when no channel has that name: as for one that no grant covers.
        InvalidRequest: when it is not the ARN of a channel.
    """
    if not channel.startswith("arn:"):
        if (named := names.get(channel)) is None:
            raise not_entitled(caller)
        return named
    try:
        return ChannelArn.parse(channel)
    except InvalidArn as exc:
        raise InvalidRequest(
            exc.detail,
            hint=exc.hint,
            problems=(Problem("channel", "channel_arn", str(exc)),),
        ) from exc
