"""What a person calls a channel or resource: ARNs, configured names, the channels' own names."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.cli.conftest import Desk
from tests.cli.ivs_story import new_channel, operations_asked
from tokensvc.arns import ChannelArn
from tokensvc.cli.naming import ResourceArn
from tokensvc.errors import InvalidArn

TWO_REGIONS = 'regions = ["us-west-2", "eu-west-1"]'


def configure(desk: Desk, name: str, arn: str) -> None:
    """Give the channel that name in the settings."""
    desk.settings.write_text(f'{desk.settings.read_text()}[channels]\n{name} = "{arn}"\n')


def with_two_regions(desk: Desk) -> None:
    """Let the settings name two regions."""
    text = desk.settings.read_text().replace('regions = ["us-west-2"]', TWO_REGIONS)
    desk.settings.write_text(text)


def shown(desk: Desk, *arguments: str) -> list[str]:
    """The ARNs of the channels that `channels show` shows."""
    return [channel["arn"] for channel in desk.json("channels", "show", *arguments)]


def test_a_configured_name_goes_before_a_channels_own(desk: Desk) -> None:
    """And asks nothing of IVS to be found."""
    configured, _other = new_channel(desk, "first"), new_channel(desk, "main")
    configure(desk, "main", configured)
    before = len(operations_asked(desk))
    assert shown(desk, "main") == [configured]
    assert operations_asked(desk)[before:] == ["GetChannel"]


def test_a_channels_own_name_finds_it_in_every_configured_region(desk: Desk) -> None:
    """Without a region being named."""
    with_two_regions(desk)
    client = desk.ivs.client("eu-west-1")
    arn = client.create_channel(name="dublin")["channel"]["arn"]
    assert shown(desk, "dublin") == [arn]


def test_a_name_that_several_have_is_refused_with_their_arns(desk: Desk) -> None:
    """Names are not unique in IVS; nothing is guessed, least of all by a delete."""
    arns = [new_channel(desk, "show"), new_channel(desk, "show")]
    said = desk.refused("channels", "delete", "show", "--yes", status=2)
    assert "2 channels have the name 'show'" in said
    assert all(f"\n  {arn}" in said for arn in arns)
    assert len(desk.json("channels", "list")) == 2


def test_a_name_of_another_region_is_told_apart_by_the_region(desk: Desk) -> None:
    """The same name in two regions is two channels; --region chooses."""
    with_two_regions(desk)
    oregon = new_channel(desk, "show")
    dublin = desk.ivs.client("eu-west-1").create_channel(name="show")["channel"]["arn"]
    desk.refused("channels", "show", "show", status=2)
    assert shown(desk, "show", "--region", "eu-west-1") == [dublin]
    configure(desk, "show", oregon)
    assert shown(desk, "show") == [oregon]
    assert shown(desk, "show", "--region", "eu-west-1") == [dublin]


def test_a_name_that_nobody_has_names_the_way_out(desk: Desk) -> None:
    """And where it was looked for."""
    said = desk.refused("channels", "show", "nope")
    assert "No channel in us-west-2 has the name 'nope'." in said
    assert "`tokensvc channels list`" in said


@pytest.mark.parametrize("text", ["", "two words", "a/b", "arn:aws:ivs:us-west-2:1:stream-key/a"])
def test_what_can_be_no_channel_is_wrong_use(desk: Desk, text: str) -> None:
    """IVS is not asked."""
    desk.refused("channels", "show", text, status=2)
    assert operations_asked(desk) == []


def test_an_arn_of_another_region_than_the_asked_one_is_wrong_use(desk: Desk) -> None:
    """One of the two is a mistake."""
    arn = new_channel(desk, "show")
    said = desk.refused("channels", "show", arn, "--region", "eu-west-1", status=2)
    assert "The ARN is of us-west-2." in said


@given(
    region=st.sampled_from(["us-west-2", "eu-central-1", "ap-northeast-2"]),
    account_id=st.from_regex(r"[0-9]{12}", fullmatch=True),
    resource_id=st.from_regex(r"[a-zA-Z0-9-]{1,36}", fullmatch=True),
)
def test_every_arn_of_a_channel_is_one_of_a_resource(
    region: str, account_id: str, resource_id: str
) -> None:
    """What the service takes as a channel, `tags` takes too, in the same region."""
    text = f"arn:aws:ivs:{region}:{account_id}:channel/{resource_id}"
    resource = ResourceArn.parse(text)
    assert (str(resource), resource.region, resource.kind) == (text, region, "channel")
    assert ChannelArn.parse(text).region == resource.region


@pytest.mark.parametrize(
    "text",
    [
        "arn:aws:ivs:us-west-2:123456789012:channel",
        "arn:aws:ivs:us-west-2:123456789012:channel/a b",
        "arn:aws:ivs:us-west-2::channel/abc",
        "arn:aws:ivschat:us-west-2:123456789012:room/abc",
        "arn:aws:ivs:us-west-2:123456789012:channel/" + "a" * 100,
        "arn:aws:ivs:us-west-2:123456789012:channel/abc\n",
    ],
)
def test_what_is_no_arn_of_ivs_is_refused(text: str) -> None:
    """The form is told."""
    with pytest.raises(InvalidArn, match="REGION:ACCOUNT:KIND/ID"):
        ResourceArn.parse(text)
