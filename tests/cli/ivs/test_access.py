"""The commands for IVS resources work without settings, from the AWS environment alone."""

from __future__ import annotations

from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from tests.cli.conftest import Desk
from tests.cli.ivs.ivs_story import new_channel, plan_fault
from tokensvc.cli.main import cli


@pytest.fixture
def newcomer(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """A deployment without settings; its environment has only the endpoint of IVS."""
    desk.settings.unlink()
    monkeypatch.chdir(desk.folder)
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    return desk


def run(desk: Desk, *arguments: str) -> Result:
    """The result of `tokensvc` without --config."""
    return CliRunner().invoke(
        cli, arguments, obj=desk.clock, catch_exceptions=False, prog_name="tokensvc"
    )


def test_channels_of_local_ivs_are_listed_without_settings_or_credentials(newcomer: Desk) -> None:
    """With AWS_ENDPOINT_URL_IVS and --region: Local IVS needs no real credentials."""
    arn = new_channel(newcomer, "show")
    result = run(newcomer, "channels", "list", "--region", "us-west-2")
    assert result.exit_code == 0
    assert arn in result.stdout


@pytest.mark.parametrize("variable", ["AWS_REGION", "AWS_DEFAULT_REGION"])
def test_the_region_of_the_environment_is_used(
    newcomer: Desk, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    """From the variable of boto3, and from that of the other AWS SDKs."""
    client = newcomer.ivs.client("eu-west-1")
    arn = client.create_channel(name="dublin")["channel"]["arn"]
    monkeypatch.setenv(variable, "eu-west-1")
    assert arn in run(newcomer, "channels", "list").stdout


def test_the_region_of_an_arn_is_used(newcomer: Desk) -> None:
    """Without an option and without a variable."""
    arn = new_channel(newcomer, "show")
    assert run(newcomer, "channels", "show", arn).exit_code == 0


def test_without_a_region_the_error_names_the_option_and_the_variable(newcomer: Desk) -> None:
    """Wrong use: the command never guesses a region."""
    result = run(newcomer, "channels", "list")
    assert result.exit_code == 2
    assert "--region" in result.stderr
    assert "AWS_REGION" in result.stderr


def test_an_unknown_aws_profile_is_wrong_use(
    newcomer: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The region should come from the profile, whose name has a typing error."""
    monkeypatch.setenv("AWS_PROFILE", "nope")
    result = run(newcomer, "channels", "list")
    assert result.exit_code == 2
    assert "AWS_PROFILE" in result.stderr


@pytest.mark.parametrize("region", ["Oregon", ""])
def test_an_invalid_region_is_wrong_use(newcomer: Desk, region: str) -> None:
    """It never becomes part of a URL."""
    assert run(newcomer, "channels", "list", "--region", region).exit_code == 2


def test_without_credentials_the_real_ivs_is_not_called(
    newcomer: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Placeholder credentials are used only for a loopback endpoint."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_IVS", "https://ivs.example.invalid")
    result = run(newcomer, "channels", "list", "--region", "us-west-2")
    assert result.exit_code == 1
    assert "AWS_ACCESS_KEY_ID" in result.stderr


def test_invalid_settings_are_an_error_and_not_ignored(desk: Desk) -> None:
    """A typing error must not make the command act in another region."""
    desk.settings.write_text("[ivs]\nregions = []\n")
    assert desk.error("channels", "list").code == "settings_invalid"


def test_settings_can_come_from_the_environment_alone(
    newcomer: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A container may have no settings file."""
    arn = new_channel(newcomer, "show")
    monkeypatch.setenv("TOKENSVC_IVS__ACCOUNT_ID", "123456789012")
    monkeypatch.setenv("TOKENSVC_IVS__REGIONS", "us-west-2")
    monkeypatch.setenv("TOKENSVC_CUSTODY__KEY_ENCRYPTION_SECRET_FILE", str(Path("secret")))
    monkeypatch.setenv("TOKENSVC_CHANNELS__MAIN", arn)
    result = run(newcomer, "channels", "show", "main")
    assert result.exit_code == 0, result.stderr
    assert arn in result.stdout


def test_region_can_name_a_region_outside_the_settings(desk: Desk) -> None:
    """These commands manage IVS, not the rings; --region overrides the settings."""
    arn = desk.ivs.client("eu-west-1").create_channel(name="dublin")["channel"]["arn"]
    assert desk.json("channels", "list") == []
    (channel,) = desk.json("channels", "list", "--region", "eu-west-1")
    assert channel["arn"] == arn


def test_throttled_calls_are_retried(desk: Desk) -> None:
    """A long list is faster than IVS's five calls a second."""
    plan_fault(desk, "ListChannels", "error", error="ThrottlingException", times=2)
    assert desk.json("channels", "list") == []


def test_create_requires_region_when_the_settings_have_several(desk: Desk) -> None:
    """The command never guesses the region of a new channel."""
    text = desk.settings.read_text()
    desk.settings.write_text(text.replace('["us-west-2"]', '["us-west-2", "eu-west-1"]'))
    error = desk.usage_error("channels", "create", "show")
    assert isinstance(error, click.BadParameter)
    assert error.param_hint == "--region"
    assert "us-west-2, eu-west-1" in error.message
    made = desk.json("channels", "create", "show", "--region", "eu-west-1")
    assert made["channel"]["arn"].startswith("arn:aws:ivs:eu-west-1:")
