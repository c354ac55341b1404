"""`tokensvc tags`, on a real Local IVS over HTTP."""

from __future__ import annotations

import click
import pytest

from tests.cli.conftest import Desk
from tests.cli.ivs.ivs_story import called_operations, new_channel, stream_key_of


@pytest.fixture
def channel(desk: Desk) -> str:
    """The ARN of a channel called `show`."""
    return new_channel(desk, "show")


def tags_in_ivs(desk: Desk, arn: str) -> dict[str, str]:
    """The resource's tags in IVS."""
    return desk.ivs.client().list_tags_for_resource(resourceArn=arn)["tags"]


def test_tags_are_added_and_removed_on_every_kind_of_resource(desk: Desk, channel: str) -> None:
    """A channel by its name, a stream key and a key pair by their ARNs."""
    desk.done("keys", "reconcile")
    (pair,) = desk.ivs.client().list_playback_key_pairs()["keyPairs"]
    arns = {"show": channel, **{arn: arn for arn in (stream_key_of(desk, channel), pair["arn"])}}
    for resource, arn in arns.items():
        before = tags_in_ivs(desk, arn)
        desk.done("tags", "add", resource, "team=live", "note=a=b")
        assert tags_in_ivs(desk, arn) == {**before, "team": "live", "note": "a=b"}
        desk.done("tags", "remove", resource, "team", "note", "--yes")
        assert tags_in_ivs(desk, arn) == before


def test_list_shows_a_table(desk: Desk, channel: str) -> None:
    """Sorted by key."""
    desk.done("tags", "add", channel, "b=2", "a=1")
    lines = [line.split() for line in desk.done("tags", "list", "show").splitlines()]
    assert lines == [["KEY", "VALUE"], ["a", "1"], ["b", "2"]]


def test_add_replaces_the_value_of_an_existing_key(desk: Desk, channel: str) -> None:
    """As IVS does; the output has the new tag."""
    desk.done("tags", "add", channel, "team=live")
    text = desk.done("tags", "add", channel, "team=")
    assert channel in text
    assert "team=" in text
    assert "team=live" not in text
    assert desk.json("tags", "list", channel) == {"team": ""}


def test_remove_shows_the_tags_and_needs_confirmation(desk: Desk, channel: str) -> None:
    """With their values, so that the tags can be added again."""
    desk.done("tags", "add", channel, "team=live")
    question = desk.refused("tags", "remove", channel, "team", "unknown", status=2)
    assert f"{channel}: team=live" in question
    assert "unknown" not in question
    assert desk.json("tags", "list", channel) == {"team": "live"}


def test_removing_a_tag_that_does_not_exist_changes_nothing(desk: Desk, channel: str) -> None:
    """The output lists the existing tags; no confirmation is needed."""
    desk.done("tags", "add", channel, "team=live")
    output = desk.done("tags", "remove", channel, "Team")
    assert channel in output
    assert "team=live" in output
    assert desk.json("tags", "list", channel) == {"team": "live"}


@pytest.mark.parametrize(
    ("tag", "expected"),
    [
        ("team", "KEY=VALUE"),
        ("=live", "KEY=VALUE"),
        ("k" * 129 + "=live", "KEY=VALUE"),
        ("team=" + "v" * 257, "KEY=VALUE"),
        ("aws:team=live", "'aws:'"),
        ("AWS:team=live", "'aws:'"),
    ],
)
def test_an_invalid_tag_is_wrong_use(desk: Desk, tag: str, expected: str) -> None:
    """IVS is not called."""
    arn = "arn:aws:ivs:us-west-2:123456789012:channel/abcdEFGHijkl"
    error = desk.usage_error("tags", "add", arn, tag)
    assert isinstance(error, click.BadParameter)
    assert error.param is not None
    assert error.param.name == "tags"
    assert expected in error.message
    assert called_operations(desk) == []


def test_a_repeated_key_is_wrong_use(desk: Desk, channel: str) -> None:
    """One of the values would be lost."""
    error = desk.usage_error("tags", "add", channel, "team=a", "team=b")
    assert isinstance(error, click.BadParameter)
    assert error.param is not None
    assert error.param.name == "tags"
    assert "'team'" in error.message
    assert desk.json("tags", "list", channel) == {}


def test_the_arn_of_another_service_is_wrong_use(desk: Desk) -> None:
    """The error has the ARN and the form of an IVS ARN."""
    error = desk.usage_error("tags", "list", "arn:aws:s3:::bucket")
    assert isinstance(error, click.BadParameter)
    assert "'arn:aws:s3:::bucket'" in error.message
    assert "arn:aws:ivs:REGION:ACCOUNT:KIND/ID" in error.message
