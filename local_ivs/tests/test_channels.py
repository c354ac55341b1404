"""Channels over boto3."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from local_ivs.edge_reader import EdgeReader
from local_ivs.errors import ChannelUnknownError
from local_ivs.testing import LocalIvsServer

if TYPE_CHECKING:
    from collections.abc import Callable

    from mypy_boto3_ivs import IVSClient

    from local_ivs.testing import ManualClock

MISSING_ARN = "arn:aws:ivs:us-west-2:123456789012:channel/doesNotExist"


def code_of(error: pytest.ExceptionInfo[ClientError]) -> tuple[int, str]:
    """The HTTP status and the AWS error name."""
    response = error.value.response
    return response["ResponseMetadata"]["HTTPStatusCode"], response["Error"]["Code"]


def test_a_new_channel_has_the_documented_defaults(server: LocalIvsServer, ivs: IVSClient) -> None:
    """LOW, STANDARD, public, TS; the response includes its stream key."""
    response = ivs.create_channel()
    channel, stream_key = response["channel"], response["streamKey"]
    channel_id = channel["arn"].removeprefix("arn:aws:ivs:us-west-2:123456789012:channel/")
    assert re.fullmatch("[a-zA-Z0-9]{12}", channel_id)
    assert channel["playbackUrl"] == (
        f"{server.url}/api/video/v1/us-west-2.123456789012.channel.{channel_id}.m3u8"
    )
    passphrase = channel["srt"]["passphrase"]
    assert channel == {
        "arn": channel["arn"],
        "name": "",
        "latencyMode": "LOW",
        "type": "STANDARD",
        "authorized": False,
        "insecureIngest": False,
        "recordingConfigurationArn": "",
        "playbackRestrictionPolicyArn": "",
        "adConfigurationArn": "",
        "failoverSlateConfigurationArn": "",
        "preset": "",
        "containerFormat": "TS",
        "ingestEndpoint": f"{channel_id.lower()}.global-contribute.live-video.net",
        "srt": {
            "endpoint": f"{channel_id.lower()}.srt.live-video.net",
            "passphrase": passphrase,
        },
        "playbackUrl": channel["playbackUrl"],
        "tags": {},
    }
    assert stream_key["channelArn"] == channel["arn"]
    assert stream_key["value"].startswith("sk_us-west-2_")
    assert ivs.get_channel(arn=channel["arn"])["channel"] == channel
    assert ivs.get_stream_key(arn=stream_key["arn"])["streamKey"] == stream_key


def test_get_channel_returns_the_settings_of_create_channel(ivs: IVSClient) -> None:
    """Every member that a caller can set, and tags with non-ASCII letters."""
    settings: dict[str, Any] = {
        "name": "news_1",
        "latencyMode": "NORMAL",
        "type": "ADVANCED_HD",
        "authorized": True,
        "insecureIngest": True,
        "preset": "CONSTRAINED_BANDWIDTH_DELIVERY",
        "containerFormat": "FRAGMENTED_MP4",
        "tags": {"Abteilung": "Übertragung 1", "k:1/+@=": ""},
    }
    arn = ivs.create_channel(**settings)["channel"]["arn"]
    channel = dict(ivs.get_channel(arn=arn)["channel"])
    assert {name: channel[name] for name in settings} == settings


def test_only_advanced_types_have_a_preset(ivs: IVSClient) -> None:
    """Changing the type sets or clears the preset (botocore model: Channel$preset)."""
    arn = ivs.create_channel(type="ADVANCED_SD")["channel"]["arn"]
    assert ivs.get_channel(arn=arn)["channel"]["preset"] == "HIGHER_BANDWIDTH_DELIVERY"
    without: str = ivs.update_channel(arn=arn, type="BASIC")["channel"]["preset"]
    assert without == ""
    with pytest.raises(ivs.exceptions.ValidationException):
        ivs.update_channel(arn=arn, preset="HIGHER_BANDWIDTH_DELIVERY")


def test_multitrack_input_requires_its_other_settings(ivs: IVSClient) -> None:
    """Type STANDARD, fMP4, a policy and a maximum resolution."""
    with pytest.raises(ivs.exceptions.ValidationException):
        ivs.create_channel(multitrackInputConfiguration={"enabled": True})
    multitrack: Any = {"enabled": True, "policy": "ALLOW", "maximumResolution": "HD"}
    channel = ivs.create_channel(
        multitrackInputConfiguration=multitrack, containerFormat="FRAGMENTED_MP4"
    )["channel"]
    assert channel["multitrackInputConfiguration"] == multitrack


def test_a_reference_to_an_unsupported_resource_is_not_found(ivs: IVSClient) -> None:
    """A recording configuration or policy is never silently accepted."""
    policy = "arn:aws:ivs:us-west-2:123456789012:playback-restriction-policy/abc"
    with pytest.raises(ivs.exceptions.ResourceNotFoundException):
        ivs.create_channel(playbackRestrictionPolicyArn=policy)
    assert ivs.list_channels()["channels"] == []


def test_update_changes_only_the_members_of_the_request(ivs: IVSClient) -> None:
    """Absent members keep their values."""
    before = ivs.create_channel(name="a", latencyMode="NORMAL", tags={"k": "v"})["channel"]
    after = ivs.update_channel(arn=before["arn"], authorized=True)["channel"]
    assert after == {**before, "authorized": True}
    assert ivs.get_channel(arn=before["arn"])["channel"] == after


def test_a_live_channel_cannot_be_updated_or_deleted(
    server: LocalIvsServer, ivs: IVSClient, channel_arn: str
) -> None:
    """409 while live; both succeed once it is offline."""
    server.go_live(channel_arn)
    with pytest.raises(ivs.exceptions.ConflictException):
        ivs.update_channel(arn=channel_arn, name="other")
    with pytest.raises(ivs.exceptions.ConflictException):
        ivs.delete_channel(arn=channel_arn)
    assert ivs.get_channel(arn=channel_arn)["channel"]["name"] == "example"
    server.go_offline(channel_arn)
    assert ivs.update_channel(arn=channel_arn, name="other")["channel"]["name"] == "other"
    ivs.delete_channel(arn=channel_arn)


def test_deleting_a_channel_deletes_its_stream_key(ivs: IVSClient) -> None:
    """204; then 404 for both."""
    response = ivs.create_channel()
    arn = response["channel"]["arn"]
    deleted = ivs.delete_channel(arn=arn)
    assert deleted["ResponseMetadata"]["HTTPStatusCode"] == 204
    attempts: list[Callable[[], object]] = [
        lambda: ivs.get_channel(arn=arn),
        lambda: ivs.update_channel(arn=arn, name="x"),
        lambda: ivs.delete_channel(arn=arn),
        lambda: ivs.get_stream_key(arn=response["streamKey"]["arn"]),
    ]
    for attempt in attempts:
        with pytest.raises(ClientError) as caught:
            attempt()
        assert code_of(caught) == (404, "ResourceNotFoundException")


def test_a_batch_lists_missing_channels_in_errors(ivs: IVSClient, channel_arn: str) -> None:
    """Status 200; found channels are as GetChannel returns them."""
    response = ivs.batch_get_channel(arns=[MISSING_ARN, channel_arn])
    assert response["channels"] == [ivs.get_channel(arn=channel_arn)["channel"]]
    (error,) = response["errors"]
    assert (error["arn"], error["code"]) == (MISSING_ARN, "ResourceNotFoundException")
    assert ivs.batch_get_channel(arns=[channel_arn])["errors"] == []


def test_a_batch_has_at_most_fifty_arns(ivs: IVSClient) -> None:
    """50 are accepted, 51 are refused."""
    assert len(ivs.batch_get_channel(arns=[MISSING_ARN] * 50)["errors"]) == 50
    with pytest.raises(ivs.exceptions.ValidationException):
        ivs.batch_get_channel(arns=[MISSING_ARN] * 51)


def test_listings_are_summaries_without_playback_url(ivs: IVSClient, channel_arn: str) -> None:
    """A listing has no playback URL, ingest endpoint or secret."""
    (summary,) = ivs.list_channels()["channels"]
    assert summary == {
        "arn": channel_arn,
        "name": "example",
        "latencyMode": "LOW",
        "type": "STANDARD",
        "authorized": False,
        "insecureIngest": False,
        "recordingConfigurationArn": "",
        "playbackRestrictionPolicyArn": "",
        "adConfigurationArn": "",
        "failoverSlateConfigurationArn": "",
        "preset": "",
        "tags": {},
    }


def test_a_listing_accepts_one_filter(ivs: IVSClient, channel_arn: str) -> None:
    """The name must match exactly; two filters are a conflict."""
    ivs.create_channel(name="example2")
    found = ivs.list_channels(filterByName="example")["channels"]
    assert [channel["arn"] for channel in found] == [channel_arn]
    assert ivs.list_channels(filterByName="exampl")["channels"] == []
    assert len(ivs.list_channels(filterByRecordingConfigurationArn="")["channels"]) == 2
    with pytest.raises(ivs.exceptions.ConflictException):
        ivs.list_channels(filterByName="example", filterByRecordingConfigurationArn="")


def test_pages_contain_every_channel_once(ivs: IVSClient) -> None:
    """Seven channels in pages of three, with boto3's paginator."""
    arns = [ivs.create_channel()["channel"]["arn"] for _ in range(7)]
    pages = list(ivs.get_paginator("list_channels").paginate(PaginationConfig={"PageSize": 3}))
    assert [len(page["channels"]) for page in pages] == [3, 3, 1]
    assert [channel["arn"] for page in pages for channel in page["channels"]] == arns


