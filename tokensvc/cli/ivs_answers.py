"""Format IVS's answers for output: the members of the IVS API, no secrets, RFC 3339 times.

Anyone who has a stream key's value or a channel's SRT passphrase can stream to the channel.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import click

from tokensvc.arns import Region
from tokensvc.cli.output import say_error
from tokensvc.clock import rfc3339
from tokensvc.errors import NotFound, TokensvcError

if TYPE_CHECKING:
    from mypy_boto3_ivs.type_defs import (
        BatchErrorTypeDef,
        ChannelSummaryTypeDef,
        ChannelTypeDef,
        StreamKeySummaryTypeDef,
        StreamKeyTypeDef,
        StreamSummaryTypeDef,
        StreamTypeDef,
    )

HIDDEN = "(hidden; use --reveal to show it)"
MAX_ARNS_PER_CALL = 50  # IVS: botocore model, BatchGetChannelRequest and BatchGetStreamKeyRequest


class _InARegion(Protocol):
    @property
    def region(self) -> Region: ...


_Arn = TypeVar("_Arn", bound=_InARegion)


def batches(arns: Sequence[_Arn]) -> Iterator[tuple[Region, list[_Arn]]]:
    """Split the ARNs into batches for one call each: of one region, at most 50."""
    region_of = attrgetter("region")
    for region, group in groupby(sorted(arns, key=region_of), key=region_of):
        of_region = list(group)
        for start in range(0, len(of_region), MAX_ARNS_PER_CALL):
            yield region, of_region[start : start + MAX_ARNS_PER_CALL]


def batch_errors(errors: Iterable[BatchErrorTypeDef]) -> Iterator[NotFound]:
    """Return an error for each part of a batch call that failed."""
    for error in errors:
        yield NotFound(
            f"Amazon IVS can't return {error.get('arn')} ({error.get('code', 'no error code')}).",
            hint="Check the region, the account and the ID in the ARN.",
        )


def fail_if_any(errors: Sequence[TokensvcError]) -> None:
    """Print the errors of an answer that is incomplete because of them.

    Raises:
        click.exceptions.Exit: with status 1 when there are any.
    """
    for error in errors:
        say_error(error)
    if errors:
        raise click.exceptions.Exit(1)


def channel_document(
    channel: ChannelTypeDef | ChannelSummaryTypeDef, *, reveal: bool = False
) -> dict[str, Any]:
    """Return the channel as JSON members; with its SRT passphrase only if `reveal` is true."""
    document: dict[str, Any] = dict(channel)
    if "srt" in document and not reveal:
        document["srt"] = _without("passphrase", document["srt"])
    return document


def stream_key_document(
    stream_key: StreamKeyTypeDef | StreamKeySummaryTypeDef, *, reveal: bool = False
) -> dict[str, Any]:
    """Return the stream key as JSON members; with its value only if `reveal` is true."""
    document: dict[str, Any] = dict(stream_key)
    return document if reveal else _without("value", document)


def stream_document(stream: StreamTypeDef | StreamSummaryTypeDef) -> dict[str, Any]:
    """Return the stream as JSON members."""
    document: dict[str, Any] = dict(stream)
    if start_time := stream.get("startTime"):
        document["startTime"] = rfc3339(start_time.timestamp())
    return document


def tags_text(tags: Mapping[str, str]) -> str:
    """Return the tags for people, in one line."""
    return ", ".join(f"{key}={value}" for key, value in sorted(tags.items())) or "-"


def _without(member: str, document: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in document.items() if name != member}
