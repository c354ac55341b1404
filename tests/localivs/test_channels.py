"""Channels over boto3."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from tests.support.local_ivs import LocalIvsServer
from tokensvc.localivs.edge_reader import EdgeReader
from tokensvc.localivs.errors import ChannelUnknownError

if TYPE_CHECKING:
    from collections.abc import Callable

    from mypy_boto3_ivs import IVSClient

    from tests.support.clock import ManualClock

MISSING_ARN = "arn:aws:ivs:us-west-2:123456789012:channel/doesNotExist"


def code_of(error: pytest.ExceptionInfo[ClientError]) -> tuple[int, str]:
    """The HTTP status and the AWS error name."""
    response = error.value.response
    return response["ResponseMetadata"]["HTTPStatusCode"], response["Error"]["Code"]


def test_a_new_channel_has_the_documented_defaults(server: LocalIvsServer, ivs: IVSClient) -> None:
    """LOW, STANDARD, public, TS; the answer holds its one stream key."""
    answer = ivs.create_channel()
    channel, stream_key = answer["channel"], answer["streamKey"]
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


def test_what_create_is_given_is_what_get_tells(ivs: IVSClient) -> None:
    """Every member that a caller may set, and tags with other than ASCII letters."""
    wanted: dict[str, Any] = {
        "name": "news_1",
        "latencyMode": "NORMAL",
        "type": "ADVANCED_HD",
        "authorized": True,
        "insecureIngest": True,
        "preset": "CONSTRAINED_BANDWIDTH_DELIVERY",
        "containerFormat": "FRAGMENTED_MP4",
        "tags": {"Abteilung": "Übertragung 1", "k:1/+@=": ""},
    }
    arn = ivs.create_channel(**wanted)["channel"]["arn"]
    channel = dict(ivs.get_channel(arn=arn)["channel"])
    assert {name: channel[name] for name in wanted} == wanted


def test_advanced_types_have_a_preset_and_others_have_none(ivs: IVSClient) -> None:
    """The preset comes and goes with the type (botocore model: Channel$preset)."""
    arn = ivs.create_channel(type="ADVANCED_SD")["channel"]["arn"]
    assert ivs.get_channel(arn=arn)["channel"]["preset"] == "HIGHER_BANDWIDTH_DELIVERY"
    without: str = ivs.update_channel(arn=arn, type="BASIC")["channel"]["preset"]
    assert without == ""
    with pytest.raises(ivs.exceptions.ValidationException):
        ivs.update_channel(arn=arn, preset="HIGHER_BANDWIDTH_DELIVERY")


def test_multitrack_input_needs_all_its_terms(ivs: IVSClient) -> None:
    """Enabled: type STANDARD, fMP4, a policy and a maximum resolution."""
    with pytest.raises(ivs.exceptions.ValidationException):
        ivs.create_channel(multitrackInputConfiguration={"enabled": True})
    multitrack: Any = {"enabled": True, "policy": "ALLOW", "maximumResolution": "HD"}
    channel = ivs.create_channel(
        multitrackInputConfiguration=multitrack, containerFormat="FRAGMENTED_MP4"
    )["channel"]
    assert channel["multitrackInputConfiguration"] == multitrack


def test_a_reference_to_what_local_ivs_does_not_have_is_not_found(ivs: IVSClient) -> None:
    """No recording configuration or policy is ever silently accepted."""
    policy = "arn:aws:ivs:us-west-2:123456789012:playback-restriction-policy/abc"
    with pytest.raises(ivs.exceptions.ResourceNotFoundException):
        ivs.create_channel(playbackRestrictionPolicyArn=policy)
    assert ivs.list_channels()["channels"] == []


def test_update_changes_what_it_names_and_nothing_else(ivs: IVSClient) -> None:
    """Absent members stay as they were."""
    before = ivs.create_channel(name="a", latencyMode="NORMAL", tags={"k": "v"})["channel"]
    after = ivs.update_channel(arn=before["arn"], authorized=True)["channel"]
    assert after == {**before, "authorized": True}
    assert ivs.get_channel(arn=before["arn"])["channel"] == after


def test_a_live_channel_can_be_neither_updated_nor_deleted(
    server: LocalIvsServer, ivs: IVSClient, channel_arn: str
) -> None:
    """409 while live; both work once it is offline."""
    server.go_live(channel_arn)
    with pytest.raises(ivs.exceptions.ConflictException):
        ivs.update_channel(arn=channel_arn, name="other")
    with pytest.raises(ivs.exceptions.ConflictException):
        ivs.delete_channel(arn=channel_arn)
    assert ivs.get_channel(arn=channel_arn)["channel"]["name"] == "example"
    server.go_offline(channel_arn)
    assert ivs.update_channel(arn=channel_arn, name="other")["channel"]["name"] == "other"
    ivs.delete_channel(arn=channel_arn)


def test_a_deleted_channel_is_gone_with_its_stream_key(ivs: IVSClient) -> None:
    """204; then 404 for both."""
    answer = ivs.create_channel()
    arn = answer["channel"]["arn"]
    deleted = ivs.delete_channel(arn=arn)
    assert deleted["ResponseMetadata"]["HTTPStatusCode"] == 204
    attempts: list[Callable[[], object]] = [
        lambda: ivs.get_channel(arn=arn),
        lambda: ivs.update_channel(arn=arn, name="x"),
        lambda: ivs.delete_channel(arn=arn),
        lambda: ivs.get_stream_key(arn=answer["streamKey"]["arn"]),
    ]
    for attempt in attempts:
        with pytest.raises(ClientError) as caught:
            attempt()
        assert code_of(caught) == (404, "ResourceNotFoundException")


def test_a_batch_tells_what_it_did_not_find_on_a_200(ivs: IVSClient, channel_arn: str) -> None:
    """Found channels as GetChannel tells them; the others in errors."""
    answer = ivs.batch_get_channel(arns=[MISSING_ARN, channel_arn])
    assert answer["channels"] == [ivs.get_channel(arn=channel_arn)["channel"]]
    (error,) = answer["errors"]
    assert (error["arn"], error["code"]) == (MISSING_ARN, "ResourceNotFoundException")
    assert ivs.batch_get_channel(arns=[channel_arn])["errors"] == []


def test_a_batch_has_at_most_fifty_arns(ivs: IVSClient) -> None:
    """50 are answered, 51 refused."""
    assert len(ivs.batch_get_channel(arns=[MISSING_ARN] * 50)["errors"]) == 50
    with pytest.raises(ivs.exceptions.ValidationException):
        ivs.batch_get_channel(arns=[MISSING_ARN] * 51)


def test_listings_are_summaries_without_playback_url(ivs: IVSClient, channel_arn: str) -> None:
    """No playback URL, ingest endpoint or secret in a listing."""
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


def test_a_listing_filters_by_one_thing_at_a_time(ivs: IVSClient, channel_arn: str) -> None:
    """By name exactly; two filters are a conflict."""
    ivs.create_channel(name="example2")
    found = ivs.list_channels(filterByName="example")["channels"]
    assert [channel["arn"] for channel in found] == [channel_arn]
    assert ivs.list_channels(filterByName="exampl")["channels"] == []
    assert len(ivs.list_channels(filterByRecordingConfigurationArn="")["channels"]) == 2
    with pytest.raises(ivs.exceptions.ConflictException):
        ivs.list_channels(filterByName="example", filterByRecordingConfigurationArn="")


def test_pages_give_every_channel_once(ivs: IVSClient) -> None:
    """Seven channels in pages of three, by boto3's own paginator."""
    arns = [ivs.create_channel()["channel"]["arn"] for _ in range(7)]
    pages = list(ivs.get_paginator("list_channels").paginate(PaginationConfig={"PageSize": 3}))
    assert [len(page["channels"]) for page in pages] == [3, 3, 1]
    assert [channel["arn"] for page in pages for channel in page["channels"]] == arns


