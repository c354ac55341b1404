"""Stream keys over boto3."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from collections.abc import Callable

    from mypy_boto3_ivs import IVSClient

    from local_ivs.testing import LocalIvsServer

MISSING_ARN = "arn:aws:ivs:us-west-2:123456789012:stream-key/doesNotExist"


def test_a_channel_has_one_stream_key(ivs: IVSClient, channel_arn: str) -> None:
    """A second key exceeds the quota until the first is deleted; it has another secret value."""
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


def test_listings_do_not_contain_the_secret(ivs: IVSClient, channel_arn: str) -> None:
    """A summary has the ARN, the channel and the tags."""
    (summary,) = ivs.list_stream_keys(channelArn=channel_arn)["streamKeys"]
    assert set(summary) == {"arn", "channelArn", "tags"}
    assert summary["channelArn"] == channel_arn


def test_a_batch_lists_missing_keys_in_errors(ivs: IVSClient, channel_arn: str) -> None:
    """Status 200; found keys have their secret values."""
    (summary,) = ivs.list_stream_keys(channelArn=channel_arn)["streamKeys"]
    response = ivs.batch_get_stream_key(arns=[summary["arn"], MISSING_ARN])
    assert response["streamKeys"] == [ivs.get_stream_key(arn=summary["arn"])["streamKey"]]
    (error,) = response["errors"]
    assert (error["arn"], error["code"]) == (MISSING_ARN, "ResourceNotFoundException")


def test_missing_keys_and_keys_of_another_region_are_not_found(
    server: LocalIvsServer, ivs: IVSClient, channel_arn: str
) -> None:
    """404 for unknown keys and channels, and for requests in another region."""
    (summary,) = ivs.list_stream_keys(channelArn=channel_arn)["streamKeys"]
    other_region = server.client("eu-west-1")
    attempts: list[Callable[[], object]] = [
        lambda: ivs.delete_stream_key(arn=MISSING_ARN),
        lambda: ivs.create_stream_key(channelArn=channel_arn + "x"),
        lambda: ivs.list_stream_keys(channelArn=channel_arn + "x"),
        lambda: other_region.get_stream_key(arn=summary["arn"]),
        lambda: other_region.list_stream_keys(channelArn=channel_arn),
    ]
    for attempt in attempts:
        with pytest.raises(ClientError, match="ResourceNotFoundException"):
            attempt()
