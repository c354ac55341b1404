"""How commands find channels and resources: ARNs, names in the settings, names in IVS."""

from __future__ import annotations

import click
import pytest

from tests.cli.conftest import Desk
from tests.cli.ivs.ivs_story import called_operations, new_channel

TWO_REGIONS = 'regions = ["us-west-2", "eu-west-1"]'


def configure(desk: Desk, name: str, arn: str) -> None:
    """Add the channel's name to the settings."""
    desk.settings.write_text(f'{desk.settings.read_text()}[channels]\n{name} = "{arn}"\n')


def with_two_regions(desk: Desk) -> None:
    """Add a second region to the settings."""
    text = desk.settings.read_text().replace('regions = ["us-west-2"]', TWO_REGIONS)
    desk.settings.write_text(text)


def shown(desk: Desk, *arguments: str) -> list[str]:
    """The ARNs of the channels that `channels show` prints."""
    return [channel["arn"] for channel in desk.json("channels", "show", *arguments)]


def test_a_name_in_the_settings_comes_before_a_name_in_ivs(desk: Desk) -> None:
    """And is found without a call to IVS."""
    configured, _other = new_channel(desk, "first"), new_channel(desk, "main")
    configure(desk, "main", configured)
    before = len(called_operations(desk))
    assert shown(desk, "main") == [configured]
    assert called_operations(desk)[before:] == ["GetChannel"]


def test_a_name_in_ivs_is_found_in_every_region_of_the_settings(desk: Desk) -> None:
    """Without --region."""
    with_two_regions(desk)
    client = desk.ivs.client("eu-west-1")
    arn = client.create_channel(name="dublin")["channel"]["arn"]
    assert shown(desk, "dublin") == [arn]


def test_a_name_of_several_channels_is_refused_with_their_arns(desk: Desk) -> None:
    """Names are not unique in IVS; the command never guesses, least of all a delete."""
    arns = [new_channel(desk, "show"), new_channel(desk, "show")]
    error = desk.usage_error("channels", "delete", "show", "--yes")
    assert isinstance(error, click.BadParameter)
    assert "'show'" in error.message
    assert all(f"\n  {arn}" in error.message for arn in arns)
    assert len(desk.json("channels", "list")) == 2


def test_region_selects_between_channels_with_the_same_name(desk: Desk) -> None:
    """The same name in two regions belongs to two channels."""
    with_two_regions(desk)
    oregon = new_channel(desk, "show")
    dublin = desk.ivs.client("eu-west-1").create_channel(name="show")["channel"]["arn"]
    desk.refused("channels", "show", "show", status=2)
    assert shown(desk, "show", "--region", "eu-west-1") == [dublin]
    configure(desk, "show", oregon)
    assert shown(desk, "show") == [oregon]
    assert shown(desk, "show", "--region", "eu-west-1") == [dublin]


def test_an_unknown_name_fails_with_a_hint(desk: Desk) -> None:
    """The error has the name and the region; the hint is the command that lists the channels."""
    error = desk.error("channels", "show", "nope")
    assert error.code == "channel_not_found"
    assert "us-west-2" in error.detail
    assert "'nope'" in error.detail
    assert "`tokensvc channels list`" in error.hint


@pytest.mark.parametrize("text", ["", "two words", "a/b", "arn:aws:ivs:us-west-2:1:stream-key/a"])
def test_a_text_that_is_neither_an_arn_nor_a_name_is_wrong_use(desk: Desk, text: str) -> None:
    """IVS is not called."""
    desk.refused("channels", "show", text, status=2)
    assert called_operations(desk) == []


def test_an_arn_of_another_region_than_region_is_wrong_use(desk: Desk) -> None:
    """One of the two regions is a mistake."""
    arn = new_channel(desk, "show")
    error = desk.usage_error("channels", "show", arn, "--region", "eu-west-1")
    assert isinstance(error, click.BadParameter)
    assert error.param_hint == "--region"
    assert "us-west-2" in error.message
