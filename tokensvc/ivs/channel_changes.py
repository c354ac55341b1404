"""Create, change and delete channels. IVS refuses to change or delete a live channel."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from tokensvc.arns import ChannelArn, Region
from tokensvc.aws import AwsClients
from tokensvc.clock import Clock
from tokensvc.errors import IvsUnavailable, NotFound
from tokensvc.ivs.descriptions import CHANNELS, get_one
from tokensvc.ivs.errors import Conflict
from tokensvc.ivs.streams import stop_stream
from tokensvc.ivs.translation import translate_errors

if TYPE_CHECKING:
    from mypy_boto3_ivs.type_defs import CreateChannelResponseTypeDef

# The pause before each attempt. AWS does not document when a stopped channel becomes offline: the
# later pauses are believed to be long enough. There is no pause before the first attempt, nor after
# the first stop.
_PAUSES_SECONDS = (0.0, 0.0, 2.0, 4.0)


def create_channel(
    clients: AwsClients, region: Region, request: Mapping[str, Any]
) -> CreateChannelResponseTypeDef:
    """Create a channel and its stream key; return both, with their secrets.

    Args:
        clients: AWS clients that do not retry. Names are not unique in IVS, so a retry could create
            a second channel.
        region: the region of the channel.
        request: the members of CreateChannel's request. `name` is required.

    Raises:
        IvsRefused: when IVS refuses the request.
        IvsUnavailable: when IVS fails. The hint says how to find out whether the channel exists.
    """
    client = clients.ivs(region)
    try:
        with translate_errors("CreateChannel", region):
            return client.create_channel(**request)
    except IvsUnavailable as exc:
        look_up = f"tokensvc channels list --name {request['name']} --region {region}"
        raise IvsUnavailable(
            f"{exc.detail} The channel may have been created nevertheless.",
            hint=f"{exc.hint} Before you try again, check whether the channel exists: `{look_up}`.",
        ) from exc


def set_private(
    clients: AwsClients, clock: Clock, channel: ChannelArn, *, is_private: bool, stop: bool
) -> None:
    """Make the channel private, or public.

    Args:
        clients: the AWS clients.
        clock: for the pauses after the stream of a live channel was stopped.
        channel: the channel. If it is live and has the requested access, nothing is changed.
        is_private: whether playback needs a token.
        stop: whether to stop the stream of a live channel first.

    Raises:
        Conflict: when the channel is live; the hint says how to continue.
        NotFound, IvsRefused, IvsUnavailable: when a call to IVS fails.
    """
    client = clients.ivs(channel.region)

    def update() -> None:
        try:
            with translate_errors("UpdateChannel", channel.region):
                client.update_channel(arn=str(channel), authorized=is_private)
        except Conflict:
            # IVS refuses every update of a live channel. One that already has the requested access
            # needs no update, so its stream must not be stopped.
            if _is_private(clients, channel) is not is_private:
                raise

    _change_offline(clients, clock, channel, update, stop=stop)


def delete_channel(clients: AwsClients, clock: Clock, channel: ChannelArn, *, stop: bool) -> None:
    """Delete a channel that exists, and its stream key.

    Args:
        clients: the AWS clients.
        clock: for the pauses after the stream of a live channel was stopped.
        channel: the channel. If it is not found, an attempt whose answer was lost has deleted it.
        stop: whether to stop the stream of a live channel first.

    Raises:
        Conflict: when the channel is live; the hint says how to continue.
        IvsRefused, IvsUnavailable: when a call to IVS fails.
    """
    client = clients.ivs(channel.region)

    def delete() -> None:
        with suppress(NotFound), translate_errors("DeleteChannel", channel.region):
            client.delete_channel(arn=str(channel))

    _change_offline(clients, clock, channel, delete, stop=stop)


def _is_private(clients: AwsClients, channel: ChannelArn) -> bool:
    # A channel without this member is public (botocore model, IsAuthorized).
    return get_one(clients, CHANNELS, channel).get("authorized", False)


def _change_offline(
    clients: AwsClients,
    clock: Clock,
    channel: ChannelArn,
    change: Callable[[], None],
    *,
    stop: bool,
) -> None:
    """Make a change that IVS refuses on a live channel (409)."""
    for pause_seconds in _PAUSES_SECONDS:
        clock.sleep(pause_seconds)
        try:
            change()
        except Conflict as exc:
            if not stop:
                raise _live_channel_error(channel, was_stopped=False) from exc
        else:
            return
        # Stopped before each further attempt, because encoders reconnect by themselves.
        stop_stream(clients, channel)
    raise _live_channel_error(channel, was_stopped=True)


def _live_channel_error(channel: ChannelArn, *, was_stopped: bool) -> Conflict:
    detail = f"Channel {channel} is live. IVS can't change or delete a live channel (409)."
    if was_stopped:
        return Conflict(
            f"{detail} Its stream was stopped, but the channel is still live or live again.",
            hint="Stop the encoder: encoders reconnect by themselves. Or run"
            f" `tokensvc stream-keys rotate {channel} --stop-stream` to replace its stream key."
            " Then run this command again.",
        )
    return Conflict(
        detail,
        hint=f"Run `tokensvc streams stop {channel}`, then run this command again. Or add --stop to"
        " do both. Playback ends for the viewers, and the encoder must reconnect.",
    )
