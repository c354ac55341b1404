"""Commands about IVS itself need no settings; what AWS's environment says is enough."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests.cli.conftest import Desk
from tests.cli.ivs_story import new_channel, plan_fault
from tokensvc.cli.main import cli


@pytest.fixture
def newcomer(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """A desk whose folder has no settings, and whose environment says where IVS is and no more."""
    desk.settings.unlink()
    monkeypatch.chdir(desk.folder)
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    return desk


def run(desk: Desk, *arguments: str) -> Result:
    """How `tokensvc` ends without any option of its own."""
    return CliRunner().invoke(
        cli, arguments, obj=desk.clock, catch_exceptions=False, prog_name="tokensvc"
    )


def test_a_newcomer_lists_the_channels_of_local_ivs(newcomer: Desk) -> None:
    """With AWS_ENDPOINT_URL_IVS and --region: Local IVS asks for no credentials of one's own."""
    arn = new_channel(newcomer, "show")
    result = run(newcomer, "channels", "list", "--region", "us-west-2")
    assert result.exit_code == 0
    assert arn in result.stdout


@pytest.mark.parametrize("variable", ["AWS_REGION", "AWS_DEFAULT_REGION"])
def test_the_region_of_the_environment_is_taken(
    newcomer: Desk, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    """In the spelling of boto3 and in that of the other SDKs."""
    client = newcomer.ivs.client("eu-west-1")
    arn = client.create_channel(name="dublin")["channel"]["arn"]
    monkeypatch.setenv(variable, "eu-west-1")
    assert arn in run(newcomer, "channels", "list").stdout


def test_an_arn_says_the_region_by_itself(newcomer: Desk) -> None:
    """No option and no variable is needed."""
    arn = new_channel(newcomer, "show")
    assert run(newcomer, "channels", "show", arn).exit_code == 0


def test_without_any_region_the_command_says_how_to_name_one(newcomer: Desk) -> None:
    """Wrong use, as nothing is guessed."""
    result = run(newcomer, "channels", "list")
    assert result.exit_code == 2
    assert "--region" in result.stderr
    assert "AWS_REGION" in result.stderr


def test_a_profile_that_is_not_there_is_wrong_use(
    newcomer: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would have to say the region, and is a typing error."""
    monkeypatch.setenv("AWS_PROFILE", "nope")
    result = run(newcomer, "channels", "list")
    assert result.exit_code == 2
    assert "AWS_PROFILE" in result.stderr


@pytest.mark.parametrize("region", ["Oregon", ""])
def test_what_is_no_region_is_wrong_use(newcomer: Desk, region: str) -> None:
    """It never becomes a part of an address."""
    assert run(newcomer, "channels", "list", "--region", region).exit_code == 2


def test_without_credentials_the_real_ivs_is_not_asked(
    newcomer: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Made-up credentials are for loopback alone."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_IVS", "https://ivs.example.invalid")
    result = run(newcomer, "channels", "list", "--region", "us-west-2")
    assert result.exit_code == 1
    assert "no AWS credentials were found" in result.stderr


def test_settings_that_are_wrong_are_told_and_not_passed_over(desk: Desk) -> None:
    """A typing error must not make the command act elsewhere."""
    desk.settings.write_text("[ivs]\nregions = []\n")
    assert "The settings are wrong" in desk.refused("channels", "list")


def test_settings_in_the_environment_alone_count(
    newcomer: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A container has no file."""
    arn = new_channel(newcomer, "show")
    monkeypatch.setenv("TOKENSVC_IVS__ACCOUNT_ID", "123456789012")
    monkeypatch.setenv("TOKENSVC_IVS__REGIONS", "us-west-2")
    monkeypatch.setenv("TOKENSVC_CUSTODY__KEY_ENCRYPTION_SECRET_FILE", str(Path("secret")))
    monkeypatch.setenv("TOKENSVC_CHANNELS__MAIN", arn)
    result = run(newcomer, "channels", "show", "main")
    assert result.exit_code == 0, result.stderr
    assert arn in result.stdout


def test_a_region_that_is_not_configured_can_be_asked(desk: Desk) -> None:
    """These commands are about IVS, not about the rings; --region goes before the settings."""
    arn = desk.ivs.client("eu-west-1").create_channel(name="dublin")["channel"]["arn"]
    assert desk.json("channels", "list") == []
    (channel,) = desk.json("channels", "list", "--region", "eu-west-1")
    assert channel["arn"] == arn


def test_throttling_is_waited_out(desk: Desk) -> None:
    """Long lists go faster than IVS's five calls a second."""
    plan_fault(desk, "ListChannels", "error", error="ThrottlingException", times=2)
    assert desk.json("channels", "list") == []


def test_create_in_one_of_two_regions_has_to_say_which(desk: Desk) -> None:
    """Nothing is guessed when something is made."""
    text = desk.settings.read_text()
    desk.settings.write_text(text.replace('["us-west-2"]', '["us-west-2", "eu-west-1"]'))
    said = desk.refused("channels", "create", "show", status=2)
    assert "Say for which region: us-west-2, eu-west-1." in said
    made = desk.json("channels", "create", "show", "--region", "eu-west-1")
    assert made["channel"]["arn"].startswith("arn:aws:ivs:eu-west-1:")
