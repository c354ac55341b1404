"""Stream keys over boto3."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from collections.abc import Callable

    from mypy_boto3_ivs import IVSClient

    from tests.support.local_ivs import LocalIvsServer

MISSING_ARN = "arn:aws:ivs:us-west-2:123456789012:stream-key/doesNotExist"


def test_a_channel_has_one_stream_key(ivs: IVSClient, channel_arn: str) -> None:
    """A second is over the quota until the first is deleted; the new one has another secret."""
    (first,) = ivs.list_stream_keys(channelArn=channel_arn)["streamKeys"]
    old_value = ivs.get_stream_key(arn=first["arn"])["streamKey"]["value"]
    with pytest.raises(ivs.exceptions.ServiceQuotaExceededException) as caught:
        ivs.create_stream_key(channelArn=channel_arn)
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 402
    deleted = ivs.delete_stream_key(arn=first["arn"])
    assert deleted["ResponseMetadata"]["HTTPStatusCode"] == 204
    second = ivs.create_stream_key(channelArn=channel_arn, tags={"k": "v"})["streamKey"]
    assert second["tags"] == {"k": "v"}
    assert second["channelArn"] == channel_arn
    assert second["arn"] != first["arn"]
    assert second["value"] != old_value
    with pytest.raises(ivs.exceptions.ResourceNotFoundException):
        ivs.get_stream_key(arn=first["arn"])


def test_listings_do_not_tell_the_secret(ivs: IVSClient, channel_arn: str) -> None:
    """Summaries: ARN, channel and tags."""
    (summary,) = ivs.list_stream_keys(channelArn=channel_arn)["streamKeys"]
    assert set(summary) == {"arn", "channelArn", "tags"}
    assert summary["channelArn"] == channel_arn


def test_a_batch_tells_what_it_did_not_find_on_a_200(ivs: IVSClient, channel_arn: str) -> None:
    """Found keys with their values; the others in errors."""
    (summary,) = ivs.list_stream_keys(channelArn=channel_arn)["streamKeys"]
    answer = ivs.batch_get_stream_key(arns=[summary["arn"], MISSING_ARN])
    assert answer["streamKeys"] == [ivs.get_stream_key(arn=summary["arn"])["streamKey"]]
    (error,) = answer["errors"]
    assert (error["arn"], error["code"]) == (MISSING_ARN, "ResourceNotFoundException")


def test_what_is_missing_or_of_another_region_is_not_found(
    server: LocalIvsServer, ivs: IVSClient, channel_arn: str
) -> None:
    """404 for unknown keys and channels, and from the next region."""
    (summary,) = ivs.list_stream_keys(channelArn=channel_arn)["streamKeys"]
    elsewhere = server.client("eu-west-1")
    attempts: list[Callable[[], object]] = [
        lambda: ivs.delete_stream_key(arn=MISSING_ARN),
        lambda: ivs.create_stream_key(channelArn=channel_arn + "x"),
        lambda: ivs.list_stream_keys(channelArn=channel_arn + "x"),
        lambda: elsewhere.get_stream_key(arn=summary["arn"]),
        lambda: elsewhere.list_stream_keys(channelArn=channel_arn),
    ]
    for attempt in attempts:
        with pytest.raises(ClientError, match="ResourceNotFoundException"):
            attempt()
