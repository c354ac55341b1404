"""Streams over boto3."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
import urllib3

from local_ivs.edge_reader import EdgeReader

if TYPE_CHECKING:
    from mypy_boto3_ivs import IVSClient

    from local_ivs.testing import LocalIvsServer, ManualClock


def test_a_live_channel_has_a_stream(
    server: LocalIvsServer, ivs: IVSClient, channel_arn: str
) -> None:
    """It is LIVE and HEALTHY, and has its start time and the channel's playback URL."""
    server.go_live(channel_arn)
    stream = ivs.get_stream(channelArn=channel_arn)["stream"]
    assert stream["streamId"].startswith("st-")
    assert stream == {
        "channelArn": channel_arn,
        "streamId": stream["streamId"],
        "playbackUrl": ivs.get_channel(arn=channel_arn)["channel"]["playbackUrl"],
        "startTime": datetime(2027, 1, 15, 8, 0, 0, tzinfo=UTC),
        "state": "LIVE",
        "health": "HEALTHY",
        "viewerCount": 0,
    }


def test_viewers_of_a_stream_are_counted(
    server: LocalIvsServer, ivs: IVSClient, channel_arn: str
) -> None:
    """Two playback sessions of a public channel are two viewers."""
    server.go_live(channel_arn)
    for _ in range(2):
        url = ivs.get_channel(arn=channel_arn)["channel"]["playbackUrl"]
        assert urllib3.request("GET", url).status == 200
    assert ivs.get_stream(channelArn=channel_arn)["stream"]["viewerCount"] == 2


def test_a_channel_that_is_offline_has_no_stream(
    server: LocalIvsServer, ivs: IVSClient, channel_arn: str
) -> None:
    """404: ChannelNotBroadcasting, or ResourceNotFoundException if the channel doesn't exist."""
    with pytest.raises(ivs.exceptions.ChannelNotBroadcasting) as caught:
        ivs.get_stream(channelArn=channel_arn)
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 404
    with pytest.raises(ivs.exceptions.ChannelNotBroadcasting):
        ivs.stop_stream(channelArn=channel_arn)
    server.go_live(channel_arn)
    ivs.stop_stream(channelArn=channel_arn)
    with pytest.raises(ivs.exceptions.ChannelNotBroadcasting):
        ivs.get_stream(channelArn=channel_arn)
    with pytest.raises(ivs.exceptions.ResourceNotFoundException):
        ivs.get_stream(channelArn=channel_arn + "x")


def test_going_live_again_starts_another_stream(
    server: LocalIvsServer, ivs: IVSClient, channel_arn: str
) -> None:
    """Each broadcast has its own stream ID."""
    server.go_live(channel_arn)
    first = ivs.get_stream(channelArn=channel_arn)["stream"]["streamId"]
    ivs.stop_stream(channelArn=channel_arn)
    server.go_live(channel_arn)
    assert ivs.get_stream(channelArn=channel_arn)["stream"]["streamId"] != first


def test_taking_a_live_channel_live_keeps_its_stream(
    server: LocalIvsServer, ivs: IVSClient, channel_arn: str, clock: ManualClock
) -> None:
    """The second request starts no other stream."""
    server.go_live(channel_arn)
    first = ivs.get_stream(channelArn=channel_arn)["stream"]
    clock.advance(5)
    server.go_live(channel_arn)
    assert ivs.get_stream(channelArn=channel_arn)["stream"] == first


def test_streams_are_listed_by_health_and_in_pages(server: LocalIvsServer) -> None:
    """Only live channels of the account and region are listed."""
    ivs = server.client()
    arns = [ivs.create_channel()["channel"]["arn"] for _ in range(4)]
    for arn in arns[:3]:
        server.go_live(arn)
    starving = {"channel_arn": arns[1], "live": True, "health": "STARVING"}
    urllib3.request("PUT", f"{server.url}/_local/streams", json=starving)
    pages = list(ivs.get_paginator("list_streams").paginate(PaginationConfig={"PageSize": 2}))
    assert [stream["channelArn"] for page in pages for stream in page["streams"]] == arns[:3]
    found = ivs.list_streams(filterBy={"health": "STARVING"})["streams"]
    assert [stream["channelArn"] for stream in found] == [arns[1]]
    assert ivs.list_streams(filterBy={"health": "UNKNOWN"})["streams"] == []
    assert server.client("eu-west-1").list_streams()["streams"] == []


def test_metadata_reaches_the_edge_with_its_time(
    server: LocalIvsServer, ivs: IVSClient, channel_arn: str, clock: ManualClock
) -> None:
    """204; the edge reads the texts in order, starting at a given time."""
    server.go_live(channel_arn)
    response = ivs.put_metadata(channelArn=channel_arn, metadata='{"question": 1}')
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 204
    clock.advance(2)
    ivs.put_metadata(channelArn=channel_arn, metadata="zwei: ü")
    edge = EdgeReader(server.database)
    found = edge.timed_metadata(channel_arn, since=1_800_000_000.0)
    assert [(each.put_at, each.metadata) for each in found] == [
        (1_800_000_000.0, '{"question": 1}'),
        (1_800_000_002.0, "zwei: ü"),
    ]
    later = edge.timed_metadata(channel_arn, since=1_800_000_001.0)
    assert [each.metadata for each in later] == ["zwei: ü"]


def test_metadata_has_at_most_1024_bytes(
    server: LocalIvsServer, ivs: IVSClient, channel_arn: str
) -> None:
    """The limit is in bytes of UTF-8, not in characters."""
    server.go_live(channel_arn)
    ivs.put_metadata(channelArn=channel_arn, metadata="ü" * 512)
    for metadata in ("ü" * 512 + "a", "a" * 1025):
        with pytest.raises(ivs.exceptions.ValidationException):
            ivs.put_metadata(channelArn=channel_arn, metadata=metadata)


def test_metadata_requires_a_live_channel_and_is_kept_until_the_next_stream(
    server: LocalIvsServer, ivs: IVSClient, channel_arn: str
) -> None:
    """404 while offline; the players of a stream that ended still read it."""
    with pytest.raises(ivs.exceptions.ChannelNotBroadcasting):
        ivs.put_metadata(channelArn=channel_arn, metadata="a")
    server.go_live(channel_arn)
    ivs.put_metadata(channelArn=channel_arn, metadata="a")
    ivs.stop_stream(channelArn=channel_arn)
    edge = EdgeReader(server.database)
    assert [each.metadata for each in edge.timed_metadata(channel_arn, since=0)] == ["a"]
    server.go_live(channel_arn)
    assert edge.timed_metadata(channel_arn, since=0) == ()


@pytest.mark.parametrize(
    ("document", "status"),
    [
        ({}, 400),
        ({"channel_arn": "arn", "live": "yes"}, 400),
        ({"channel_arn": 5, "live": True}, 400),
        ({"channel_arn": "arn", "live": True, "health": "SICK"}, 400),
        ({"channel_arn": "arn:aws:ivs:us-west-2:123456789012:channel/x", "live": True}, 404),
        (["not", "an", "object"], 400),
    ],
)
def test_an_invalid_request_to_the_control_api_gets_an_error(
    server: LocalIvsServer, document: object, status: int
) -> None:
    """A JSON document with `error`; no channel goes live."""
    response = urllib3.request("PUT", f"{server.url}/_local/streams", json=document)
    assert response.status == status
    assert response.json()["error"]
    assert server.client().list_streams()["streams"] == []