def test_a_page_token_is_good_for_its_own_query_only(server: LocalIvsServer) -> None:
    """With another filter, operation or region, damaged or made up, it is refused."""
    ivs, elsewhere = server.client(), server.client("eu-west-1")
    for _ in range(2):
        ivs.create_channel(name="a")
    token = ivs.list_channels(maxResults=1, filterByName="a")["nextToken"]
    attempts: list[Callable[[], object]] = [
        lambda: ivs.list_channels(nextToken=token),
        lambda: ivs.list_channels(nextToken=token, filterByName="b"),
        lambda: elsewhere.list_channels(nextToken=token, filterByName="a"),
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
    """A channel is found only in the region and account that its ARN names."""
    for client in (server.client("eu-west-1"), server.client(account="210987654321")):
        assert client.list_channels()["channels"] == []
        assert client.batch_get_channel(arns=[channel_arn])["channels"] == []
        with pytest.raises(client.exceptions.ResourceNotFoundException):
            client.update_channel(arn=channel_arn, authorized=True)
    assert ivs.get_channel(arn=channel_arn)["channel"]["authorized"] is False


def test_an_access_key_id_that_is_no_account_means_the_example_account(
    server: LocalIvsServer,
) -> None:
    """Any credentials work; twelve digits choose the account."""
    arn = server.client(account="AKIDEXAMPLE").create_channel()["channel"]["arn"]
    assert arn.startswith("arn:aws:ivs:us-west-2:123456789012:channel/")
    arn = server.client(account="000000000007").create_channel()["channel"]["arn"]
    assert arn.startswith("arn:aws:ivs:us-west-2:000000000007:channel/")


def test_the_edge_sees_whether_a_channel_is_private_and_live(
    server: LocalIvsServer, ivs: IVSClient, channel_arn: str
) -> None:
    """By region, account and channel ID, as a playback URL names it."""
    edge = EdgeReader(server.app.extensions["local_ivs_database"])
    channel_id = channel_arn.rpartition("/")[2]
    where = ("us-west-2", "123456789012", channel_id)
    before = edge.channel(*where)
    assert (before.arn, before.authorized, before.live) == (channel_arn, False, False)
    ivs.update_channel(arn=channel_arn, authorized=True)
    server.go_live(channel_arn)
    after = edge.channel(*where)
    assert (after.authorized, after.live) == (True, True)
    with pytest.raises(ChannelUnknownError):
        edge.channel("eu-west-1", "123456789012", channel_id)


def test_state_outlives_the_server(
    server: LocalIvsServer, ivs: IVSClient, channel_arn: str, clock: ManualClock
) -> None:
    """Another server on the same folder tells the same channel, live as it was."""
    before = ivs.get_channel(arn=channel_arn)["channel"]
    server.go_live(channel_arn)
    folder = server.app.extensions["local_ivs_database"].path.parent
    with LocalIvsServer(folder, clock) as again:
        channel = again.client().get_channel(arn=channel_arn)["channel"]
        moved = {"playbackUrl": before["playbackUrl"].replace(server.url, again.url)}
        assert channel == {**before, **moved}
        with pytest.raises(ivs.exceptions.ConflictException):
            again.client().delete_channel(arn=channel_arn)
