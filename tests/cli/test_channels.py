"""`tokensvc channels`, on a real Local IVS over HTTP."""

from __future__ import annotations

import pytest

from tests.cli.conftest import Desk
from tests.cli.ivs_story import deny, new_channel, operations_asked, plan_fault, stream_key_of


def is_private(desk: Desk, arn: str) -> bool:
    """Whether IVS has the channel as private."""
    return desk.ivs.client().get_channel(arn=arn)["channel"]["authorized"]


def channel_arns(desk: Desk) -> list[str]:
    """Every channel of the region."""
    return [channel["arn"] for channel in desk.ivs.client().list_channels()["channels"]]


def test_a_new_channel_is_private_and_its_secrets_stay_hidden(desk: Desk) -> None:
    """It says where an encoder sends to, and by which command the key is seen."""
    result = desk.run("channels", "create", "show", "--tag", "team=live")
    assert result.exit_code == 0
    (arn,) = channel_arns(desk)
    channel = desk.ivs.client().get_channel(arn=arn)["channel"]
    key_arn = stream_key_of(desk, arn)
    value = desk.ivs.client().get_stream_key(arn=key_arn)["streamKey"]["value"]
    assert (channel["name"], channel["authorized"], channel["tags"]) == (
        "show",
        True,
        {"team": "live"},
    )
    assert f"rtmps://{channel['ingestEndpoint']}:443/app/" in result.stdout
    assert f"tokensvc stream-keys show {key_arn} --reveal" in result.stderr
    assert value not in result.output
    assert channel["srt"]["passphrase"] not in result.output


def test_the_secrets_of_a_new_channel_are_shown_when_asked_for(desk: Desk) -> None:
    """In the table and in JSON."""
    text = desk.done("channels", "create", "show", "--reveal")
    client = desk.ivs.client()
    (arn,) = channel_arns(desk)
    assert client.get_channel(arn=arn)["channel"]["srt"]["passphrase"] in text
    assert client.get_stream_key(arn=stream_key_of(desk, arn))["streamKey"]["value"] in text
    hidden = desk.json("channels", "create", "other")
    assert set(hidden["channel"]["srt"]) == {"endpoint"}
    assert "value" not in hidden["streamKey"]
    shown = desk.json("channels", "create", "third", "--reveal")
    assert shown["streamKey"]["value"].startswith("sk_us-west-2_")
    assert shown["channel"]["srt"]["passphrase"]


def test_a_new_channel_takes_the_options_of_ivs(desk: Desk) -> None:
    """Public, basic, and with normal latency."""
    made = desk.json(
        "channels",
        "create",
        "open",
        "--public",
        "--type",
        "BASIC",
        "--latency-mode",
        "NORMAL",
        "--insecure-ingest",
    )["channel"]
    assert made["authorized"] is False
    assert (made["type"], made["latencyMode"], made["insecureIngest"]) == ("BASIC", "NORMAL", True)


def test_a_channel_whose_making_was_not_answered_is_not_made_twice(desk: Desk) -> None:
    """Names are not unique in IVS: the person is sent to look before trying again."""
    plan_fault(desk, "CreateChannel", "lose_answer")
    said = desk.refused("channels", "create", "show")
    assert "may have been made all the same" in said
    assert "tokensvc channels list --name show --region us-west-2" in said
    assert len(channel_arns(desk)) == 1


def test_list_goes_through_all_pages(desk: Desk) -> None:
    """IVS gives 100 at a time; details come 50 at a time."""
    for number in range(101):
        new_channel(desk, f"channel-{number}")
    assert len(desk.json("channels", "list")) == 101
    before = len(operations_asked(desk))
    detailed = desk.json("channels", "list", "--details")
    assert [channel["name"] for channel in detailed] == [f"channel-{n}" for n in range(101)]
    assert all(channel["playbackUrl"].endswith(".m3u8") for channel in detailed)
    assert operations_asked(desk)[before:] == ["ListChannels"] * 2 + ["BatchGetChannel"] * 3


