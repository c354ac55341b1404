"""`tokensvc channels`, on a real Local IVS over HTTP."""

from __future__ import annotations

import pytest

from tests.cli.conftest import Desk
from tests.cli.ivs.ivs_story import called_operations, deny, new_channel, plan_fault, stream_key_of
from tests.support.faulty_server import Answer, faulty_server


def is_private(desk: Desk, arn: str) -> bool:
    """Whether the channel is private in IVS."""
    return desk.ivs.client().get_channel(arn=arn)["channel"]["authorized"]


def channel_arns(desk: Desk) -> list[str]:
    """The ARN of every channel of the region."""
    return [channel["arn"] for channel in desk.ivs.client().list_channels()["channels"]]


def test_a_new_channel_is_private_and_its_secrets_are_hidden(desk: Desk) -> None:
    """The output has the ingest server, and the command that shows the stream key."""
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


def test_reveal_shows_the_secrets_of_a_new_channel(desk: Desk) -> None:
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


def test_create_passes_its_options_to_ivs(desk: Desk) -> None:
    """Public, BASIC, normal latency, insecure ingest."""
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


def test_create_is_not_retried_when_the_answer_is_lost(desk: Desk) -> None:
    """Names are not unique in IVS: the hint is to check for the channel before a new attempt."""
    plan_fault(desk, "CreateChannel", "lose_response")
    error = desk.error("channels", "create", "show")
    assert error.code == "ivs_unavailable"
    assert "`tokensvc channels list --name show --region us-west-2`" in error.hint
    assert len(channel_arns(desk)) == 1


def test_list_reads_all_pages(desk: Desk) -> None:
    """IVS lists 100 channels a page; --details fetches 50 channels a call."""
    for number in range(101):
        new_channel(desk, f"channel-{number}")
    assert len(desk.json("channels", "list")) == 101
    before = len(called_operations(desk))
    detailed = desk.json("channels", "list", "--details")
    assert [channel["name"] for channel in detailed] == [f"channel-{n}" for n in range(101)]
    assert all(channel["playbackUrl"].endswith(".m3u8") for channel in detailed)
    assert called_operations(desk)[before:] == ["ListChannels"] * 2 + ["BatchGetChannel"] * 3


def test_list_shows_channels_in_a_table(desk: Desk) -> None:
    """With private or public as a word; --name lists only channels with that name."""
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
    """A tag with the name of a secret is not a secret."""
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


def test_show_of_several_prints_those_that_exist_and_an_error_for_each_other(desk: Desk) -> None:
    """In the order of the arguments, without duplicates; the exit status is 1."""
    first, second = new_channel(desk, "first"), new_channel(desk, "second")
    missing = first + "x"
    result = desk.run("channels", "show", second, missing, first, second, "--json")
    assert result.exit_code == 1
    assert result.stdout.index(second) < result.stdout.index(first)
    assert result.stdout.count(f'"arn": "{second}"') == 1
    assert missing in result.stderr
    assert "`tokensvc channels list`" in result.stderr
    assert called_operations(desk)[-1] == "BatchGetChannel"


@pytest.mark.parametrize(
    ("code", "hint"),
    [
        ("AccessDeniedException", "ivs:BatchGetChannel"),
        ("InternalServerException", "AWS Health Dashboard"),
    ],
)
def test_show_of_several_explains_why_ivs_does_not_return_one(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, code: str, hint: str
) -> None:
    """A denied or failed lookup is not reported as a missing channel."""
    found, other = (f"arn:aws:ivs:us-west-2:123456789012:channel/{n}" for n in ("abc", "xyz"))
    part = {"arn": other, "code": code, "message": "No."}
    with faulty_server(Answer(200, {"channels": [{"arn": found}], "errors": [part]})) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL_IVS", server.url)
        result = desk.run("channels", "show", found, other)
        error = desk.error("channels", "delete", found, other, "--yes")
    assert result.exit_code == 1
    assert found in result.stdout
    assert other in result.stderr
    assert code in result.stderr
    assert hint in result.stderr
    assert code in error.detail
    assert hint in error.hint
    assert error.code != "channel_not_found"


def test_show_of_an_unknown_channel_fails_with_a_hint(desk: Desk) -> None:
    """The hint is the command that lists the channels."""
    arn = "arn:aws:ivs:us-west-2:123456789012:channel/abcdEFGHijkl"
    error = desk.error("channels", "show", arn)
    assert error.code == "channel_not_found"
    assert arn in error.detail
    assert "`tokensvc channels list`" in error.hint


def test_protect_makes_channels_private_without_confirmation(desk: Desk) -> None:
    """Because it can be undone."""
    first, second = (new_channel(desk, name, private=False) for name in ("first", "second"))
    lines = desk.done("channels", "protect", first, "second").splitlines()
    assert [line.split()[:2] for line in lines] == [["[1/2]", first], ["[2/2]", second]]
    assert all("private" in line for line in lines)
    assert is_private(desk, first)
    assert is_private(desk, second)


def test_unprotect_needs_confirmation(desk: Desk) -> None:
    """Because anyone can watch the channel afterwards."""
    arn = new_channel(desk, "show")
    question = desk.refused("channels", "unprotect", arn, status=2)
    assert f"\n  {arn}\n" in question
    assert "--yes" in question
    assert is_private(desk, arn)
    desk.done("channels", "unprotect", arn, "--yes")
    assert not is_private(desk, arn)


