"""Tags over boto3: AWS's rules, for every type of resource in Local IVS."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from botocore.exceptions import ClientError

from example_key import PUBLIC_KEY

if TYPE_CHECKING:
    from collections.abc import Callable

    from mypy_boto3_ivs import IVSClient

    from local_ivs.testing import LocalIvsServer


@pytest.fixture(params=["channel", "stream-key", "playback-key"])
def resource_arn(request: pytest.FixtureRequest, ivs: IVSClient) -> str:
    """A resource of each type, created with one tag."""
    tags = {"owner": "first"}
    match request.param:
        case "channel":
            return ivs.create_channel(tags=tags)["channel"]["arn"]
        case "playback-key":
            pair = ivs.import_playback_key_pair(publicKeyMaterial=PUBLIC_KEY, tags=tags)
            return pair["keyPair"]["arn"]
        case _:
            created = ivs.create_channel()
            ivs.delete_stream_key(arn=created["streamKey"]["arn"])
            key = ivs.create_stream_key(channelArn=created["channel"]["arn"], tags=tags)
            return key["streamKey"]["arn"]


def test_tags_are_added_changed_and_removed(ivs: IVSClient, resource_arn: str) -> None:
    """Keys are case-sensitive; removing a key that doesn't exist is not an error."""
    ivs.tag_resource(resourceArn=resource_arn, tags={"Owner": "other", "owner": "new", "ü/1 +": ""})
    assert ivs.list_tags_for_resource(resourceArn=resource_arn)["tags"] == {
        "Owner": "other",
        "owner": "new",
        "ü/1 +": "",
    }
    ivs.untag_resource(resourceArn=resource_arn, tagKeys=["owner", "ü/1 +", "missing"])
    assert ivs.list_tags_for_resource(resourceArn=resource_arn)["tags"] == {"Owner": "other"}


def test_a_resource_includes_its_tags(ivs: IVSClient, channel_arn: str) -> None:
    """In GetChannel and in listings."""
    ivs.tag_resource(resourceArn=channel_arn, tags={"a": "1"})
    assert ivs.get_channel(arn=channel_arn)["channel"]["tags"] == {"a": "1"}
    assert ivs.list_channels()["channels"][0]["tags"] == {"a": "1"}


def test_a_resource_has_at_most_fifty_tags(ivs: IVSClient, resource_arn: str) -> None:
    """A request above the limit changes nothing; replacing a value adds no tag."""
    ivs.tag_resource(resourceArn=resource_arn, tags={f"k{n}": "" for n in range(49)})
    with pytest.raises(ivs.exceptions.ValidationException):
        ivs.tag_resource(resourceArn=resource_arn, tags={"k0": "changed", "one more": ""})
    tags = ivs.list_tags_for_resource(resourceArn=resource_arn)["tags"]
    assert (len(tags), tags["k0"]) == (50, "")
    ivs.tag_resource(resourceArn=resource_arn, tags={"k0": "changed"})
    tags = ivs.list_tags_for_resource(resourceArn=resource_arn)["tags"]
    assert (len(tags), tags["k0"]) == (50, "changed")


@pytest.mark.parametrize("key", ["aws:x", "AWS:x", "Aws:", "a*b", "k" * 129])
def test_keys_that_aws_refuses_are_refused(ivs: IVSClient, channel_arn: str, key: str) -> None:
    """The reserved prefix in any case, other characters, and more than 128 characters."""
    with pytest.raises(ivs.exceptions.ValidationException):
        ivs.tag_resource(resourceArn=channel_arn, tags={"good": "", key: "v"})
    assert ivs.list_tags_for_resource(resourceArn=channel_arn)["tags"] == {}


def test_tags_are_deleted_with_their_resource(ivs: IVSClient, channel_arn: str) -> None:
    """A deleted channel has no tags to list."""
    ivs.tag_resource(resourceArn=channel_arn, tags={"a": "1"})
    ivs.delete_channel(arn=channel_arn)
    with pytest.raises(ivs.exceptions.ResourceNotFoundException):
        ivs.list_tags_for_resource(resourceArn=channel_arn)


@pytest.mark.parametrize(
    ("arn", "error"),
    [
        ("arn:aws:ivs:us-west-2:123456789012:channel/missing", "ResourceNotFoundException"),
        ("arn:aws:ivs:us-west-2:123456789012:stream-key/missing", "ResourceNotFoundException"),
        ("arn:aws:ivs:eu-west-1:123456789012:channel/missing", "ResourceNotFoundException"),
        ("arn:aws:ivs:us-west-2:123456789012:stage/abc", "ValidationException"),
        ("arn:aws:s3:::bucket/key", "ValidationException"),
        ("nonsense", "ValidationException"),
    ],
)
def test_tags_of_missing_or_unsupported_resources_are_refused(
    ivs: IVSClient, arn: str, error: str
) -> None:
    """For all three operations: not found, or not the ARN of a type that Local IVS has."""
    attempts: list[Callable[[], object]] = [
        lambda: ivs.list_tags_for_resource(resourceArn=arn),
        lambda: ivs.tag_resource(resourceArn=arn, tags={"a": "1"}),
        lambda: ivs.untag_resource(resourceArn=arn, tagKeys=["a"]),
    ]
    for attempt in attempts:
        with pytest.raises(ClientError, match=error):
            attempt()


def test_another_account_does_not_see_the_tags(server: LocalIvsServer, channel_arn: str) -> None:
    """Tags belong to the account and region of their resource."""
    other = server.client(account="210987654321")
    with pytest.raises(other.exceptions.ResourceNotFoundException):
        other.list_tags_for_resource(resourceArn=channel_arn)
