"""Channels and stream keys as IVS describes them, with every member of the IVS API: for operators.

`ivs.channels` reads only what a playback token needs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from tokensvc.arns import Region
from tokensvc.aws import AwsClients
from tokensvc.errors import ChannelNotFound, NotFound, TokensvcError
from tokensvc.ivs.errors import RESOURCE_NOT_FOUND
from tokensvc.ivs.limits import MAX_CHANNELS_PER_CALL, MAX_STREAM_KEYS_PER_CALL
from tokensvc.ivs.translation import error_of_part, translate_errors

if TYPE_CHECKING:
    from mypy_boto3_ivs import IVSClient
    from mypy_boto3_ivs.type_defs import (
        BatchGetChannelResponseTypeDef,
        BatchGetStreamKeyResponseTypeDef,
        ChannelTypeDef,
        StreamKeyTypeDef,
    )


class Arn(Protocol):
    """An ARN of any type: its text is `str(arn)`."""

    @property
    def region(self) -> Region:
        """The resource's region."""
        ...


_Resource = TypeVar("_Resource", bound="ChannelTypeDef | StreamKeyTypeDef")


@dataclass(frozen=True, slots=True)
class Kind(Generic[_Resource]):
    """A kind of resource that IVS returns one at a time, or several in one call.

    Attributes:
        operation: the operation for one resource. `Batch` precedes the name of the other one.
        get: calls the operation and returns the resource.
        get_batch: calls the batch operation and returns the answer.
        member: the member of that answer that has the resources.
        max_per_call: the most ARNs in one call of the batch operation.
        not_found: the error for an ARN that does not exist.
    """

    operation: str
    get: Callable[[IVSClient, str], _Resource]
    get_batch: Callable[
        [IVSClient, list[str]], BatchGetChannelResponseTypeDef | BatchGetStreamKeyResponseTypeDef
    ]
    member: str
    max_per_call: int
    not_found: Callable[[Arn], TokensvcError]


def _channel_not_found(arn: Arn) -> ChannelNotFound:
    return ChannelNotFound(
        f"Channel {arn} does not exist in Amazon IVS.",
        hint="Run `tokensvc channels list` to list the channels.",
    )


def _stream_key_not_found(arn: Arn) -> NotFound:
    return NotFound(
        f"Stream key {arn} does not exist in Amazon IVS.",
        hint="Run `tokensvc stream-keys list` to list the stream keys.",
    )


CHANNELS: Kind[ChannelTypeDef] = Kind(
    operation="GetChannel",
    get=lambda client, arn: client.get_channel(arn=arn)["channel"],
    get_batch=lambda client, arns: client.batch_get_channel(arns=arns),
    member="channels",
    max_per_call=MAX_CHANNELS_PER_CALL,
    not_found=_channel_not_found,
)
STREAM_KEYS: Kind[StreamKeyTypeDef] = Kind(
    operation="GetStreamKey",
    get=lambda client, arn: client.get_stream_key(arn=arn)["streamKey"],
    get_batch=lambda client, arns: client.batch_get_stream_key(arns=arns),
    member="streamKeys",
    max_per_call=MAX_STREAM_KEYS_PER_CALL,
    not_found=_stream_key_not_found,
)


def get_one(clients: AwsClients, kind: Kind[_Resource], arn: Arn) -> _Resource:
    """Return the resource.

    Raises:
        ChannelNotFound, NotFound: when the channel, or the stream key, does not exist.
        IvsRefused, IvsUnavailable: when the call to IVS fails.
    """
    client = clients.ivs(arn.region)
    try:
        with translate_errors(kind.operation, arn.region):
            return kind.get(client, str(arn))
    except NotFound as exc:
        raise kind.not_found(arn) from exc


def get_each(
    clients: AwsClients, kind: Kind[_Resource], arns: Sequence[Arn]
) -> tuple[list[_Resource], list[TokensvcError]]:
    """Return the resources, in the order of the ARNs, and an error for each one that failed.

    Raises:
        ChannelNotFound, NotFound: when there is one ARN and it does not exist.
        IvsRefused, IvsUnavailable: when a whole call to IVS fails.
    """
    if len(arns) == 1:
        return [get_one(clients, kind, arns[0])], []
    operation = f"Batch{kind.operation}"
    found: dict[str, _Resource] = {}
    code_of: dict[str, str] = {}
    for region, batch in _batches(arns, kind.max_per_call):
        client = clients.ivs(region)
        with translate_errors(operation, region):
            answer: Any = kind.get_batch(client, [str(arn) for arn in batch])
            found |= {resource["arn"]: resource for resource in answer.get(kind.member, ())}
            # IVS answers HTTP 200 even when every part of the call has failed.
            code_of |= {error.get("arn"): error.get("code") for error in answer.get("errors", ())}
    errors = [
        kind.not_found(arn)
        if code_of.get(str(arn)) == RESOURCE_NOT_FOUND
        else error_of_part(code_of.get(str(arn)) or "", str(arn), operation, arn.region)
        for arn in arns
        if str(arn) not in found
    ]
    return [found[str(arn)] for arn in arns if str(arn) in found], errors


def _batches(arns: Sequence[Arn], size: int) -> Iterator[tuple[Region, list[Arn]]]:
    """Split the ARNs into batches of one region and at most `size` ARNs."""
    region_of = attrgetter("region")
    for region, group in groupby(sorted(arns, key=region_of), key=region_of):
        of_region = list(group)
        for start in range(0, len(of_region), size):
            yield region, of_region[start : start + size]