@pytest.mark.parametrize("command", [("protect",), ("unprotect", "--yes"), ("delete", "--yes")])
def test_a_live_channel_is_not_changed_and_the_hint_names_the_commands(
    desk: Desk, command: tuple[str, ...]
) -> None:
    """IVS can't change or delete a live channel; its stream continues."""
    name, *options = command
    arn = new_channel(desk, "show", private=name != "protect")
    desk.ivs.go_live(arn)
    output = desk.refused("channels", name, arn, *options)
    assert f"`tokensvc streams stop {arn}`" in output
    assert "--stop" in output
    assert desk.ivs.client().get_stream(channelArn=arn)["stream"]["state"] == "LIVE"


def test_protect_with_stop_needs_confirmation_and_stops_a_live_channel(desk: Desk) -> None:
    """Both in one command."""
    arn = new_channel(desk, "show", private=False)
    desk.ivs.go_live(arn)
    question = desk.refused("channels", "protect", arn, "--stop", status=2)
    assert f"\n  {arn}\n" in question
    assert "--yes" in question
    assert desk.json("streams", "list") != []
    desk.done("channels", "protect", arn, "--stop", "--yes")
    assert desk.json("streams", "list") == []
    assert is_private(desk, arn)


@pytest.mark.parametrize("private", [True, False])
def test_a_live_channel_with_the_requested_access_is_not_stopped(
    desk: Desk, *, private: bool
) -> None:
    """IVS refuses the update nevertheless, but there is nothing to change."""
    arn = new_channel(desk, "show", private=private)
    desk.ivs.go_live(arn)
    output = desk.done("channels", "protect" if private else "unprotect", arn, "--stop", "--yes")
    (line,) = output.splitlines()
    assert line.startswith(arn)
    assert ("private" if private else "public") in line
    assert len(desk.json("streams", "list")) == 1


def test_an_encoder_that_reconnects_is_stopped_again(desk: Desk) -> None:
    """The update is retried with increasing pauses."""
    arn = new_channel(desk, "show", private=False)
    desk.ivs.go_live(arn)
    plan_fault(desk, "UpdateChannel", "error", error="ConflictException", times=3)
    desk.done("channels", "protect", arn, "--stop", "--yes")
    assert is_private(desk, arn)
    assert desk.clock.sleeps == [0.0, 0.0, 2.0, 4.0]


def test_an_encoder_that_keeps_reconnecting_is_reported(desk: Desk) -> None:
    """The hint is to rotate the stream key."""
    arn = new_channel(desk, "show", private=False)
    desk.ivs.go_live(arn)
    plan_fault(desk, "UpdateChannel", "error", error="ConflictException", times=4)
    output = desk.refused("channels", "protect", arn, "--stop", "--yes")
    assert f"`tokensvc stream-keys rotate {arn} --stop-stream`" in output
    assert not is_private(desk, arn)


def test_a_channel_that_fails_does_not_stop_the_others(desk: Desk) -> None:
    """Each result has its position; the exit status is 1."""
    first, second = (new_channel(desk, name, private=False) for name in ("first", "second"))
    deny(desk, "UpdateChannel")
    result = desk.run("channels", "protect", first, second)
    assert result.exit_code == 1
    assert result.stdout.startswith(f"[2/2] {second} ")
    assert len(result.stdout.splitlines()) == 1
    assert f"[1/2] {first}:\nError: " in result.stderr
    assert "1 of 2" in result.stderr
    assert not is_private(desk, first)


def test_delete_shows_what_it_deletes_and_needs_confirmation(desk: Desk) -> None:
    """Name and ARN, because several channels can have the same name."""
    arn = new_channel(desk, "show")
    question = desk.refused("channels", "delete", "show", status=2)
    assert f"\n  show  {arn}\n" in question
    assert channel_arns(desk) == [arn]
    assert desk.done("channels", "delete", "show", "--yes").split()[0] == arn
    assert channel_arns(desk) == []


def test_nothing_is_deleted_when_one_channel_does_not_exist(desk: Desk) -> None:
    """A typing error is found before the first deletion, with the same code as for `show`."""
    arn = new_channel(desk, "show")
    error = desk.error("channels", "delete", arn, arn + "x", "--yes")
    assert error.code == "channel_not_found"
    assert arn + "x" in error.detail
    assert channel_arns(desk) == [arn]


def test_a_delete_succeeds_when_its_answer_is_lost(desk: Desk) -> None:
    """The second attempt finds that the channel does not exist, which is the goal."""
    arn = new_channel(desk, "show")
    plan_fault(desk, "DeleteChannel", "lose_response")
    assert desk.done("channels", "delete", arn, "--yes").split()[0] == arn
    assert channel_arns(desk) == []


def test_delete_with_stop_deletes_a_live_channel(desk: Desk) -> None:
    """Stream and channel no longer exist."""
    arn = new_channel(desk, "show")
    desk.ivs.go_live(arn)
    desk.done("channels", "delete", arn, "--stop", "--yes")
    assert channel_arns(desk) == []
    assert desk.json("streams", "list") == []
