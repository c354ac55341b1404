"""Stop streams, and explain what IVS refuses for a channel that is live or offline."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from tokensvc.arns import ChannelArn
from tokensvc.aws import CONFLICT, translate_errors
from tokensvc.cli.ivs_access import IvsAccess
from tokensvc.errors import IvsRefused

_Answer = TypeVar("_Answer")

NOT_BROADCASTING = "ChannelNotBroadcasting"  # The wire name has no "Exception" (botocore model).

# The pause before each attempt. AWS does not document when a stopped channel becomes offline: the
# later pauses are believed to be long enough. There is no pause before the first attempt, nor after
# the first stop.
_PAUSES_SECONDS = (0.0, 0.0, 2.0, 4.0)


def stop_stream(ivs: IvsAccess, channel: ChannelArn) -> bool:
    """Stop the channel's stream with StopStream; return whether the channel was live.

    Raises:
        NotFound, IvsRefused, IvsUnavailable: when IVS does not stop the stream.
    """
    client = ivs.client(channel.region)
    try:
        with translate_errors("StopStream", channel.region):
            client.stop_stream(channelArn=str(channel))
    except IvsRefused as exc:
        if exc.aws_code != NOT_BROADCASTING:
            raise
        return False
    return True


def change_offline(
    ivs: IvsAccess, channel: ChannelArn, change: Callable[[], _Answer], *, stop: bool
) -> _Answer:
    """Make a change that IVS refuses on a live channel (409), and return its result.

    Args:
        ivs: access to IVS.
        channel: the channel.
        change: makes the change, and raises IvsRefused when IVS refuses it.
        stop: whether to stop the stream of a live channel before the change.

    Raises:
        IvsRefused: when the channel is live; the hint says how to continue.
    """
    for pause_seconds in _PAUSES_SECONDS:
        ivs.clock.sleep(pause_seconds)
        try:
            return change()
        except IvsRefused as exc:
            if exc.aws_code != CONFLICT:
                raise
            if not stop:
                raise _live_channel_error(channel, was_stopped=False) from exc
        # Stopped before each further attempt, because encoders reconnect by themselves.
        stop_stream(ivs, channel)
    raise _live_channel_error(channel, was_stopped=True)


@contextmanager
def requiring_stream(channel: ChannelArn) -> Iterator[None]:
    """Explain an IVS error in the block that means that the channel is offline.

    Raises:
        IvsRefused: when the channel is offline; the hint says what to do.
    """
    try:
        yield
    except IvsRefused as exc:
        if exc.aws_code != NOT_BROADCASTING:
            raise
        raise IvsRefused(
            f"Channel {channel} is not live: it has no stream.",
            aws_code=NOT_BROADCASTING,
            hint="Start an encoder. To show the ingest server, run"
            f" `tokensvc channels show {channel}`.",
        ) from exc


def _live_channel_error(channel: ChannelArn, *, was_stopped: bool) -> IvsRefused:
    detail = f"Channel {channel} is live. IVS can't change or delete a live channel (409)."
    if was_stopped:
        return IvsRefused(
            f"{detail} Its stream was stopped, but the channel is still live or live again.",
            aws_code=CONFLICT,
            hint="Stop the encoder: encoders reconnect by themselves. Or run"
            f" `tokensvc stream-keys rotate {channel} --stop-stream` to replace its stream key."
            " Then run this command again.",
        )
    return IvsRefused(
        detail,
        aws_code=CONFLICT,
        hint=f"Run `tokensvc streams stop {channel}`, then run this command again. Or add --stop to"
        " do both. Playback ends for the viewers, and the encoder must reconnect.",
    )
