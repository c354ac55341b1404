"""`tokensvc tokens`: sign a playback token, and inspect one."""

from __future__ import annotations

import base64
import json
from random import Random

import click
import pytest
import urllib3
from click.testing import CliRunner

from tests.cli.conftest import Desk
from tokensvc.arns import ChannelArn
from tokensvc.cli.main import cli
from tokensvc.ivs.shared_turns import SharedTurns
from tokensvc.ivs.turns import Need
from tokensvc.state.base import Record


@pytest.fixture
def channel(rotating_desk: Desk) -> str:
    """The ARN of a private channel that is live."""
    arn = rotating_desk.ivs.client().create_channel(authorized=True)["channel"]["arn"]
    rotating_desk.ivs.go_live(arn)
    return arn


def test_a_signed_token_plays(rotating_desk: Desk, channel: str) -> None:
    """It is handled like every request: it is audited, in the operator's name."""
    result = rotating_desk.run("tokens", "sign", channel, "--ttl-seconds", "60")
    assert result.exit_code == 0
    assert urllib3.request("GET", result.stdout.strip(), retries=False).status == 200
    (line,) = (json.loads(line) for line in result.stderr.splitlines())
    assert line["decision"] == "granted"
    assert line["caller_id"].startswith("operator:")
    assert line["ttl_seconds"] == 60
    active = rotating_desk.ring().active
    assert active is not None
    assert line["key_id"] == active.key_id


def test_a_channel_that_was_just_made_private_is_signed_for(
    rotating_desk: Desk, channel: str
) -> None:
    """A worker has stored a moment ago that it is public, and has the turn to look up channels."""
    now = rotating_desk.clock.now()
    body = {"schema_version": 1, "name": "", "is_private": False, "playback_url": "https://e.net/a"}
    rotating_desk.state.put_many("channel", [Record(channel, json.dumps(body), now + 86_400)])
    random = Random(1)  # noqa: S311 # Not a secret.
    worker = SharedTurns(rotating_desk.state, rotating_desk.clock, random)
    assert worker.take(ChannelArn.parse(channel).region, lambda: Need.URGENT)
    url = rotating_desk.done("tokens", "sign", channel)
    assert urllib3.request("GET", url.strip(), retries=False).status == 200


def test_json_has_the_granted_values(rotating_desk: Desk, channel: str) -> None:
    """A token with a viewer ID is valid for at most 540 seconds."""
    arguments = ("--viewer-id", "v1", "--ttl-seconds", "3600", "--maximum-resolution", "HD")
    answer = rotating_desk.json("tokens", "sign", channel, *arguments)
    assert (answer["viewer_id"], answer["ttl_seconds"]) == ("v1", 540)
    assert answer["expires_at"] == "2027-01-15T08:11:00Z"
    found = rotating_desk.json("tokens", "inspect", answer["token"])
    assert found["accepted_by_ivs"] is True
    assert found["signed_by"] == answer["key_id"]
    assert found["seconds_left"] == 540
    assert found["payload"]["aws:maximum-resolution"] == "HD"


def test_the_country_of_the_viewer_can_be_named(rotating_desk: Desk, channel: str) -> None:
    """An operator is a backend: the country counts if the grant trusts it."""
    more = f'[grants.dach]\nchannels = ["{channel}"]\ncountries = ["DE"]\n'
    rotating_desk.settings.write_text(
        f"{rotating_desk.settings.read_text()}{more}trust_viewer_country = true\n"
    )
    assert rotating_desk.done("tokens", "sign", channel, "--viewer-country", "DE")
    assert rotating_desk.error("tokens", "sign", channel).code == "country_not_allowed"


def test_a_channel_without_a_grant_is_refused_and_audited(rotating_desk: Desk) -> None:
    """The grants of the settings also limit an operator."""
    arn = "arn:aws:ivs:us-east-1:123456789012:channel/abcdEFGHijkl"
    assert rotating_desk.error("tokens", "sign", arn).code == "not_entitled"
    audited, *error = rotating_desk.refused("tokens", "sign", arn).splitlines()
    assert json.loads(audited)["code"] == "not_entitled"
    assert error[0].startswith("Error: ")


def test_a_grant_that_the_settings_do_not_have_is_wrong_use(rotating_desk: Desk) -> None:
    """No token is signed, and the message is about the option and not about the channel."""
    error = rotating_desk.usage_error("tokens", "sign", "demo", "--grant", "no-such-grant")
    assert isinstance(error, click.BadParameter)
    assert error.param_hint == "--grant"


