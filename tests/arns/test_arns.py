from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokensvc.arns import ChannelArn, PlaybackKeyArn, ResourceArn, parse_region
from tokensvc.errors import InvalidArn

CHANNEL = "arn:aws:ivs:us-west-2:123456789012:channel/abcdEFGHijkl"
KEY = "arn:aws:ivs:eu-central-1:123456789012:playback-key/f99cde61-c2b0-4df3-8941-ca7d38acca1a"


def test_a_channel_arn_is_parsed_into_its_parts() -> None:
    """Region, account and ID are typed parts, and `str` returns the same text."""
    arn = ChannelArn.parse(CHANNEL)
    assert (arn.region, arn.account_id, arn.resource_id) == (
        "us-west-2",
        "123456789012",
        "abcdEFGHijkl",
    )
    assert str(arn) == CHANNEL


def test_a_key_arn_may_have_a_uuid_as_its_id() -> None:
    """IVS uses UUIDs and IDs of 12 characters."""
    assert str(PlaybackKeyArn.parse(KEY)) == KEY


def test_equal_texts_give_equal_arns_and_two_kinds_are_never_equal() -> None:
    """An ARN is a value that can be compared, sorted and used as a dictionary key."""
    assert ChannelArn.parse(CHANNEL) == ChannelArn.parse(CHANNEL)
    assert {ChannelArn.parse(CHANNEL): 1}[ChannelArn.parse(CHANNEL)] == 1
    channel = ChannelArn.parse(CHANNEL)
    same_parts = PlaybackKeyArn(channel.region, channel.account_id, channel.resource_id)
    assert channel != same_parts  # type: ignore[comparison-overlap] # That they differ is the test.


@pytest.mark.parametrize(
    "text",
    [
        "",
        "demo",
        KEY,
        CHANNEL.upper(),
        f" {CHANNEL}",
        f"{CHANNEL}\n",
        f"{CHANNEL}/x",
        CHANNEL.replace("channel/", "channel:"),
        CHANNEL.replace("us-west-2", ""),
        CHANNEL.replace("us-west-2", "US-WEST-2"),
        CHANNEL.replace("us-west-2", "uswest2"),
        CHANNEL.replace("us-west-2", "us-west-2-"),
        CHANNEL.replace("123456789012", ""),
        CHANNEL.replace("123456789012", "12345678901x"),
        CHANNEL.replace("123456789012", "١٢٣٤٥٦٧٨٩٠١٢"),
        CHANNEL.replace(":ivs:", ":ivschat:"),
        CHANNEL.replace("abcdEFGHijkl", ""),
        CHANNEL.replace("abcdEFGHijkl", "abc_def"),
        CHANNEL.replace("abcdEFGHijkl", "é"),
        CHANNEL + "x" * (129 - len(CHANNEL)),
    ],
)
def test_a_text_that_is_not_a_channel_arn_is_refused_with_a_hint(text: str) -> None:
    """The hint shows the form of an ARN, or an example of a region; the error is short."""
    with pytest.raises(InvalidArn) as refusal:
        ChannelArn.parse(text)
    assert refusal.value.hint
    assert len(str(refusal.value)) < 300


def test_an_arn_of_128_characters_is_the_longest() -> None:
    """The limit of 128 is from IVS's model."""
    text = CHANNEL + "x" * (128 - len(CHANNEL))
    assert str(ChannelArn.parse(text)) == text


@pytest.mark.parametrize("text", ["us-west-2", "ap-northeast-1", "us-gov-west-1"])
def test_a_region_name_is_accepted(text: str) -> None:
    """All forms of AWS region names are valid."""
    assert parse_region(text) == text


@pytest.mark.parametrize("text", ["", "us", "us-west", "us-west-", "us west-2", "us-west-2\n"])
def test_a_text_that_is_not_a_region_name_is_refused(text: str) -> None:
    """The hint has an example."""
    with pytest.raises(InvalidArn, match="us-west-2"):
        parse_region(text)


@given(st.text() | st.from_regex(r"arn:aws:ivs:[a-z0-9-]+:[0-9]+:channel/[a-zA-Z0-9-]+"))
def test_any_text_is_parsed_without_loss_or_refused(text: str) -> None:
    """No other exception than InvalidArn is raised."""
    try:
        arn = ChannelArn.parse(text)
    except InvalidArn:
        return
    assert str(arn) == text


@given(
    region=st.sampled_from(["us-west-2", "eu-central-1", "ap-northeast-2"]),
    account_id=st.from_regex(r"[0-9]{12}", fullmatch=True),
    resource_id=st.from_regex(r"[a-zA-Z0-9-]{1,36}", fullmatch=True),
)
def test_every_channel_arn_is_a_resource_arn(
    region: str, account_id: str, resource_id: str
) -> None:
    """Every ARN that the service accepts as a channel, `tags` accepts too, in the same region."""
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
def test_a_text_that_is_not_the_arn_of_an_ivs_resource_is_refused(text: str) -> None:
    """The hint shows the form of an ARN."""
    with pytest.raises(InvalidArn, match="REGION:ACCOUNT:KIND/ID"):
        ResourceArn.parse(text)
