"""`tokensvc tags`, on a real Local IVS over HTTP."""

from __future__ import annotations

import pytest

from tests.cli.conftest import Desk
from tests.cli.ivs_story import new_channel, operations_asked, stream_key_of


@pytest.fixture
def channel(desk: Desk) -> str:
    """The ARN of a channel called `show`."""
    return new_channel(desk, "show")


def tags_in_ivs(desk: Desk, arn: str) -> dict[str, str]:
    """The resource's tags as IVS has them."""
    return desk.ivs.client().list_tags_for_resource(resourceArn=arn)["tags"]


def test_tags_come_and_go_on_every_kind_of_resource(desk: Desk, channel: str) -> None:
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


def test_a_key_that_is_there_gets_the_new_value(desk: Desk, channel: str) -> None:
    """As IVS does it; what is set is told."""
    desk.done("tags", "add", channel, "team=live")
    assert desk.done("tags", "add", channel, "team=") == f"{channel} is tagged: team=.\n"
    assert desk.json("tags", "list", channel) == {"team": ""}


def test_remove_shows_what_would_be_lost_and_removes_nothing_unasked(
    desk: Desk, channel: str
) -> None:
    """The value too, so that it can be given again."""
    desk.done("tags", "add", channel, "team=live")
    said = desk.refused("tags", "remove", channel, "team", "unknown", status=2)
    assert f"Remove from {channel}: team=live. Go on?" in said
    assert desk.json("tags", "list", channel) == {"team": "live"}


def test_removing_a_tag_that_is_not_there_changes_nothing(desk: Desk, channel: str) -> None:
    """It tells which tags there are, and asks nothing."""
    desk.done("tags", "add", channel, "team=live")
    said = desk.done("tags", "remove", channel, "Team")
    assert said == f"{channel} has no such tag; its tags: team=live.\n"


@pytest.mark.parametrize(
    ("tag", "said"),
    [
        ("team", "is not KEY=VALUE"),
        ("=live", "is not KEY=VALUE"),
        ("k" * 129 + "=live", "is not KEY=VALUE"),
        ("team=" + "v" * 257, "is not KEY=VALUE"),
        ("aws:team=live", "AWS keeps keys that begin with aws: to itself"),
        ("AWS:team=live", "AWS keeps keys that begin with aws: to itself"),
    ],
)
def test_what_aws_takes_as_no_tag_is_wrong_use(desk: Desk, tag: str, said: str) -> None:
    """IVS is not asked."""
    arn = "arn:aws:ivs:us-west-2:123456789012:channel/abcdEFGHijkl"
    assert said in " ".join(desk.refused("tags", "add", arn, tag, status=2).split())
    assert operations_asked(desk) == []


def test_a_key_given_twice_is_wrong_use(desk: Desk, channel: str) -> None:
    """One of the values would be lost."""
    said = desk.refused("tags", "add", channel, "team=a", "team=b", status=2)
    assert "'team' is given twice" in said
    assert desk.json("tags", "list", channel) == {}


def test_what_is_no_resource_of_ivs_is_wrong_use(desk: Desk) -> None:
    """An ARN of another service, for one."""
    said = desk.refused("tags", "list", "arn:aws:s3:::bucket", status=2)
    assert "is not the ARN of a resource of IVS" in said