def test_an_expired_token_is_reported_as_expired(rotating_desk: Desk, channel: str) -> None:
    """Read from standard input; exit status 1; the signature is not printed."""
    url = rotating_desk.done("tokens", "sign", channel, "--ttl-seconds", "10")
    rotating_desk.clock.advance(10)
    result = CliRunner().invoke(
        cli,
        ["--config", str(rotating_desk.settings), "tokens", "inspect"],
        obj=rotating_desk.clock,
        input=url,
    )
    assert result.exit_code == 1
    lines = result.stdout.splitlines()
    assert [line for line in lines if line.startswith("NO")] == ["NO  it has not expired"]
    assert "Expired: 0 s ago" in lines
    assert url.strip().rpartition(".")[2] not in result.stdout


def test_a_token_for_another_channel_is_reported(rotating_desk: Desk, channel: str) -> None:
    """The finding names the claim. An invalid --channel is wrong use."""
    token = rotating_desk.json("tokens", "sign", channel)["token"]
    other = "arn:aws:ivs:us-west-2:123456789012:channel/abcdEFGHijkl"
    result = rotating_desk.run("tokens", "inspect", token, "--channel", other)
    assert result.exit_code == 1
    assert other in next(line for line in result.stdout.splitlines() if "aws:channel-arn" in line)
    error = rotating_desk.usage_error("tokens", "inspect", token, "--channel", "no such channel")
    assert isinstance(error, click.BadParameter)
    assert error.param_hint == "--channel"
    assert "no such channel" in error.message


def test_ivs_is_asked_for_the_channel_and_the_key_pairs(rotating_desk: Desk, channel: str) -> None:
    """Each is deleted in IVS behind the back of the service: only --ask-ivs shows it."""
    token = rotating_desk.json("tokens", "sign", channel)["token"]
    assert rotating_desk.json("tokens", "inspect", token, "--ask-ivs")["accepted_by_ivs"]
    ivs = rotating_desk.ivs.client()
    for pair in ivs.list_playback_key_pairs()["keyPairs"]:
        ivs.delete_playback_key_pair(arn=pair["arn"])
    ivs.stop_stream(channelArn=channel)
    ivs.delete_channel(arn=channel)
    assert rotating_desk.json("tokens", "inspect", token)["accepted_by_ivs"]
    result = rotating_desk.run("tokens", "inspect", token, "--ask-ivs", "--json")
    found = json.loads(result.stdout)
    assert result.exit_code == 1
    assert [finding["rule"] for finding in found["findings"]] == [
        "channel_exists",
        "signature_key_deleted",
    ]


def test_a_viewer_who_is_banned_is_named(rotating_desk: Desk, channel: str) -> None:
    """The bans are read from the state."""
    token = rotating_desk.json("tokens", "sign", channel, "--viewer-id", "v1")["token"]
    assert rotating_desk.json("tokens", "inspect", token)["accepted_by_ivs"]
    rotating_desk.done("bans", "add", "v1", "--channel", channel, "--for", "1h")
    result = rotating_desk.run("tokens", "inspect", token, "--json")
    assert [each["rule"] for each in json.loads(result.stdout)["findings"]] == ["viewer_banned"]


def test_the_origin_of_a_page_is_checked(rotating_desk: Desk, channel: str) -> None:
    """The exit status says whether IVS would refuse a page of that origin."""
    allowed = ("--allowed-origin", "https://*.example.com")
    token = rotating_desk.json("tokens", "sign", channel, *allowed)["token"]
    for origin, status in (("https://www.example.com", 0), ("https://example.net", 1)):
        result = rotating_desk.run("tokens", "inspect", token, "--origin", origin)
        assert result.exit_code == status


def test_a_text_that_is_not_a_token_has_a_finding(rotating_desk: Desk) -> None:
    """It is not an error of the command."""
    result = rotating_desk.run("tokens", "inspect", "nonsense", "--json")
    assert result.exit_code == 1
    found = json.loads(result.stdout)
    assert (found["accepted_by_ivs"], found["signed_by"]) == (False, None)
    assert [finding["claim"] for finding in found["findings"]] == ["token"]


def test_bytes_that_are_not_text_have_a_finding(rotating_desk: Desk) -> None:
    """The command does not crash."""
    result = CliRunner().invoke(
        cli,
        ["--config", str(rotating_desk.settings), "tokens", "inspect"],
        obj=rotating_desk.clock,
        input=b"\xff\xfe",
    )
    assert result.exit_code == 1
    assert "  token: " in result.stdout


def test_control_characters_of_a_token_do_not_reach_the_terminal(rotating_desk: Desk) -> None:
    """Untrusted claims are printed as JSON, so an escape sequence stays text."""
    segments = (
        base64.urlsafe_b64encode(part.encode()).rstrip(b"=").decode()
        for part in ('{"alg":"ES384"}', json.dumps({"\x1b[2J": "\x1b]0;owned\x07"}), "x")
    )
    printed = rotating_desk.run("tokens", "inspect", ".".join(segments)).stdout
    assert r'"\u001b[2J": "\u001b]0;owned\u0007"' in printed
    assert "\x1b" not in printed
