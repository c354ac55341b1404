from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokensvc.arns import ChannelArn, PlaybackKeyArn, parse_region
from tokensvc.errors import InvalidArn

CHANNEL = "arn:aws:ivs:us-west-2:123456789012:channel/abcdEFGHijkl"
KEY = "arn:aws:ivs:eu-central-1:123456789012:playback-key/f99cde61-c2b0-4df3-8941-ca7d38acca1a"


def test_a_channel_arn_is_taken_apart_and_put_together_again() -> None:
    """Region, account and ID are typed parts; the text comes back as it was."""
    arn = ChannelArn.parse(CHANNEL)
    assert (arn.region, arn.account_id, arn.resource_id) == (
        "us-west-2",
        "123456789012",
        "abcdEFGHijkl",
    )
    assert str(arn) == CHANNEL


def test_a_key_arn_may_have_a_uuid_as_its_id() -> None:
    """IVS gives UUIDs and IDs of 12 characters."""
    assert str(PlaybackKeyArn.parse(KEY)) == KEY


def test_equal_texts_give_equal_arns_and_kinds_are_never_equal() -> None:
    """An ARN is a value: it can be compared, sorted and a dictionary's key."""
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
def test_what_is_no_channel_arn_is_refused_with_the_way_out(text: str) -> None:
    """The refusal shows the form or, for a region alone, an example, and a short text."""
    with pytest.raises(InvalidArn) as refusal:
        ChannelArn.parse(text)
    assert refusal.value.hint
    assert len(str(refusal.value)) < 300


def test_an_arn_of_128_characters_is_the_longest() -> None:
    """IVS's model says 128."""
    text = CHANNEL + "x" * (128 - len(CHANNEL))
    assert str(ChannelArn.parse(text)) == text


@pytest.mark.parametrize("text", ["us-west-2", "ap-northeast-1", "us-gov-west-1"])
def test_a_regions_name_is_taken(text: str) -> None:
    """Whatever AWS calls its regions."""
    assert parse_region(text) == text


@pytest.mark.parametrize("text", ["", "us", "us-west", "us-west-", "us west-2", "us-west-2\n"])
def test_what_is_no_regions_name_is_refused(text: str) -> None:
    """With an example of one."""
    with pytest.raises(InvalidArn, match="us-west-2"):
        parse_region(text)


@given(st.text() | st.from_regex(r"arn:aws:ivs:[a-z0-9-]+:[0-9]+:channel/[a-zA-Z0-9-]+"))
def test_any_text_is_an_arn_that_reads_back_or_is_refused(text: str) -> None:
    """Parsing loses nothing, and nothing else than InvalidArn comes out."""
    try:
        arn = ChannelArn.parse(text)
    except InvalidArn:
        return
    assert str(arn) == text