def test_list_shows_channels_in_a_table(desk: Desk) -> None:
    """Access in a word; one name when asked for it."""
    private = new_channel(desk, "show")
    public = new_channel(desk, "open", private=False)
    assert [line.split() for line in desk.done("channels", "list").splitlines()] == [
        ["NAME", "ACCESS", "TYPE", "LATENCY", "ARN"],
        ["show", "private", "STANDARD", "LOW", private],
        ["open", "public", "STANDARD", "LOW", public],
    ]
    assert [channel["arn"] for channel in desk.json("channels", "list", "--name", "open")] == [
        public
    ]
    url = desk.ivs.client().get_channel(arn=private)["channel"]["playbackUrl"]
    assert url in desk.done("channels", "list", "--details")


def test_show_hides_only_secrets(desk: Desk) -> None:
    """A tag that is called like a secret is no secret."""
    arn = new_channel(desk, "show")
    desk.ivs.client().tag_resource(resourceArn=arn, tags={"passphrase": "x", "value": "y"})
    passphrase = desk.ivs.client().get_channel(arn=arn)["channel"]["srt"]["passphrase"]
    (document,) = desk.json("channels", "show", arn)
    assert document["tags"] == {"passphrase": "x", "value": "y"}
    assert set(document["srt"]) == {"endpoint"}
    text = desk.done("channels", "show", arn)
    assert passphrase not in text
    assert "passphrase=x, value=y" in text
    assert passphrase in desk.done("channels", "show", arn, "--reveal")


def test_show_of_several_tells_what_is_missing_and_shows_the_rest(desk: Desk) -> None:
    """In the order asked, each once; a part is not a whole, and the status says so."""
    first, second = new_channel(desk, "first"), new_channel(desk, "second")
    missing = first + "x"
    result = desk.run("channels", "show", second, missing, first, second, "--json")
    assert result.exit_code == 1
    assert result.stdout.index(second) < result.stdout.index(first)
    assert f"does not give {missing} (ResourceNotFoundException)" in result.stderr
    assert operations_asked(desk)[-1] == "BatchGetChannel"


def test_show_of_an_unknown_channel_names_the_way_out(desk: Desk) -> None:
    """And shows nothing."""
    arn = "arn:aws:ivs:us-west-2:123456789012:channel/abcdEFGHijkl"
    said = desk.refused("channels", "show", arn)
    assert f"knows no channel {arn}" in said
    assert "`tokensvc channels list`" in said


def test_protect_makes_channels_private_without_asking(desk: Desk) -> None:
    """It takes nothing away that can't be given back."""
    first, second = (new_channel(desk, name, private=False) for name in ("first", "second"))
    said = desk.done("channels", "protect", first, "second")
    assert said.splitlines() == [
        f"[1/2] {first} is private now.",
        f"[2/2] {second} is private now.",
    ]
    assert is_private(desk, first)
    assert is_private(desk, second)


def test_unprotect_is_agreed_to_first(desk: Desk) -> None:
    """It shows to everyone what was for few."""
    arn = new_channel(desk, "show")
    said = desk.refused("channels", "unprotect", arn, status=2)
    assert f"Let anyone watch:\n  {arn}\n" in said
    assert "agree with --yes" in said
    assert is_private(desk, arn)
    desk.done("channels", "unprotect", arn, "--yes")
    assert not is_private(desk, arn)


@pytest.mark.parametrize("command", [("protect",), ("unprotect", "--yes"), ("delete", "--yes")])
def test_a_live_channel_is_left_alone_and_told_what_to_do(
    desk: Desk, command: tuple[str, ...]
) -> None:
    """IVS changes and deletes no live channel; its stream goes on."""
    name, *options = command
    arn = new_channel(desk, "show", private=name != "protect")
    desk.ivs.go_live(arn)
    said = desk.refused("channels", name, arn, *options)
    assert f"{arn} is live" in said
    assert f"tokensvc streams stop {arn}" in said
    assert "--stop" in said
    assert desk.ivs.client().get_stream(channelArn=arn)["stream"]["state"] == "LIVE"


