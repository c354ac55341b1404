"""`tokensvc tokens`: the way of a request by hand, and what IVS would say to a token."""

from __future__ import annotations

import base64
import json

import pytest
import urllib3
from click.testing import CliRunner

from tests.cli.conftest import Desk
from tokensvc.cli.main import cli


@pytest.fixture
def channel(rotating_desk: Desk) -> str:
    """The ARN of a private channel that is live."""
    arn = rotating_desk.ivs.client().create_channel(authorized=True)["channel"]["arn"]
    rotating_desk.ivs.go_live(arn)
    return arn


def test_a_token_signed_by_hand_plays(rotating_desk: Desk, channel: str) -> None:
    """It goes the way of every request: the audit has its line, in the operator's name."""
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


def test_json_tells_what_was_granted(rotating_desk: Desk, channel: str) -> None:
    """With a viewer, 540 seconds at most."""
    arguments = ("--viewer-id", "v1", "--ttl-seconds", "3600", "--maximum-resolution", "HD")
    answer = rotating_desk.json("tokens", "sign", channel, *arguments)
    assert (answer["viewer_id"], answer["ttl_seconds"]) == ("v1", 540)
    assert answer["expires_at"] == "2027-01-15T08:11:00Z"
    seen = rotating_desk.json("tokens", "inspect", answer["token"])
    assert seen["ivs_takes_it"] is True
    assert seen["signed_by"] == answer["key_id"]
    assert seen["seconds_left"] == 540
    assert seen["payload"]["aws:maximum-resolution"] == "HD"


def test_a_channel_without_a_grant_is_refused_and_audited(rotating_desk: Desk) -> None:
    """An operator's hand goes no further than the settings allow."""
    said = rotating_desk.refused(
        "tokens", "sign", "arn:aws:ivs:us-east-1:123456789012:channel/abcdEFGHijkl"
    )
    assert '"code":"not_entitled"' in said
    assert "Error: No grant of this caller covers the channel" in said


def test_an_expired_token_is_told_as_such(rotating_desk: Desk, channel: str) -> None:
    """With exit status 1, from standard input, and without its signature."""
    url = rotating_desk.done("tokens", "sign", channel, "--ttl-seconds", "10")
    rotating_desk.clock.advance(10)
    result = CliRunner().invoke(
        cli,
        ["--config", str(rotating_desk.settings), "tokens", "inspect"],
        obj=rotating_desk.clock,
        input=url,
    )
    assert result.exit_code == 1
    assert result.stdout.startswith("IVS would refuse it.\n  exp: exp is not in the future")
    assert url.strip().rpartition(".")[2] not in result.stdout


def test_a_token_of_another_channel_or_key_is_told(rotating_desk: Desk, channel: str) -> None:
    """Each finding has its sentence."""
    token = rotating_desk.json("tokens", "sign", channel)["token"]
    other = "arn:aws:ivs:us-west-2:123456789012:channel/abcdEFGHijkl"
    result = rotating_desk.run("tokens", "inspect", token, "--channel", other)
    assert result.exit_code == 1
    assert "aws:channel-arn" in result.stdout
    assert "no such channel" in rotating_desk.refused(
        "tokens", "inspect", token, "--channel", "no such channel", status=2
    )


def test_what_is_no_token_is_told(rotating_desk: Desk) -> None:
    """Never an error, however broken."""
    result = rotating_desk.run("tokens", "inspect", "nonsense")
    assert result.exit_code == 1
    assert "Signed by: no key pair that is known here" in result.stdout


def test_bytes_that_are_no_text_are_no_token(rotating_desk: Desk) -> None:
    """A finding as any other, not a crash."""
    result = CliRunner().invoke(
        cli,
        ["--config", str(rotating_desk.settings), "tokens", "inspect"],
        obj=rotating_desk.clock,
        input=b"\xff\xfe",
    )
    assert result.exit_code == 1
    assert result.stdout.startswith("IVS would refuse it.")


def test_a_strangers_token_can_not_reach_the_terminal(rotating_desk: Desk) -> None:
    """Its claims are shown as JSON: an escape sequence stays text."""
    segments = (
        base64.urlsafe_b64encode(part.encode()).rstrip(b"=").decode()
        for part in ('{"alg":"ES384"}', json.dumps({"\x1b[2J": "\x1b]0;owned\x07"}), "x")
    )
    said = rotating_desk.run("tokens", "inspect", ".".join(segments)).stdout
    assert r'"\u001b[2J": "\u001b]0;owned\u0007"' in said
    assert "\x1b" not in said