def test_a_page_token_is_valid_only_for_its_query(server: LocalIvsServer) -> None:
    """It is refused with another filter, operation or region, or if it is damaged or invented."""
    ivs, other_region = server.client(), server.client("eu-west-1")
    for _ in range(2):
        ivs.create_channel(name="a")
    token = ivs.list_channels(maxResults=1, filterByName="a")["nextToken"]
    attempts: list[Callable[[], object]] = [
        lambda: ivs.list_channels(nextToken=token),
        lambda: ivs.list_channels(nextToken=token, filterByName="b"),
        lambda: other_region.list_channels(nextToken=token, filterByName="a"),
        lambda: ivs.list_playback_key_pairs(nextToken=token),
        lambda: ivs.list_channels(nextToken=token[:-4], filterByName="a"),
        lambda: ivs.list_channels(nextToken="made-up", filterByName="a"),
        lambda: ivs.list_channels(nextToken="A" * 1025, filterByName="a"),
    ]
    for attempt in attempts:
        with pytest.raises(ClientError) as caught:
            attempt()
        assert code_of(caught) == (400, "ValidationException")
    second = ivs.list_channels(nextToken=token, filterByName="a", maxResults=50)
    assert len(second["channels"]) == 1


def test_regions_and_accounts_do_not_share_channels(
    server: LocalIvsServer, ivs: IVSClient, channel_arn: str
) -> None:
    """A channel is found only in the region and account of its ARN."""
    for client in (server.client("eu-west-1"), server.client(account="210987654321")):
        assert client.list_channels()["channels"] == []
        assert client.batch_get_channel(arns=[channel_arn])["channels"] == []
        with pytest.raises(client.exceptions.ResourceNotFoundException):
            client.update_channel(arn=channel_arn, authorized=True)
    assert ivs.get_channel(arn=channel_arn)["channel"]["authorized"] is False