def test_protect_stops_a_live_channel_when_that_is_agreed_to(desk: Desk) -> None:
    """In one go, and not without a word."""
    arn = new_channel(desk, "show", private=False)
    desk.ivs.go_live(arn)
    said = desk.refused("channels", "protect", arn, "--stop", status=2)
    assert "stop if live" in said
    assert desk.json("streams", "list") != []
    desk.done("channels", "protect", arn, "--stop", "--yes")
    assert desk.json("streams", "list") == []
    assert is_private(desk, arn)


@pytest.mark.parametrize("private", [True, False])
def test_a_live_channel_that_is_so_already_is_not_stopped(desk: Desk, *, private: bool) -> None:
    """IVS refuses its update all the same; no viewer is cut off for nothing."""
    arn = new_channel(desk, "show", private=private)
    desk.ivs.go_live(arn)
    said = desk.done("channels", "protect" if private else "unprotect", arn, "--stop", "--yes")
    assert said == f"{arn} is {'private' if private else 'public'} now.\n"
    assert len(desk.json("streams", "list")) == 1


def test_an_encoder_that_reconnects_is_stopped_again(desk: Desk) -> None:
    """The update is tried again, for a while."""
    arn = new_channel(desk, "show", private=False)
    desk.ivs.go_live(arn)
    plan_fault(desk, "UpdateChannel", "error", error="ConflictException", times=3)
    desk.done("channels", "protect", arn, "--stop", "--yes")
    assert is_private(desk, arn)
    assert desk.clock.sleeps == [0.0, 0.0, 2.0, 4.0]


def test_an_encoder_that_goes_on_reconnecting_is_told(desk: Desk) -> None:
    """With the key's rotation as the way out."""
    arn = new_channel(desk, "show", private=False)
    desk.ivs.go_live(arn)
    plan_fault(desk, "UpdateChannel", "error", error="ConflictException", times=4)
    said = desk.refused("channels", "protect", arn, "--stop", "--yes")
    assert "live again or still" in said
    assert f"tokensvc stream-keys rotate {arn} --stop-stream" in said
    assert not is_private(desk, arn)


def test_one_that_fails_does_not_keep_the_others_waiting(desk: Desk) -> None:
    """Each is told by its place; the status says that one failed."""
    first, second = (new_channel(desk, name, private=False) for name in ("first", "second"))
    deny(desk, "UpdateChannel")
    result = desk.run("channels", "protect", first, second)
    assert result.exit_code == 1
    assert result.stdout == f"[2/2] {second} is private now.\n"
    assert f"[1/2] {first}:\nError: " in result.stderr
    assert "1 of 2 failed; the others are done." in result.stderr
    assert not is_private(desk, first)


def test_delete_shows_what_it_would_delete_and_deletes_nothing_unasked(desk: Desk) -> None:
    """Name and ARN, as a name may be another channel's."""
    arn = new_channel(desk, "show")
    said = desk.refused("channels", "delete", "show", status=2)
    assert f"Delete for ever:\n  show  {arn}\n" in said
    assert channel_arns(desk) == [arn]
    assert desk.done("channels", "delete", "show", "--yes") == f"{arn} is deleted.\n"
    assert channel_arns(desk) == []


def test_nothing_is_deleted_when_one_of_them_does_not_exist(desk: Desk) -> None:
    """A slip of the pen is found before, not half-way."""
    arn = new_channel(desk, "show")
    desk.refused("channels", "delete", arn, arn + "x", "--yes")
    assert channel_arns(desk) == [arn]


def test_a_delete_whose_answer_was_lost_is_done(desk: Desk) -> None:
    """The second attempt finds the channel gone, which is what was wanted."""
    arn = new_channel(desk, "show")
    plan_fault(desk, "DeleteChannel", "lose_answer")
    assert desk.done("channels", "delete", arn, "--yes") == f"{arn} is deleted.\n"
    assert channel_arns(desk) == []


def test_delete_stops_live_channels_when_that_is_agreed_to(desk: Desk) -> None:
    """Stream, channel and stream key are gone."""
    arn = new_channel(desk, "show")
    desk.ivs.go_live(arn)
    desk.done("channels", "delete", arn, "--stop", "--yes")
    assert channel_arns(desk) == []
    assert desk.json("streams", "list") == []
