"""Channels that are live, or are not: what IVS refuses then, explained, and streams stopped."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from tokensvc.arns import ChannelArn
from tokensvc.aws import CONFLICT, translated
from tokensvc.cli.ivs_access import IvsAccess
from tokensvc.errors import IvsRefused

_Answer = TypeVar("_Answer")

NOT_BROADCASTING = "ChannelNotBroadcasting"  # The wire name has no "Exception" (botocore model).

# Before each attempt. How soon a stopped channel counts as offline is not documented, so the later
# ones are believed to be enough; the first and the one after the first stop wait for nothing.
_PAUSES_SECONDS = (0.0, 0.0, 2.0, 4.0)


def stop_stream(ivs: IvsAccess, channel: ChannelArn) -> bool:
    """Whether a stream was there to be stopped, by StopStream; afterwards there is none.

    Raises:
        ChannelNotFound, IvsRefused, IvsUnavailable: when IVS does not do it.
    """
    client = ivs.client(channel.region)
    try:
        with translated("StopStream", channel.region):
            client.stop_stream(channelArn=str(channel))
    except IvsRefused as exc:
        if exc.aws_code != NOT_BROADCASTING:
            raise
        return False
    return True


def change_offline(
    ivs: IvsAccess, channel: ChannelArn, change: Callable[[], _Answer], *, stop: bool
) -> _Answer:
    """What comes of a change that IVS refuses on a live channel (409).

    Args:
        ivs: the way to IVS.
        channel: the channel.
        change: makes the change, and raises IvsRefused when IVS refuses.
        stop: whether to stop the stream of a live channel, and then change it.

    Raises:
        IvsRefused: when the channel is live, and how to go on.
    """
    for pause_seconds in _PAUSES_SECONDS:
        ivs.clock.sleep(pause_seconds)
        try:
            return change()
        except IvsRefused as exc:
            if exc.aws_code != CONFLICT:
                raise
            if not stop:
                raise _is_live(channel, was_stopped=False) from exc
        # Each time anew, as encoders reconnect by themselves.
        stop_stream(ivs, channel)
    raise _is_live(channel, was_stopped=True)


@contextmanager
def needing_a_stream(channel: ChannelArn) -> Iterator[None]:
    """Explain IVS's refusal inside when the channel is offline.

    Raises:
        IvsRefused: when it is, and what to do.
    """
    try:
        yield
    except IvsRefused as exc:
        if exc.aws_code != NOT_BROADCASTING:
            raise
        raise IvsRefused(
            f"{channel} is not live: it has no stream.",
            aws_code=NOT_BROADCASTING,
            hint=f"Start an encoder; `tokensvc channels show {channel}` says where it sends to.",
        ) from exc


def _is_live(channel: ChannelArn, *, was_stopped: bool) -> IvsRefused:
    detail = f"{channel} is live, and IVS changes or deletes no channel that is (409)."
    if was_stopped:
        return IvsRefused(
            f"{detail} Its stream was stopped, and it is live again or still.",
            aws_code=CONFLICT,
            hint="Encoders reconnect by themselves. Stop the encoder, or take its stream key"
            f" away (`tokensvc stream-keys rotate {channel} --stop-stream`); then run this again.",
        )
    return IvsRefused(
        detail,
        aws_code=CONFLICT,
        hint=f"Stop its stream first (`tokensvc streams stop {channel}`) and run this again, or"
        " add --stop to do both. Its viewers are cut off, and its encoder has to begin anew.",
    )