def test_an_access_key_id_that_is_not_an_account_id_means_the_example_account(
    server: LocalIvsServer,
) -> None:
    """Any credentials work; twelve digits select the account."""
    arn = server.client(account="AKIDEXAMPLE").create_channel()["channel"]["arn"]
    assert arn.startswith("arn:aws:ivs:us-west-2:123456789012:channel/")
    arn = server.client(account="000000000007").create_channel()["channel"]["arn"]
    assert arn.startswith("arn:aws:ivs:us-west-2:000000000007:channel/")


def test_the_edge_sees_whether_a_channel_is_private_and_live(
    server: LocalIvsServer, ivs: IVSClient, channel_arn: str
) -> None:
    """Looked up by region, account and channel ID, as in a playback URL."""
    edge = EdgeReader(server.database)
    channel_id = channel_arn.rpartition("/")[2]
    location = ("us-west-2", "123456789012", channel_id)
    before = edge.channel(*location)
    assert (before.arn, before.authorized, before.live) == (channel_arn, False, False)
    ivs.update_channel(arn=channel_arn, authorized=True)
    server.go_live(channel_arn)
    after = edge.channel(*location)
    assert (after.authorized, after.live) == (True, True)
    with pytest.raises(ChannelUnknownError):
        edge.channel("eu-west-1", "123456789012", channel_id)


def test_state_survives_the_server(
    server: LocalIvsServer, ivs: IVSClient, channel_arn: str, clock: ManualClock
) -> None:
    """Another server on the same folder has the same channel, still live."""
    before = ivs.get_channel(arn=channel_arn)["channel"]
    server.go_live(channel_arn)
    folder = server.database.path.parent
    with LocalIvsServer(folder, clock) as restarted:
        channel = restarted.client().get_channel(arn=channel_arn)["channel"]
        moved = {"playbackUrl": before["playbackUrl"].replace(server.url, restarted.url)}
        assert channel == {**before, **moved}
        with pytest.raises(ivs.exceptions.ConflictException):
            restarted.client().delete_channel(arn=channel_arn)
