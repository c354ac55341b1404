"""What IVS answers, made ready to be shown: IVS's own members, secrets left out, times as text.

A stream key's value and a channel's SRT passphrase let anyone send to the channel.
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

HIDDEN = "(hidden; --reveal shows it)"
LARGEST_BATCH = 50  # IVS: botocore model, BatchGetChannelRequest and BatchGetStreamKeyRequest


class _InARegion(Protocol):
    @property
    def region(self) -> Region: ...


_Arn = TypeVar("_Arn", bound=_InARegion)


def batches(arns: Sequence[_Arn]) -> Iterator[tuple[Region, list[_Arn]]]:
    """The ARNs in lots that one batch operation takes: of one region, 50 at most."""
    region_of = attrgetter("region")
    for region, group in groupby(sorted(arns, key=region_of), key=region_of):
        of_region = list(group)
        for start in range(0, len(of_region), LARGEST_BATCH):
            yield region, of_region[start : start + LARGEST_BATCH]


def not_given(errors: Iterable[BatchErrorTypeDef]) -> Iterator[NotFound]:
    """The partial failures of a batch operation, in our words."""
    for error in errors:
        yield NotFound(
            f"Amazon IVS does not give {error.get('arn')} ({error.get('code', 'no error code')}).",
            hint="Check the ARN, its region and its account.",
        )


def fail_if_any(problems: Sequence[TokensvcError]) -> None:
    """Tell the problems, which have kept a part of the answer back.

    Raises:
        click.exceptions.Exit: with status 1 when there are any.
    """
    for problem in problems:
        say_error(problem)
    if problems:
        raise click.exceptions.Exit(1)


def channel_document(
    channel: ChannelTypeDef | ChannelSummaryTypeDef, *, reveal: bool = False
) -> dict[str, Any]:
    """The channel for programs; without its SRT passphrase unless that is to be revealed."""
    document: dict[str, Any] = dict(channel)
    if "srt" in document and not reveal:
        document["srt"] = _without("passphrase", document["srt"])
    return document


def stream_key_document(
    stream_key: StreamKeyTypeDef | StreamKeySummaryTypeDef, *, reveal: bool = False
) -> dict[str, Any]:
    """The stream key for programs; without its value unless that is to be revealed."""
    document: dict[str, Any] = dict(stream_key)
    return document if reveal else _without("value", document)


def stream_document(stream: StreamTypeDef | StreamSummaryTypeDef) -> dict[str, Any]:
    """The stream for programs."""
    document: dict[str, Any] = dict(stream)
    if start_time := stream.get("startTime"):
        document["startTime"] = rfc3339(start_time.timestamp())
    return document


def tags_text(tags: Mapping[str, str]) -> str:
    """The tags for people, in a line."""
    return ", ".join(f"{key}={value}" for key, value in sorted(tags.items())) or "-"


def _without(member: str, document: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in document.items() if name != member}
