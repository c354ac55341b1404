"""`tokensvc init --aws`: the settings, the table and the state in it, on both stand-ins."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.cli.conftest import Desk
from tests.state.test_dynamodb_table import GOOD
from tests.support.aws import set_aws_environment
from tests.support.dynalite import Dynalite
from tests.support.faulty_server import Answer, faulty_server
from tests.support.moto import Moto
from tests.support.tables import REGION, Table
from tokensvc.cli.main import cli
from tokensvc.errors import SettingsInvalid, StateMissing, StateRefused
from tokensvc.settings import load_settings
from tokensvc.state.dynamodb_address import TableAddress

NEW = ("init", "--aws", "--account-id", "123456789012", "--region", REGION)


def test_it_writes_the_settings_and_makes_the_table(
    desk: Desk, moto: Moto, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On-demand, protected against deletion, with expiry, backups and a tag. It can be repeated."""
    moto.set_environment(monkeypatch, desk.folder, AWS_REGION="eu-west-1")
    desk.settings.unlink()
    desk.done(*NEW, "--table", "fleet")
    settings = load_settings(desk.settings, {})
    assert settings.state.url == "dynamodb:us-west-2/fleet"
    assert settings.custody.url == "secretsmanager:fleet/"
    client = Table(moto.url).clients().dynamodb(REGION)
    table = client.describe_table(TableName="fleet")["Table"]
    assert table["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"
    assert table["DeletionProtectionEnabled"]
    expiry = client.describe_time_to_live(TableName="fleet")["TimeToLiveDescription"]
    assert (expiry["TimeToLiveStatus"], expiry["AttributeName"]) == ("ENABLED", "delete_at")
    backups = client.describe_continuous_backups(TableName="fleet")["ContinuousBackupsDescription"]
    recovery = backups["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"]
    assert recovery == "ENABLED"
    tags = client.list_tags_of_resource(ResourceArn=table["TableArn"])["Tags"]
    assert tags == [{"Key": "tokensvc:purpose", "Value": "state"}]
    assert "The DynamoDB table fleet in us-west-2 exists." in desk.run("init", "--aws").stderr


def test_the_deployment_can_be_used_at_once(
    desk: Desk, dynalite: Dynalite, moto: Moto, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the server does not have is said. The first key pair comes next, and no secret."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", dynalite.url)
    monkeypatch.setenv("AWS_ENDPOINT_URL_SECRETS_MANAGER", moto.url)
    table = Table(dynalite.url)
    desk.settings.unlink()
    printed = desk.run(*NEW, "--table", table.address.table).stderr
    assert "no point-in-time recovery" in printed
    assert "tokensvc keys reconcile" in printed
    assert "openssl rand" not in printed
    desk.done("keys", "generate")
    with table.opened:
        assert list(table.state().versions()) == ["ring:us-west-2", "schema"]
    refused = desk.error("state", "backup", str(desk.folder / "backup"))
    assert refused.code == "backup_refused"
    assert "docs/state-dynamodb.md" in refused.hint


def test_doctor_reports_a_table_whose_regions_each_accept_a_save(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No stand-in has such a table, so its description is scripted."""
    description = {**GOOD, "Replicas": [{"RegionName": "us-east-1"}]}
    in_table(desk, "dynamodb:us-west-2/tokensvc")
    with faulty_server(Answer(200, {"Table": description}, request_id="request-1")) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", server.url)
        (finding, *_) = json.loads(desk.run("keys", "doctor", "--json").stdout)
    assert (finding["severity"], finding["code"]) == ("serious", "state_unavailable")
    assert "MultiRegionConsistency" in str(finding)
    # DescribeTable, and nothing is read or written.
    assert all(request.body == {"TableName": "tokensvc"} for request in server.requests)


def test_a_table_is_made_by_no_other_command(
    desk: Desk, dynalite: Dynalite, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wrong name is not taken for a new deployment."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", dynalite.url)
    in_table(desk, "dynamodb:us-west-2/absent")
    error = desk.error("keys", "reconcile")
    assert isinstance(error, StateMissing)
    assert "tokensvc init --aws" in error.hint
    address = TableAddress.parse("us-west-2/absent")
    table = Table(dynalite.url, address)
    with table.opened, pytest.raises(StateMissing):
        table.state().version("ring")


def test_without_a_table_in_the_settings_nothing_is_made(desk: Desk) -> None:
    """A state in a file needs nothing in AWS."""
    error = desk.error("init", "--aws")
    assert isinstance(error, SettingsInvalid)
    assert "state.url" in error.hint


def test_a_new_file_needs_the_account_and_the_region(desk: Desk) -> None:
    """With an existing file they are in it."""
    desk.settings.unlink()
    desk.usage_error("init", "--aws", "--region", "us-west-2")
    desk.usage_error("init", "--account-id", "123456789012")
    assert not desk.settings.exists()


def test_the_settings_may_be_in_the_environment(
    desk: Desk, dynalite: Dynalite, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a container: no file is written."""
    table = Table(dynalite.url)
    desk.settings.unlink()
    for name, value in {
        "AWS_ENDPOINT_URL_DYNAMODB": dynalite.url,
        "TOKENSVC_IVS__ACCOUNT_ID": "123456789012",
        "TOKENSVC_IVS__REGIONS": "us-west-2",
        "TOKENSVC_STATE__URL": f"dynamodb:us-west-2/{table.address.table}",
        "TOKENSVC_CUSTODY__URL": "secretsmanager:tokensvc/",
    }.items():
        monkeypatch.setenv(name, value)
    folder = desk.folder / "empty"
    folder.mkdir()
    monkeypatch.chdir(folder)
    result = CliRunner().invoke(cli, ["init", "--aws"], obj=desk.clock, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    assert list(folder.iterdir()) == []
    with table.opened:
        assert list(table.state().versions()) == ["schema"]


def test_the_table_of_another_program_is_refused(
    desk: Desk, dynalite: Dynalite, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is written to it."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", dynalite.url)
    table = Table(dynalite.url)
    client = table.clients().dynamodb(REGION)
    client.create_table(
        TableName=table.address.table,
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
    )
    in_table(desk, f"dynamodb:us-west-2/{table.address.table}")
    assert isinstance(desk.error("init", "--aws"), StateRefused)
    assert client.scan(TableName=table.address.table)["Count"] == 0


def test_credentials_of_another_account_make_nothing(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """AWS STS is asked first. DynamoDB, which is not on this machine, is not called."""
    identity = (
        b"<GetCallerIdentityResponse><GetCallerIdentityResult><Account>210987654321</Account>"
        b"</GetCallerIdentityResult></GetCallerIdentityResponse>"
    )
    in_table(desk, "dynamodb:us-west-2/tokensvc")
    with faulty_server(Answer(200, identity)) as sts:
        set_aws_environment(
            monkeypatch,
            tmp_path,
            AWS_ACCESS_KEY_ID="example",
            AWS_SECRET_ACCESS_KEY="example",
            AWS_ENDPOINT_URL_STS=sts.url,
        )
        error = desk.error("init", "--aws")
    assert isinstance(error, SettingsInvalid)
    assert "210987654321" in error.detail
    assert "123456789012" in error.detail


def in_table(desk: Desk, url: str) -> None:
    """Move the state of the settings to that URL."""
    text = desk.settings.read_text().replace("[custody]", "[custody]\nsingle_host = true")
    desk.settings.write_text(f'{text}\n[state]\nurl = "{url}"\n')
